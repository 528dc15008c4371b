//! Hosted tools that requests get without asking: the settings' or the key's own list.

use pool::hosted::Hosted;
use proto::canon::{Format, ToolChoice, ToolKind};

use super::Attempt;
use crate::accounts::Entry;
use crate::call::Call;
use crate::core::Core;

/// The tools that a call gets wherever it is served by an account. None for clients that bring what they need (Codex) or say that
/// they do, for bare prompts, and where the model must not choose freely or must answer in JSON, which a search's citations
/// would break.
pub(super) fn given(core: &Core, call: &Call) -> Vec<Hosted> {
    let request = &call.request;
    let free = matches!(request.tool_choice, None | Some(ToolChoice::Auto)) && !request.reply.generate;
    let text = !matches!(request.format, Some(Format::JsonObject | Format::JsonSchema { .. }));
    if call.client.codex || call.client.own_tools || !free || !text {
        return Vec::new();
    }
    let mut tools = core.keys.tools(&call.key).unwrap_or_else(|| core.settings.tools.clone());
    let asked = |tool: &Hosted| {
        let hosted = request.tools.iter().filter_map(|tool| match &tool.kind {
            ToolKind::Hosted { kind } => Some(kind),
            _ => None,
        });
        hosted.into_iter().any(|kind| tool.is(kind))
    };
    tools.retain(|tool| !asked(tool));
    tools
}

impl Attempt {
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
