//! A shape changes the timing and position of bytes, not their content.

use bytes::Bytes;

use super::{Frame, Frames, Step, Steps};
use crate::plan::api::Api;
use crate::plan::wire::Termination;
use crate::plan::{Newline, Plan, Split, Wait};

fn frames() -> Frames {
    let texts = ["event: a\ndata: {\"id\":\"resp_1\"}\n\n", "event: b\ndata: 2\n\n", "event: c\ndata: 3\n\n"];
    Box::new(texts.into_iter().map(|text| Frame { bytes: Bytes::from(text), token: true }))
}

fn steps(plan: &Plan) -> Vec<Step> {
    Steps::new(frames(), plan.shape.clone(), Api::Backend).collect()
}

fn text(steps: &[Step]) -> String {
    let bytes = steps.iter().filter_map(|step| match step {
        Step::Bytes(bytes) => Some(bytes.to_vec()),
        _ => None,
    });
    String::from_utf8(bytes.flatten().collect()).unwrap()
}

fn plain() -> String {
    frames().map(|frame| String::from_utf8(frame.bytes.to_vec()).unwrap()).collect()
}

#[test]
fn keeps_the_bytes_at_any_split() {
    let whole = plain();
    for size in 1..=whole.len() + 1 {
        let cut = steps(&Plan::auto().split(Split::Every(size)));
        assert_eq!(text(&cut), whole);
        let lengths = cut.iter().filter_map(|step| match step {
            Step::Bytes(bytes) => Some(bytes.len()),
            _ => None,
        });
        let lengths: Vec<usize> = lengths.collect();
        assert!(lengths[..lengths.len() - 1].iter().all(|length| *length == size), "{lengths:?}");
    }
    assert_eq!(text(&steps(&Plan::auto().split(Split::Sizes(vec![0, 2, 100])))), whole);
    assert_eq!(text(&steps(&Plan::auto().split(Split::Events))), whole);
}

#[test]
fn cuts_at_every_byte() {
    let whole = plain();
    for byte in 0..=whole.len() {
        let cut = steps(&Plan::auto().cut_byte(byte as u64, Termination::Reset));
        assert_eq!(text(&cut), whole[..byte]);
        assert!(matches!(cut.last(), Some(Step::End(Termination::Reset))), "{byte}");
    }
    assert_eq!(text(&steps(&Plan::auto().cut_byte(10_000, Termination::Reset))), whole, "a cut beyond the end is none");
}

#[test]
fn cuts_after_every_event() {
    for event in 0..=3_u32 {
        let cut = steps(&Plan::auto().cut_event(event, Termination::Fin));
        assert_eq!(text(&cut).matches("event:").count(), event as usize);
        assert!(matches!(cut.last(), Some(Step::End(Termination::Fin))));
    }
}

#[test]
fn says_why_it_fails() {
    let failed = Termination::Failed { code: "x".into(), message: "y".into() };
    let cut = text(&steps(&Plan::auto().cut_event(1, failed)));
    assert!(cut.contains("event: response.failed\n") && cut.matches("resp_1").count() == 2);
}

#[test]
fn stands_still_where_told() {
    let waited = steps(&Plan::auto().pause(0, "a").pause(2, "b").hold(Wait::Forever));
    let order: Vec<&str> = waited
        .iter()
        .map(|step| match step {
            Step::Wait(Wait::Gate(name)) => name.as_str(),
            Step::Wait(Wait::Forever) => "forever",
            _ => "bytes",
        })
        .collect();
    assert_eq!(order, ["a", "bytes", "bytes", "b", "bytes", "forever"]);
}

#[test]
fn ends_lines_otherwise() {
    let whole = plain();
    assert_eq!(text(&steps(&Plan::auto().newline(Newline::CrLf))), whole.replace('\n', "\r\n"));
    assert_eq!(text(&steps(&Plan::auto().newline(Newline::Cr))), whole.replace('\n', "\r"));
    let mut plan = Plan::auto();
    plan.shape.bom = true;
    assert_eq!(text(&steps(&plan)), format!("\u{feff}{whole}"));
}

#[test]
fn paces_tokens_only() {
    let paced = steps(&Plan::auto().pace(10.0).extra(1, ": c\n\n"));
    assert_eq!(paced.iter().filter(|step| matches!(step, Step::Pace)).count(), 3);
}
