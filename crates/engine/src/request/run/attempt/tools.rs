//! Hosted tools that are added to requests by default: the list in the settings or of the key.

use pool::hosted::Hosted;
use proto::Item;
use proto::canon::{Format, ItemKind, ToolChoice, ToolKind};
use proto::dialect::responses::compact::is_compaction_request;

use super::ModelAttempt;
use crate::registry::accounts::AccountEntry;
use crate::request::call::Call;
use crate::request::services::Services;

/// The tools that a call gets when an account serves it. Empty for clients that bring their own tools (Codex, and lists of tools inside
/// the conversation) or declare that they do, for bare prompts and compactions, and where the model must not choose freely or must answer
/// in JSON, which a search's citations would break.
pub(super) fn default_tools(services: &Services, call: &Call) -> Vec<Hosted> {
    let request = &call.request;
    let free = matches!(request.tool_choice, None | Some(ToolChoice::Auto)) && !request.reply.generate;
    let unlisted = !request.items.first().is_some_and(is_tool_list) && !is_compaction_request(request);
    let text = !matches!(request.format, Some(Format::JsonObject | Format::JsonSchema { .. }));
    if call.client.codex || call.client.own_tools || !free || !text || !unlisted {
        return Vec::new();
    }
    let mut tools = services.registry.keys.tools(&call.key).unwrap_or_else(|| services.runtime.settings.tools.clone());
    // The client's own function of such a name takes precedence.
    let there = |tool: &Hosted| {
        request.tools.iter().any(|known| match &known.kind {
            ToolKind::Hosted { kind } => tool.is(kind),
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => name.is(tool.name()),
        })
    };
    tools.retain(|tool| !there(tool));
    tools
}

/// Whether an item is a list of tools, as the backend's newer models use.
fn is_tool_list(item: &Item) -> bool {
    matches!(&item.kind, ItemKind::Other { kind } if kind == "additional_tools")
}

impl ModelAttempt {
    /// The tools that are added for this account. Relays run no hosted tools. A tool that the account's plan lacks is left out, so that
    /// the account can still serve.
    pub(super) fn tools_for(&self, entry: &AccountEntry) -> Vec<Hosted> {
        if entry.relay.is_some() {
            return Vec::new();
        }
        let able = |tool: &Hosted| *tool != Hosted::ImageGeneration || entry.account.draws();
        self.tools.iter().copied().filter(able).collect()
    }
}
