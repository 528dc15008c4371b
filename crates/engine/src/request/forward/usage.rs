//! Token counts in the end of a forwarded answer.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use proto::canon::Usage;
use serde::Deserialize;

use crate::dispatch::head;

/// How many bytes of the end of an answer are searched.
const TAIL: usize = 4 << 10;

/// Finds the token counts of an answer in its last bytes.
pub(super) struct UsageFinder {
    /// Whether the answer is a stream.
    pub(super) stream: bool,
    /// The last bytes of the answer; `None` for content types without counts.
    tail: Option<Vec<u8>>,
}

/// Token counts in the spellings of embeddings, audio and images.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct Counts {
    prompt_tokens: u64,
    input_tokens: u64,
    completion_tokens: u64,
    output_tokens: u64,
}

impl UsageFinder {
    /// A finder for an answer with these headers: audio and pictures have no counts.
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let kind = head::text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let stream = kind.starts_with("text/event-stream");
        Self { stream, tail: (stream || kind.starts_with("application/json")).then(Vec::new) }
    }

    /// Stores the end of a piece of the answer.
    pub(super) fn on_chunk(&mut self, chunk: &Bytes) {
        let Some(tail) = &mut self.tail else { return };
        let new = &chunk[chunk.len().saturating_sub(TAIL)..];
        let keep = (tail.len() + new.len()).saturating_sub(TAIL).min(tail.len());
        tail.drain(..keep);
        tail.extend_from_slice(new);
    }

    /// The counts of the whole answer; zeros when it has none.
    pub(super) fn usage(&self) -> Usage {
        let counts = self.tail.as_deref().and_then(last_counts).unwrap_or_default();
        Usage {
            input: counts.prompt_tokens.max(counts.input_tokens),
            output: counts.completion_tokens.max(counts.output_tokens),
            ..Usage::default()
        }
    }
}

/// The last `usage` object in the end of a JSON text.
fn last_counts(tail: &[u8]) -> Option<Counts> {
    const KEY: &[u8] = b"\"usage\"";
    let at = tail.windows(KEY.len()).rposition(|window| window == KEY)?;
    let rest = tail[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?;
    serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_at_the_end_of_an_answer() {
        let cases: [(&str, Option<(u64, u64)>); 6] = [
            (r#"0.1]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#, Some((8, 0))),
            (r#"{"text":"hi","usage": {"type":"tokens","input_tokens":14,"output_tokens":45}}"#, Some((14, 45))),
            (
                "data: {\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}\n\n",
                Some((3, 4)),
            ),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"prompt_tokens":"many"}}"#, None),
            (r#"{"text":"hi"}"#, None),
        ];
        for (tail, expected) in cases {
            let counts = last_counts(tail.as_bytes());
            let pair = counts.map(|counts| (counts.prompt_tokens.max(counts.input_tokens), counts.output_tokens));
            assert_eq!(pair, expected, "{tail}");
        }
    }
}
