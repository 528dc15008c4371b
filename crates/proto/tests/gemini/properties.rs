//! The properties of every stream, for any chunks and any cut.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::Dialect;
use proto::canon::{Event, ItemKind, What};

use crate::sdk::{body, collect, javascript, python, state_last};
use crate::{array, corpus, fold, read, replies, setting, strange, terminals, utf8, write};

/// The stream in pieces.
fn pieces<'a>(body: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_do_not_matter(cuts in prop::collection::vec(any::<Index>(), 0..50)) {
        for (name, body) in replies() {
            let whole = read(Dialect::Gemini, [&body[..]]);
            prop_assert_eq!(&read(Dialect::Gemini, pieces(&body, &cuts)), &whole, "{}", name);
            prop_assert!(legal(&whole), "{}: {:?}", name, whole);
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_one_terminal(noise in prop::collection::vec(any::<u8>(), 0..200), cut in any::<Index>()) {
        for (_, body) in replies() {
            let position = cut.index(body.len());
            let broken = [&body[..position], &noise[..], &body[position..]].concat();
            let events = read(Dialect::Gemini, [&broken[..]]);
            prop_assert_eq!(terminals(&events), 1);
            prop_assert!(legal(&events), "{:?}", events);
            for client in [Dialect::Gemini, Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Ollama] {
                write(client, setting(client), &events);
            }
            write(Dialect::Gemini, array(), &events);
        }
        let _ = Dialect::Gemini.read_request(Bytes::from(noise));
    }

    #[test]
    fn broken_requests_do_not_panic(position in any::<Index>(), byte in any::<u8>()) {
        for (_, body) in corpus("requests/gemini", ".json") {
            let mut broken = body.to_vec();
            let position = position.index(broken.len());
            broken[position] = byte;
            let _ = Dialect::Gemini.read_request(Bytes::from(broken));
        }
    }
}

#[test]
fn one_terminal_at_every_cut() {
    for (name, body) in replies() {
        for end in 0..=body.len() {
            let events = read(Dialect::Gemini, [&body[..end]]);
            assert_eq!(terminals(&events), 1, "{name} at {end}");
            assert!(legal(&events), "{name} at {end}: {events:?}");
            for events in [strange(events.clone()), events] {
                let out = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
                let objects = python(&out);
                let finished = |object: &&serde_json::Value| object["candidates"][0]["finishReason"].is_string();
                let blocked = |object: &&serde_json::Value| object["promptFeedback"]["blockReason"].is_string();
                let ends = objects.iter().filter(|object| finished(object) || blocked(object)).count();
                let errors = objects.iter().filter(|object| object["error"].is_object()).count();
                assert!(errors <= 1 && ends <= 1 && ends + errors >= 1, "{name} at {end}: {}", utf8(&out));
                let failed = fold(&events).failure.is_some();
                assert_eq!(errors == 1, failed, "{name} at {end}: {}", utf8(&out));
                assert_eq!(javascript(&out).1, failed, "{name} at {end}: {:?}", utf8(&out));
                let list = write(Dialect::Gemini, array(), &events);
                assert!(serde_json::from_slice::<Vec<serde_json::Value>>(&list).is_ok(), "{name} at {end}");
            }
        }
    }
}

/// Every stream of our corpus: its events, in a form whose frames cannot be passed on.
fn everything() -> Vec<(String, Vec<Event>)> {
    let all = [Dialect::Responses, Dialect::Chat, Dialect::Messages, Dialect::Gemini].into_iter().flat_map(|dialect| {
        let folder = format!("{dialect:?}").to_lowercase();
        let files = corpus(&folder, ".sse").into_iter();
        files.map(move |(name, body)| (format!("{folder} {name}"), strange(read(dialect, [&body[..]]))))
    });
    all.collect()
}

#[test]
fn an_sdk_collects_the_whole_body_from_the_stream() {
    for (name, events) in everything() {
        let whole = fold(&events);
        if whole.failure.is_some() {
            continue;
        }
        let stream = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
        let (replies, thrown) = javascript(&stream);
        assert!(!thrown, "{name}");
        let one = body(&Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini)));
        let one = state_last(one);
        assert_eq!(state_last(collect(&replies)), one, "{name}");
        assert_eq!(state_last(collect(&python(&stream))), one, "{name}");
    }
}

#[test]
fn a_written_stream_folds_to_the_whole_body() {
    for (name, events) in everything() {
        let whole = fold(&events);
        if whole.failure.is_some() {
            continue;
        }
        let one = Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini));
        let stream = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
        let list = write(Dialect::Gemini, array(), &events);
        for again in [&stream[..], &list[..], &one[..]] {
            let again = fold(&read(Dialect::Gemini, [again]));
            let two = Dialect::Gemini.whole(&again, &setting(Dialect::Gemini));
            assert_eq!(state_last(body(&two)), state_last(body(&one)), "{name}");
        }
    }
}

#[test]
fn the_fast_path_agrees_with_the_parser() {
    // With an unknown member every frame takes the slow path.
    for (name, body) in corpus("gemini", ".sse") {
        let slow = utf8(&body).replace("\"candidates\":[", "\"x\":1,\"candidates\":[");
        let slow = slow.replace("\"candidates\": [", "\"x\":1,\"candidates\": [");
        let (fast, slow) =
            (strange(read(Dialect::Gemini, [&body[..]])), strange(read(Dialect::Gemini, [slow.as_bytes()])));
        assert_eq!(fast, slow, "{name}");
    }
}

#[test]
fn state_comes_back_as_it_went() {
    for (name, events) in everything() {
        let whole = fold(&events);
        if whole.failure.is_some() {
            continue;
        }
        let body: serde_json::Value =
            serde_json::from_slice(&Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini))).unwrap();
        let content = &body["candidates"][0]["content"];
        let request = serde_json::json!({ "contents": [{ "role": "user", "parts": [{ "text": "q" }] }, content] });
        let (request, _) = Dialect::Gemini.read_request(Bytes::from(request.to_string())).unwrap();
        let states = |kinds: Vec<&ItemKind>| -> Vec<String> {
            let states = kinds.into_iter().filter_map(|kind| match kind {
                ItemKind::Reasoning { encrypted: Some(state), .. } => Some(state.plain().into_owned()),
                _ => None,
            });
            states.collect()
        };
        let went = states(whole.items.iter().map(|item| &item.kind).collect());
        let came = states(request.items.iter().map(|item| &item.kind).collect());
        assert_eq!(came, went, "{name}");
    }
}
