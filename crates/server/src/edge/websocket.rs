//! The Responses API over a WebSocket: messages in, calls of the engine, messages out. Replies run one after the other. The guard
//! checks the upgrade request only; the key is checked again with every message.
//!
//! A WebSocket has no task of its own: the connection's task continues with it after HTTP ([`ConnectionState::upgrade`]).

mod frames;
mod handshake;
mod limits;
mod metadata;
mod metered_stream;
mod scan;
mod session;
mod turn;

use std::net::IpAddr;
use std::sync::Arc;

use engine::ConnectionHistory;
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use proto::{Failure, Kind};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use self::metered_stream::MeteredStream;
use self::session::Session;
use crate::app::App;
use crate::connection::head_filter::HeadFilter;
use crate::connection::state::ConnectionState;
use crate::response::HandlerResult;
use crate::route::{RequestContext, Route};

/// Initial size of the read buffer; it grows with the message.
const READ: usize = 4 << 10;
/// Bytes of messages that are collected into one write.
const WRITE: usize = 32 << 10;

/// The state shared by the messages of one connection.
struct SocketContext {
    app: Arc<App>,
    connection: Arc<ConnectionState>,
    /// The route of the upgrade request.
    route: &'static Route,
    /// The client's address.
    peer: IpAddr,
    /// The headers of the upgrade request.
    headers: HeaderMap,
    /// The last response.
    history: Arc<ConnectionHistory>,
}

/// Accepts an upgrade request.
pub(crate) fn accept(ctx: RequestContext) -> HandlerResult {
    let RequestContext { app, connection, mut parts, route, peer, .. } = ctx;
    let accepted = handshake::accept(&parts)?;
    let full = |_| Failure::new(Kind::Overloaded, "Too many WebSockets are open").code("overloaded").retry_after(5);
    let permit = Arc::clone(&app.sockets).try_acquire_owned().map_err(full)?;
    let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else { return Err(handshake::upgrade_required(&parts)) };
    let context = SocketContext {
        app,
        connection: Arc::clone(&connection),
        route,
        peer,
        headers: parts.headers,
        history: Arc::default(),
    };
    connection.upgrade(Box::pin(async move {
        let _permit = permit;
        if let Some(meter) = upgraded_stream(upgrade, &context).await {
            let socket = websocket_stream(meter, &context).await;
            Session::new(Arc::new(context), socket).run().await;
        }
    }));
    Ok(accepted)
}

async fn upgraded_stream(upgrade: OnUpgrade, context: &SocketContext) -> Option<MeteredStream> {
    let upgraded = upgrade.await.inspect_err(|error| tracing::debug!(%error, "no upgrade")).ok()?;
    let parts = upgraded.downcast::<TokioIo<HeadFilter>>().ok()?;
    Some(MeteredStream::new(parts.io.into_inner(), parts.read_buf, context.app.budget.clone()))
}

/// A WebSocket stream with empty buffers.
async fn websocket_stream(meter: MeteredStream, context: &SocketContext) -> WebSocketStream<MeteredStream> {
    let most = usize::try_from(context.app.limits.wire).unwrap_or(usize::MAX);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(WRITE)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    WebSocketStream::from_raw_socket(meter, Role::Server, Some(config)).await
}
