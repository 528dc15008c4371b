//! `max_tokens` and stop sequences over legal replies: the delivered text is a beginning of the visible text, without a stop sequence or a
//! token too many; nothing is lost without a reason, and the cut of the text into deltas does not matter.

use bytes::Bytes;
use proto::Dialect;
use proto::canon::{Channel, Event, Finish, Limits, What};
use proto::text::Text;
use proto::tokens;
use proto::trim::{Trim, Verdict};

use super::script::script;
use super::stream::{settings, write};
use super::{contents, legal};

const STOPS: [&str; 6] = ["END", " stop", "ab", "\u{1f600}", "\n", "hello\"q"];

/// A text part: output index, part index, channel, plain text.
type Segment = ((u32, u32, u8), String);

/// The first two bytes are the limits, the rest is the reply.
pub fn check(input: &[u8]) {
    let [tokens, stops, reply @ ..] = input else { return };
    let max_tokens = Some(u64::from(tokens % 24)).filter(|tokens| *tokens > 0);
    let stop = STOPS.iter().enumerate().filter(|(bit, _)| stops & (1 << bit) != 0).map(|(_, stop)| (*stop).to_owned());
    let limits = Limits { max_tokens, stop: stop.collect() };
    let events = script(reply).events;
    let (trimmed, cut) = trim(&limits, &events);
    for client in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
        legal::ours(client, &write(client, &settings()[0], &trimmed));
    }
    judge(&limits, &events, &trimmed, cut);
    let expected = contents::chat_stream(&write(Dialect::Chat, &settings()[0], &trimmed));
    for other in [joined(&events), split(&events)] {
        let (other, other_cut) = trim(&limits, &other);
        assert_eq!(other_cut, cut, "another cut");
        assert_eq!(
            contents::chat_stream(&write(Dialect::Chat, &settings()[0], &other)),
            expected,
            "other deltas, another reply"
        );
    }
}

fn trim(limits: &Limits, events: &[Event]) -> (Vec<Event>, bool) {
    let Some(mut trim) = Trim::new(limits) else { return (events.to_vec(), false) };
    let mut out = Vec::new();
    for event in events {
        if trim.push(event.clone(), &mut out) == Verdict::Done {
            return (out, true);
        }
    }
    (out, false)
}

fn judge(limits: &Limits, events: &[Event], trimmed: &[Event], cut: bool) {
    let (all, passed) = (segments(events), segments(trimmed));
    let shown: Vec<&String> = passed.iter().map(|(_, text)| text).collect();
    assert!(
        limits.stop.iter().all(|stop| !shown.iter().any(|text| text.contains(stop))),
        "a stop sequence passes: {shown:?}"
    );
    if let Some(most) = limits.max_tokens {
        let used: u64 = shown.iter().map(|text| tokens::count(text)).sum();
        assert!(used <= most, "{used} of {most} tokens: {shown:?}");
    }
    for (passed, all) in passed.iter().zip(&all) {
        assert!(passed.0 == all.0 && all.1.starts_with(&passed.1), "{passed:?} is no beginning of {all:?}");
    }
    let whole = passed == all;
    let terminal = matches!(events.last().map(|event| &event.what), Some(What::End { .. } | What::Fail(_)));
    match trimmed.last().map(|event| &event.what) {
        _ if !cut => assert!(whole || !terminal, "text is lost: {passed:?} of {all:?}"),
        Some(What::End { finish: Finish::Stop, .. }) => {
            let (key, text) = passed.last().map_or_else(|| (all[0].0, ""), |(key, text)| (*key, text.as_str()));
            let from = all.iter().position(|all| all.0 == key).expect("a kept part is one of all");
            let next = all.get(from + 1).map_or("", |(_, text)| text.as_str());
            let rest = &all[from].1[text.len()..];
            let stops = |rest: &str| limits.stop.iter().any(|stop| rest.starts_with(stop.as_str()));
            assert!(stops(rest) || (rest.is_empty() && stops(next)), "no stop sequence at {rest:?}");
        }
        Some(What::End { finish: Finish::Length, .. }) => assert!(!whole, "cut at its end"),
        other => panic!("a cut that ends with {other:?}"),
    }
}

/// The visible text of each part, in the order of their beginnings.
fn segments(events: &[Event]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut escaped: Vec<String> = Vec::new();
    for event in events {
        let What::Delta { at, part, channel: channel @ (Channel::Text | Channel::Refusal), data } = &event.what else {
            continue;
        };
        let key = (*at, *part, *channel as u8);
        let index = segments.iter().position(|segment| segment.0 == key).unwrap_or_else(|| {
            segments.push((key, String::new()));
            escaped.push(String::new());
            segments.len() - 1
        });
        escaped[index].push_str(data.as_str());
    }
    for (segment, escaped) in segments.iter_mut().zip(escaped) {
        segment.1 = text(escaped).plain().into_owned();
    }
    segments
}

/// The same reply with neighbouring deltas of one part joined.
fn joined(events: &[Event]) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    for event in events {
        let last = out.last_mut().map(|last| &mut last.what);
        if let (What::Delta { at, part, channel, data }, Some(What::Delta { at: a, part: p, channel: c, data: d })) =
            (&event.what, last)
            && (at, part, channel) == (a, p, c)
        {
            *d = text(d.as_str().to_owned() + data.as_str());
            continue;
        }
        out.push(event.clone());
    }
    out
}

/// The same reply with every delta cut into single characters, pairs of escapes into halves.
fn split(events: &[Event]) -> Vec<Event> {
    let mut out = Vec::new();
    for event in events {
        let What::Delta { at, part, channel, data } = &event.what else {
            out.push(event.clone());
            continue;
        };
        let mut rest = data.as_str();
        while !rest.is_empty() {
            let size = match rest.as_bytes() {
                [b'\\', b'u', ..] => 6,
                [b'\\', ..] => 2,
                _ => rest.chars().next().map_or(1, char::len_utf8),
            };
            let (unit, after) = rest.split_at(size);
            rest = after;
            out.push(Event::new(What::Delta { at: *at, part: *part, channel: *channel, data: text(unit.to_owned()) }));
        }
    }
    out
}

fn text(escaped: String) -> Text {
    Text::from_escaped(Bytes::from(escaped))
}
