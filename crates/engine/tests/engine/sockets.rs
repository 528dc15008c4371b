//! Model calls over sockets, through the engine: what a conversation sends, how it recovers, and when a POST stands in.

use std::fmt::Write as _;
use std::time::Duration;

use offline::{EndKind, Endpoint, NewAccount, Options, Plan, RecordedRequest, Rule, Termination, Wait};
use pool::transport::TransportMode;
use proto::{Dialect, Kind};
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, MODEL, PATIENCE, Setup, call, events, from, refused, words};

/// Accounts whose conversations take sockets where they go on.
async fn bench(accounts: usize) -> Bench {
    Bench::with(Setup::accounts(accounts).settings(|settings| settings.transport = TransportMode::Auto)).await
}

fn turns(bench: &Bench) -> Vec<RecordedRequest> {
    bench.backend.record().model_requests().cloned().collect()
}

/// A chat request with a tool, so that it is one of a conversation.
fn chat(messages: &[Value]) -> engine::Call {
    let tool =
        json!({"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}});
    from(Dialect::Chat, &json!({"model": MODEL, "stream": true, "messages": messages, "tools": [tool]}))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn model(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

/// Each protocol's second turn: the call that the model made, and its result.
fn second(dialect: Dialect, first: &str) -> Value {
    let (name, args) = ("lookup", "{}");
    let id = |text: &str| {
        let events = events(text);
        let call_id = events.iter().find_map(|event| {
            event["choices"][0]["delta"]["tool_calls"][0]["id"]
                .as_str()
                .or_else(|| event["item"]["call_id"].as_str())
                .or_else(|| event["content_block"]["id"].as_str())
                .or_else(|| event["message"]["tool_calls"][0]["id"].as_str())
                .map(str::to_owned)
        });
        call_id.expect("a call")
    };
    match dialect {
        Dialect::Chat => json!([
            user("call lookup"),
            {"role": "assistant", "content": null,
             "tool_calls": [{"id": id(first), "type": "function", "function": {"name": name, "arguments": args}}]},
            {"role": "tool", "tool_call_id": id(first), "content": "42"}
        ]),
        Dialect::Responses => json!([
            {"role": "user", "content": "call lookup"},
            {"type": "function_call", "call_id": id(first), "name": name, "arguments": args},
            {"type": "function_call_output", "call_id": id(first), "output": "42"}
        ]),
        Dialect::Gemini => json!([
            {"role": "user", "parts": [{"text": "call lookup"}]},
            {"role": "model", "parts": [events(first).iter().find_map(|event| {
                let parts = event["candidates"][0]["content"]["parts"].as_array()?;
                parts.iter().find(|part| part["functionCall"].is_object()).cloned()
            }).expect("a call")]},
            {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"result": "42"}}}]}
        ]),
        Dialect::Ollama => json!([
            user("call lookup"),
            {"role": "assistant", "content": "",
             "tool_calls": [{"id": id(first), "function": {"name": name, "arguments": {}}}]},
            {"role": "tool", "tool_name": name, "tool_call_id": id(first), "content": "42"}
        ]),
        Dialect::Messages => json!([
            user("call lookup"),
            {"role": "assistant", "content": [{"type": "tool_use", "id": id(first), "name": name, "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id(first), "content": "42"}]}
        ]),
    }
}

fn request(dialect: Dialect, conversation: &Value) -> engine::Call {
    let schema = json!({"type": "object", "properties": {}});
    let body = match dialect {
        Dialect::Chat | Dialect::Ollama => json!({"model": MODEL, "stream": true, "messages": conversation,
            "tools": [{"type": "function", "function": {"name": "lookup", "parameters": schema}}]}),
        Dialect::Responses => json!({"model": MODEL, "stream": true, "input": conversation,
            "tools": [{"type": "function", "name": "lookup", "parameters": schema}]}),
        Dialect::Gemini => json!({"contents": conversation,
            "tools": [{"functionDeclarations": [{"name": "lookup", "parameters": schema}]}]}),
        Dialect::Messages => json!({"model": MODEL, "stream": true, "max_tokens": 1000, "messages": conversation,
            "tools": [{"name": "lookup", "input_schema": schema}]}),
    };
    let mut call = from(dialect, &body);
    // Gemini has both in the path.
    call.request.model.get_or_insert(MODEL.to_owned());
    call.request.reply.stream = true;
    call
}

/// A conversation of one question.
fn question(dialect: Dialect, text: &str) -> Value {
    if dialect == Dialect::Gemini { json!([{"role": "user", "parts": [{"text": text}]}]) } else { json!([user(text)]) }
}

#[rstest]
#[tokio::test]
async fn a_tool_loop_of_any_protocol_sends_the_result_alone(
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama)] dialect: Dialect,
) {
    let bench = bench(1).await;
    let first = bench.ask(request(dialect, &question(dialect, "call lookup"))).await.expect("the first turn");
    let second = bench.ask(request(dialect, &second(dialect, first.text()))).await.expect("the second turn");
    assert!(words(dialect, second.text()).contains("42"), "{}", second.text());
    let turns = turns(&bench);
    assert_eq!(turns.iter().map(|turn| turn.method.as_str()).collect::<Vec<_>>(), ["WS", "WS"]);
    assert_eq!(turns[0].connection, turns[1].connection);
    let body = turns[1].json();
    assert!(body["previous_response_id"].is_string(), "{body}");
    let input = body["input"].as_array().expect("a list");
    assert_eq!(input.iter().map(|item| &item["type"]).collect::<Vec<_>>(), ["function_call_output"], "{body}");
    bench.innocent();
}

/// The issue's bar: over a hundred turns up to 500 KB, a socket carries at most 5 % of the bytes that POSTs carry.
#[tokio::test]
async fn a_long_conversation_sends_a_twentieth() {
    let mut sums = Vec::new();
    for transport in [TransportMode::Http, TransportMode::Auto] {
        let bench = Bench::with(Setup::default().settings(|settings| settings.transport = transport)).await;
        let mut messages = Vec::new();
        let mut words_of = 7_u32;
        for turn in 0..100 {
            messages.push(user(&format!("Turn {turn}: {}", prose(&mut words_of, 4800))));
            let answer = bench.ask(chat(&messages)).await.expect("a turn");
            messages.push(model(&words(Dialect::Chat, answer.text())));
        }
        let size: usize = messages.iter().map(|message| message["content"].as_str().map_or(0, str::len)).sum();
        assert!(size >= 500_000, "{size}");
        let turns = turns(&bench);
        assert_eq!(turns.len(), 100);
        sums.push(turns.iter().map(|turn| turn.wire_length).sum::<usize>());
        bench.innocent();
    }
    let (posts, socket) = (sums[0], sums[1]);
    assert!(socket * 20 <= posts, "{socket} of {posts} bytes on the wire, POSTs compressed");
}

/// So many bytes of words that nobody has said before.
fn prose(seed: &mut u32, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write!(text, "{:x} ", *seed >> 8).expect("memory takes every write");
    }
    text
}

