//! Gemini streams, in both forms.

use bytes::Bytes;
use proto::framing::sse::Decoder;
use proto::json;
use proto::text::Json;

use super::tail;

/// The replies of a stream, and the error behind them. An error between SSE frames is a bare object.
pub(crate) fn replies(out: &[u8]) -> (Vec<Json>, Option<Json>) {
    if out.first() == Some(&b'[') {
        assert!(json::valid(out), "an array that is none: {}", tail(out));
        let mut list: Vec<Json> = Json::from_valid(Bytes::copy_from_slice(out)).elements().collect();
        let error = list.pop_if(|last| last.get("error").is_some());
        return (list, error);
    }
    let (mut decoder, mut frames) = (Decoder::new(usize::MAX >> 1), Vec::new());
    assert_eq!(decoder.push(Bytes::copy_from_slice(out), &mut frames), Ok(()));
    let rest = Bytes::copy_from_slice(decoder.held().trim_ascii());
    decoder.end(&mut frames);
    let reply = |data: Bytes| {
        assert!(json::valid(&data), "a frame is no JSON: {}", tail(&data));
        Json::from_valid(data)
    };
    let replies = frames.into_iter().map(|frame| reply(frame.data)).collect();
    (replies, (!rest.is_empty()).then(|| reply(rest)))
}

/// Checks a stream.
pub(super) fn check(out: &[u8], own: bool) {
    let (replies, error) = replies(out);
    let ended = |reply: &Json| {
        let candidate = reply.get("candidates").and_then(|list| list.elements().next());
        candidate.is_some_and(|candidate| candidate.text("finishReason").is_some())
    };
    let blocked =
        |reply: &Json| reply.get("promptFeedback").is_some_and(|feedback| feedback.text("blockReason").is_some());
    let ends = replies.iter().filter(|reply| ended(reply) || blocked(reply)).count();
    if let Some(error) = &error {
        let error = error.get("error").expect("what stands behind the replies is an error");
        assert!(error.get("code").is_some() && error.text("message").is_some() && error.text("status").is_some());
    }
    // An upstream's own frames may end more than once, and then fail.
    assert!(ends + usize::from(error.is_some()) >= 1, "no end: {}", tail(out));
    if own {
        assert_eq!(ends + usize::from(error.is_some()), 1, "ends: {}", tail(out));
        assert!(error.is_some() || replies.last().is_some_and(ended), "something after the end");
        replies.iter().for_each(reply);
    }
}

/// Checks a reply of our own.
fn reply(reply: &Json) {
    assert!(reply.text("modelVersion").is_some() && reply.text("responseId").is_some(), "a reply without names");
    let candidates: Vec<Json> = reply.get("candidates").expect("candidates").elements().collect();
    let [candidate] = candidates.as_slice() else { panic!("{} candidates", candidates.len()) };
    assert_eq!(candidate.get("index").and_then(|index| index.as_u64()), Some(0));
    let content = candidate.get("content").expect("a content");
    assert!(content.text("role").is_some_and(|role| role.is("model")));
    for part in content.get("parts").expect("parts").elements() {
        let kinds = ["text", "functionCall", "inlineData"].into_iter().filter(|kind| part.get(kind).is_some());
        assert_eq!(kinds.count(), 1, "a part is one thing");
        if let Some(call) = part.get("functionCall") {
            let args = call.get("args").is_some_and(|args| args.shape() == json::Shape::Object);
            assert!(call.text("id").is_some() && call.text("name").is_some() && args, "half a call");
        }
    }
}
