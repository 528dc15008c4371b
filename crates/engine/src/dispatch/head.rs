//! The upstream's response headers: what the gateway learns from them, and which of them the client gets.

use http::{HeaderMap, HeaderName};
use pool::AccountId;
use pool::quota::Quota;
use pool::status::Signal;

use super::Dispatch;

/// The turn state, which a Codex client echoes.
pub(crate) const TURN_STATE: &str = "x-codex-turn-state";
/// Changes when the account's model list does.
pub(crate) const MODELS_ETAG: &str = "x-models-etag";

/// The model that answered. Codex warns when it is not the one that was asked for.
pub(crate) const MODEL: &str = "openai-model";

/// Headers for every client, besides the rate-limit family.
const OPEN: [&str; 1] = [MODEL];
/// Headers for Codex clients only.
const CODEX: [&str; 3] = [TURN_STATE, MODELS_ETAG, "x-reasoning-included"];
/// The rate-limit family: `x-codex-` followed by a name with one of these.
const FAMILY: [&str; 9] = [
    "-used-percent", "-window-minutes", "-reset-at", "-reset-after-seconds", "-limit-percent", "-limit-name",
    "-active-limit", "-plan-type", "-rate-limit-reached-type",
];

/// The headers that the client may see.
pub(crate) fn client_headers(headers: &HeaderMap, codex: bool) -> HeaderMap {
    let open = |name: &HeaderName| OPEN.contains(&name.as_str()) || is_rate_limit_header(name.as_str());
    let passes = |name: &HeaderName| open(name) || codex && for_codex(name.as_str());
    headers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Removes the rate-limit family, which is about one account.
pub(crate) fn remove_rate_limits(headers: &mut HeaderMap) {
    let limits: Vec<_> = headers.keys().filter(|name| is_rate_limit_header(name.as_str())).cloned().collect();
    for name in limits {
        headers.remove(name);
    }
}

/// Learns from the headers of a 200.
pub(crate) fn served(dispatch: &Dispatch, id: &AccountId, headers: &HeaderMap) {
    dispatch.signal(id, &Signal::Served);
    quota(dispatch, id, headers);
    if let Some(etag) = text(headers, MODELS_ETAG) {
        dispatch.model_queue.saw_etag(&dispatch.registry.accounts, id, etag);
    }
}

/// Learns the quota figures of any answer.
pub(crate) fn quota(dispatch: &Dispatch, id: &AccountId, headers: &HeaderMap) {
    if let Some(quota) = Quota::from_headers(pairs(headers), dispatch.runtime.now()) {
        dispatch.learn_quota(id, quota);
    }
}

/// A header's text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The headers with text values.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
}

fn is_rate_limit_header(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("x-codex").filter(|rest| rest.starts_with('-')) else { return false };
    rest.starts_with("-credits-") || FAMILY.iter().any(|part| rest.ends_with(part))
}

fn for_codex(name: &str) -> bool {
    CODEX.contains(&name) || name.starts_with("x-codex-safety-buffering") || name == "x-codex-promo-message"
}

#[cfg(test)]
mod tests;