#[tokio::test]
async fn a_lost_chain_is_sent_anew_once() {
    let bench = bench(1).await;
    bench.ask(chat(&[user("Reply with exactly: one")])).await.expect("the first turn");
    bench.backend.add_rule(Rule::responses(Plan::previous_not_found()));
    let history = [user("Reply with exactly: one"), model("one"), user("Reply with exactly: two")];
    let answer = bench.ask(chat(&history)).await.expect("the second turn");
    assert_eq!(words(Dialect::Chat, answer.text()), "two");
    let turns = turns(&bench);
    let chained: Vec<bool> = turns.iter().map(|turn| turn.json()["previous_response_id"].is_string()).collect();
    assert_eq!(chained, [false, true, false]);
    assert_eq!(turns[2].json()["input"].as_array().map(Vec::len), Some(3));
    bench.innocent();
}

/// A chain belongs to the account that made it: the other one gets all of the conversation.
#[tokio::test]
async fn no_chain_goes_to_another_account() {
    let bench = bench(2).await;
    let first = bench.ask(chat(&[user("Reply with exactly: one")])).await.expect("the first turn");
    let owner = first.head.account.clone().expect("an account");
    let at = bench.ids.iter().position(|id| *id == owner).expect("one of ours");
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600)).account(&bench.logins[at].account_id));
    let history = [user("Reply with exactly: one"), model("one"), user("Reply with exactly: two")];
    let second = bench.ask(chat(&history)).await.expect("the second turn");
    assert_eq!(words(Dialect::Chat, second.text()), "two");
    assert_ne!(second.head.account, Some(owner));
    let turns = turns(&bench);
    assert_eq!(turns.len(), 3);
    assert_eq!(
        (turns[2].json()["input"].as_array().map(Vec::len), &turns[2].json()["previous_response_id"]),
        (Some(3), &Value::Null)
    );
    assert_eq!(bench.status(at), "exhausted");
    bench.innocent();
}

