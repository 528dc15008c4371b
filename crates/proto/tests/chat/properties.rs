//! The properties of every stream, for any chunks and any cut.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::canon::{Event, What};
use proto::{Dialect, Fold};

use crate::{corpus, fold, read, setting, strange, terminals, utf8, write};

/// The stream in pieces.
fn pieces<'a>(body: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn bodies() -> Vec<(String, Bytes)> {
    corpus("chat", ".sse").into_iter().chain(corpus("chat", ".json")).collect()
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
        for (name, body) in bodies() {
            let whole = read(Dialect::Chat, [&body[..]]);
            prop_assert_eq!(&read(Dialect::Chat, pieces(&body, &cuts)), &whole, "{}", name);
            prop_assert!(legal(&whole), "{}: {:?}", name, whole);
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_one_terminal(noise in prop::collection::vec(any::<u8>(), 0..200), cut in any::<Index>()) {
        for (_, body) in bodies() {
            let position = cut.index(body.len());
            let broken = [&body[..position], &noise[..], &body[position..]].concat();
            let events = read(Dialect::Chat, [&broken[..]]);
            prop_assert_eq!(terminals(&events), 1);
            prop_assert!(legal(&events), "{:?}", events);
            write(Dialect::Chat, setting(true), &events);
            write(Dialect::Responses, setting(true), &events);
        }
        let _ = Dialect::Chat.read_request(Bytes::from(noise));
    }

    #[test]
    fn broken_requests_do_not_panic(position in any::<Index>(), byte in any::<u8>()) {
        for (_, body) in corpus("requests/chat", ".json") {
            let mut broken = body.to_vec();
            let position = position.index(broken.len());
            broken[position] = byte;
            let _ = Dialect::Chat.read_request(Bytes::from(broken));
        }
    }
}

#[test]
fn one_terminal_at_every_cut() {
    for (name, body) in bodies() {
        for end in 0..=body.len() {
            let events = read(Dialect::Chat, [&body[..end]]);
            assert_eq!(terminals(&events), 1, "{name} at {end}");
            assert!(legal(&events), "{name} at {end}: {events:?}");
            for events in [strange(events.clone()), events] {
                let out = write(Dialect::Chat, setting(true), &events);
                let ends = utf8(&out).matches("data: [DONE]").count() + utf8(&out).matches("data: {\"error\":").count();
                assert_eq!(ends, 1, "{name} at {end}: {}", utf8(&out));
            }
        }
    }
}

#[test]
fn a_written_stream_folds_to_the_whole_body() {
    let chat = bodies().into_iter().map(|(name, body)| (name, read(Dialect::Chat, [&body[..]])));
    let responses = corpus("responses", ".sse").into_iter();
    let responses = responses.map(|(name, body)| (name, read(Dialect::Responses, [&body[..]])));
    for (name, events) in chat.chain(responses) {
        let mut events = strange(events);
        for event in &mut events {
            // Its service tier is in whole bodies only.
            if let What::End { response, .. } = &mut event.what {
                *response = None;
            }
        }
        let whole = fold(&events);
        if whole.failure.is_some() {
            continue;
        }
        let stream = write(Dialect::Chat, setting(true), &events);
        let again = fold(&read(Dialect::Chat, [&stream[..]]));
        let (one, two) = (Dialect::Chat.whole(&whole, &setting(true)), Dialect::Chat.whole(&again, &setting(true)));
        assert_eq!(utf8(&one), utf8(&two), "{name}");
        let body_again = fold(&read(Dialect::Chat, [&one[..]]));
        assert_eq!(utf8(&Dialect::Chat.whole(&body_again, &setting(true))), utf8(&one), "{name}");
    }
}

#[test]
fn the_fast_path_agrees_with_the_parser() {
    // With a space after the colon every frame takes the slow path.
    for (name, body) in corpus("chat", ".sse") {
        let slow = utf8(&body).replace("\"delta\":{", "\"delta\": {");
        let (fast, slow) = (strange(read(Dialect::Chat, [&body[..]])), strange(read(Dialect::Chat, [slow.as_bytes()])));
        assert_eq!(fast, slow, "{name}");
    }
}

#[test]
fn an_empty_fold_is_an_empty_answer() {
    let body = Dialect::Chat.whole(&Fold::new().finish(), &setting(true));
    assert!(utf8(&body).contains(r#""message":{"role":"assistant","content":"","refusal":null}"#));
}
