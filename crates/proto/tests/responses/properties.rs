//! The invariants of the design, as properties.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proto::canon::{ItemKind, Part};
use proto::{Dialect, Event, Item, Reader, What, Whole, Wire, Writer};
use serde_json::Value;

use crate::support::{
    STREAMS, bare, data, events, expected, fold, is_terminal, kind, meaning, nameless, read, setting, split, write,
};

const DIALECTS: [Dialect; 2] = [Dialect::Responses, Dialect::Chat];

fn stream() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(&STREAMS[..])
}

/// The stream with equivalent line ends, field spellings and comments.
fn spell(stream: &str, style: u8) -> String {
    match style % 5 {
        1 => stream.replace('\n', "\r\n"),
        2 => stream.replace('\n', "\r"),
        3 => stream.replace("data: ", "data:").replace("event: ", ": comment\nid: 7\nevent:"),
        4 => format!("\u{feff}{stream}"),
        _ => stream.to_owned(),
    }
}

/// A responses stream is legal: numbers ascend, items begin before their pieces and end after them, one terminal event.
fn assert_legal(name: &str, stream: &str) {
    let all: Vec<Value> = data(stream).into_iter().filter(|event| kind(event) != "keepalive").collect();
    assert_eq!(all.first().map(kind), Some("response.created"), "{name}");
    let terminals = all.iter().filter(|event| is_terminal(kind(event))).count();
    assert_eq!(terminals, 1, "{name}: {stream}");
    assert!(is_terminal(kind(all.last().unwrap())), "{name}");
    for (at, event) in all.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "{name}: {event}");
    }
    let (mut open, mut parts) = (Vec::new(), Vec::new());
    for event in &all {
        let (index, id) = (event["output_index"].as_u64(), event["item_id"].clone());
        let part = (index, event["content_index"].as_u64().or(event["summary_index"].as_u64()));
        match kind(event) {
            "response.output_item.added" => open.push((index, event["item"]["id"].clone())),
            "response.output_item.done" => {
                let at = open.iter().position(|item| *item == (index, event["item"]["id"].clone()));
                open.remove(at.unwrap_or_else(|| panic!("{name}: {event} ends nothing")));
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => parts.push(part),
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let at = parts.iter().position(|other| *other == part);
                parts.remove(at.unwrap_or_else(|| panic!("{name}: {event} ends nothing")));
            }
            name if index.is_some() && part.1.is_some() => {
                assert!(open.contains(&(index, id)) && parts.contains(&part), "{name}: {event}");
            }
            _ if index.is_some() => assert!(open.contains(&(index, id)), "{name}: {event}"),
            _ => {}
        }
    }
    if kind(all.last().unwrap()) == "response.completed" {
        assert!(open.is_empty() && parts.is_empty(), "{name}: {open:?} {parts:?}");
    }
}

#[test]
fn fresh_streams_are_legal() {
    for (name, stream) in STREAMS {
        assert_legal(
            name,
            &write(Dialect::Responses, setting(), &bare(&events(Dialect::Responses, stream.as_bytes()))),
        );
    }
}

#[test]
fn fresh_streams_mean_the_same() {
    for (name, stream) in STREAMS {
        let before = events(Dialect::Responses, stream.as_bytes());
        let after = events(Dialect::Responses, write(Dialect::Responses, setting(), &bare(&before)).as_bytes());
        let (one, two) = (meaning(&before), meaning(&after));
        let items = |whole: &Whole| whole.items.iter().map(plain).collect::<Vec<_>>();
        assert_eq!(items(&one), items(&two), "{name}");
        assert_eq!((one.usage, one.finish), (two.usage, two.finish), "{name}");
        assert_eq!(one.failure.map(|f| f.kind), two.failure.map(|f| f.kind), "{name}");
    }
}

