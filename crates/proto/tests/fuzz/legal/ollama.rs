//! Ollama streams: lines of JSON.

use proto::text::Json;

use super::tail;

/// The lines of a stream.
pub(crate) fn lines(out: &[u8]) -> Vec<Json> {
    assert!(out.is_empty() || out.ends_with(b"\n"), "half a line: {}", tail(out));
    let lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let line = |line: &[u8]| {
        assert!(proto::json::valid(line), "a line is no JSON: {}", tail(line));
        Json::from_valid(bytes::Bytes::copy_from_slice(line))
    };
    lines.map(line).collect()
}

/// Checks a stream: one end, in the last line, which repeats no text.
pub(super) fn check(out: &[u8]) {
    let lines = lines(out);
    let ended = |line: &Json| line.get("done").and_then(|done| done.as_bool()) == Some(true);
    let failed = |line: &Json| line.text("error").is_some();
    let ends = lines.iter().filter(|line| ended(line) || failed(line)).count();
    let last = lines.last().expect("a stream has an end");
    assert!(ends == 1 && (ended(last) || failed(last)), "{ends} ends: {}", tail(out));
    for line in lines.iter().filter(|line| !failed(line)) {
        assert!(line.text("model").is_some() && line.text("created_at").is_some_and(|at| at.as_str().len() == 30));
        let (message, response) = (line.get("message"), line.text("response"));
        assert!(message.is_some() != response.is_some(), "a line is of one form: {}", line.as_str());
    }
    if ended(last) {
        let content = last.get("message").and_then(|message| message.text("content")).or(last.text("response"));
        assert!(content.is_some_and(|text| text.is_empty()), "the end says something again: {}", last.as_str());
        for name in ["total_duration", "prompt_eval_count", "eval_count", "eval_duration"] {
            assert!(last.get(name).and_then(|number| number.as_u64()).is_some(), "{name}: {}", last.as_str());
        }
    }
}
