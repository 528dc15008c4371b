//! The properties of every stream, for any chunks and any cut.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::sample::Index;
use proto::canon::{Event, Thinking, What};
use proto::{Dialect, Writer};

use crate::sdk::{self, End};
use crate::{corpus, fold, read, seeing, setting, strange, terminals, utf8, write};

/// The stream in pieces.
fn pieces<'a>(body: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn bodies() -> Vec<(String, Bytes)> {
    corpus("messages", ".sse").into_iter().chain(corpus("messages", ".json")).collect()
}

/// The streams of all upstreams, as events.
fn all() -> Vec<(String, Vec<Event>)> {
    let folders = [
        (Dialect::Messages, "messages"),
        (Dialect::Responses, "responses"),
        (Dialect::Chat, "chat"),
        (Dialect::Gemini, "gemini"),
    ];
    let each = |(dialect, folder)| corpus(folder, ".sse").into_iter().map(move |(name, body)| (dialect, name, body));
    let streams = folders.into_iter().flat_map(each);
    streams.map(|(dialect, name, body)| (name, read(dialect, [&body[..]]))).collect()
}

/// Whether items open before their deltas and close once, and nothing follows a terminal event.
fn legal(events: &[Event]) -> bool {
    let mut open = Vec::new();
    let mut closed = Vec::new();
    events.iter().enumerate().all(|(position, event)| match &event.what {
        What::ItemOpen { at, .. } => {
            open.push(*at);
            !closed.contains(at)
        }
        What::Delta { at, data, .. } => open.contains(at) && !closed.contains(at) && !data.is_empty(),
        What::Annotation { at, .. } => open.contains(at) && !closed.contains(at),
        What::ItemDone { at, .. } => {
            closed.push(*at);
            open.contains(at) && closed.iter().filter(|done| *done == at).count() == 1
        }
        What::End { .. } => position + 1 == events.len() && open.iter().all(|at| closed.contains(at)),
        What::Fail(_) => position + 1 == events.len(),
        _ => true,
    })
}

/// Whether our SDK, which is stricter than the official ones, reads the original stream too.
fn strict(name: &str) -> bool {
    name != "crlf" && name != "interleaved"
}

/// The number of ends in a stream of this dialect.
fn ends(out: &[u8]) -> usize {
    utf8(out).matches("event: message_stop").count() + utf8(out).matches("event: error").count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_do_not_matter(cuts in prop::collection::vec(any::<Index>(), 0..50)) {
        for (name, body) in bodies() {
            let whole = read(Dialect::Messages, [&body[..]]);
            prop_assert_eq!(&read(Dialect::Messages, pieces(&body, &cuts)), &whole, "{}", name);
            prop_assert!(legal(&whole), "{}: {:?}", name, whole);
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_one_terminal(noise in prop::collection::vec(any::<u8>(), 0..200), cut in any::<Index>()) {
        for (name, body) in bodies() {
            let position = cut.index(body.len());
            let broken = [&body[..position], &noise[..], &body[position..]].concat();
            let events = read(Dialect::Messages, [&broken[..]]);
            prop_assert_eq!(terminals(&events), 1);
            prop_assert!(legal(&events), "{}: {:?}", name, events);
            let own = write(Dialect::Messages, setting(Dialect::Messages), &strange(events.clone()));
            prop_assert_eq!(ends(&own), 1, "{}", name);
            sdk::assemble(&own);
            for dialect in [Dialect::Messages, Dialect::Chat, Dialect::Responses] {
                write(dialect, setting(dialect), &events);
                dialect.whole(&fold(&events), &setting(dialect));
            }
        }
        let _ = Dialect::Messages.read_request(Bytes::from(noise));
    }

    #[test]
    fn broken_requests_do_not_panic(position in any::<Index>(), byte in any::<u8>()) {
        for (_, body) in corpus("requests/messages", ".json") {
            let mut broken = body.to_vec();
            let position = position.index(broken.len());
            broken[position] = byte;
            let _ = Dialect::Messages.read_request(Bytes::from(broken));
        }
    }

    #[test]
    fn heartbeats_fit_between_any_two_events(every in 1usize..5) {
        for (name, events) in all() {
            let mut writer = Writer::new(Dialect::Messages, setting(Dialect::Messages));
            let mut out = BytesMut::new();
            for (at, event) in events.iter().enumerate() {
                if at % every == 0 {
                    writer.heartbeat(&mut out);
                }
                writer.push(event, &mut out);
            }
            writer.end(&mut out);
            if strict(&name) {
                let plain = write(Dialect::Messages, setting(Dialect::Messages), &events);
                prop_assert_eq!(sdk::assemble(&out), sdk::assemble(&plain), "{}", name);
            }
        }
    }
}

#[test]
fn one_terminal_at_every_cut() {
    for (name, body) in bodies() {
        for end in 0..=body.len() {
            let events = read(Dialect::Messages, [&body[..end]]);
            assert_eq!(terminals(&events), 1, "{name} at {end}");
            assert!(legal(&events), "{name} at {end}: {events:?}");
            for events in [strange(events.clone()), events] {
                let out = write(Dialect::Messages, setting(Dialect::Messages), &events);
                assert_eq!(ends(&out), 1, "{name} at {end}: {}", utf8(&out));
            }
        }
    }
}

#[test]
fn every_prefix_of_events_is_a_legal_stream() {
    for (name, events) in all() {
        for count in 0..=events.len() {
            let mut variants = vec![strange(events[..count].to_vec())];
            if strict(&name) {
                variants.push(events[..count].to_vec());
            }
            for events in variants {
                let out = write(Dialect::Messages, setting(Dialect::Messages), &events);
                let whole = events.iter().any(|event| matches!(event.what, What::End { .. }));
                assert_eq!(matches!(sdk::assemble(&out), End::Message(_)), whole, "{name} after {count}");
            }
        }
    }
}

#[test]
fn a_written_stream_is_the_whole_body() {
    for (name, events) in all() {
        for thinking in [Thinking::Shown, Thinking::Sealed, Thinking::Hidden] {
            for events in [strange(events.clone()), events.clone()] {
                let framed = events.iter().any(|event| event.carrier.dialect().is_some());
                if (framed && !strict(&name)) || fold(&events).failure.is_some() {
                    continue;
                }
                let streamed = sdk::message(&write(Dialect::Messages, seeing(thinking), &events));
                let whole = Dialect::Messages.whole(&fold(&events), &seeing(thinking));
                let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
                if name != "length" {
                    assert_eq!(whole, streamed, "{name}");
                }
            }
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    for (name, events) in all() {
        let events = strange(events);
        let out = write(Dialect::Messages, setting(Dialect::Messages), &events);
        let again = read(Dialect::Messages, [&out[..]]);
        assert!(legal(&again), "{name}");
        assert_eq!(fold(&again).failure.is_some(), fold(&events).failure.is_some(), "{name}");
        // The second pass loses nothing more.
        let twice = write(Dialect::Messages, setting(Dialect::Messages), &strange(again));
        let third = strange(read(Dialect::Messages, [&twice[..]]));
        assert_eq!(utf8(&write(Dialect::Messages, setting(Dialect::Messages), &third)), utf8(&twice), "{name}");
    }
}
