//! Tools in the form that an upstream accepts: free-text tools as functions where the upstream has only functions, names in the allowed
//! characters, and call ids that are short enough. [`super::tool_replies`] reverses this for the calls of the answer.
//!
//! The result depends on the request and the protocol alone, so that the next turn of a conversation is written the same. A client's own
//! body is left to the service that it was written for; bodies for OpenAI's Responses are edited item by item.

use std::fmt::Write as _;

use super::{Target, Wire};
use crate::canon::{CallKind, Item, ItemKind, Request, Tool, ToolChoice, ToolKind};
use crate::json::emit;
use crate::json::patch::{Edit, patch, set};
use crate::notes::Notes;
use crate::text::{Json, Text};

#[cfg(test)]
mod tests;

/// The parameters of a function that replaces a free-text tool.
const FREE: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// Most characters of a call id that OpenAI accepts.
const LONGEST_ID: usize = 64;

/// Which tools, names and ids an upstream accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    wire: Wire,
    /// Whether the upstream has functions only.
    pub(crate) functions_only: bool,
}

impl Rules {
    /// The rules for a request; `None` for a client's own body.
    pub(crate) fn of(request: &Request, wire: Wire, target: &Target) -> Option<Self> {
        let own = request.own_body(wire.into()).is_some();
        if own && wire != Wire::Responses {
            return None;
        }
        let functions_only = match (wire, target) {
            (Wire::Chat, Target::Relay(relay)) => relay.functions_only,
            (Wire::Responses | Wire::Chat, _) => false,
            (Wire::Messages | Wire::Gemini, _) => true,
        };
        Some(Self { wire, functions_only })
    }

    /// The replacement for a name that this upstream refuses; `None` for an accepted name.
    pub(crate) fn renamed(self, name: &Text) -> Option<Text> {
        let plain = name.plain();
        let most = if matches!(self.wire, Wire::Chat | Wire::Gemini) { 64 } else { 128 };
        let legal = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || self.wire == Wire::Gemini && matches!(c, '.' | ':')
        };
        let head = self.wire != Wire::Gemini || plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if head && plain.len() <= most && plain.chars().all(legal) {
            return None;
        }
        let mut short = if head { String::new() } else { "_".to_owned() };
        short.extend(plain.chars().map(|c| if legal(c) { c } else { '_' }).take(most - 10));
        let _ = write!(short, "_{:08x}", hash(&plain) >> 32);
        Some(Text::from_plain(&short))
    }

    /// The replacement for a call id that is too long; `None` for one that is short enough.
    fn shortened(self, id: &Text) -> Option<Text> {
        let plain = id.plain();
        if matches!(self.wire, Wire::Messages | Wire::Gemini) || plain.chars().count() <= LONGEST_ID {
            return None;
        }
        let head: String = plain.chars().take(LONGEST_ID - 17).collect();
        Some(Text::from_plain(&format!("{head}_{:016x}", hash(&plain))))
    }
}

/// The request with tools that the upstream accepts; `None` when it accepts the client's tools unchanged.
pub(super) fn fit(request: &Request, wire: Wire, target: &Target, notes: &mut Notes) -> Option<Request> {
    let rules = Rules::of(request, wire, target)?;
    let tools: Vec<_> = request.tools.iter().map(|tool| rules.tool(tool, notes)).collect();
    let items: Vec<_> = request.items.iter().map(|item| rules.item(item, notes)).collect();
    let choice = request.tool_choice.as_ref().and_then(|choice| rules.choice(choice));
    if choice.is_none() && tools.iter().all(Option::is_none) && items.iter().all(Option::is_none) {
        return None;
    }
    let mut fitted = request.clone();
    let put = |(old, new): (&mut Tool, Option<Tool>)| new.map_or((), |new| *old = new);
    fitted.tools.iter_mut().zip(tools).for_each(put);
    let put = |(old, new): (&mut Item, Option<Item>)| new.map_or((), |new| *old = new);
    fitted.items.iter_mut().zip(items).for_each(put);
    fitted.tool_choice = choice.or(fitted.tool_choice);
    Some(fitted)
}

