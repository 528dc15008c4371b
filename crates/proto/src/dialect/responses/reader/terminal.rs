//! The end of a reply.

use super::super::item;
use super::super::wire::Kind;
use super::{COVERED, ResponsesAnswer, opening, silent};
use crate::canon::{Carrier, Event, Finish, Usage, What};
use crate::dialect::stream_reader::Progress;
use crate::failure::{self, Failure};
use crate::text::{Json, Text};
use crate::upstream_error;

impl ResponsesAnswer {
    pub(super) fn terminal(
        &mut self,
        kind: Kind,
        json: &Json,
        carrier: Carrier,
        out: &mut Vec<Event>,
    ) -> Result<Progress, Failure> {
        let response = json.get("response").unwrap_or_else(|| json.clone());
        let [status, usage, details] = response.get_each(["status", "usage", "incomplete_details"]);
        let status = status.and_then(|status| status.as_text());
        let failed = kind == Kind::Failed || status.as_ref().is_some_and(|status| status.is("failed"));
        if failed && kind == Kind::Failed {
            out.push(Event { what: What::Fail(failed_response(&response)), carrier });
            return Ok(Progress::Done);
        }
        if failed {
            // A frame that reports a failed response as completed must not pass.
            return Err(failed_response(&response));
        }
        self.opened(|| opening(&response), out);
        if self.items.nothing_done() {
            self.late(&response, out);
        }
        if let Some(usage) = usage {
            out.push(silent(What::Usage(tokens(&usage))));
        }
        let finish = self.finish(kind, status.as_ref(), details.as_ref());
        out.push(Event { what: What::End { finish, response: Some(response) }, carrier });
        Ok(Progress::Done)
    }

    /// Items that appear only in the terminal object.
    fn late(&mut self, response: &Json, out: &mut Vec<Event>) {
        let Some(output) = response.get("output") else { return };
        for (at, item) in (0..).zip(output.elements()) {
            self.item(at, item::reply(&item), COVERED, out);
        }
    }

    fn finish(&self, kind: Kind, status: Option<&Text>, details: Option<&Json>) -> Finish {
        let is = |name: &str| status.is_some_and(|status| status.is(name));
        if kind == Kind::Cancelled || is("cancelled") {
            return Finish::Cancelled;
        }
        if kind == Kind::Incomplete || is("incomplete") {
            let reason = details.and_then(|details| details.text("reason"));
            let filter = reason.is_some_and(|reason| reason.is("content_filter"));
            return if filter { Finish::Filter } else { Finish::Length };
        }
        if self.items.has_call() { Finish::ToolCalls } else { Finish::Stop }
    }
}

fn failed_response(response: &Json) -> Failure {
    let Some(error) = response.get("error") else {
        return Failure::new(failure::Kind::Upstream, "The upstream says that the response failed, but not why.");
    };
    let mut failure = upstream_error::from_object(&error);
    if failure.message.is_empty() {
        "The upstream says that the response failed.".clone_into(&mut failure.message);
    }
    failure
}

/// Token counts of a `usage` object.
pub(super) fn tokens(usage: &Json) -> Usage {
    let count = |value: Option<Json>| value.and_then(|value| value.as_u64()).unwrap_or(0);
    let [input, inputs, output, outputs] =
        usage.get_each(["input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details"]);
    let [cached, cache_write] =
        inputs.map_or([None, None], |inputs| inputs.get_each(["cached_tokens", "cache_write_tokens"]));
    Usage {
        input: count(input),
        cached: count(cached),
        cache_write: count(cache_write),
        output: count(output),
        reasoning: count(outputs.and_then(|outputs| outputs.get("reasoning_tokens"))),
        estimated: false,
    }
}