#[test]
fn chat_streams_become_legal_responses() {
    let streams = [
        ("text", include_str!("../../corpus/chat/text.sse")),
        ("tools", include_str!("../../corpus/chat/tools.sse")),
        ("interleaved", include_str!("../../corpus/chat/interleaved.sse")),
        ("custom", include_str!("../../corpus/chat/custom.sse")),
        ("reasoning", include_str!("../../corpus/chat/reasoning.sse")),
        ("refusal", include_str!("../../corpus/chat/refusal.sse")),
        ("citations", include_str!("../../corpus/chat/citations.sse")),
        ("length", include_str!("../../corpus/chat/length.sse")),
        ("filter", include_str!("../../corpus/chat/filter.sse")),
        ("error", include_str!("../../corpus/chat/error.sse")),
    ];
    for (name, stream) in streams {
        for length in (0..=stream.len()).step_by(97).chain([stream.len()]) {
            let chat = events(Dialect::Chat, &stream.as_bytes()[..length]);
            let written = write(Dialect::Responses, setting(), &chat);
            assert_legal(name, &written);
            let whole = fold(&chat);
            let body: Value = serde_json::from_slice(&Dialect::Responses.whole(&whole, &setting())).unwrap();
            if whole.finish.is_some() {
                assert_eq!(data(&written).last().unwrap()["response"], body, "{name}");
            }
        }
    }
}

/// The item without the data that only a frame holds: its id, empty annotations, an image's format and prompt.
fn plain(item: &Item) -> Item {
    let mut item = nameless(item);
    match &mut item.kind {
        ItemKind::Message { parts, .. } => parts.iter_mut().for_each(|part| {
            if let Part::Text { annotations, .. } = part {
                annotations.take_if(|list| list.as_str() == "[]");
            }
        }),
        ItemKind::Image { format, prompt, .. } => (*format, *prompt) = (None, None),
        _ => {}
    }
    item
}