/// Whatever a socket is told to do instead of a reply, the client gets what it would get over HTTP, and accounts stand the same.
#[rstest]
#[case::limit(Plan::usage_limit(3600))]
#[case::busy(Plan::overloaded())]
#[case::broken(Plan::server_error(500))]
#[case::rate(Plan::rate_limit(Some(2)))]
#[case::forbidden(Plan::forbidden())]
#[case::bad(Plan::bad_request("invalid_prompt", "no"))]
#[case::login(Plan::unauthorized(None))]
#[case::workspace(Plan::deactivated_workspace())]
#[case::no_credits(Plan::workspace_depleted())]
#[case::no_plan(Plan::usage_not_included())]
#[case::country(Plan::unsupported_country())]
#[case::too_many(Plan::too_many())]
#[case::nowhere(Plan::json(404, json!({"detail": "Not Found"})))]
#[case::large(Plan::json(413, json!({"detail": "Request too large"})))]
#[case::context(Plan::bad_request("context_length_exceeded", "too long"))]
#[case::foreign(Plan::bad_request("invalid_encrypted_content", "The encrypted content could not be verified."))]
#[case::model(Plan::model_not_supported(MODEL))]
#[case::bad_gateway(Plan::server_error(502))]
#[case::unavailable(Plan::server_error(503))]
#[case::gateway_timeout(Plan::server_error(504))]
#[tokio::test]
async fn a_refusal_means_the_same_on_both_legs(#[case] plan: Plan) {
    let mut came = Vec::new();
    for transport in [TransportMode::Http, TransportMode::WebSocket] {
        let bench = Bench::with(Setup::default().settings(|settings| settings.transport = transport)).await;
        bench.backend.add_rule(Rule::responses(plan.clone()).always());
        let refusal = refused(bench.ask(chat(&[user("hello")])).await);
        let failure = refusal.failure;
        came.push((failure.kind, failure.code.clone(), failure.retry_after, bench.status(0), bench.posts()));
    }
    assert_eq!(came[0], came[1]);
}

/// An error message without a status is one of the stream, as over HTTP; nobody waits for more after it.
#[tokio::test]
async fn an_error_without_a_status_ends_the_turn() {
    let event = json!({"type": "error", "error": {"message": "Something went wrong.", "type": "server_error"}});
    let over_http = Plan::events([event]).hold(Wait::Forever);
    let mut came = Vec::new();
    for (transport, plan) in
        [(TransportMode::Http, over_http), (TransportMode::WebSocket, Plan::error_without_status())]
    {
        let bench = Bench::with(Setup::default().settings(|settings| settings.transport = transport)).await;
        bench.backend.add_rule(Rule::responses(plan).always());
        let refusal = refused(bench.ask(chat(&[user("hello")])).await);
        came.push((refusal.failure.kind, refusal.failure.code.clone(), bench.status(0), bench.posts()));
    }
    assert_eq!(came[0], came[1]);
}

/// An upgrade that is told of a limit has the account's answer: the other one serves, over a socket of its own.
#[rstest]
#[case::used_up(Plan::usage_limit(3600), "exhausted")]
#[case::rate(Plan::rate_limit(Some(30)), "cooling")]
#[tokio::test]
async fn a_limit_told_at_the_upgrade_moves_the_turn(#[case] plan: Plan, #[case] status: &str) {
    let bench = bench(2).await;
    bench.backend.add_rule(Rule::socket(plan));
    let answer = bench.ask(chat(&[user("Reply with exactly: pong")])).await.expect("an answer");
    assert_eq!(words(Dialect::Chat, answer.text()), "pong");
    let server = bench.ids.iter().position(|id| Some(id) == answer.head.account.as_ref()).expect("one of ours");
    assert_eq!((bench.status(server), bench.status(1 - server)), ("active", status));
    assert_eq!(turns(&bench).iter().map(|turn| turn.method.as_str()).collect::<Vec<_>>(), ["WS"]);
    assert_eq!(bench.backend.record().sockets().count(), 2);
    bench.innocent();
}

