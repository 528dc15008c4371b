//! The same conversation has the same ids; no other conversation shares them.

use proto::{Dialect, Text};
use rstest::rstest;

use super::*;
use crate::memory::RequestMemory;
use crate::registry::keys::KeyId;
use crate::request::call::Client;

fn call(messages: &str) -> Call {
    let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    let (request, notes) = Dialect::Chat.read_request(body.into()).expect("a chat request");
    let key = KeyId("key".into());
    Call { dialect: Dialect::Chat, request, notes, key, client: Client::default(), memory: RequestMemory::default() }
}

const SYSTEM: &str = r#"{"role":"system","content":"Be brief."}"#;
const HELLO: &str = r#"{"role":"user","content":"Hello"}"#;

#[test]
fn later_turns_belong_to_the_conversation() {
    let first = Conversation::of(&call(&format!("{SYSTEM},{HELLO}")), "m");
    let reply = r#"{"role":"assistant","content":"Hi"},{"role":"user","content":"More"}"#;
    assert_eq!(Conversation::of(&call(&format!("{SYSTEM},{HELLO},{reply}")), "m"), first);
    assert_eq!(first.session, first.thread);
    assert_eq!(Uuid::parse_str(&first.session).map(|id| id.get_version_num()), Ok(5));
}

#[rstest]
#[case::user(|call: &mut Call| *call = super::tests::call(r#"{"role":"user","content":"Bye"}"#))]
#[case::key(|call: &mut Call| call.key = KeyId("other".into()))]
#[case::cache_key(|call: &mut Call| call.request.cache_key = Some(Text::from("k")))]
#[case::session(|call: &mut Call| call.client.session = Some("s".into()))]
fn others_do_not(#[case] change: fn(&mut Call)) {
    let mut other = call(&format!("{SYSTEM},{HELLO}"));
    let first = Conversation::of(&other, "m");
    change(&mut other);
    assert_ne!(Conversation::of(&other, "m").id, first.id);
}

#[test]
fn a_named_conversation_does_not_depend_on_its_texts() {
    let named = |messages: &str| {
        let mut call = call(messages);
        call.request.cache_key = Some(Text::from("k"));
        Conversation::of(&call, "m")
    };
    assert_eq!(named(HELLO), named(SYSTEM));
}

#[test]
fn only_a_codex_clients_uuid_goes_through() {
    let id = "0190a5b2-7c3d-7e4f-8a1b-2c3d4e5f6071";
    let with = |codex: bool, session: &str| {
        let client = Client { codex, session: Some(session.into()), ..Client::default() };
        Conversation::of(&Call { client, ..call(HELLO) }, "m").session
    };
    assert_eq!(with(true, id), id);
    assert_ne!(with(false, id), id);
    assert_ne!(with(true, "not a uuid\r\nx: y"), "not a uuid\r\nx: y");
}

#[test]
fn a_chain_stays_one_conversation() {
    let first = Conversation::of(&call(&format!("{SYSTEM},{HELLO}")), "m");
    let mut next = call(HELLO);
    next.client.chained = Some(first.id);
    assert_eq!(Conversation::of(&next, "m"), first, "instructions are not carried on");
    assert_eq!(Conversation::of(&next, "other").id, first.id, "nor is the model");
    next.client.session = Some("s".into());
    assert_ne!(Conversation::of(&next, "m").id, first.id, "but a name is the client's to give");
}

/// A turn lasts until the next user message.
#[test]
fn a_turn_is_one_until_the_user_speaks() {
    let turn = |messages: &str, last: &[TurnRecord], now| {
        let call = call(messages);
        turn_of(&call.request, &Conversation::of(&call, "m"), last, Millis(now))
    };
    let first = turn(HELLO, &[], 1_700_000_000_000);
    assert_eq!((first.id().get_version_num(), first.begun), (7, Millis(1_700_000_000_000)));
    let tool = r#"{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}"#;
    let looped = turn(&format!("{HELLO},{tool}"), &[first], 1_700_000_005_000);
    assert_eq!((looped, looped.id()), (first, first.id()), "its tools belong to it");
    let reminded = format!("{HELLO},{tool},{HELLO}");
    assert_eq!(
        turn(&reminded, &[first], 1_700_000_006_000),
        first,
        "what a client adds to a tool's output is not its user's"
    );
    let reply = r#"{"role":"assistant","content":"1"}"#;
    let next = turn(&format!("{HELLO},{tool},{reply},{HELLO}"), &[first], 1_700_000_009_000);
    assert_ne!(next.id(), first.id(), "the same words said again");
    assert_eq!(next.begun, Millis(1_700_000_009_000));
    let both = [next, first];
    assert_eq!(turn(&format!("{HELLO},{tool}"), &both, 1_700_000_010_000), first, "one of several at once");
    let elsewhere = turn(r#"{"role":"user","content":"Bye"}"#, &[], 1_700_000_000_000);
    assert_ne!(elsewhere.id(), first.id(), "two conversations that begin at once");
}
