//! The amount of thinking that a request asks for, in the fields that the model's generation knows.
//!
//! Claude 4.6 and later choose the budget themselves (`adaptive`) and take an effort; models from 3.7 to 4.5, and most other
//! servers of this protocol, take a budget in tokens; older ones cannot think.

use super::{MAX_TOKENS, tools};
use crate::canon::Request;
use crate::dialect::RelayTarget;
use crate::json::emit;
use crate::notes::Notes;
use crate::quirks::ClaudeThinking;
use crate::text::Json;

/// Smallest budget that Anthropic accepts, in tokens.
pub(super) const LEAST: u64 = 1024;

/// Output tokens that every thinking Claude supports: the upper bound for added room if the model's own maximum is unknown.
const ROOM: u64 = 32_000;

/// Anthropic's rule: with a thinking budget, a continued turn must begin with the thought that led to it.
pub(super) const THOUGHTLESS: &str = "dropped thinking in a turn that began without a thought";

/// The values for the body.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Output tokens, thinking included.
    pub(super) max_tokens: u64,
    /// `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    /// Whether the model thinks, which rules sampling fields out.
    pub(super) thinks: bool,
    form: Form,
    /// Whether the client wants to see a summary.
    shown: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Form {
    /// The body has no `thinking` field.
    #[default]
    Silent,
    Off,
    Adaptive,
    Budget(u64),
}

impl Plan {
    /// The plan for a request; `thoughtless` when the request continues a turn that does not begin with a thought.
    pub(super) fn of(request: &Request, relay: &RelayTarget, thoughtless: bool, notes: &mut Notes) -> Self {
        let shown = request.reasoning.summary.is_some();
        let max_tokens = limit(request, relay, notes);
        let mut plan = Self { max_tokens, shown, ..Self::default() };
        let Some(effort) = requested_effort(request, relay, notes) else { return plan };
        let thinking = ClaudeThinking::of(&relay.model);
        if effort == "none" {
            plan.form = if thinking == ClaudeThinking::Never { Form::Silent } else { Form::Off };
            return plan;
        }
        if let Some(why) = no_thinking_reason(request, thinking, thoughtless) {
            notes.add(why);
            return plan;
        }
        if let Some(size) = size(effort) {
            plan.apply(size, thinking, relay, notes);
        }
        plan
    }

    fn apply(
        &mut self,
        (effort, budget): (&'static str, u64),
        thinking: ClaudeThinking,
        relay: &RelayTarget,
        notes: &mut Notes,
    ) {
        // The limit includes thinking, but the client meant the answer alone.
        let most = relay.max_output.unwrap_or(ROOM);
        let room = self.max_tokens.saturating_add(budget).min(most.max(self.max_tokens));
        if thinking == ClaudeThinking::Adaptive {
            (self.form, self.effort, self.max_tokens, self.thinks) = (Form::Adaptive, Some(effort), room, true);
            return;
        }
        let budget = budget.min(room.saturating_sub(self.max_tokens).max(self.max_tokens / 2));
        if budget < LEAST {
            notes.add("dropped reasoning effort for want of room");
            return;
        }
        (self.form, self.max_tokens, self.thinks) = (Form::Budget(budget), room, true);
    }

    /// The `thinking` object, if the body needs one.
    pub(super) fn thinking(&self) -> Option<Json> {
        Some(emit::json(|writer| match self.form {
            Form::Silent | Form::Off => writer.string("type", "disabled"),
            Form::Adaptive => {
                writer.string("type", "adaptive");
                if self.shown {
                    writer.string("display", "summarized");
                }
            }
            Form::Budget(budget) => {
                writer.string("type", "enabled");
                writer.number("budget_tokens", budget);
            }
        }))
        .filter(|_| self.form != Form::Silent)
    }
}

/// The effort that the client requests, else the model suffix's. An unknown value counts as none: it is not sent, and a later
/// reader of the body finds no effort in it.
fn requested_effort<'w>(request: &'w Request, relay: &'w RelayTarget, notes: &mut Notes) -> Option<&'w str> {
    let efforts = [&request.reasoning.effort, &relay.effort];
    efforts.into_iter().filter_map(Option::as_deref).find(|effort| {
        let known = *effort == "none" || size(effort).is_some();
        if !known {
            notes.add("dropped reasoning effort");
        }
        known
    })
}

/// The effort in this protocol's terms, and its budget in tokens.
fn size(effort: &str) -> Option<(&'static str, u64)> {
    match effort {
        "minimal" | "low" => Some(("low", 1024)),
        "medium" => Some(("medium", 8192)),
        "high" => Some(("high", 16_000)),
        "xhigh" => Some(("xhigh", 32_000)),
        "max" | "ultra" => Some(("max", 32_000)),
        _ => None,
    }
}

/// The reason why the model cannot think about this request, if there is one.
fn no_thinking_reason(request: &Request, thinking: ClaudeThinking, thoughtless: bool) -> Option<&'static str> {
    match thinking {
        _ if tools::forced(request) => Some("dropped reasoning effort beside a forced tool"),
        ClaudeThinking::Never => Some("dropped reasoning effort"),
        ClaudeThinking::Budget if thoughtless => Some(THOUGHTLESS),
        ClaudeThinking::Budget | ClaudeThinking::Adaptive => None,
    }
}

/// `max_tokens`, which this protocol requires.
fn limit(request: &Request, relay: &RelayTarget, notes: &mut Notes) -> u64 {
    let most = relay.max_output.unwrap_or(u64::MAX);
    match request.limits.max_tokens {
        Some(limit) if limit > most => {
            notes.add(format!("lowered max_tokens to {most}"));
            most
        }
        Some(limit) => limit,
        None => relay.max_output.unwrap_or_else(|| {
            notes.add(format!("set max_tokens to {MAX_TOKENS}"));
            MAX_TOKENS
        }),
    }
}
