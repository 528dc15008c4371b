//! Legal replies, written in both protocols, collected, and read back: the reply is the same every time, and an untouched one passes byte
//! by byte.

use bytes::BytesMut;
use proto::canon::{Event, What};
use proto::{Dialect, json};

use super::contents::{self, Contents};
use super::legal;
use super::script::script;
use super::stream::{fold, read, settings, write};

/// Plays one reply.
pub fn check(input: &[u8]) {
    let script = script(input);
    let ended = matches!(script.events.last().map(|event| &event.what), Some(What::End { .. }));
    let setting = &settings()[0];
    for client in [Dialect::Chat, Dialect::Responses] {
        let out = write(client, setting, &script.events);
        legal::ours(client, &out);
        assert_eq!(stream_contents(client, &out), script.contents, "{client:?} stream");
        let whole = fold(&script.events);
        let body = client.whole(&whole, setting);
        assert!(json::valid(&body));
        if ended {
            assert_eq!(contents::whole(&whole), script.contents, "fold");
            let body_contents =
                if client == Dialect::Chat { contents::chat_whole(&body) } else { contents::responses_whole(&body) };
            assert_eq!(body_contents, script.contents, "{client:?} body");
        }
        again(client, &out, &script.contents, ended);
    }
    in_messages(&script.events, ended);
    let legacy = &settings()[1];
    legal::ours(Dialect::Chat, &write(Dialect::Chat, legacy, &script.events));
}

/// Messages has other forms for refusals, images and custom calls, so the reply is compared with itself there.
fn in_messages(events: &[Event], ended: bool) {
    let setting = &settings()[0];
    let out = write(Dialect::Messages, setting, events);
    legal::ours(Dialect::Messages, &out);
    if ended {
        let body = Dialect::Messages.whole(&fold(events), setting);
        let (stream, mut body) = (contents::messages_stream(&out), contents::messages_whole(&body));
        contents::close(&stream, &mut body);
        assert_eq!(stream, body, "messages body");
        let again = read(Dialect::Messages, &[out.clone().freeze()]);
        assert_eq!(write(Dialect::Messages, setting, &again), out, "messages pass as they came");
    }
}

/// Reads our own stream as an upstream's.
fn again(upstream: Dialect, out: &BytesMut, contents: &Contents, ended: bool) {
    let events: Vec<Event> = read(upstream, &[out.clone().freeze()]);
    let setting = &settings()[0];
    if ended {
        assert_eq!(write(upstream, setting, &events), out, "{upstream:?} passes as it came");
        assert_eq!(alike(contents::whole(&fold(&events))), alike(contents.clone()), "{upstream:?} read back");
    }
    for client in [Dialect::Chat, Dialect::Responses].into_iter().filter(|client| *client != upstream) {
        let out = write(client, setting, &events);
        legal::ours(client, &out);
        assert_eq!(alike(stream_contents(client, &out)), alike(contents.clone()), "{upstream:?} said in {client:?}");
    }
}

/// Removes the changes that two hops over chat may make: clients parse arguments, so no arguments become an empty object; and a paragraph's
/// blank line may be repeated when something stands between two pieces of reasoning.
fn alike(mut contents: Contents) -> Contents {
    contents.calls.iter_mut().filter(|call| call.input.is_empty()).for_each(|call| call.input.push_str("{}"));
    contents.reasoning.retain(|c| c != '\n');
    contents
}

fn stream_contents(client: Dialect, out: &[u8]) -> Contents {
    if client == Dialect::Chat { contents::chat_stream(out) } else { contents::responses_stream(out) }
}
