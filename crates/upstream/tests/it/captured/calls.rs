//! Model calls and image calls over POST.

use pool::Secret;
use pool::relay::Service;
use pool::routing::Routing;
use serde_json::Value;
use upstream::{CallFacts, Config, ModelCall, Profile, ServiceCall, TurnMetadata, Upstream};

use super::{Capture, How, RecordedTurn, as_sent_by, of, orders, profiles, written};
use crate::recorder::{RecordedRequest, Recorder, Reply, full};
use crate::setup::{account, config};

/// Sends `of` as a Codex client's request under this profile, and returns what the backend receives. A first call sets the recorded
/// cookies.
async fn send(of: &Capture, profile: Profile, passed: &[(&'static str, String)]) -> RecordedRequest {
    send_with(of, profile, passed, (&of.value["body"], None)).await
}

/// The same with another body, and with the profile's turn metadata.
async fn send_with(
    of: &Capture,
    profile: Profile,
    passed: &[(&'static str, String)],
    (body, metadata): (&Value, Option<&TurnMetadata>),
) -> RecordedRequest {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", &cookies(of), ""))).await;
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let hint = of.header("x-codex-routing-hint").unwrap_or("model=gpt-5.5").trim_start_matches("model=");
    let (model, tier) = hint.split_once(";tier=").map_or((hint, None), |(model, tier)| (model, Some(tier)));
    let region = of.header("x-openai-account-routing-override").map(str::to_owned);
    let routing = Routing { region, origin: None };
    let call = CallFacts {
        model,
        tier,
        lite: of.header("x-openai-internal-codex-responses-lite").is_some(),
        session: of.header("session-id").unwrap(),
        thread: of.header("thread-id").unwrap(),
        turn_state: of.header("x-codex-turn-state"),
        routing: Some(&routing),
        client_headers: passed,
        metadata,
    };
    let account = account(of.header("chatgpt-account-id").unwrap_or("acct-1"));
    let access = Secret::from("<JWT>");
    let body = written(body);
    for _ in 0..2 {
        let answer = upstream.responses(ModelCall {
            account: &account,
            access: &access,
            body: body.clone(),
            facts: call,
            socket: None,
        });
        answer.await.unwrap().body.collect(1).await.unwrap();
    }
    server.request().await;
    server.request().await
}

/// The answer's headers that set the recorded cookies.
fn cookies(of: &Capture) -> String {
    let cookies = of.header("cookie").unwrap_or_default().split("; ").filter(|cookie| !cookie.is_empty());
    cookies.map(|cookie| format!("set-cookie: {cookie}; path=/\r\n")).collect::<Vec<_>>().concat()
}

fn passed(of: &Capture) -> Vec<(&'static str, String)> {
    let pair = |name: &'static str| of.header(name).map(|value| (name, value.to_owned()));
    upstream::PASSED_HEADERS.into_iter().filter_map(pair).collect()
}

fn plain(request: &RecordedRequest) -> String {
    String::from_utf8(zstd::decode_all(&request.body[..]).unwrap()).unwrap()
}

/// A call equals the recorded one under the recorded identity, and under each profile of the gateway except for the profile's name.
#[tokio::test]
async fn calls_equal_the_recorded_ones() {
    for capture in of(How::Call) {
        let name = capture.name;
        orders::assert_in(orders::CALL, capture.pairs().map(|(name, _)| name).filter(|name| !name.starts_with(':')));
        orders::assert_in(orders::FRAME, capture.value["body"].as_object().unwrap().keys().map(String::as_str));
        for profile in [vec![capture.profile()], profiles().into()].concat() {
            let request = send(&capture, profile.clone(), &passed(&capture)).await;
            assert_eq!(request.line, capture.line(), "{name}");
            assert_eq!(capture.sent(&request), as_sent_by(&profile, capture.headers()), "{name} as {}", profile.name);
            assert_eq!(plain(&request), capture.body(), "{name}");
        }
        let request = send(&capture, capture.profile(), &passed(&capture)).await;
        assert_eq!(capture.sent(&request), capture.headers(), "{name}: as recorded, to the letter");
    }
}

/// For other clients, the Codex profiles send the official client's turn metadata; the profile `polygate` sends none.
#[tokio::test]
async fn calls_of_other_clients_say_of_the_turn_what_codex_says() {
    let turn_headers = ["x-codex-beta-features", "x-codex-window-id", "x-codex-turn-metadata"];
    let mut compared = 0;
    for capture in of(How::Call) {
        let recorded = &capture.value["body"];
        let recorded_turn = RecordedTurn::of(&recorded["client_metadata"]);
        for profile in profiles().into_iter().filter(|_| !recorded_turn.apart()) {
            let metadata = profile.turn_metadata(&recorded_turn.facts(recorded.get("tools").is_none()));
            assert_eq!(metadata.is_some(), profile.name != "polygate");
            let mut body = recorded.clone();
            if let Some(metadata) = &metadata {
                let fields = metadata.fields.iter().map(|(name, value)| (name.clone(), value.clone().into()));
                body["client_metadata"] = Value::Object(fields.collect());
                assert_eq!(body["client_metadata"], recorded_turn.fields, "{}", capture.name);
            }
            let mut expected = as_sent_by(&profile, capture.headers());
            expected.retain(|(name, _)| metadata.is_some() || !turn_headers.contains(&&**name));
            if let Some((_, value)) = expected.iter_mut().find(|(name, _)| name == "x-codex-turn-metadata") {
                *value = recorded_turn.metadata.to_string();
            }
            let request = send_with(&capture, profile.clone(), &[], (&body, metadata.as_ref())).await;
            assert_eq!(capture.sent(&request), expected, "{} as {}", capture.name, profile.name);
            assert_eq!(plain(&request), body.to_string(), "{}", capture.name);
            compared += 1;
        }
    }
    assert_eq!(compared, if of(How::Call).is_empty() { 0 } else { 3 * 7 }, "all but a second window and a subagent");
}

/// A Codex client's request reaches the backend unchanged: its body, and every header except those of its connection to the gateway.
#[tokio::test]
async fn what_codex_sends_to_us_goes_on_as_it_came() {
    let own = ["authorization", "originator", "user-agent", "host", "content-length"];
    for capture in of(How::Client) {
        let request = send(&capture, capture.profile(), &passed(&capture)).await;
        assert_eq!(plain(&request), capture.body());
        let mut sent = capture.sent(&request);
        sent.retain(|(name, _)| !own.contains(&&**name));
        let theirs = capture.headers();
        let (came, ours): (Vec<_>, Vec<_>) = sent.into_iter().partition(|pair| theirs.contains(pair));
        let theirs: Vec<_> = theirs.into_iter().filter(|(name, _)| !own.contains(&&**name)).collect();
        assert_eq!(came, theirs);
        let ours: Vec<_> = ours.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(ours, ["version", "x-codex-routing-hint", "content-encoding", "chatgpt-account-id"]);
    }
}

#[tokio::test]
async fn pictures_are_asked_for_as_recorded() {
    for capture in of(How::Picture) {
        orders::assert_in(orders::PICTURE, capture.pairs().map(|(name, _)| name).filter(|name| !name.starts_with(':')));
        for profile in [vec![capture.profile()], profiles().into()].concat() {
            let mut server = Recorder::always(Reply::Keep(full("200 OK", &cookies(&capture), "{}"))).await;
            let upstream = Upstream::new(Config { profile: profile.clone(), ..config(&server) }).unwrap();
            let account = account(capture.header("chatgpt-account-id").unwrap());
            let access = Secret::from("<JWT>");
            let pair = |name: &'static str| capture.header(name).map(|value| (name, value.to_owned()));
            let passed: Vec<_> = upstream::TURN_HEADERS.into_iter().filter_map(pair).collect();
            for _ in 0..2 {
                let (service, body) =
                    (Service::Generations, proto::images::generation(&capture.body().into()).unwrap());
                let (account, access, passed) = (&account, &access, &passed[..]);
                let service_call =
                    ServiceCall { account, access, service, body, turn: "another", client_headers: passed };
                upstream.call_service(service_call).await.unwrap().body.collect(9).await.unwrap();
            }
            server.request().await;
            let request = server.request().await;
            assert_eq!(request.line, capture.line());
            assert_eq!(capture.sent(&request), as_sent_by(&profile, capture.headers()), "as {}", profile.name);
            assert_eq!(request.body, capture.body().as_bytes());
        }
    }
}
