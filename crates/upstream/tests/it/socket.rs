//! Model calls over sockets, against a server that sends and breaks what its script says.

mod ends;
pub(crate) mod server;

use std::time::Duration;

use pool::routing::Routing;
use pool::{AccountId, Millis, Secret};
use rstest::rstest;
use serde_json::{Value, json};
use upstream::profile::Platform;
use upstream::{
    Answer, BodyReadError, CallFacts, Config, Fault, FaultKind, ModelCall, Profile, Sent, SocketOptions, Upstream,
};

use self::server::{Act, Greeting, Server};
use crate::captured::orders;
use crate::recorder::with_timeout;
use crate::setup::{TOKEN, account, facts, short};

const NOW: Millis = Millis(1_795_249_047_419);

/// One turn of conversation 7 on account `acct-1`, over a socket if possible.
pub(crate) async fn call_over_socket(upstream: &Upstream, body: &'static str) -> Result<Answer, Fault> {
    send_turn(upstream, ("acct-1", 7), body, false).await
}

async fn send_turn(
    upstream: &Upstream,
    (who, conversation): (&str, u128),
    body: &str,
    only: bool,
) -> Result<Answer, Fault> {
    let (account, access) = (account(who), Secret::from(TOKEN));
    let options = Some(SocketOptions { conversation, generate: true, required: only, now: NOW });
    let model_call =
        ModelCall { account: &account, access: &access, body: body.to_owned().into(), facts: facts(), socket: options };
    with_timeout(Box::pin(upstream.responses(model_call))).await
}

fn upstream(server: &Server) -> Upstream {
    Upstream::new(config(server)).unwrap()
}

pub(crate) fn config(server: &Server) -> Config {
    Config {
        base_url: format!("http://{}/backend-api", server.addr).parse().unwrap(),
        auth_url: format!("http://{}", server.addr).parse().unwrap(),
        ..Config::default()
    }
}

/// A body of the conversation so far.
fn body(items: &[&str]) -> String {
    let item = |text: &&str| match text.strip_prefix("model:") {
        Some(text) => {
            json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": text }] })
        }
        None => json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] }),
    };
    let items: Vec<Value> = items.iter().map(item).collect();
    json!({ "model": "gpt-6-sol", "stream": true, "input": items, "store": false }).to_string()
}

/// The messages of a reply with the text `text`.
fn reply(id: &str, text: &str) -> Vec<Act> {
    let item = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }] });
    [
        json!({ "type": "codex.rate_limits", "rate_limits": {} }),
        json!({ "type": "codex.response.metadata", "headers": { "x-models-etag": "e1", "x-codex-turn-state": "ts" } }),
        json!({ "type": "response.created", "response": { "id": id } }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "response": { "id": id, "output": [] } }),
    ]
    .map(|event| Act::Text(event.to_string()))
    .into()
}

/// The body; the messages of a socket, one per line.
async fn read(mut answer: Answer) -> Result<String, BodyReadError> {
    let mut text = String::new();
    while let Some(chunk) = with_timeout(answer.body.chunk()).await.transpose()? {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        if answer.body.has_messages() {
            text.push('\n');
        }
    }
    Ok(text)
}

#[tokio::test]
async fn a_conversation_stays_on_its_socket_and_sends_what_is_new() {
    let mut server = Server::start(|_, turn, _| reply(&format!("resp_{turn}"), &format!("answer {turn}"))).await;
    let upstream = upstream(&server);
    let answer = send_items(&upstream, &["one"]).await;
    assert_eq!((answer.status, answer.headers["x-models-etag"].as_bytes()), (200, &b"e1"[..]));
    let text = read(answer).await.unwrap();
    assert_eq!(text.lines().count(), 5);
    assert!(text.starts_with("{\"type\":\"codex.rate_limits\"") && text.ends_with("}\n"));
    read(send_items(&upstream, &["one", "model:answer 0", "two"]).await).await.unwrap();
    read(send_items(&upstream, &["one", "model:answer 0", "two", "model:answer 1", "three"]).await).await.unwrap();
    // The client has changed the history: the whole conversation is sent again, over the same socket.
    read(send_items(&upstream, &["one", "model:something else", "four"]).await).await.unwrap();
    assert_eq!(server.upgrade().await.connection, 0);
    let turns = server.turns(4).await;
    assert!(turns.iter().all(|turn| turn.connection == 0));
    let input = |at: usize| turns[at].body["input"].as_array().unwrap().len();
    assert_eq!([input(0), input(1), input(2), input(3)], [1, 1, 1, 3]);
    let previous = |at: usize| turns[at].body["previous_response_id"].as_str();
    assert_eq!([previous(0), previous(1), previous(2), previous(3)], [None, Some("resp_0"), Some("resp_1"), None]);
    assert!(turns.iter().all(|turn| turn.body["type"] == "response.create"));
    assert_eq!(upstream.idle_sockets(), 1);
}