/// Any other refusal of an upgrade is about sockets: a POST stands in, nobody is blamed, and the next turn tries one again.
#[rstest]
#[case::forbidden(Plan::forbidden())]
#[case::challenge(Plan::challenge())]
#[case::nowhere(Plan::path_block())]
#[case::broken(Plan::server_error(500))]
#[case::page(Plan::html(502, 2000))]
#[case::reset(Plan::reset())]
#[tokio::test]
async fn a_post_stands_in_for_an_upgrade_refused(#[case] plan: Plan) {
    let bench = bench(1).await;
    bench.backend.add_rule(Rule::socket(plan));
    let first = bench.ask(chat(&[user("Reply with exactly: one")])).await.expect("the first turn");
    assert_eq!(
        (words(Dialect::Chat, first.text()).as_str(), first.head.attempts, bench.status(0)),
        ("one", 1, "active")
    );
    let history = [user("Reply with exactly: one"), model("one"), user("Reply with exactly: two")];
    let second = bench.ask(chat(&history)).await.expect("the second turn");
    assert_eq!(words(Dialect::Chat, second.text()), "two");
    assert_eq!(turns(&bench).iter().map(|turn| turn.method.as_str()).collect::<Vec<_>>(), ["POST", "WS"]);
    bench.innocent();
}

/// Two turns of a conversation at once take a socket each; the backend takes one at a time over each, and one of them is kept.
#[rstest]
#[tokio::test]
async fn two_turns_at_once_take_two_sockets(
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama)] dialect: Dialect,
) {
    let bench = Bench::with(Setup::default().settings(|settings| settings.transport = TransportMode::WebSocket)).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(8, "go")).times(2));
    let client_call = || request(dialect, &question(dialect, "count to 9"));
    let (first, second) = tokio::join!(bench.open(client_call()), bench.open(client_call()));
    let running = turns(&bench);
    assert_eq!(running.iter().map(|turn| turn.method.as_str()).collect::<Vec<_>>(), ["WS", "WS"]);
    assert_ne!(running[0].connection, running[1].connection);
    bench.backend.release("go");
    let (first, second) = tokio::join!(first.rest(), second.rest());
    assert_eq!(words(dialect, first.text()).trim(), "1 2 3 4 5 6 7 8 9");
    assert_eq!(words(dialect, second.text()).trim(), "1 2 3 4 5 6 7 8 9");
    bench.ask(client_call()).await.expect("a third turn");
    let turns = turns(&bench);
    assert!(running.iter().any(|turn| turn.connection == turns[2].connection), "the one that waited is used again");
    assert_eq!(bench.backend.record().sockets().count(), 2);
    bench.innocent();
}

/// A reply that is cut at any of its events ends as over HTTP, whatever the client speaks: with an error of its protocol. Only one that
/// is cut behind its last event is whole.
#[rstest]
#[tokio::test]
async fn cut_at_every_message(
    #[values(Termination::Reset, Termination::Fin, Termination::Close { code: 1011 }, Termination::End)]
    how: Termination,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama)] dialect: Dialect,
    #[values(false, true)] secure: bool,
) {
    let setup = Setup { secure, ..Setup::default() }.settings(|settings| settings.transport = TransportMode::WebSocket);
    let bench = Bench::with(setup).await;
    let whole = bench.ask(call(dialect, "count to 3", true)).await.expect("an uncut reply");
    let mut behind = Vec::new();
    for event in 0.. {
        let before = bench.posts();
        bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(event, how.clone())));
        let cut = bench.ask(call(dialect, "count to 3", true)).await;
        assert_eq!(bench.backend.pending_rules().len(), 0, "event {event}");
        let ended = |record: &offline::Record| record.model_requests().all(|turn| turn.ending.is_some());
        bench.backend.wait_until(PATIENCE, ended).await.expect("the end of all turns");
        let turns = turns(&bench).split_off(before);
        // A socket that breaks before anything came may have been dead before: the turn is sent once more.
        assert!(turns.len() == 1 || event == 0, "event {event} had been read");
        match cut {
            Ok(answer) if answer.text().contains(r#""error":{"#) || answer.text().contains(r#""error":""#) => {
                let partial = words(dialect, answer.text());
                assert!(words(dialect, whole.text()).starts_with(&partial), "event {event}: {partial}");
                assert_eq!(behind, [0; 0], "event {event} came after the last one");
            }
            Ok(answer) => {
                assert_eq!(words(dialect, answer.text()), words(dialect, whole.text()), "event {event}");
                match turns[turns.len() - 1].ending.map(|ending| ending.left) {
                    Some(EndKind::Complete) if event > 0 => break,
                    Some(EndKind::Complete) => {}
                    _ => behind.push(event),
                }
            }
            Err(refusal) => assert!(matches!(refusal.failure.kind, Kind::Upstream), "event {event}: {refusal}"),
        }
    }
    assert_eq!(behind.len(), 1, "nothing is lost behind the last event alone: {behind:?}");
    let again = bench.ask(call(dialect, "count to 3", true)).await.expect("the next reply");
    assert_eq!(words(dialect, again.text()), words(dialect, whole.text()));
}

