//! A faithful, strict ChatGPT Codex backend on loopback, and the public APIs that relays speak.
//!
//! It stands where `chatgpt.com/backend-api` and `auth.openai.com` stand for a real login: OAuth with PKCE, refresh
//! rotation and device codes, the account check, models with their ETag, usage, and `/backend-api/codex/responses` over
//! server-sent events. It answers simple prompts by itself, replays recorded streams, plays scripted faults, and judges
//! what its client does. The same turns go over a WebSocket, with prewarms and chains. `polygate demo`, the tests and the benchmarks run on it.
//!
//! It shares no code with the gateway: its wire shapes are written a second time on purpose, so that a mistake in `proto`
//! meets a stranger here and not its own reflection.
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
//! backend.script(Rule::responses(Plan::usage_limit(3600)).account(&account.account_id));
//! backend.script(Rule::responses(Plan::auto().cut_byte(700, Termination::Reset)).prompt("count"));
//!
//! // Wait for a condition of the record instead of sleeping.
//! let saw = backend.wait_until(Duration::from_secs(5), |record| record.posts().count() == 2).await;
//! assert!(saw.is_ok() && backend.record().offences.is_empty());
//! backend.stop().await;
//! # Ok(()) }
//! ```
//!
//! # What a prompt leads to
//! The last user message decides: `Reply with exactly: X` gives X; `count to N` gives `1 2 ... N`, one number per delta,
//! N up to 100,000; a prompt that names an offered tool, or says `tool` or `weather`, gives a call whose arguments fit the
//! tool's schema, `both` or `parallel` gives several; `run: CMD` calls the offered shell tool; `draw` with the image tool
//! gives a PNG; `search` with the search tool gives an annotated text; `text.format` gives JSON that fits the schema; an
//! input image is reported with its size; tool outputs are quoted; anything else is echoed.
//!
//! Two lines are for programs that work on files: `write FILE with: TEXT` calls whatever the client offers for it (Claude
//! Code's `Write`, Gemini CLI's `write_file`, opencode's `write` or `apply_patch`, a shell), and answers in text blocks where
//! a client without tools asks for them; `edit FILE: OLD -> NEW` is for those.
//!
//! # Relays
//! Below `/relay` stand the public APIs, each as strict as its model, with the same answers and the same scripting:
//!
//! | base URL | API | key | models |
//! |---|---|---|---|
//! | `/relay/chat/v1` | OpenAI Chat Completions | `Authorization: Bearer` | `llama-4-scout`, `deepseek-r2` (shows reasoning), `gpt-4.1-mini`, `gpt-5-nano`, ... |
//! | `/relay/responses/v1` | OpenAI Responses | `Authorization: Bearer` | `gpt-5-mini`, `gpt-4.1` |
//! | `/relay/messages/v1` | Anthropic Messages | `x-api-key` | `claude-opus-5-5`, `claude-sonnet-5-5`, `claude-haiku-5` |
//! | `/relay/gemini` | Google Gemini | `x-goog-api-key` | `gemini-3.8-pro` (wants its signatures back), `gemini-3.8-flash`, ... |
//!
//! Every key that begins with `sk-offline` is good. The first two have embeddings, audio and images too. Rules speak about
//! them by [`Endpoint::ChatRelay`] and its neighbours, and about one relay among several by its key.
//!
//! # Their owner
//! `POST /hook/NAME` takes a webhook's JSON and `POST /ntfy/TOPIC` a line as ntfy does; both are in the record, and rules speak
//! about them by [`Endpoint::Hook`] and [`Endpoint::Ntfy`].
//!
//! # Scripting
//! A [`Rule`] is a condition, a [`Plan`] and how often it applies; the first rule that matches a request is used. A plan
//! says what is answered and what goes wrong with it: [`Plan::auto`] is the usual answer, changed by the methods after it;
//! ready-made failures are [`Plan::usage_limit`], [`Plan::challenge`], [`Plan::reset`], [`Plan::silence`] and their
//! neighbours; [`Plan::relay`] is a failure in a relay's own words. A [`Wait`] at a gate stands still until [`Running::release`], so that no test needs to sleep.
//!
//! # WebSockets
//! An upgrade is a request to [`Endpoint::Socket`], each turn on it one to [`Endpoint::Responses`] with the method `WS`, so a rule
//! fits both ways: a status becomes an error frame, silences and cuts stay what they are. [`Termination::Close`], [`QuirkKind`],
//! [`Plan::connection_limit`], [`Plan::previous_not_found`], [`Plan::statusless`] and [`Plan::stray`] are for sockets. A
//! prewarm is passed over by rules that do not ask for it ([`Rule::prewarm`]).
//!
//! # Proxies
//! A [`Proxy`] is an HTTP or SOCKS 5 proxy on loopback that fails as it is told ([`ProxyFault`]) and records what it carried;
//! [`Proxy::saw`] says whether a request of the record came through it. `GET /echo` answers with the address that asks.
//!
//! # Control over HTTP
//! For tests in other languages, on the same listener, not recorded:
//!
//! | request | body | does |
//! |---|---|---|
//! | `POST /offline/script` | a [`Rule`] or a list of them | adds rules |
//! | `GET /offline/script` | | shows the rules that are left |
//! | `GET /offline/record` | | the [`Record`], with each request's `body` as JSON (else base64) |
//! | `POST /offline/reset` | | forgets record, script and gates |
//! | `POST /offline/release` | `{"gate": NAME}` | opens a gate |
//! | `POST /offline/forbid` | `{"when": {..}, "note": TEXT}` | makes matching requests offences |
//! | `POST /offline/greet` | a [`Greeting`] | for the next connection |
//! | `POST /offline/accounts` | a [`NewAccount`] | `{"account": {..}, "auth_json": TEXT}` |
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
pub use plan::wire::{Greeting, Termination};
pub use plan::{
    Blob, Body, Coding, Endpoint, Extra, Idle, Interim, Newline, Pause, Plan, Quirk, QuirkKind, Shape, Split, Stop,
    StopPosition, Wait,
};
pub use proxy::{ProxiedConnection, Proxy, ProxyFault, ProxyOptions, ProxyProtocol};
pub use record::{EndKind, Offence, Record, RecordedRequest, Refresh, RequestEnd, TimedOut};
pub use running::{Offline, Running, serve_forever};
pub use script::{Rule, When};
pub use state::{Options, REAL_CLIENT_ID, Versions};
pub use token::Revocation;

#[cfg(test)]
#[path = "../../../tests/recordings.rs"]
mod recordings;
#[cfg(test)]
mod tests;
