//! Turns over sockets that close, break or stand still: what is sent again, what that counts as, and what ends a turn.

use std::time::Duration;

use offline::{Options, Plan, Rule, Termination};
use pool::transport::TransportMode;
use proto::{Dialect, Kind};
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, MODEL, Setup, Tap, from, refused, words};

async fn bench(accounts: usize, transport: TransportMode) -> Bench {
    Bench::with(Setup::accounts(accounts).settings(|settings| settings.transport = transport)).await
}

/// A turn of a conversation with a tool, so that `auto` takes a socket.
fn turn(dialect: Dialect, texts: &[&str]) -> engine::Call {
    let role = |at: usize| if at.is_multiple_of(2) { "user" } else { "assistant" };
    let messages: Vec<Value> =
        texts.iter().enumerate().map(|(at, text)| json!({"role": role(at), "content": text})).collect();
    let schema = json!({"type": "object", "properties": {}});
    let body = match dialect {
        Dialect::Responses => json!({"model": MODEL, "stream": true, "input": messages,
            "tools": [{"type": "function", "name": "lookup", "parameters": schema}]}),
        Dialect::Messages => json!({"model": MODEL, "stream": true, "max_tokens": 1000, "messages": messages,
            "tools": [{"name": "lookup", "input_schema": schema}]}),
        _ => json!({"model": MODEL, "stream": true, "messages": messages,
            "tools": [{"type": "function", "function": {"name": "lookup", "parameters": schema}}]}),
    };
    from(dialect, &body)
}

const FIRST: [&str; 1] = ["Reply with exactly: one"];
const SECOND: [&str; 3] = ["Reply with exactly: one", "one", "Reply with exactly: two"];

/// Lets this much of the runtime's time pass at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What the backend was sent, by method.
fn methods(bench: &Bench) -> Vec<String> {
    bench.backend.record().model_requests().map(|turn| turn.method.clone()).collect()
}

/// A backend that took the turn, worked on it and closes the socket before its first event: the turn is not sent again, neither over a
/// socket nor as a POST, and the client gets an error that it may repeat.
#[rstest]
#[tokio::test]
async fn a_turn_whose_socket_closes_late_is_sent_once(
    #[values(TransportMode::Auto, TransportMode::WebSocket)] transport: TransportMode,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages)] dialect: Dialect,
    #[values(false, true)] waited: bool,
    #[values(1000, 1011)] code: u16,
) {
    let bench = bench(2, transport).await;
    if waited {
        bench.ask(turn(dialect, &FIRST)).await.expect("the first turn");
    }
    let before = bench.posts();
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(0, "close").cut_event(0, Termination::Close { code })));
    let (engine, client_call) = (bench.engine.clone(), turn(dialect, &SECOND));
    let run = tokio::spawn(async move { engine.run(client_call).await.map(|_| "a reply") });
    bench.until("the turn", |bench| bench.posts() == before + 1).await;
    pass(Duration::from_secs(20)).await;
    bench.backend.release("close");
    let refusal = run.await.expect("no panic").expect_err("a refusal");
    assert_eq!((refusal.failure.kind, refusal.failure.code.as_deref()), (Kind::Upstream, Some("upstream_cut")));
    assert!(refusal.failure.message.contains("not sent again"), "{}", refusal.failure.message);
    assert_eq!((dialect.error(&refusal.failure).0, refusal.head.attempts), (502, 1));
    assert_eq!(methods(&bench).split_off(before), ["WS"]);
    let rows = bench.rows(1).await;
    assert_eq!((rows[0].attempts, rows[0].status), (1, 502));
}

