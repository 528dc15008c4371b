use proptest::prelude::*;

use super::{Trim, Verdict};
use crate::canon::{Channel, Event, Finish, Head, Item, ItemKind, Limits, Part, Role, Usage, What};
use crate::failure::{Failure, Kind};
use crate::text::Text;
use crate::tokens;

/// The result of a trimmed reply.
#[derive(Debug, PartialEq)]
struct Outcome {
    text: String,
    item: Option<String>,
    finish: Finish,
}

/// Text that is cut in awkward ways: contractions, runs of spaces, scripts without spaces, wide characters, escapes.
const SHARDS: [&str; 26] = [
    "a", "ab", "'", "'t", "'r", "don", "HE", "H", "ello", "\u{4e2d}\u{6587}", " ", "  ", "\n", "\r\n", "!", "!!",
    "123", "4", "\u{1f469}\u{200d}\u{1f467}", "\u{e9}", "\"", "\\", "STOP", "ST", "OP", "/",
];

fn limits(max_tokens: Option<u64>, stop: &[&str]) -> Limits {
    Limits { max_tokens, stop: stop.iter().map(ToString::to_string).collect() }
}

fn message(text: &str) -> Item {
    let parts = vec![Part::Text { text: text.into(), annotations: None }];
    Item { kind: ItemKind::Message { id: None, role: Role::Assistant, parts, phase: None }, raw: None }
}

fn delta(at: u32, text: &str) -> Event {
    Event::new(What::Delta { at, part: 0, channel: Channel::Text, data: text.into() })
}

fn end() -> Event {
    Event::new(What::End { finish: Finish::Stop, response: None })
}

/// A reply of one message, its text in these pieces.
fn reply(pieces: &[&str]) -> Vec<Event> {
    let mut events = vec![Event::new(What::ItemOpen { at: 0, head: Head::Message { phase: None } })];
    events.extend(pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| delta(0, piece)));
    events.push(Event::new(What::ItemDone { at: 0, item: message(&pieces.concat()) }));
    events.push(end());
    events
}

fn run(limits: &Limits, events: Vec<Event>) -> Vec<Event> {
    let mut trim = Trim::new(limits).unwrap();
    let mut out = Vec::new();
    for event in events {
        if trim.push(event, &mut out) == Verdict::Done {
            break;
        }
    }
    out
}

fn outcome(events: &[Event]) -> Outcome {
    let mut outcome = Outcome { text: String::new(), item: None, finish: Finish::Cancelled };
    for event in events {
        match &event.what {
            What::Delta { data, .. } => outcome.text.push_str(&data.plain()),
            What::ItemDone { item, .. } => outcome.item = Some(text_of(item)),
            What::End { finish, .. } => outcome.finish = *finish,
            _ => {}
        }
    }
    outcome
}

fn text_of(item: &Item) -> String {
    let ItemKind::Message { parts, .. } = &item.kind else { return String::new() };
    let text = |part: &Part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.plain().into_owned(),
        _ => String::new(),
    };
    parts.iter().map(text).collect()
}

/// The same limits on the whole text at once.
fn naive(text: &str, limits: &Limits) -> Outcome {
    let hits = limits.stop.iter().filter_map(|stop| text.find(stop.as_str()).map(|at| (at + stop.len(), at)));
    let hit = hits.min();
    let before = hit.map_or(text, |(_, start)| &text[..start]);
    let mut left = limits.max_tokens.unwrap_or(u64::MAX);
    let mut end = 0;
    for piece in tokens::pieces(before) {
        if tokens::size(piece) > left {
            let text = before[..end + tokens::prefix(piece, left)].to_owned();
            return Outcome { item: Some(text.clone()), text, finish: Finish::Length };
        }
        left -= tokens::size(piece);
        end += piece.len();
    }
    Outcome { text: before.to_owned(), item: Some(before.to_owned()), finish: Finish::Stop }
}

fn split(text: &str, cuts: &[prop::sample::Index]) -> Vec<String> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect()
}

fn shards() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&SHARDS[..]), 0..60).prop_map(|shards| shards.concat())
}

fn shard() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&SHARDS[..]), 1..4).prop_map(|shards| shards.concat())
}