async fn send_items(upstream: &Upstream, items: &[&str]) -> Answer {
    send_turn(upstream, ("acct-1", 7), &body(items), true).await.unwrap()
}

#[tokio::test]
async fn neither_accounts_nor_conversations_share_a_socket() {
    let mut server = Server::start(|_, turn, _| reply(&format!("resp_{turn}"), "x")).await;
    let upstream = upstream(&server);
    for who in [("acct-1", 7), ("acct-2", 7), ("acct-1", 8)] {
        read(send_turn(&upstream, who, &body(&["one"]), true).await.unwrap()).await.unwrap();
    }
    let connections: Vec<usize> = server.turns(3).await.iter().map(|turn| turn.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
    upstream.forget(&AccountId("id-acct-1".into()));
    assert_eq!(upstream.idle_sockets(), 1);
}

/// When the other end has forgotten the chain, the retry table may send the whole conversation over a new socket (spec/upstream.md
/// section 4, points 4 and 8).
#[rstest]
#[case::the_chain_is_lost(json!({ "type": "error", "status": 400, "error": { "code": "previous_response_not_found" } }))]
#[case::the_socket_is_old(json!({ "type": "error", "status": 400, "error": { "code": "websocket_connection_limit_reached" } }))]
#[tokio::test]
async fn a_forgetful_end_gets_all_of_it_with_the_next_call(#[case] error: Value) {
    let mut server = Server::start(move |_, turn, _| match turn {
        1 => vec![Act::Text(error.to_string())],
        turn => reply(&format!("resp_{turn}"), "x"),
    })
    .await;
    let upstream = upstream(&server);
    read(send_items(&upstream, &["one"]).await).await.unwrap();
    let history = ["one", "model:x", "two"];
    let fault = send_turn(&upstream, ("acct-1", 7), &body(&history), true).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Yes, FaultKind::Stale), "{fault}");
    read(send_items(&upstream, &history).await).await.unwrap();
    let turns = server.turns(3).await;
    assert_eq!(turns.iter().map(|turn| turn.connection).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(turns[2].body["input"].as_array().unwrap().len(), 3);
    assert!(turns[2].body.get("previous_response_id").is_none());
}

/// Row F23: a socket that died while it was idle is replaced before the first byte, once.
#[rstest]
#[case::closed(vec![Act::Close(1001)])]
#[case::ended(vec![Act::Eof])]
#[tokio::test]
async fn a_socket_that_died_in_wait_is_replaced(#[case] end: Vec<Act>) {
    let mut server = Server::start(move |connection, _, _| {
        let end = if connection == 0 { end.clone() } else { Vec::new() };
        [reply("resp_1", "x"), end].concat()
    })
    .await;
    let upstream = upstream(&server);
    read(send_items(&upstream, &["one"]).await).await.unwrap();
    server.left(0).await;
    read(send_items(&upstream, &["one", "model:x", "two"]).await).await.unwrap();
    let turns = server.turns(2).await;
    assert_eq!((turns[1].connection, turns[1].body["input"].as_array().unwrap().len()), (1, 3));
}

