//! Every header that a kind of call may have, in the order of the official client 0.169.0 (measured 2026-11-21), and the fields of
//! its bodies.

/// `POST /codex/responses`.
pub(crate) const CALL: &[&str] = &[
    "version",
    "x-openai-account-routing-override",
    "x-codex-beta-features",
    "x-codex-turn-state",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-parent-thread-id",
    "x-openai-subagent",
    "x-openai-internal-codex-responses-lite",
    "x-codex-routing-hint",
    "x-client-request-id",
    "session-id",
    "thread-id",
    "accept",
    "content-encoding",
    "content-type",
    "authorization",
    "chatgpt-account-id",
    "x-openai-fedramp",
    "originator",
    "user-agent",
    "cookie",
    "host",
    "content-length",
];

/// `GET /codex/responses` with an upgrade; without the compression that the official client offers, because no library here supports it.
pub(crate) const UPGRADE: &[&str] = &[
    "Host",
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "chatgpt-account-id",
    "x-openai-fedramp",
    "authorization",
    "user-agent",
    "originator",
    "openai-beta",
    "version",
    "x-openai-account-routing-override",
    "x-codex-beta-features",
    "x-client-request-id",
    "session-id",
    "thread-id",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-parent-thread-id",
    "x-openai-subagent",
    "x-codex-routing-hint",
];

/// `GET /codex/models`.
pub(crate) const MODELS: &[&str] =
    &["version", "authorization", "chatgpt-account-id", "originator", "user-agent", "accept", "host"];

/// `GET /wham/...`.
pub(crate) const SIDE: &[&str] = &["user-agent", "authorization", "chatgpt-account-id", "accept", "host"];

/// `POST /wham/...`.
pub(crate) const ORDER: &[&str] =
    &["user-agent", "authorization", "chatgpt-account-id", "content-type", "accept", "host", "content-length"];

/// `POST /codex/images/generations`.
pub(crate) const PICTURE: &[&str] = &[
    "version", "x-codex-image-turn-id", "x-codex-turn-metadata", "authorization", "chatgpt-account-id", "content-type",
    "originator", "user-agent", "accept", "cookie", "host", "content-length",
];

/// Refresh and revocation.
pub(crate) const REFRESH: &[&str] = &["content-type", "originator", "user-agent", "accept", "host", "content-length"];

/// The other calls of the auth server.
pub(crate) const AUTH: &[&str] = &["content-type", "accept", "host", "content-length"];

/// A message over a socket; a POST's body is the same without `type`, `previous_response_id` and `generate`.
pub(crate) const FRAME: &[&str] = &[
    "type", "model", "stream", "previous_response_id", "service_tier", "input", "tools", "tool_choice",
    "parallel_tool_calls", "reasoning", "store", "include", "prompt_cache_key", "text", "generate", "client_metadata",
];

/// The names that a message's `client_metadata` may have.
pub(crate) const METADATA: &[&str] = &[
    "guardian_credits_requested",
    "mcp_attribution",
    "parent_turn_id",
    "root_turn_id",
    "session_id",
    "thread_id",
    "turn_id",
    "ws_request_header_x_openai_internal_codex_responses_lite",
    "x-codex-installation-id",
    "x-codex-parent-thread-id",
    "x-codex-turn-metadata",
    "x-codex-turn-state",
    "x-codex-window-id",
    "x-codex-ws-stream-request-start-ms",
    "x-openai-subagent",
];

/// Checks that all names are in the list, in the list's order.
pub(crate) fn assert_in<'a>(order: &[&str], names: impl IntoIterator<Item = &'a str>) {
    let names: Vec<&str> = names.into_iter().collect();
    let ordered: Vec<&str> = order.iter().copied().filter(|name| names.contains(name)).collect();
    assert_eq!(names, ordered);
}
