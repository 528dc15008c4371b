//! Calls of the Codex client for features that the gateway does not have. The client accepts each response without retries or warnings
//! (seen with 0.169.0, 2026-11-22).

use bytes::Bytes;
use http::StatusCode;
use proto::Failure;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::body;
use crate::response::{HandlerResult, json, json_bytes, no_content};
use crate::route::RequestContext;

/// A call of the Model Context Protocol (JSON-RPC); a call without an id is a notification.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Params,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    protocol_version: Option<String>,
}

#[derive(Serialize)]
struct RpcReply<'a, T> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult<'a> {
    protocol_version: &'a str,
    capabilities: Empty,
    server_info: Server,
}

#[derive(Serialize)]
struct Server {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Tools {
    tools: [u64; 0],
}

#[derive(Serialize)]
struct Plugins {
    plugins: [u64; 0],
    pagination: Empty,
}

#[derive(Serialize)]
struct Empty {}

/// The protocol version if the client names none.
const PROTOCOL: &str = "2025-06-18";
/// The longest text of a version, bytes.
const VERSION: usize = 32;

/// `POST /backend-api/ps/mcp`: a server without tools. The client sends no credential on this path.
pub(crate) async fn mcp(ctx: RequestContext) -> HandlerResult {
    let body = body::read_public(&ctx.parts.headers, ctx.body).await.map_err(Failure::from)?;
    let Ok(call) = serde_json::from_slice::<Call<'_>>(&body) else { return Ok(no_content(StatusCode::BAD_REQUEST)) };
    let Some(id) = call.id.filter(|id| id.get().len() <= VERSION) else { return Ok(no_content(StatusCode::ACCEPTED)) };
    let asked = call.params.protocol_version.filter(|version| version.len() <= VERSION);
    Ok(match call.method.as_str() {
        "initialize" => rpc_reply(
            id,
            InitializeResult {
                protocol_version: asked.as_deref().unwrap_or(PROTOCOL),
                capabilities: Empty {},
                server_info: Server { name: "polygate", version: "1" },
            },
        ),
        "tools/list" => rpc_reply(id, Tools { tools: [] }),
        _ => rpc_reply(id, Empty {}),
    })
}

fn rpc_reply<T: Serialize>(id: &RawValue, result: T) -> http::Response<crate::response::Body> {
    json(StatusCode::OK, &RpcReply { jsonrpc: "2.0", id, result })
}

/// `GET /backend-api/ps/plugins/...`: none.
pub(crate) async fn plugins(_ask: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &Plugins { plugins: [], pagination: Empty {} }))
}

/// `GET .../agent-identities/jwks`: the keys that sign agents' identities. The gateway signs no identities, so the client trusts none. The
/// client sends no credential on this path.
pub(crate) async fn jwks(_ask: RequestContext) -> HandlerResult {
    Ok(json_bytes(StatusCode::OK, Bytes::from_static(br#"{"keys":[]}"#)))
}

/// Settings, which are all unset, and reports of the client, which are dropped.
pub(crate) async fn empty_object(_ask: RequestContext) -> HandlerResult {
    Ok(json_bytes(StatusCode::OK, Bytes::from_static(b"{}")))
}