/// A socket that dies during the turn. A reused socket is stale, so the retry table may send the turn a second time. A new socket is not
/// stale, because the turn may have been processed. No call sends a turn twice.
#[rstest]
#[case::reset(Act::Reset)]
#[case::ended(Act::Eof)]
#[case::closed(Act::Close(1011))]
#[tokio::test]
async fn a_socket_that_dies_under_its_turn(#[case] end: Act, #[values(false, true)] only: bool) {
    let mut server = Server::start(move |connection, turn, _| match (connection, turn) {
        (0, 0) => reply("resp_1", "x"),
        _ => vec![end.clone()],
    })
    .await;
    let upstream = upstream(&server);
    read(send_items(&upstream, &["one"]).await).await.unwrap();
    for wanted in [FaultKind::Stale, FaultKind::Cut] {
        let fault = send_turn(&upstream, ("acct-1", 7), &body(&["one", "model:x", "two"]), only).await.err().unwrap();
        assert_eq!((fault.sent, fault.kind), (Sent::Maybe, wanted), "{fault}");
    }
    assert_eq!(server.turns(3).await.iter().map(|turn| turn.connection).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(server.posts(), 0);
}

/// Row F23 and the cuts at every message: a clean end, and the socket is not used again.
#[rstest]
#[case::close_1000(vec![Act::Close(1000)])]
#[case::close_1009(vec![Act::Close(1009)])]
#[case::close_1011(vec![Act::Close(1011)])]
#[case::no_close(vec![Act::Eof])]
#[case::binary(vec![Act::Raw(vec![0x82, 1, 0])])]
#[case::masked(vec![Act::Raw(vec![0x81, 0x82, 1, 2, 3, 4, b'{' ^ 1, b'}' ^ 2])])]
#[case::reserved_bits(vec![Act::Raw(vec![0xc1, 2, b'{', b'}'])])]
#[case::not_utf8(vec![Act::Raw(vec![0x81, 2, 0xff, 0xfe])])]
#[case::no_event(vec![Act::Text("hello".into())])]
#[case::too_large(vec![Act::Raw([&[0x81, 127][..], &(65_u64 << 20).to_be_bytes()].concat())])]
#[case::another_reply(vec![Act::Text(json!({ "type": "response.completed", "response": { "id": "resp_other" } }).to_string())])]
#[tokio::test]
async fn a_reply_cut_at_any_message_ends_cleanly(#[case] end: Vec<Act>) {
    // The reply begins after two messages; another test covers a cut before that.
    for cut in 3..=4 {
        let end = end.clone();
        let mut server = Server::start(move |connection, _, _| match connection {
            0 => [reply("resp_1", "x")[..cut].to_vec(), end.clone()].concat(),
            _ => reply("resp_2", "y"),
        })
        .await;
        let upstream = upstream(&server);
        let answer = send_items(&upstream, &["one"]).await;
        assert!(matches!(read(answer).await, Err(BodyReadError::Broken(_))), "after {cut} messages");
        assert_eq!(upstream.idle_sockets(), 0);
        read(send_items(&upstream, &["one"]).await).await.unwrap();
        assert_eq!(server.turns(2).await[1].connection, 1);
    }
}

/// When a new socket ends before the reply, the turn may have been processed, and a protocol error is no reason to try again: no POST
/// replaces the socket.
#[rstest]
#[case::closed(vec![Act::Close(1011)], Sent::Maybe)]
#[case::ended(vec![Act::Eof], Sent::Maybe)]
#[case::garbled(vec![Act::Text("hello".into())], Sent::Yes)]
#[case::binary(vec![Act::Raw(vec![0x82, 1, 0])], Sent::Yes)]
#[tokio::test]
async fn a_cut_before_the_reply(#[case] end: Vec<Act>, #[case] sent: Sent) {
    for cut in 0..=2 {
        let end = end.clone();
        let server = Server::start(move |_, _, _| [reply("resp_1", "x")[..cut].to_vec(), end.clone()].concat()).await;
        let fault = send_turn(&upstream(&server), ("acct-1", 7), &body(&["one"]), false).await.err().unwrap();
        assert_eq!(
            (fault.sent, fault.kind, server.posts()),
            (sent, FaultKind::Cut, 0),
            "after {cut} messages: {fault}"
        );
    }
}

#[tokio::test]
async fn fragments_pings_and_large_messages_pass() {
    let large = format!("{{\"type\":\"response.output_text.delta\",\"delta\":\"{}\"}}", "x".repeat(10 << 20));
    let (start, end) = (br#"{"type":"response."#.to_vec(), br#"in_progress"}"#.to_vec());
    let split = [vec![0x01, 18], start, vec![0x89, 1, b'p', 0x80, 13], end].concat();
    let mut server = Server::start(move |_, _, _| {
        let mut acts = reply("resp_1", "x");
        let pings = std::iter::repeat_with(|| Act::Ping).take(1000);
        acts.splice(3..3, pings.chain([Act::Raw(split.clone()), Act::Text(large.clone())]));
        acts
    })
    .await;
    let upstream = upstream(&server);
    let text = read(send_items(&upstream, &["one"]).await).await.unwrap();
    assert!(text.contains("\n{\"type\":\"response.in_progress\"}\n"));
    assert!(text.len() > 10 << 20 && text.lines().count() == 7);
    assert_eq!(server.turns(1).await.len(), 1);
    assert_eq!(upstream.idle_sockets(), 1);
}

#[tokio::test]
async fn an_error_message_is_the_answer_that_http_would_give() {
    let error = json!({ "type": "error", "status_code": 429, "error": { "type": "usage_limit_reached", "resets_in_seconds": 60 },
        "headers": { "X-Codex-Primary-Used-Percent": "100" } });
    let server = Server::start(move |_, _, _| vec![Act::Text(error.to_string())]).await;
    let answer = send_items(&upstream(&server), &["one"]).await;
    assert_eq!((answer.status, answer.headers["x-codex-primary-used-percent"].as_bytes()), (429, &b"100"[..]));
    assert!(read(answer).await.unwrap().contains("usage_limit_reached"));
    assert_eq!(server.posts(), 0);
}

/// An upgrade that the backend refuses: a status that a POST would get too is the answer, any other status sends a POST.
#[rstest]
#[case::no_sockets(426, "", 200, 1)]
#[case::login(401, r#"{"detail":"Unauthorized"}"#, 401, 0)]
#[case::limit(429, r#"{"error":{"type":"usage_limit_reached"}}"#, 429, 0)]
#[case::not_there(404, "", 200, 1)]
#[case::broken(500, "oops", 200, 1)]
#[case::page(403, "<html>", 200, 1)]
#[case::ordinary(200, "hello", 200, 1)]
#[tokio::test]
async fn an_upgrade_refused(
    #[case] refusal: u16,
    #[case] text: &'static str,
    #[case] status: u16,
    #[case] posts: usize,
) {
    let server = Server::refusing(refusal, text).await;
    let answer = send_turn(&upstream(&server), ("acct-1", 7), &body(&["one"]), false).await.unwrap();
    assert_eq!((answer.status, server.posts()), (status, posts));
}

#[tokio::test]
async fn who_wants_no_sockets_is_not_asked_again() {
    let server = Server::refusing(426, "").await;
    let upstream = upstream(&server);
    for _ in 0..3 {
        send_turn(&upstream, ("acct-1", 7), &body(&["one"]), false).await.unwrap();
    }
    assert_eq!((server.upgrades(), server.posts()), (1, 3));
    let fault = send_turn(&upstream, ("acct-1", 7), &body(&["one"]), true).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind, server.posts()), (Sent::No, FaultKind::Upgrade, 3), "{fault}");
}

