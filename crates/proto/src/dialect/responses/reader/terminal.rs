//! How a reply ends.

use super::super::item;
use super::super::wire::Kind;
use super::{COVERED, Reader, State, opening, silent};
use crate::canon::{Carrier, Event, Finish, Usage, What};
use crate::dialect::openai_error;
use crate::failure::{self, Failure};
use crate::text::Json;

impl Reader {
    pub(super) fn terminal(&mut self, kind: Kind, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let response = json.get("response").unwrap_or_else(|| json.clone());
        let status = response.text("status");
        let failed = kind == Kind::Failed || status.is_some_and(|status| status.is("failed"));
        if failed {
            // A frame that calls a failed response completed must not pass.
            return self.fail(
                failed_response(&response),
                if kind == Kind::Failed { carrier } else { Carrier::Ours },
                out,
            );
        }
        self.opened(|| opening(&response), out);
        if self.seen.nothing_done() {
            self.late(&response, out);
        }
        if let Some(usage) = response.get("usage") {
            out.push(silent(What::Usage(tokens(&usage))));
        }
        self.state = State::Done;
        let finish = self.finish(kind, &response);
        out.push(Event { what: What::End { finish, response: Some(response) }, carrier });
    }

    /// Items that the terminal object alone tells of.
    fn late(&mut self, response: &Json, out: &mut Vec<Event>) {
        let Some(output) = response.get("output") else { return };
        for (at, item) in (0..).zip(output.elements()) {
            self.item(at, item::reply(&item), COVERED, out);
        }
    }

    fn finish(&self, kind: Kind, response: &Json) -> Finish {
        let status = response.text("status");
        let is = |name: &str| status.as_ref().is_some_and(|status| status.is(name));
        if kind == Kind::Cancelled || is("cancelled") {
            return Finish::Cancelled;
        }
        if kind == Kind::Incomplete || is("incomplete") {
            let reason = response.get("incomplete_details").and_then(|details| details.text("reason"));
            let filter = reason.is_some_and(|reason| reason.is("content_filter"));
            return if filter { Finish::Filter } else { Finish::Length };
        }
        if self.seen.has_call() { Finish::ToolCalls } else { Finish::Stop }
    }
}

fn failed_response(response: &Json) -> Failure {
    let Some(error) = response.get("error") else {
        return Failure::new(failure::Kind::Upstream, "The upstream says that the response failed, but not why.");
    };
    let mut failure = openai_error::of(&error);
    if failure.message.is_empty() {
        "The upstream says that the response failed.".clone_into(&mut failure.message);
    }
    failure
}

/// Token counts of a `usage` object.
pub(super) fn tokens(usage: &Json) -> Usage {
    let count = |json: &Json, name: &str| json.get(name).and_then(|value| value.as_u64()).unwrap_or(0);
    let detail = |group: &str, name: &str| usage.get(group).map_or(0, |group| count(&group, name));
    Usage {
        input: count(usage, "input_tokens"),
        cached: detail("input_tokens_details", "cached_tokens"),
        cache_write: detail("input_tokens_details", "cache_write_tokens"),
        output: count(usage, "output_tokens"),
        reasoning: detail("output_tokens_details", "reasoning_tokens"),
        estimated: false,
    }
}
