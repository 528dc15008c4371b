//! A faithful, strict ChatGPT Codex backend on loopback, and the public APIs that relays speak.
//!
//! It replaces `chatgpt.com/backend-api` and `auth.openai.com`: OAuth with PKCE, refresh rotation and device codes, the account
//! check, models with their ETag, usage, and `/backend-api/codex/responses` over server-sent events and WebSockets, with prewarms
//! and chains. It answers simple prompts by itself, replays recorded streams, plays scripted faults, and records protocol
//! violations of its client. `polygate demo`, the tests and the benchmarks run on it.
//!
//! The crate shares no code with the gateway: its wire shapes are written a second time on purpose, so that this crate does not
//! repeat a mistake of `proto`.
//!
//! # Use
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use offline::{Termination, Offline, Options, Plan, Rule};
//! use std::time::Duration;
//!
//! let backend = Offline::start(Options::default()).await?;
//! let account = backend.account("plus"); // tokens of a fresh login; `account.auth_json()` is a Codex auth.json
//! let _ = (backend.base_url(), backend.auth_url()); // upstream.base_url and upstream.auth_url
//!
//! // The next model request of this account answers 429; the one after it is cut with a reset after 700 body bytes.
//! backend.add_rule(Rule::responses(Plan::usage_limit(3600)).account(&account.account_id));
//! backend.add_rule(Rule::responses(Plan::auto().cut_byte(700, Termination::Reset)).prompt("count"));
//!
//! // Wait for a condition of the record instead of sleeping.
//! let saw = backend.wait_until(Duration::from_secs(5), |record| record.requests.len() == 2).await;
//! assert!(saw.is_ok() && backend.record().offences.is_empty());
//! backend.stop().await;
//! # Ok(()) }
//! ```
//!
//! # Prompts
//! The last user message decides the answer: `Reply with exactly: X` gives X; `count to N` gives `1 2 ... N`, one number per
//! delta, N up to 100,000; a prompt that names an offered tool, or contains `tool` or `weather`, gives a call whose arguments fit
//! the tool's schema; `both` or `parallel` gives several calls; `run: CMD` calls the offered shell tool; `draw` with the image
//! tool gives a PNG; `search` with the search tool gives an annotated text; `text.format` gives JSON that fits the schema. An
//! input image is reported with its size, tool outputs are quoted, and every other prompt is echoed.
//!
//! Two prompts are for clients that edit files. `write FILE with: TEXT` calls the client's tool for writing files (Claude Code's
//! `Write`, Gemini CLI's `write_file`, opencode's `write` or `apply_patch`, a shell). For a client without tools that asks for
//! text blocks, the answer has such blocks; `edit FILE: OLD -> NEW` is for those clients.
//!
//! # Relays
//! `/relay` has the public APIs, each as strict as the real one, with the same answers and the same scripting:
//!
//! | base URL | API | key | models |
//! |---|---|---|---|
//! | `/relay/chat/v1` | OpenAI Chat Completions | `Authorization: Bearer` | `llama-4-scout`, `deepseek-r2` (shows reasoning), `gpt-4.1-mini`, `gpt-5-nano`, ... |
//! | `/relay/responses/v1` | OpenAI Responses | `Authorization: Bearer` | `gpt-5-mini`, `gpt-4.1` |
//! | `/relay/messages/v1` | Anthropic Messages | `x-api-key` | `claude-opus-5-5`, `claude-sonnet-5-5`, `claude-haiku-5` |
//! | `/relay/gemini` | Google Gemini | `x-goog-api-key` | `gemini-3.8-pro` (wants its signatures back), `gemini-3.8-flash`, ... |
//!
//! Every key that begins with `sk-offline` is valid. The first two APIs also have embeddings, audio and images. A rule selects a
//! relay API by [`Endpoint::ChatRelay`] and its siblings, and one of several relays by its key.
//!
//! # Alerts
//! `POST /hook/NAME` accepts a webhook's JSON and `POST /ntfy/TOPIC` a text in ntfy's form. The record has both; rules select them
//! by [`Endpoint::Hook`] and [`Endpoint::Ntfy`].
//!
//! # Scripting
//! A [`Rule`] is a condition, a [`Plan`] and the number of times it applies; the first rule that matches a request is used. A plan
//! describes the answer and its faults: [`Plan::auto`] is the usual answer, changed by the methods after it; ready-made failures
//! are [`Plan::usage_limit`], [`Plan::challenge`], [`Plan::reset`], [`Plan::silence`] and their siblings; [`Plan::relay`] is a
//! failure in a relay's own error format. A [`Wait`] at a gate ends with [`Running::release`], so that no test needs to sleep.
//!
//! # WebSockets
//! An upgrade is a request to [`Endpoint::Socket`], and each turn on the socket is a request to [`Endpoint::Responses`] with the
//! method `WS`, so one rule fits both transports: a status becomes an error frame, silences and cuts have the same effect.
//! [`Termination::Close`], [`QuirkKind`], [`Plan::connection_limit`], [`Plan::previous_not_found`], [`Plan::error_without_status`] and
//! [`Plan::foreign_completion`] are for sockets. A rule matches a prewarm only if it asks for prewarms ([`Rule::prewarm`]).
//!
//! # Proxies
//! A [`Proxy`] is an HTTP or SOCKS 5 proxy on loopback that fails on request ([`ProxyFault`]) and records its connections;
//! [`Proxy::saw`] says whether a recorded request came through the proxy. `GET /echo` answers with the client's address.
//!
//! # Control over HTTP
//! These requests are for tests in other languages, on the same listener, and are not recorded:
//!
//! | request | body | does |
//! |---|---|---|
//! | `POST /offline/script` | a [`Rule`] or a list of them | adds rules |
//! | `GET /offline/script` | | lists the pending rules |
//! | `GET /offline/record` | | the [`Record`], with each request's `body` as JSON (else base64) |
//! | `POST /offline/reset` | | clears record, script and gates |
//! | `POST /offline/release` | `{"gate": NAME}` | opens a gate |
//! | `POST /offline/forbid` | `{"when": {..}, "note": TEXT}` | makes matching requests offences |
//! | `POST /offline/greet` | a [`Greeting`] | sets the greeting of the next connection |
//! | `POST /offline/accounts` | a [`NewAccount`] | adds a login; answers `{"account": {..}, "auth_json": TEXT}` |
//! | `PATCH /offline/accounts` | `account_id` and any of `quota`, `models`, `revoke_access`, `refresh` | changes an account |
//! | `POST /offline/versions` | [`Versions`] | publishes other versions of the official clients |
//! | `POST /offline/approve` | `{"user_code": CODE}` | approves a device code |
//!
//! Rules as JSON: `{"plan": {"status": 503, "body": {"json": {"detail": "no"}}}}` answers the next model request;
//! `{"when": {"place": "token", "account": ID}, "times": 0, "plan": {"before_headers": [{"millis": 200}]}}` slows every
//! refresh of an account; `{"when": {"prompt": "count"}, "plan": {"shape": {"stop": {"at": {"byte": 700}, "how": "reset"}}}}`
//! cuts; `{"plan": {"shape": {"pauses": [{"after": 1, "wait": {"millis": 360000}}]}}}` is silent after `response.created`.

mod account;
mod alerts;
mod answer;
mod call;
mod control;
mod errors;
mod faults;
mod feed;
mod gate;
mod listen;
mod models;
mod noise;
mod oauth;
mod plan;
mod proxy;
mod record;
mod relay;
mod responder;
mod responses;
mod route;
mod running;
mod script;
mod socket;
mod state;
mod token;
mod usage;

pub use account::{FakeAccount, Metered, NewAccount, Quota, Window};
pub use plan::wire::{ConnectionFault, Termination};
pub use plan::{
    Blob, Body, Coding, Endpoint, Extra, Idle, Interim, Newline, Pause, Plan, Quirk, QuirkKind, Shape, Split, Stop,
    StopPosition, Wait,
};
pub use proxy::{ProxiedConnection, Proxy, ProxyFault, ProxyOptions, ProxyProtocol};
pub use record::{EndKind, Record, RecordedRequest, Refresh, RequestEnd, TimedOut, Violation};
pub use running::{Offline, Running, serve_forever};
pub use script::{Rule, When};
pub use state::{Options, REAL_CLIENT_ID, Versions};
pub use token::Revocation;

#[cfg(test)]
#[path = "../../../tests/recordings.rs"]
mod recordings;
#[cfg(test)]
mod tests;