#[tokio::test]
async fn three_failures_in_a_row_give_sockets_a_rest() {
    let server = Server::refusing(500, "").await;
    let upstream = upstream(&server);
    for _ in 0..5 {
        send_turn(&upstream, ("acct-1", 7), &body(&["one"]), false).await.unwrap();
    }
    assert_eq!((server.upgrades(), server.posts()), (3, 5));
}

/// A middlebox that passes the upgrade and nothing after it: after three such turns, POSTs are used.
#[tokio::test]
async fn sockets_that_open_and_break_get_a_rest_too() {
    let server = Server::start(|_, _, _| vec![Act::Eof]).await;
    let upstream = upstream(&server);
    for _ in 0..3 {
        send_turn(&upstream, ("acct-1", 7), &body(&["one"]), false).await.err().unwrap();
    }
    assert_eq!(send_turn(&upstream, ("acct-1", 7), &body(&["one"]), false).await.unwrap().status, 200);
    assert_eq!((server.upgrades(), server.posts()), (3, 1));
}

/// An idle socket may receive a message about the account's limits.
#[tokio::test]
async fn words_about_the_account_leave_a_waiting_socket_good() {
    let limits = Act::Text(json!({ "type": "codex.rate_limits", "rate_limits": {} }).to_string());
    let mut server = Server::start(move |_, _, _| [reply("resp_1", "x"), vec![limits.clone()]].concat()).await;
    let upstream = upstream(&server);
    read(send_items(&upstream, &["one"]).await).await.unwrap();
    read(send_items(&upstream, &["one", "model:x", "two"]).await).await.unwrap();
    assert_eq!(server.turns(2).await[1].connection, 0);
}

