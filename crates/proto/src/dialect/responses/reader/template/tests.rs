use proptest::prelude::*;

use super::super::super::wire::{Kind, head};
use super::super::delta;
use super::*;
use crate::dialect::mismatches::{MISSES, PAUSE};

const FRAMES: [&str; 4] = [
    r#"{"type":"response.output_text.delta","content_index":0,"delta":"Hi","item_id":"msg_1","logprobs":[],"obfuscation":"x8Kq","output_index":1,"sequence_number":9}"#,
    r#"{"type":"response.function_call_arguments.delta","delta":"{\"a\":","item_id":"fc_1","output_index":2,"sequence_number":10} "#,
    r#" { "type" : "response.reasoning_summary_text.delta" , "sequence_number" : 11 , "summary_index" : 3 , "delta" : "" }"#,
    r#"{"type":"response.output_text.delta","delta":"a","delta":"b","obfuscation":7,"sequence_number":-1}"#,
];

fn scanned(data: &[u8]) -> Option<(Channel, Scanned)> {
    let (name, after) = head(data)?;
    let Kind::Delta(channel) = Kind::of(name) else { return None };
    Some((channel, delta::scan(data, after, channel)?))
}

fn learned(data: &[u8]) -> Option<Template> {
    let (channel, scanned) = scanned(data)?;
    let mut template = Template::default();
    template.learn(data, channel, &scanned);
    Some(template)
}

fn span(data: &[u8]) -> Option<(Channel, DeltaSpan)> {
    scanned(data).map(|(channel, scanned)| (channel, scanned.span))
}

#[test]
fn frames_of_one_layout_need_no_scan() {
    for (first, second) in [
        (FRAMES[0], FRAMES[0].replace("Hi", r#"\"quoted\" \u00e9"#).replace("x8Kq", "").replace(":9}", ":1234}")),
        (FRAMES[1], FRAMES[1].replace(r#"{\"a\":"#, "").replace(":10}", ":0}")),
        (FRAMES[2], FRAMES[2].replace(r#""" }"#, r#""words" }"#)),
    ] {
        let mut template = learned(first.as_bytes()).unwrap();
        let own = template.find(second.as_bytes());
        assert!(own.is_some(), "{second}");
        assert_eq!(own, span(second.as_bytes()), "{second}");
    }
}

#[test]
fn other_layouts_are_scanned() {
    let mut template = learned(FRAMES[0].as_bytes()).unwrap();
    for (from, to) in [
        ("msg_1", "msg_2"),
        ("\"output_index\":1", "\"output_index\":2"),
        ("\"content_index\":0", "\"content_index\":1"),
        ("9}", "9,\"more\":1}"),
        ("9}", "9} "),
        ("9}", "9"),
        ("9}", "09}"),
        ("9}", "9.5}"),
        ("output_text", "refusal"),
        ("\"Hi\"", "\"Hi"),
        ("\"Hi\"", "null"),
    ] {
        let other = FRAMES[0].replace(from, to);
        assert_eq!(template.find(other.as_bytes()), None, "{other}");
    }
    let broken =
        [FRAMES[0].split("Hi").next().unwrap().as_bytes(), b"\xFF", FRAMES[0].split("Hi").last().unwrap().as_bytes()];
    assert_eq!(template.find(&broken.concat()), None, "a piece that is not UTF-8");
}

#[test]
fn little_is_learned_where_no_frame_is_like_the_last() {
    let mut template = Template::default();
    for n in 0..100 {
        let data = FRAMES[0].replace("msg_1", &format!("msg_{n}"));
        assert_eq!(template.find(data.as_bytes()), None);
        let (channel, scanned) = scanned(data.as_bytes()).unwrap();
        template.learn(data.as_bytes(), channel, &scanned);
        assert_eq!(template.shape.is_some(), n < MISSES || (n + 1) % PAUSE == 0, "{n}");
    }
}

/// When frames stop differing, the stream is read on the fast path again.
#[test]
fn what_settles_late_is_learned_too() {
    let mut template = Template::default();
    let mut learn = |data: &str| {
        let fast = template.find(data.as_bytes()).is_some();
        if !fast {
            let (channel, scanned) = scanned(data.as_bytes()).unwrap();
            template.learn(data.as_bytes(), channel, &scanned);
        }
        fast
    };
    for n in 0..20 {
        assert!(!learn(&FRAMES[0].replace("msg_1", &format!("msg_{n}x"))));
    }
    let fast = (0..100).filter(|_| learn(FRAMES[0])).count();
    assert!(fast >= 100 - PAUSE as usize, "{fast}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn agrees_with_the_scan(
        frame in prop::sample::select(&FRAMES[..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\x00-\\x7Fé\"\\\\0-9]{0,3}"), 0..3),
    ) {
        let mut data = frame.to_owned();
        for (from, length, with) in edits {
            let from = data.floor_char_boundary(from.index(data.len() + 1));
            let to = data.floor_char_boundary((from + length.index(4)).min(data.len())).max(from);
            data.replace_range(from..to, &with);
        }
        let mut template = learned(frame.as_bytes()).unwrap();
        let own = template.find(data.as_bytes());
        prop_assert!(own.is_none() || own == span(data.as_bytes()), "{:?}: {:?}", data, own);
    }
}