fn stops() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(shard(), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn equals_the_naive_form_for_any_chunking(
        text in shards(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        max_tokens in prop::option::of(1u64..60),
        stop in stops(),
    ) {
        let limits = Limits { max_tokens, stop };
        if Trim::new(&limits).is_none() {
            return Ok(());
        }
        let pieces = split(&text, &cuts);
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let events = run(&limits, reply(&pieces));
        prop_assert_eq!(outcome(&events), naive(&text, &limits));
        let terminals = events.iter().filter(|event| matches!(event.what, What::End { .. })).count();
        prop_assert_eq!(terminals, 1);
    }

    #[test]
    fn an_item_that_comes_whole_is_cut_alike(text in shards(), max_tokens in 1u64..60, stop in stops()) {
        let limits = Limits { max_tokens: Some(max_tokens), stop };
        let item = message(&text);
        let head = Head::of(&item.kind);
        let mut events = vec![Event::new(What::ItemOpen { at: 0, head })];
        events.extend(item.kind.pieces(0).into_iter().map(Event::new));
        events.extend([Event::new(What::ItemDone { at: 0, item }), end()]);
        let out = outcome(&run(&limits, events));
        let expected = naive(&text, &limits);
        prop_assert_eq!((out.item, out.finish), (expected.item, expected.finish));
    }

    #[test]
    fn holds_back_less_than_the_longest_stop_sequence(text in shards(), stop in stops(), last in shard()) {
        let mut limits = Limits { max_tokens: None, stop };
        limits.stop.push(last);
        let longest = limits.stop.iter().map(String::len).max().unwrap();
        let mut trim = Trim::new(&limits).unwrap();
        let (mut sent, mut out) = (0, Vec::new());
        for char in text.chars() {
            sent += char.len_utf8();
            if trim.push(delta(0, char.encode_utf8(&mut [0; 4])), &mut out) == Verdict::Done {
                return Ok(());
            }
            prop_assert!(sent - outcome(&out).text.len() < longest);
        }
    }
}

#[test]
fn nothing_to_watch_is_no_filter() {
    assert!(Trim::new(&Limits::default()).is_none());
    assert!(Trim::new(&limits(None, &[""])).is_none());
}

#[test]
fn short_replies_pass_untouched_and_uncounted() {
    let events = reply(&["Hel", "lo"]);
    assert_eq!(run(&limits(Some(5), &["END"]), events.clone()), events);
}

#[test]
fn a_cut_reply_ends_with_its_item_usage_and_finish() {
    let mut trim = Trim::new(&limits(Some(2), &[])).unwrap().with_input(7);
    let mut out = Vec::new();
    let events = reply(&["one two", " three four", " five"]);
    let verdicts: Vec<Verdict> = events.into_iter().map(|event| trim.push(event, &mut out)).collect();
    assert!(verdicts.contains(&Verdict::Done));
    let what: Vec<&What> = out.iter().map(|event| &event.what).collect();
    let [What::ItemOpen { .. }, .., What::ItemDone { item, .. }, What::Usage(usage), What::End { finish, .. }] =
        &what[..]
    else {
        panic!("{what:?}");
    };
    assert_eq!(text_of(item), "one two");
    assert_eq!(*usage, Usage { input: 7, output: 2, estimated: true, ..Usage::default() });
    assert_eq!(*finish, Finish::Length);
}

#[test]
fn the_limit_itself_is_not_a_cut() {
    assert_eq!(outcome(&run(&limits(Some(2), &[]), reply(&["one two"]))).finish, Finish::Stop);
}

#[test]
fn a_stop_sequence_across_deltas_is_not_delivered() {
    let out = outcome(&run(&limits(None, &["\nUser:"]), reply(&["Hi\n", "Us", "er", ": more"])));
    assert_eq!((out.text.as_str(), out.item.as_deref(), out.finish), ("Hi", Some("Hi"), Finish::Stop));
}

#[test]
fn the_sequence_that_is_complete_first_wins() {
    let out = outcome(&run(&limits(None, &["abcd", "bc"]), reply(&["xabcd"])));
    assert_eq!(out.text, "xa");
}

#[test]
fn what_comes_behind_held_text_stays_behind_it() {
    let note = || Event::new(What::Annotation { at: 0, part: 0, data: crate::text::Json::of(&1) });
    let events = vec![delta(0, "see S"), note(), delta(0, "o"), end()];
    let out = run(&limits(None, &["STOP"]), events);
    let shape: String = out
        .iter()
        .map(|event| match &event.what {
            What::Delta { data, .. } => data.plain().into_owned(),
            What::Annotation { .. } => "|".to_owned(),
            _ => ".".to_owned(),
        })
        .collect();
    assert_eq!(shape, "see S|o.");
}

#[test]
fn a_failure_comes_behind_the_text_before_it() {
    let failure = Failure::new(Kind::Upstream, "cut");
    let out = run(&limits(None, &["STOP"]), vec![delta(0, "ST"), Event::new(What::Fail(failure.clone()))]);
    assert_eq!(outcome(&out[..1]).text, "ST");
    assert_eq!(out[1].what, What::Fail(failure));
}

#[test]
fn reasoning_and_arguments_do_not_count() {
    let other = |channel| Event::new(What::Delta { at: 0, part: 0, channel, data: "STOP one two three".into() });
    let events = vec![other(Channel::Reasoning), other(Channel::Summary), other(Channel::Arguments), end()];
    assert_eq!(run(&limits(Some(1), &["STOP"]), events.clone()), events);
}

#[test]
fn segments_are_counted_together_and_searched_apart() {
    let two = |stop: &[&str]| {
        let events = vec![delta(0, "one two"), delta(1, " three four"), end()];
        outcome(&run(&limits(Some(3), stop), events))
    };
    assert_eq!(two(&[]).text, "one two three");
    assert_eq!(two(&["two three"]).finish, Finish::Length);
}

#[test]
fn halves_of_a_character_are_put_together() {
    let half = |escaped: &'static [u8]| {
        let data = Text::from_escaped(bytes::Bytes::from_static(escaped));
        Event::new(What::Delta { at: 0, part: 0, channel: Channel::Text, data })
    };
    let out = run(&limits(None, &["STOP"]), vec![half(br"a\ud83d"), half(br"\ude00b"), end()]);
    assert_eq!(outcome(&out).text, "a\u{1f600}b");
    let lone = run(&limits(None, &["STOP"]), vec![half(br"a\ud83d"), end()]);
    assert_eq!(outcome(&lone).text, "a\u{fffd}");
}