#[tokio::test]
async fn a_silent_end_is_waited_for_as_over_http() {
    let server = Server::start(|_, _, _| vec![Act::Hang]).await;
    let upstream = Upstream::new(Config { timeouts: short(), ..config(&server) }).unwrap();
    let fault = send_turn(&upstream, ("acct-1", 7), &body(&["one"]), false).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind, server.posts()), (Sent::Maybe, FaultKind::Timeout, 0), "{fault}");
}

#[tokio::test]
async fn leaving_ends_the_socket() {
    let mut server = Server::start(|_, _, _| [reply("resp_1", "x")[..3].to_vec(), vec![Act::Hang]].concat()).await;
    let upstream = upstream(&server);
    drop(send_items(&upstream, &["one"]).await);
    server.left(0).await;
    assert_eq!(upstream.idle_sockets(), 0);
}

#[tokio::test]
async fn sockets_in_wait_are_looked_after() {
    let mut server = Server::start(|connection, _, _| {
        [reply("resp_1", "x"), if connection == 0 { vec![Act::Close(1001)] } else { vec![Act::Ping, Act::Hang] }]
            .concat()
    })
    .await;
    let upstream = upstream(&server);
    for conversation in [1, 2] {
        read(send_turn(&upstream, ("acct-1", conversation), &body(&["one"]), true).await.unwrap()).await.unwrap();
    }
    server.left(0).await;
    assert_eq!(upstream.idle_sockets(), 2);
    upstream.maintain_sockets();
    assert_eq!(upstream.idle_sockets(), 1, "the closed one is let go");
    upstream.close_idle();
    assert_eq!(upstream.idle_sockets(), 0);
}

