//! The usage row of a call that was handed on, with what the relay says at the end of its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use pool::AccountId;
use proto::{Dialect, Failure};
use serde::Deserialize;
use store::{Outcome, TokenUsage, UsageRow};
use tokio::time::Instant;
use uuid::Uuid;

use super::ForwardRequest;
use crate::dispatch::head;
use crate::request::services::Services;

/// A client that left, as nginx logs it.
const LEFT: u16 = 499;
/// How much of the end of an answer is looked at for figures.
const TAIL: usize = 4 << 10;
/// Longest model name in a row, bytes.
const NAME: usize = 128;

/// The row in the making; written when it is dropped.
pub(super) struct ForwardUsage {
    services: Arc<Services>,
    row: UsageRow,
    began: Instant,
    /// The last bytes of an answer that may tell figures.
    tail: Option<Vec<u8>>,
}

/// Token counts, as embeddings, audio and images spell them.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct Figures {
    prompt_tokens: u64,
    input_tokens: u64,
    completion_tokens: u64,
    output_tokens: u64,
}

impl ForwardUsage {
    pub(super) fn open(services: &Arc<Services>, errand: &ForwardRequest) -> Self {
        let asked = errand.model.as_deref().unwrap_or_default();
        let row = UsageRow {
            id: Uuid::now_v7(),
            request_id: errand.request_id.as_str().into(),
            at: services.runtime.now(),
            key: errand.key.0.clone(),
            account: None,
            dialect: errand.service.word().into(),
            model: asked[..asked.floor_char_boundary(NAME)].to_owned(),
            status: LEFT,
            outcome: Outcome::Aborted,
            tally: TokenUsage::default(),
            attempts: 0,
            ttft_ms: None,
            duration_ms: 0,
            stream: false,
            notes: String::new(),
        };
        Self { services: Arc::clone(services), row, began: Instant::now(), tail: None }
    }

    pub(super) fn model(&mut self, slug: &str) {
        slug.clone_into(&mut self.row.model);
    }

    pub(super) fn call_started(&mut self, relay: &AccountId) {
        self.row.account = Some(relay.clone());
        self.row.attempts += 1;
    }

    pub(super) fn attempts(&self) -> u32 {
        self.row.attempts
    }

    /// Looks at the kind of an answer: sounds and pictures tell no figures.
    pub(super) fn kind(&mut self, headers: &HeaderMap) {
        let kind = head::text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        self.row.stream = kind.starts_with("text/event-stream");
        self.tail = (self.row.stream || kind.starts_with("application/json")).then(Vec::new);
    }

    /// Looks at a piece of the answer.
    pub(super) fn on_chunk(&mut self, chunk: &Bytes) {
        if self.row.ttft_ms.is_none() {
            self.row.ttft_ms = Some(millis(self.began));
        }
        let Some(tail) = &mut self.tail else { return };
        let new = &chunk[chunk.len().saturating_sub(TAIL)..];
        let keep = (tail.len() + new.len()).saturating_sub(TAIL).min(tail.len());
        tail.drain(..keep);
        tail.extend_from_slice(new);
    }

    pub(super) fn complete(&mut self) {
        self.row.status = 200;
        self.row.outcome = Outcome::Completed;
        let figures = self.tail.as_deref().and_then(figures).unwrap_or_default();
        self.row.tally.input = figures.prompt_tokens.max(figures.input_tokens);
        self.row.tally.output = figures.completion_tokens.max(figures.output_tokens);
    }

    pub(super) fn fail(&mut self) {
        self.row.status = 200;
        self.row.outcome = Outcome::Failed;
    }

    pub(super) fn refuse(&mut self, failure: &Failure) {
        self.row.status = Dialect::Chat.error(failure).0;
        self.row.outcome = Outcome::Failed;
    }
}

impl Drop for ForwardUsage {
    fn drop(&mut self) {
        let row = UsageRow { duration_ms: millis(self.began), ..self.row.clone() };
        self.services.runtime.store.usage().record(row);
    }
}

/// The last `usage` object in the end of a JSON text.
fn figures(tail: &[u8]) -> Option<Figures> {
    const KEY: &[u8] = b"\"usage\"";
    let at = tail.windows(KEY.len()).rposition(|window| window == KEY)?;
    let rest = tail[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?;
    serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_at_the_end_of_an_answer() {
        let rows: [(&str, Option<(u64, u64)>); 6] = [
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
        for (tail, expected) in rows {
            let found = figures(tail.as_bytes());
            let pair = found.map(|found| (found.prompt_tokens.max(found.input_tokens), found.output_tokens));
            assert_eq!(pair, expected, "{tail}");
        }
    }
}