impl Rules {
    fn tool(self, tool: &Tool, notes: &mut Notes) -> Option<Tool> {
        let (ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }) = &tool.kind else { return None };
        let renamed = self.renamed(name);
        if renamed.is_some() {
            notes.add("renamed tools whose names the upstream refuses");
        }
        let mut new = Tool { kind: tool.kind.clone(), raw: tool.raw.clone() };
        if let (ToolKind::Custom { name, description, .. }, true) = (&tool.kind, self.functions_only) {
            notes.add("sent custom tools as functions");
            let (name, description) = (name.clone(), description.clone());
            let parameters = Some(Json::from_valid(FREE.into()));
            new = Tool { kind: ToolKind::Function { name, description, parameters, strict: None }, raw: None };
        } else if renamed.is_none() {
            return None;
        }
        if let (Some(to), ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }) = (renamed, &mut new.kind) {
            new.raw = new.raw.map(|raw| set(&raw, "name", &to.quoted()));
            *name = to;
        }
        Some(new)
    }

    fn item(self, item: &Item, notes: &mut Notes) -> Option<Item> {
        let mut new = item.clone();
        let mut edits: Vec<(&'static str, Json)> = Vec::new();
        if let ItemKind::Call { name, .. } = &mut new.kind
            && let Some(to) = self.renamed(name)
        {
            edits.push(("name", to.quoted()));
            *name = to;
        }
        if let ItemKind::Call { call_id, .. } | ItemKind::Output { call_id, .. } = &mut new.kind
            && let Some(to) = self.shortened(call_id)
        {
            notes.add("shortened call ids");
            edits.push(("call_id", to.quoted()));
            *call_id = to;
        }
        let plain = self.functions_only && as_function(&mut new.kind);
        if !plain && edits.is_empty() {
            return None;
        }
        let edit = |raw: Json| edits.iter().fold(raw, |raw, (name, value)| set(&raw, name, value));
        new.raw = new.raw.filter(|_| !plain).map(edit);
        Some(new)
    }

    fn choice(self, choice: &ToolChoice) -> Option<ToolChoice> {
        match choice {
            ToolChoice::Custom(name) if self.functions_only => {
                Some(ToolChoice::Function(self.renamed(name).unwrap_or_else(|| name.clone())))
            }
            ToolChoice::Custom(name) => self.renamed(name).map(ToolChoice::Custom),
            ToolChoice::Function(name) => self.renamed(name).map(ToolChoice::Function),
            ToolChoice::Other(json) => self.allowed(json).map(ToolChoice::Other),
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => None,
        }
    }

    /// A list of allowed tools with the names and kinds that are sent; `None` when nothing changes.
    fn allowed(self, choice: &Json) -> Option<Json> {
        let tools: Vec<Json> = choice.get("tools")?.elements().collect();
        let fitted: Vec<Json> = tools.iter().map(|tool| self.allowed_tool(tool)).collect();
        (tools != fitted).then(|| set(choice, "tools", &emit::list(&fitted)))
    }

    fn allowed_tool(self, tool: &Json) -> Json {
        let custom = self.functions_only && tool.text("type").is_some_and(|kind| kind.is("custom"));
        let renamed = tool.text("name").and_then(|name| self.renamed(&name));
        let edit = |key: &Text, _: &Json| match &renamed {
            _ if custom && key.is("type") => Edit::Set(Text::from("function").quoted()),
            Some(to) if key.is("name") => Edit::Set(to.quoted()),
            _ => Edit::Keep,
        };
        patch(tool, edit, [])
    }
}

/// Turns a free-text call or its output into a function's; `false` for every other item.
fn as_function(item: &mut ItemKind) -> bool {
    match item {
        ItemKind::Call { kind: kind @ CallKind::Custom, input, .. } => {
            *kind = CallKind::Function;
            *input = Text::from_plain(&format!(r#"{{"input":"{}"}}"#, input.as_str()));
            true
        }
        ItemKind::Output { kind: kind @ CallKind::Custom, .. } => {
            *kind = CallKind::Function;
            true
        }
        _ => false,
    }
}

/// FNV-1a: the same on every machine and in every version, which the standard hasher does not promise.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
