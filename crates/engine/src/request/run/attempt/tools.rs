//! Hosted tools that requests get without asking: the settings' or the key's own list.

use pool::hosted::Hosted;
use proto::Item;
use proto::canon::{Format, ItemKind, ToolChoice, ToolKind};
use proto::dialect::responses::compact::is_asked;

use super::ModelAttempt;
use crate::registry::accounts::Entry;
use crate::request::call::Call;
use crate::request::services::Services;

/// The tools that a call gets wherever it is served by an account. None for clients that bring what they need (Codex, and lists of
/// tools inside the conversation) or say that they do, for bare prompts and compactions, and where the model must not choose
/// freely or must answer in JSON, which a search's citations would break.
pub(super) fn given(services: &Services, call: &Call) -> Vec<Hosted> {
    let request = &call.request;
    let free = matches!(request.tool_choice, None | Some(ToolChoice::Auto)) && !request.reply.generate;
    let unlisted = !request.items.first().is_some_and(is_tool_list) && !is_asked(request);
    let text = !matches!(request.format, Some(Format::JsonObject | Format::JsonSchema { .. }));
    if call.client.codex || call.client.own_tools || !free || !text || !unlisted {
        return Vec::new();
    }
    let mut tools = services.registry.keys.tools(&call.key).unwrap_or_else(|| services.runtime.settings.tools.clone());
    // A function of the client's by such a name is what it wants called.
    let there = |tool: &Hosted| {
        request.tools.iter().any(|known| match &known.kind {
            ToolKind::Hosted { kind } => tool.is(kind),
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => name.is(tool.name()),
        })
    };
    tools.retain(|tool| !there(tool));
    tools
}

/// Whether an item brings the tools with it, as those of the backend's newer models do.
fn is_tool_list(item: &Item) -> bool {
    matches!(&item.kind, ItemKind::Other { kind } if kind == "additional_tools")
}

impl ModelAttempt {
    /// The tools that are added for this account: relays run none of these, and what a plan does not have must not keep an account
    /// from serving what nobody asked to be drawn.
    pub(super) fn tools_for(&self, entry: &Entry) -> Vec<Hosted> {
        if entry.relay.is_some() {
            return Vec::new();
        }
        let able = |tool: &Hosted| *tool != Hosted::ImageGeneration || entry.account.draws();
        self.tools.iter().copied().filter(able).collect()
    }
}
