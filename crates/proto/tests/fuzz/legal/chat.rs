//! Chat streams.

use proto::text::Json;

use super::Frame;

/// Checks the frames of one reply.
pub(super) fn check(frames: &[Frame], own: bool) {
    let ends = |frame: &Frame| match frame {
        Frame::Done => true,
        Frame::Data(_, json) => json.get("error").is_some(),
        Frame::Garbled(_) => false,
    };
    let count = frames.iter().filter(|frame| ends(frame)).count();
    assert!(count == 1 && frames.last().is_some_and(ends), "{count} ends of {} frames", frames.len());
    if own {
        let failed = matches!(frames.last(), Some(Frame::Data(..)));
        let chunks = frames.iter().filter(|frame| !ends(frame)).filter_map(|frame| match frame {
            Frame::Data(_, json) => Some(json),
            Frame::Done | Frame::Garbled(_) => None,
        });
        chunks_of_ours(&chunks.collect::<Vec<_>>(), failed);
    }
}

fn chunks_of_ours(chunks: &[&Json], failed: bool) {
    let Some(first) = chunks.first() else { return assert!(failed, "an empty reply") };
    let (mut calls, mut finished) = (0, false);
    for (position, chunk) in chunks.iter().enumerate() {
        for field in ["id", "object", "created", "model"] {
            assert!(chunk.get(field).is_some() && chunk.get(field) == first.get(field), "{field} changes");
        }
        let choices: Vec<Json> = chunk.get("choices").expect("a chunk has choices").elements().collect();
        let Some(choice) = choices.first() else {
            assert!(finished && position + 1 == chunks.len() && chunk.get("usage").is_some(), "an early usage chunk");
            continue;
        };
        assert!(choices.len() == 1 && choice.get("index").and_then(|index| index.as_u64()) == Some(0));
        assert!(!finished, "a choice after the finish reason");
        let delta = choice.get("delta").expect("a choice has a delta");
        assert_eq!(delta.text("role").is_some(), position == 0, "the role comes once and first");
        for call in delta.get("tool_calls").iter().flat_map(Json::elements) {
            number(&call, &mut calls);
        }
        if let Some(called) = delta.get("function_call") {
            let new = called.text("name").is_some();
            assert_eq!(new, calls == 0, "the legacy call is named once and first");
            calls = calls.max(1);
        }
        finished = choice.text("finish_reason").is_some();
    }
    assert!(finished || failed, "no finish reason");
}

/// Numbers count up from 0; a new one comes with id and name, an old one without.
fn number(call: &Json, calls: &mut u64) {
    let index = call.get("index").and_then(|index| index.as_u64()).expect("a call has a number");
    let called = call.get("function").or_else(|| call.get("custom")).expect("a call says what is called");
    let new = index == *calls;
    assert!(new || index < *calls, "call {index} after {calls}");
    assert!(call.text("id").is_some() == new && called.text("name").is_some() == new, "id and name come once");
    *calls += u64::from(new);
}