#[test]
fn folding_what_was_written_gives_the_whole_body() {
    for (name, stream) in STREAMS.iter().filter(|(name, _)| !matches!(*name, "failed" | "error")) {
        for frames in [true, false] {
            let all = events(Dialect::Responses, stream.as_bytes());
            let all = if frames { all } else { bare(&all) };
            let body: Value = serde_json::from_slice(&Dialect::Responses.whole(&fold(&all), &setting())).unwrap();
            let written = write(Dialect::Responses, setting(), &all);
            assert_eq!(data(&written).last().unwrap()["response"], body, "{name}");
            let again = Dialect::Responses.whole(&fold(&events(Dialect::Responses, written.as_bytes())), &setting());
            assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), body, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunking_changes_nothing((name, stream) in stream(), style in 0u8..5, cuts in prop::collection::vec(any::<usize>(), 0..40)) {
        let bytes = spell(stream, style);
        let whole = events(Dialect::Responses, bytes.as_bytes());
        let cut = read(Dialect::Responses, split(bytes.as_bytes(), &cuts));
        prop_assert_eq!(&cut, &whole, "{}", name);
        let plain = events(Dialect::Responses, stream.as_bytes());
        prop_assert_eq!(meaning(&whole), meaning(&plain));
        prop_assert_eq!(write(Dialect::Chat, setting(), &cut), write(Dialect::Chat, setting(), &plain));
    }

    #[test]
    fn a_cut_ends_with_one_failure((name, stream) in stream(), at in any::<usize>(), cuts in prop::collection::vec(any::<usize>(), 0..4)) {
        let at = at % stream.len();
        let events = read(Dialect::Responses, split(&stream.as_bytes()[..at], &cuts));
        let terminal = |event: &&Event| matches!(event.what, What::End { .. } | What::Fail(_));
        prop_assert_eq!(events.iter().filter(terminal).count(), 1);
        let came = String::from_utf8_lossy(&stream.as_bytes()[..at]);
        let ended = ["event: response.completed", "event: response.incomplete"].iter().any(|name| came.contains(name));
        let complete = ended && came.ends_with("\n\n");
        prop_assert_eq!(matches!(events.last().unwrap().what, What::End { .. }), complete);
        let written = write(Dialect::Responses, setting(), &events);
        let terminals: Vec<Value> = data(&written).into_iter().filter(|event| is_terminal(kind(event))).collect();
        prop_assert_eq!(terminals.len(), 1);
        prop_assert_eq!(kind(&terminals[0]) == "response.failed", !complete, "{} {}", name, written);
        let passed = events.iter().any(|event| matches!(event.what, What::Open(_)));
        let (before, _) = written.trim_end().rsplit_once("\n\n").unwrap();
        prop_assert!(!passed || expected(stream, false).starts_with(before), "{} {}", name, written);
        let chat = write(Dialect::Chat, setting(), &events);
        prop_assert_eq!(chat.contains("finish_reason\":\"stop"), chat.contains("finish_reason\":\"stop") && complete);
    }

    #[test]
    fn a_cut_fresh_stream_is_legal((name, stream) in stream(), at in any::<usize>()) {
        let events = events(Dialect::Responses, &stream.as_bytes()[..at % stream.len()]);
        assert_legal(name, &write(Dialect::Responses, setting(), &bare(&events)));
    }

    #[test]
    fn events_may_lose_their_frames_anywhere((name, stream) in stream(), from in any::<usize>()) {
        let mut events = events(Dialect::Responses, stream.as_bytes());
        let from = from % (events.len() + 1);
        let tail = bare(&events[from..]);
        events.truncate(from);
        events.extend(tail);
        let written = write(Dialect::Responses, setting(), &events);
        let terminals = data(&written).iter().filter(|event| is_terminal(kind(event))).count();
        prop_assert_eq!(terminals, 1, "{}", name);
    }

    #[test]
    fn arbitrary_bytes_never_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..10)) {
        let events = read(Dialect::Responses, chunks.into_iter().map(Bytes::from));
        for dialect in DIALECTS {
            write(dialect, setting(), &events);
            dialect.whole(&fold(&events), &setting());
        }
    }

    #[test]
    fn damaged_streams_never_panic((_, stream) in stream(), damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..12)) {
        let mut bytes = stream.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let events = events(Dialect::Responses, &bytes);
        let terminal = |event: &&Event| matches!(event.what, What::End { .. } | What::Fail(_));
        prop_assert_eq!(events.iter().filter(terminal).count(), 1);
        for dialect in DIALECTS {
            write(dialect, setting(), &events);
            dialect.whole(&fold(&events), &setting());
        }
    }

    #[test]
    fn heartbeats_fit_between_any_two_events((name, stream) in stream(), every in 1usize..5) {
        let mut writer = Writer::new(Dialect::Responses, setting());
        let mut out = BytesMut::new();
        for (at, event) in events(Dialect::Responses, stream.as_bytes()).iter().enumerate() {
            if at % every == 0 {
                writer.heartbeat(&mut out);
            }
            writer.push(event, &mut out);
        }
        writer.end(&mut out);
        let mut reader = Reader::new(Wire::Responses);
        let mut again = Vec::new();
        reader.push(out.freeze(), &mut again);
        reader.end(&mut again);
        let plain = write(Dialect::Responses, setting(), &events(Dialect::Responses, stream.as_bytes()));
        prop_assert_eq!(meaning(&again), meaning(&events(Dialect::Responses, plain.as_bytes())), "{}", name);
    }
}

/// The stored parts of a reply of the backend are copies: a slice of a chunk would hold the whole buffer that it came in, 8 KiB for every
/// open stream. A tool call that a client gets in one piece is held as it came.
#[rstest::rstest]
fn no_part_of_a_chunk_stays_in_memory(
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama)] client: Dialect,
    #[values("text", "reasoning", "refusal")] name: &str,
) {
    let (_, stream) = STREAMS.iter().find(|(known, _)| *known == name).unwrap();
    // Whole frames, because a frame that crosses a chunk border is copied anyway.
    let chunks: Vec<Bytes> =
        stream.split_inclusive("\n\n").map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect();
    let (mut reader, mut writer) = (Reader::new(Wire::Responses), Writer::new(client, setting()));
    let (mut events, mut out) = (Vec::new(), BytesMut::new());
    for chunk in &chunks {
        reader.push(chunk.clone(), &mut events);
        events.drain(..).for_each(|event| writer.push(&event, &mut out));
        assert!(chunk.is_unique(), "of {}", String::from_utf8_lossy(chunk));
    }
}
