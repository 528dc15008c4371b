//! Each stream through every dialect, as snapshots.

use proto::canon::Carrier;
use proto::{Dialect, Event, What};

use crate::support::{STREAMS, bare, data, events, expected, fold, kind, setting, write};

/// One line per event, without frames.
fn lines(events: &[Event]) -> String {
    let line = |event: &Event| {
        let frame = match &event.carrier {
            Carrier::Ours => "-",
            Carrier::Covered(_) => "0",
            Carrier::Frame(_) => "+",
        };
        let what = match &event.what {
            What::End { finish, .. } => format!("End({finish:?})"),
            What::ItemDone { at, item } => format!("ItemDone {at} {:?}", item.kind),
            what => format!("{what:?}"),
        };
        format!("{frame} {what}\n")
    };
    events.iter().map(line).collect()
}

#[test]
fn canonical_events() {
    for (name, stream) in STREAMS {
        insta::assert_snapshot!(format!("events_{name}"), lines(&events(Dialect::Responses, stream.as_bytes())));
    }
}

#[test]
fn responses_without_frames() {
    for (name, stream) in STREAMS {
        let bare = bare(&events(Dialect::Responses, stream.as_bytes()));
        insta::assert_snapshot!(format!("fresh_{name}"), write(Dialect::Responses, setting(), &bare));
    }
}

#[test]
fn chat_streams() {
    for (name, stream) in STREAMS {
        let events = events(Dialect::Responses, stream.as_bytes());
        insta::assert_snapshot!(format!("chat_{name}"), write(Dialect::Chat, setting(), &events));
    }
}

#[test]
fn whole_bodies() {
    for (name, stream) in STREAMS {
        let whole = fold(&events(Dialect::Responses, stream.as_bytes()));
        for dialect in [Dialect::Responses, Dialect::Chat] {
            let body = dialect.whole(&whole, &setting());
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            insta::assert_json_snapshot!(format!("whole_{name}_{dialect:?}").to_lowercase(), body);
        }
    }
}

#[test]
fn untouched_frames_pass_byte_for_byte() {
    for (name, stream) in STREAMS {
        let events = events(Dialect::Responses, stream.as_bytes());
        for codex in [false, true] {
            let written = write(Dialect::Responses, proto::dialect::ReplySetting { codex, ..setting() }, &events);
            let expected = expected(stream, codex);
            // The last frame may differ: `error` becomes `response.failed`, and an empty output is filled in.
            let (before, last) = written.trim_end().rsplit_once("\n\n").unwrap();
            assert!(expected.starts_with(before), "{name}");
            let last = &data(last)[0];
            if name == "error" {
                assert_eq!(kind(last), "response.failed");
                continue;
            }
            let theirs = data(&expected).pop().unwrap();
            assert_eq!(kind(last), kind(&theirs), "{name}");
            let (mut ours, mut theirs) = (last.clone(), theirs);
            ours["response"]["output"] = serde_json::Value::Null;
            theirs["response"]["output"] = serde_json::Value::Null;
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

#[test]
fn an_empty_output_is_filled_in() {
    for (name, stream) in STREAMS.iter().filter(|(name, _)| !matches!(*name, "failed" | "error")) {
        let written = write(Dialect::Responses, setting(), &events(Dialect::Responses, stream.as_bytes()));
        let all = data(&written);
        let done: Vec<_> = all
            .iter()
            .filter(|event| kind(event) == "response.output_item.done")
            .map(|event| event["item"].clone())
            .collect();
        assert!(!done.is_empty(), "{name}");
        assert_eq!(all.last().unwrap()["response"]["output"], serde_json::Value::Array(done), "{name}");
    }
}
