//! Limits, thinking, format and the other options of a messages request.

use super::Scope;
use crate::canon::{Format, Reasoning, Request, Thinking};
use crate::dialect::request_values::stops;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{self, Shape, schema};
use crate::text::{Json, Text};

/// Most stop sequences.
const MAX_STOPS: usize = 64;
/// Sampling fields; relays get them unchanged.
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
/// The text that older versions of Claude Code put before the session in `metadata.user_id`.
const SESSION: &str = "_session_";
/// Thinking budgets, in tokens, and the effort up to each.
const BUDGETS: [(u64, &str); 3] = [(2_000, "low"), (8_000, "medium"), (20_000, "high")];

/// The client's `thinking` setting.
#[derive(Default)]
struct Thought {
    effort: Option<String>,
    off: bool,
    view: Thinking,
}

impl Scope {
    pub(super) fn options(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        request.limits.max_tokens = fields.read("max_tokens", node::positive)?;
        request.limits.stop = fields.read("stop_sequences", |node| stops(node, MAX_STOPS))?.unwrap_or_default();
        for name in SAMPLING {
            let value = fields.read(name, |node| node.shaped(Shape::Number, "a number"))?;
            request.sampling.extend(value.map(|value| (name, value)));
        }
        let thought = fields.read("thinking", |node| self.thinking(node))?;
        let thought = thought.unwrap_or_else(|| Thought { view: Thinking::Hidden, ..Thought::default() });
        let effort = fields.read("output_config", |node| self.output(node, request))?.flatten();
        // The beta's name of `output_config.format`.
        let format = fields.read("output_format", |node| self.format(node))?.flatten();
        request.format = request.format.take().or(format);
        request.reasoning = reasoning(&thought, effort);
        request.reply.thinking = thought.view;
        request.tier = tier(fields)?;
        request.cache_key = fields.read("metadata", |node| self.metadata(node))?.flatten();
        Ok(())
    }

    /// `enabled` with a budget, `adaptive`, or `disabled`.
    fn thinking(&mut self, node: Node<'_>) -> ReadResult<Thought> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        let budget = fields.read("budget_tokens", node::positive)?;
        let view = match fields.read("display", node::string)?.as_deref() {
            Some("omitted") => Thinking::Sealed,
            _ => Thinking::Shown,
        };
        let effort = budget.map(|budget| BUDGETS.iter().find(|(most, _)| budget < *most).map_or("xhigh", |(_, e)| e));
        let effort = effort.map(str::to_owned);
        let thought = match kind.as_str() {
            "enabled" | "adaptive" => Thought { effort, off: false, view },
            "disabled" => Thought { effort: None, off: true, view: Thinking::Hidden },
            other => return Err(fields.unknown("type", other)),
        };
        self.unread("thinking", fields);
        Ok(thought)
    }

    /// `{effort, format}`; returns the effort.
    fn output(&mut self, node: Node<'_>, request: &mut Request) -> ReadResult<Option<String>> {
        let mut fields = node.object()?;
        let effort = fields.read("effort", node::string)?;
        request.format = fields.read("format", |node| self.format(node))?.flatten();
        self.unread("output_config", fields);
        Ok(effort)
    }

    /// `{type: json_schema, schema}`; `None` is plain text.
    fn format(&mut self, node: Node<'_>) -> ReadResult<Option<Format>> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        if kind == "text" {
            return Ok(None);
        }
        if kind != "json_schema" {
            return Err(fields.unknown("type", &kind));
        }
        let name = fields.read("name", node::filled)?.unwrap_or_else(|| Text::from("output"));
        let schema = fields.need("schema", schema::read)?;
        self.unread("output_config.format", fields);
        Ok(Some(Format::JsonSchema { name, description: None, schema, strict: Some(true) }))
    }

    /// `{user_id}`, in which Claude Code puts its session id. The session id is a good cache key; the rest of `user_id` is private.
    fn metadata(&mut self, node: Node<'_>) -> ReadResult<Option<Text>> {
        let mut fields = node.object()?;
        let user = fields.read("user_id", node::string)?.unwrap_or_default();
        self.unread("metadata", fields);
        let session = session(&user).filter(|session| !session.is_empty() && session.len() <= 64);
        if session.is_none() && !user.is_empty() {
            self.notes.add("dropped metadata.user_id");
        }
        Ok(session.map(|session| Text::from_plain(&session)))
    }
}

/// The session in `{"session_id":"..."}` or `user_..._session_...`.
fn session(user: &str) -> Option<String> {
    if user.starts_with('{') && json::valid(user.as_bytes()) {
        let object = Json::from_valid(user.to_owned().into());
        return object.text("session_id").map(|session| session.plain().into_owned());
    }
    user.rsplit_once(SESSION).map(|(_, session)| session.to_owned())
}

fn reasoning(thought: &Thought, effort: Option<String>) -> Reasoning {
    let off = thought.off.then(|| "none".to_owned());
    let summary = (thought.view == Thinking::Shown).then(|| "auto".to_owned());
    Reasoning { effort: off.or(effort).or_else(|| thought.effort.clone()), summary }
}

/// `service_tier` in OpenAI's terms; `speed: fast` is the faster tier.
fn tier(fields: &mut Fields<'_>) -> ReadResult<Option<String>> {
    let speed = fields.read("speed", node::string)?;
    let tier = fields.read("service_tier", node::string)?;
    if speed.as_deref() == Some("fast") {
        return Ok(Some("priority".to_owned()));
    }
    Ok(tier.map(|tier| if tier == "standard_only" { "default".to_owned() } else { tier }))
}