/// Advances the runtime's clock by this time.
async fn advance_clock(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// An idle socket is dropped after five minutes, with or without maintenance.
#[rstest]
#[case::in_time(299, true)]
#[case::too_late(301, false)]
#[tokio::test]
async fn idle_sockets_are_let_go(#[case] seconds: u64, #[case] reused: bool, #[values(true, false)] tended: bool) {
    let mut server = Server::start(|_, turn, _| reply(&format!("resp_{turn}"), "x")).await;
    let upstream = upstream(&server);
    read(send_items(&upstream, &["one"]).await).await.unwrap();
    advance_clock(Duration::from_secs(seconds)).await;
    if tended {
        upstream.maintain_sockets();
        assert_eq!(upstream.idle_sockets(), usize::from(reused));
    }
    read(send_items(&upstream, &["one", "model:x", "two"]).await).await.unwrap();
    let turn = server.turns(2).await.remove(1);
    let items = turn.body["input"].as_array().unwrap().len();
    assert_eq!((turn.connection, items), if reused { (0, 1) } else { (1, 3) });
}

/// A socket is replaced once it is 55 minutes old, even if it is in constant use.
#[rstest]
#[case::young(54, true)]
#[case::old(56, false)]
#[tokio::test]
async fn old_sockets_are_let_go(#[case] minutes: u64, #[case] reused: bool, #[values(true, false)] tended: bool) {
    let mut server = Server::start(|_, turn, _| reply(&format!("resp_{turn}"), "x")).await;
    let upstream = upstream(&server);
    let mut history = vec!["one"];
    read(send_items(&upstream, &history).await).await.unwrap();
    for _ in 1..=13 {
        advance_clock(Duration::from_mins(4)).await;
        history.extend(["model:x", "more"]);
        read(send_items(&upstream, &history).await).await.unwrap();
    }
    assert!(server.turns(14).await.iter().all(|turn| turn.connection == 0));
    advance_clock(Duration::from_mins(minutes - 52)).await;
    if tended {
        upstream.maintain_sockets();
        assert_eq!(upstream.idle_sockets(), usize::from(reused));
    }
    history.extend(["model:x", "last"]);
    read(send_items(&upstream, &history).await).await.unwrap();
    let turn = server.turns(1).await.remove(0);
    let items = turn.body["input"].as_array().unwrap().len();
    assert_eq!((turn.connection, items), if reused { (0, 1) } else { (1, history.len()) });
}

/// A reply that lasts longer than the maximum age of its socket is read to its end; then the socket is closed.
#[tokio::test]
async fn a_socket_too_old_at_its_end_is_not_kept() {
    let server = Server::start(|_, _, _| reply("resp_1", "x")).await;
    let upstream = upstream(&server);
    let answer = send_items(&upstream, &["one"]).await;
    advance_clock(Duration::from_mins(56)).await;
    assert!(read(answer).await.unwrap().contains("response.completed"));
    assert_eq!(upstream.idle_sockets(), 0);
}

/// Cookies from an upgrade's answer are sent with the same account's next upgrade, and with no other account's.
#[rstest]
#[case::accepted(101)]
#[case::refused(403)]
#[case::limit(429)]
#[tokio::test]
async fn cookies_of_an_upgrade_come_back_to_their_account(#[case] status: u16) {
    let lines = "set-cookie: __cf_bm=one; path=/; HttpOnly; Secure; SameSite=None\r\nset-cookie: oai-did=x; path=/\r\n";
    let greeting = Greeting { status, lines, body: "{}" };
    let mut server = Server::greeting(greeting, |_, _, _| reply("resp_1", "x")).await;
    let upstream = upstream(&server);
    let mut carried = Vec::new();
    for who in [("acct-1", 7), ("acct-1", 8), ("acct-2", 9)] {
        let answer = send_turn(&upstream, who, &body(&["one"]), false).await.unwrap();
        assert!(!answer.headers.contains_key("set-cookie"));
        carried.push(server.upgrade().await.header("cookie").map(str::to_owned));
    }
    assert_eq!(carried, [None, Some("__cf_bm=one".to_owned()), None]);
}

/// Some headers of an upgrade's answer apply to every turn of its socket, the usage figures to the first turn, and the turn state to no
/// turn (spec of the official client, section 3.2).
#[tokio::test]
async fn what_an_upgrade_says_holds_for_its_socket() {
    let lines = "x-models-etag: e7\r\nopenai-model: gpt-6-sol-a\r\nx-codex-primary-used-percent: 42\r\n\
        x-codex-turn-state: upgrade\r\nserver: x\r\n";
    let plain = |turn: usize| {
        let mut acts = reply(&format!("resp_{turn}"), "x");
        // Without the message that has the same headers.
        acts.remove(1);
        acts
    };
    let script = move |_, turn, _: &Value| if turn == 2 { reply("resp_2", "x") } else { plain(turn) };
    let mut server = Server::greeting(Greeting::open(lines), script).await;
    let upstream = upstream(&server);
    let mut history = vec!["one"];
    let mut headers = Vec::new();
    for _ in 0..4 {
        let answer = send_items(&upstream, &history).await;
        let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let names = ["x-models-etag", "openai-model", "x-codex-primary-used-percent", "x-codex-turn-state", "server"];
        headers.push(names.map(header));
        read(answer).await.unwrap();
        history.extend(["model:x", "more"]);
    }
    let line = |etag: &str, percent: Option<&str>, state: Option<&str>| {
        [Some(etag), Some("gpt-6-sol-a"), percent, state, None].map(|value| value.map(str::to_owned))
    };
    let wanted =
        [line("e7", Some("42"), None), line("e7", None, None), line("e1", None, Some("ts")), line("e7", None, None)];
    assert_eq!(headers, wanted, "a message's word goes before the upgrade's, for its own turn");
    let turns = server.turns(4).await;
    assert!(turns.iter().all(|turn| turn.connection == 0));
    assert!(turns.iter().all(|turn| turn.body["client_metadata"].get("x-codex-turn-state").is_none()));
}

/// The upgrade of the official client, names and order, with every header present.
#[tokio::test]
async fn every_slot_of_an_upgrade_keeps_the_order() {
    let mut server = Server::start(|_, _, _| reply("resp_1", "x")).await;
    let profile = Profile::codex_cli("0.169.0", &Platform::default());
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let (mut account, access) = (account("acct-1"), Secret::from("<JWT>"));
    account.fedramp = true;
    let passed = upstream::PASSED_HEADERS.map(|name| (name, "x".to_owned()));
    let routing = Routing { region: Some("us".to_owned()), origin: None };
    // These two are headers over HTTP; over a socket they are in the message.
    let (lite, turn_state) = (true, Some("ts"));
    let call = CallFacts { lite, turn_state, routing: Some(&routing), client_headers: &passed, ..facts() };
    let options = Some(SocketOptions { conversation: 1, generate: true, required: true, now: NOW });
    let model_call =
        ModelCall { account: &account, access: &access, body: body(&["one"]).into(), facts: call, socket: options };
    with_timeout(Box::pin(upstream.responses(model_call))).await.unwrap();
    let request = server.upgrade().await;
    assert_eq!(
        (request.line.as_str(), &request.names()[..]),
        ("GET /backend-api/codex/responses HTTP/1.1", orders::UPGRADE)
    );
    let values = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("authorization", "Bearer <JWT>"),
        ("openai-beta", "responses_websockets=2026-02-06"),
        ("x-client-request-id", "thread-1"),
        ("x-codex-routing-hint", "model=gpt-6-sol"),
    ];
    for (name, value) in values {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

/// The `client_metadata` in the official client's frames: the values that are headers over HTTP.
#[tokio::test]
async fn a_frame_carries_what_headers_carry_over_http() {
    let mut server = Server::start(|_, _, _| reply("resp_1", "x")).await;
    let platform = Platform::default();
    let upstream =
        Upstream::new(Config { profile: Profile::codex_cli("0.169.0", &platform), ..config(&server) }).unwrap();
    let (account, access) = (account("acct-1"), Secret::from(TOKEN));
    let passed = [("x-codex-turn-metadata", "{}".to_owned()), ("x-codex-window-id", "thread-1:0".to_owned())];
    let call = CallFacts { lite: true, turn_state: Some("ts"), client_headers: &passed, ..facts() };
    let options = Some(SocketOptions { conversation: 1, generate: false, required: true, now: NOW });
    let model_call =
        ModelCall { account: &account, access: &access, body: body(&["one"]).into(), facts: call, socket: options };
    with_timeout(Box::pin(upstream.responses(model_call))).await.unwrap();
    let frame = server.turns(1).await.remove(0).body;
    orders::assert_in(orders::FRAME, frame.as_object().unwrap().keys().map(String::as_str));
    let wanted = json!({ "x-codex-window-id": "thread-1:0", "x-codex-turn-metadata": "{}", "x-codex-turn-state": "ts",
        "ws_request_header_x_openai_internal_codex_responses_lite": "true",
        "x-codex-ws-stream-request-start-ms": "1795249047419" });
    assert_eq!((&frame["client_metadata"], &frame["generate"]), (&wanted, &json!(false)));
}

#[tokio::test]
async fn a_dead_host_is_the_ways_fault_and_no_post_is_tried() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base_url = format!("http://{addr}/backend-api").parse().unwrap();
    let timeouts = upstream::Timeouts { headers: Duration::from_secs(5), ..short() };
    let upstream = Upstream::new(Config { base_url, timeouts, ..Config::default() }).unwrap();
    let fault = call_over_socket(&upstream, "{\"input\":[]}").await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
}

/// A reply that ends as another response fails, and the events before that end are not lost.
#[tokio::test]
async fn the_end_of_another_response_takes_no_event_with_it() {
    let server = Server::start(|_, _, _| {
        let mut acts = reply("resp_1", "x");
        acts.pop();
        acts.extend(reply("resp_2", "y").pop());
        acts
    })
    .await;
    let mut answer = send_items(&upstream(&server), &["one"]).await;
    let mut events = 0;
    let end = loop {
        match with_timeout(answer.body.chunk()).await {
            Some(Ok(_)) => events += 1,
            end => break end,
        }
    };
    assert_eq!(events, 4);
    assert!(matches!(end, Some(Err(BodyReadError::Broken(_)))), "{end:?}");
}
