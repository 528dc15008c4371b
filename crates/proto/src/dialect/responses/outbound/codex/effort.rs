//! The choice of a request's effort.

use crate::canon::Request;
use crate::dialect::CodexTarget;
use crate::notes::Notes;

/// Every effort that is known, lowest first.
const ORDER: [&str; 8] = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"];

/// The effort that the request asks for, else the model suffix's, else the model's default; moved to the nearest lower effort
/// that the model lists, or to its lowest. Unknown values pass unchanged, for the upstream to judge.
pub(super) fn choose(request: &Request, target: &CodexTarget, notes: &mut Notes) -> Option<String> {
    let requested =
        request.reasoning.effort.as_deref().or(target.effort.as_deref()).or(target.default_effort.as_deref())?;
    let rank = |effort: &str| ORDER.iter().position(|known| *known == effort);
    let listed = target.efforts.is_empty() || target.efforts.iter().any(|effort| effort == requested);
    let (false, Some(requested_rank)) = (listed, rank(requested)) else { return Some(requested.to_owned()) };
    let ranks = target.efforts.iter().filter_map(|effort| rank(effort));
    let nearest = ranks.clone().filter(|rank| *rank < requested_rank).max().or_else(|| ranks.min());
    let Some(chosen) = nearest.map(|rank| ORDER[rank]) else { return Some(requested.to_owned()) };
    notes.add(format!("effort {requested} changed to {chosen}"));
    Some(chosen.to_owned())
}
