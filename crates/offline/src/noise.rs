//! Background requests of the official client. The answer is a success, so that the client does not retry.

use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;

/// Prefixes of background paths below `/backend-api`.
const NOISE: [&str; 6] =
    ["/codex/analytics-events/", "/ps/", "/plugins/", "/wham/usage/", "/wham/config/", "/wham/agent-identities/"];

/// Paths below `/backend-api` about a login. The live backend's answers are not known; the client accepts these.
const SIDE: [&str; 3] = ["/wham/settings/user", "/wham/workspace-messages", "/wham/security-setup"];

/// Whether a path belongs to a background request.
pub(crate) fn is_noise(path: &str) -> bool {
    let rest = path.strip_prefix("/backend-api").unwrap_or_default();
    NOISE.iter().any(|noise| rest.starts_with(noise)) || SIDE.contains(&rest)
}

/// Answers a background request.
pub(crate) fn answer(call: &Call) -> Answer {
    let body: Value = match call.uri.path().strip_prefix("/backend-api").unwrap_or_default() {
        "/ps/mcp" => return mcp(&call.body),
        "/wham/workspace-messages" => json!({ "messages": [] }),
        "/wham/agent-identities/jwks" => json!({ "keys": [] }),
        path if path.starts_with("/ps/plugins") => json!({ "plugins": [], "pagination": {} }),
        _ if call.method == Method::POST => json!({ "success": true }),
        _ => json!({}),
    };
    Answer::json(200, &body)
}

/// An MCP server without tools.
fn mcp(body: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(id) = asked.get("id") else { return Answer::empty(202) };
    let result = match asked["method"].as_str() {
        Some("initialize") => json!({ "protocolVersion": asked["params"]["protocolVersion"], "capabilities": {},
            "serverInfo": { "name": "offline", "version": "0" } }),
        Some("tools/list") => json!({ "tools": [] }),
        Some("resources/list") => json!({ "resources": [] }),
        _ => json!({}),
    };
    Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}