/// The same after the reply was committed: an error in the stream.
#[tokio::test]
async fn a_turn_whose_socket_closes_after_the_commit_is_sent_once() {
    let bench = bench(2, TransportMode::Auto).await;
    bench
        .backend
        .add_rule(Rule::responses(Plan::auto().pause(0, "close").cut_event(0, Termination::Close { code: 1011 })));
    let (engine, client_call) = (bench.engine.clone(), turn(Dialect::Chat, &FIRST));
    let run = tokio::spawn(async move { engine.run(client_call).await });
    bench.until("the turn", |bench| bench.posts() == 1).await;
    pass(Duration::from_secs(100)).await;
    let Ok(engine::Reply { body: engine::ReplyBody::Stream(stream), head }) = run.await.expect("no panic") else {
        panic!("not committed")
    };
    bench.backend.release("close");
    let answer = Tap::from((head, stream)).rest().await;
    assert!(answer.text().contains("upstream_cut"), "{}", answer.text());
    assert_eq!(methods(&bench), ["WS"]);
    assert_eq!(bench.rows(1).await[0].attempts, 1);
}

/// A socket that died while it waited: the turn goes out once more over a new one, and that is a second attempt.
#[rstest]
#[tokio::test]
async fn a_second_send_counts(
    #[values(TransportMode::Auto, TransportMode::WebSocket)] transport: TransportMode,
    #[values(Termination::Close { code: 1001 }, Termination::Fin, Termination::Reset)] how: Termination,
) {
    let bench = bench(2, transport).await;
    bench.ask(turn(Dialect::Chat, &FIRST)).await.expect("the first turn");
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(0, how)));
    let answer = bench.ask(turn(Dialect::Chat, &SECOND)).await.expect("the second turn");
    assert_eq!((words(Dialect::Chat, answer.text()).as_str(), answer.head.attempts), ("two", 2));
    assert_eq!(methods(&bench), ["WS", "WS", "WS"]);
    assert_eq!(bench.rows(2).await[0].attempts, 2);
    bench.innocent();
}

/// The same for a chain that the backend has forgotten, and for a socket at the end of its time.
#[rstest]
#[case::chain(Plan::previous_not_found())]
#[case::life(Plan::connection_limit())]
#[tokio::test]
async fn a_refusal_to_go_on_counts(#[case] plan: Plan) {
    let bench = bench(1, TransportMode::Auto).await;
    bench.ask(turn(Dialect::Chat, &FIRST)).await.expect("the first turn");
    bench.backend.add_rule(Rule::responses(plan));
    let answer = bench.ask(turn(Dialect::Chat, &SECOND)).await.expect("the second turn");
    assert_eq!((words(Dialect::Chat, answer.text()).as_str(), answer.head.attempts), ("two", 2));
    assert_eq!(methods(&bench), ["WS", "WS", "WS"]);
    bench.innocent();
}

/// At most two sends for one request, whatever the second one is told: no other account is asked.
#[tokio::test]
async fn there_is_no_third_send() {
    let bench = bench(2, TransportMode::Auto).await;
    bench.ask(turn(Dialect::Chat, &FIRST)).await.expect("the first turn");
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(0, Termination::Close { code: 1001 })));
    bench.backend.add_rule(Rule::responses(Plan::server_error(503)));
    let refusal = refused(bench.ask(turn(Dialect::Chat, &SECOND)).await);
    assert_eq!((refusal.head.attempts, bench.posts()), (2, 3));
}

/// A backend that says nothing for longer than the idle limit but pings is alive.
#[tokio::test]
async fn pings_keep_a_silent_reply_alive() {
    let options = Options { socket_pings: Some(Duration::from_mins(1)), ..Options::default() };
    let setup = Setup { options, ..Setup::accounts(1) }.settings(|settings| {
        settings.transport = TransportMode::WebSocket;
        settings.idle = Duration::from_mins(5);
    });
    let bench = Bench::with(setup).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(8, "go")));
    let mut tap = bench.open(turn(Dialect::Chat, &["count to 9"])).await;
    tap.see("content").await;
    for minute in 1..=12 {
        pass(Duration::from_mins(1)).await;
        let answered = |bench: &Bench| bench.backend.record().model_requests().all(|turn| turn.pongs >= minute);
        tokio::select! {
            () = bench.until("a pong", answered) => {}
            () = async { while tap.next().await.is_some() {} } => panic!("ended after {minute} minutes of pings"),
        }
    }
    bench.backend.release("go");
    let answer = tap.rest().await;
    assert_eq!(words(Dialect::Chat, answer.text()).trim(), "1 2 3 4 5 6 7 8 9");
}