/// Row F22: what a message says in `headers` goes through the same list as the headers of an answer.
#[tokio::test]
async fn headers_in_messages_are_no_way_around_the_list() {
    let bench = Bench::with(Setup::default().settings(|settings| settings.transport = TransportMode::WebSocket)).await;
    let metadata = json!({"type": "codex.response.metadata", "headers": {"set-cookie": "a=b", "server-timing": "x",
        "connection": "close", "transfer-encoding": "chunked", "content-length": "1", "x-evil": "1",
        "x-codex-turn-state": "opaque", "openai-model": "a\r\nx-evil: 2", "bad name": "x"}});
    let frame = format!("event: codex.response.metadata\ndata: {metadata}\n\n");
    bench.backend.add_rule(Rule::responses(Plan::auto().extra(0, frame)));
    let answer = bench.ask(codex(&[user("hello")], true)).await.expect("a reply");
    let names: Vec<&str> = answer.head.headers.keys().map(http::HeaderName::as_str).collect();
    assert!(names.contains(&"x-codex-turn-state"), "{names:?}");
    for (name, value) in &answer.head.headers {
        let listed = ["openai-", "x-"].iter().any(|start| name.as_str().starts_with(start));
        assert!(listed && name != "x-evil" && !value.as_bytes().contains(&b'\n'), "{name}: {value:?}");
    }
    assert!(!answer.text().contains("x-evil"), "{}", answer.text());
}

#[tokio::test]
async fn a_backend_without_sockets_gets_posts() {
    let options = Options { websocket: false, ..Options::default() };
    let setup = Setup { options, ..Setup::accounts(1) }.settings(|settings| settings.transport = TransportMode::Auto);
    let bench = Bench::with(setup).await;
    for _ in 0..2 {
        bench.ask(chat(&[user("hello")])).await.expect("an answer");
    }
    let record = bench.backend.record();
    assert_eq!((record.sockets().count(), record.requests_to(Endpoint::Responses).count()), (1, 2));
}

#[tokio::test]
async fn nothing_but_sockets_means_it() {
    let options = Options { websocket: false, ..Options::default() };
    let setup =
        Setup { options, ..Setup::accounts(1) }.settings(|settings| settings.transport = TransportMode::WebSocket);
    let bench = Bench::with(setup).await;
    let refusal = refused(bench.ask(chat(&[user("hello")])).await);
    assert_eq!((refusal.failure.kind, refusal.failure.code.as_deref()), (Kind::Upstream, Some("upstream_websocket")));
    assert_eq!(bench.posts(), 0);
}

/// One question without tools is no conversation yet: it does not wait for a handshake.
#[tokio::test]
async fn a_single_question_goes_by_post() {
    let bench = bench(1).await;
    bench.ask(call(Dialect::Chat, "hello", true)).await.expect("an answer");
    assert_eq!(bench.backend.record().sockets().count(), 0);
    assert_eq!(turns(&bench)[0].method, "POST");
}

/// Refreshed tokens are used at the next upgrade, and a refused login is refreshed over a socket as over HTTP.
#[tokio::test]
async fn a_refused_login_is_refreshed() {
    let setup = Setup { accounts: vec![NewAccount::default()], ..Setup::default() };
    let bench = Bench::with(setup.settings(|settings| settings.transport = TransportMode::WebSocket)).await;
    bench.backend.expire_access(&bench.logins[0].account_id);
    let answer = bench.ask(chat(&[user("Reply with exactly: pong")])).await.expect("an answer");
    assert_eq!(words(Dialect::Chat, answer.text()), "pong");
    assert_eq!(bench.backend.record().token_posts().count(), 1);
    bench.innocent();
}

/// A Codex client's request in a session of its own.
fn codex(input: &[Value], generate: bool) -> engine::Call {
    let mut body = json!({"model": MODEL, "stream": true, "store": false, "input": input});
    if !generate {
        body["generate"] = false.into();
    }
    let mut call = from(Dialect::Responses, &body);
    call.client.codex = true;
    call.client.session = Some("01890000-0000-7000-8000-000000000001".to_owned());
    call
}

