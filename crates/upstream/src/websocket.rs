//! WebSockets to the backend: the pool of idle sockets, and the replies over sockets.

pub(crate) mod pool;
pub(crate) mod reply;
pub(crate) mod watched_conn;

use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::fault::root_cause;

/// The message for a lost connection.
pub(crate) fn connection_lost(error: &tungstenite::Error) -> String {
    format!("the socket broke: {}", root_cause(error))
}

/// The message for a close frame.
pub(crate) fn close_reason(frame: Option<&CloseFrame>) -> String {
    let Some(frame) = frame else { return "the socket was closed".to_owned() };
    let reason: String = frame.reason.chars().filter(|c| !c.is_control()).take(120).collect();
    format!("the socket was closed ({}{}{reason})", u16::from(frame.code), if reason.is_empty() { "" } else { ": " })
}
