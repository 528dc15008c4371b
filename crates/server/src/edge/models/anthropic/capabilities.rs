//! A model's capabilities, in the fields of `ModelCapabilities` of the official SDKs (`@anthropic-ai/sdk` 1.11.0): those in the model's
//! catalogue entry, and those to which requests of this protocol are translated.

use pool::catalog::Model;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Capabilities {
    batch: Support,
    citations: Support,
    /// Tools called by code that the model runs.
    code_execution: Support,
    context_management: Management,
    effort: Effort,
    image_input: Support,
    pdf_input: Support,
    server_tools: ServerTools,
    structured_outputs: Support,
    thinking: Thought,
}

#[derive(Clone, Copy, Serialize)]
struct Support {
    supported: bool,
}

#[derive(Serialize)]
struct Management {
    supported: bool,
    clear_thinking_20251015: Option<Support>,
    clear_tool_uses_20250919: Option<Support>,
    compact_20260112: Option<Support>,
}

#[derive(Serialize)]
struct Effort {
    supported: bool,
    low: Support,
    medium: Support,
    high: Support,
    xhigh: Support,
    max: Support,
}

#[derive(Serialize)]
struct ServerTools {
    supported: bool,
    web_search: Support,
    code_execution: Support,
}

#[derive(Serialize)]
struct Thought {
    supported: bool,
    types: Types,
}

#[derive(Serialize)]
struct Types {
    adaptive: Support,
    between_tools: Support,
    disabled: Support,
    enabled: Support,
}

const YES: Support = Support { supported: true };
const NO: Support = Support { supported: false };

impl Capabilities {
    /// A model's capabilities from the catalogue; `None` if the model's entry has no capabilities, as for most relays.
    pub(super) fn of(model: &Model) -> Option<Self> {
        if model.efforts.is_empty() && model.modalities.is_empty() {
            return None;
        }
        let sees = Support { supported: model.modalities.iter().any(|modality| modality == "image") };
        let thinks = Support { supported: !model.efforts.is_empty() };
        Some(Self {
            batch: NO,
            citations: NO,
            code_execution: NO,
            context_management: Management {
                supported: false,
                clear_thinking_20251015: None,
                clear_tool_uses_20250919: None,
                compact_20260112: None,
            },
            effort: Effort::of(&model.efforts),
            image_input: sees,
            // The model reads the pages of a document as images.
            pdf_input: sees,
            server_tools: ServerTools { supported: true, web_search: YES, code_execution: NO },
            structured_outputs: YES,
            thinking: Thought {
                supported: thinks.supported,
                types: Types { adaptive: thinks, between_tools: NO, disabled: YES, enabled: thinks },
            },
        })
    }
}

impl Effort {
    fn of(listed: &[String]) -> Self {
        let lists = |name: &str| Support { supported: listed.iter().any(|effort| effort == name) };
        Self {
            supported: !listed.is_empty(),
            low: lists("low"),
            medium: lists("medium"),
            high: lists("high"),
            xhigh: lists("xhigh"),
            max: lists("max"),
        }
    }
}