/// A prewarm reaches the backend over the socket that the turn proper then goes on with, and costs no tokens.
#[tokio::test]
async fn a_prewarm_opens_the_conversations_socket() {
    let bench = bench(2).await;
    let warm = bench.ask(codex(&[user("My name is Ada.")], false)).await.expect("a prewarm");
    assert!(warm.text().contains("response.completed") && !warm.text().contains("output_text"), "{}", warm.text());
    let history = [user("My name is Ada."), user("Reply with exactly: pong")];
    let turn = bench.ask(codex(&history, true)).await.expect("a turn");
    assert_eq!(words(Dialect::Responses, turn.text()), "pong");
    let turns = turns(&bench);
    assert_eq!((turns.len(), bench.backend.record().sockets().count()), (2, 1));
    let (first, second) = (turns[0].json(), turns[1].json());
    assert_eq!((&first["generate"], first["input"].as_array().map(Vec::len)), (&json!(false), Some(1)));
    assert_eq!((&second["generate"], second["input"].as_array().map(Vec::len)), (&Value::Null, Some(1)));
    assert!(second["previous_response_id"].is_string(), "{second}");
    let rows = bench.rows(2).await;
    assert!(rows.iter().all(|row| row.status == 200 && row.outcome == store::Outcome::Completed), "{rows:?}");
    bench.innocent();
}

/// Nobody is blamed for a prewarm that the backend does not take, but figures are figures; and the turn proper is served.
#[rstest]
#[case::no_sockets(Options { websocket: false, ..Options::default() }, None, 0)]
#[case::limit(Options::default(), Some(Plan::usage_limit(3600)), 1)]
#[case::broken(Options::default(), Some(Plan::server_error(500)), 0)]
#[case::cut(Options::default(), Some(Plan::auto().cut_event(1, Termination::Reset)), 0)]
#[tokio::test]
async fn a_prewarm_that_fails_is_answered(
    #[case] options: Options,
    #[case] plan: Option<Plan>,
    #[case] exhausted: usize,
) {
    let setup = Setup { options, ..Setup::accounts(2) }.settings(|settings| settings.transport = TransportMode::Auto);
    let bench = Bench::with(setup).await;
    if let Some(plan) = plan {
        bench.backend.add_rule(Rule::responses(plan).prewarm());
    }
    let warm = bench.ask(codex(&[user("My name is Ada.")], false)).await.expect("a prewarm");
    assert!(warm.text().contains("response.completed"), "{}", warm.text());
    assert_eq!((0..2).filter(|at| bench.status(*at) == "exhausted").count(), exhausted);
    assert!((0..2).all(|at| matches!(bench.status(at), "active" | "exhausted")));
    assert!(turns(&bench).iter().all(|turn| turn.method == "WS"), "no POST stands in for a prewarm");
    let history = [user("My name is Ada."), user("Reply with exactly: pong")];
    let turn = bench.ask(codex(&history, true)).await.expect("a turn");
    assert_eq!(words(Dialect::Responses, turn.text()), "pong");
}

/// Where sockets rest, a prewarm does not wait for one.
#[tokio::test]
async fn a_prewarm_leaves_sockets_alone_that_rest() {
    let options = Options { websocket: false, ..Options::default() };
    let setup = Setup { options, ..Setup::accounts(1) }.settings(|settings| settings.transport = TransportMode::Auto);
    let bench = Bench::with(setup).await;
    for _ in 0..3 {
        bench.ask(codex(&[user("My name is Ada.")], false)).await.expect("a prewarm");
    }
    assert_eq!(bench.backend.record().sockets().count(), 1, "the first refusal is enough");
}

/// A backend that does not answer a prewarm keeps the client no longer than a commit takes, and the row says what the client got.
#[tokio::test]
async fn a_prewarm_that_hangs_is_answered_in_time() {
    let setup = Setup::accounts(1).settings(|settings| {
        settings.transport = TransportMode::Auto;
        settings.commit = Duration::from_millis(300);
    });
    let bench = Bench::with(setup).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().delay(Wait::Forever)).prewarm());
    let warm = bench.ask(codex(&[user("My name is Ada.")], false)).await.expect("a prewarm");
    assert!(warm.text().contains("response.completed"), "{}", warm.text());
    let rows = bench.rows(1).await;
    assert_eq!((rows[0].status, rows[0].outcome, bench.status(0)), (200, store::Outcome::Completed, "active"));
}
