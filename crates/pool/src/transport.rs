//! Which transport a model call to the backend takes: the WebSocket of its conversation, or a POST.
//!
//! A socket serves one conversation, one turn at a time, and the backend keeps that conversation. Later turns send only new items and
//! need no handshake. The first turn needs a handshake that a POST over an open connection does not.

#[cfg(test)]
mod tests;

use crate::Millis;

/// The owner's setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportMode {
    /// A socket for a conversation with several turns; a POST for a single turn, or where sockets do not work.
    #[default]
    Auto,
    /// Sockets only.
    WebSocket,
    /// POSTs only.
    Http,
}

impl TransportMode {
    /// The value in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::WebSocket => "websocket",
            Self::Http => "http",
        }
    }

    /// Reads the value of a setting.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Auto, Self::WebSocket, Self::Http].into_iter().find(|transport| transport.as_str() == word)
    }

    /// Whether a call takes a socket.
    pub fn uses_socket(self, facts: ConversationFacts) -> bool {
        match self {
            Self::Auto => facts.codex || facts.history || facts.tools,
            Self::WebSocket => true,
            Self::Http => false,
        }
    }
}

/// Facts about a conversation before its next turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversationFacts {
    /// The client is Codex, whose own client speaks over sockets.
    pub codex: bool,
    /// It has earlier answers of the model.
    pub history: bool,
    /// It has tools, so turns with their results will follow.
    pub tools: bool,
}

/// Failures in a row after which an account's sockets rest.
const FAILURES: u32 = 3;
/// How long they rest then, in milliseconds.
const REST: i64 = 10 * 60_000;
/// How long they rest after the backend refused sockets (426), in milliseconds.
const REFUSED: i64 = 60 * 60_000;

/// Whether sockets work for an account, by its last sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketHealth {
    failures: u32,
    until: Option<Millis>,
}

impl SocketHealth {
    /// Whether a socket may be tried.
    pub fn may_try(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Records that the backend accepted a socket.
    pub fn set_working(&mut self) {
        *self = Self::default();
    }

    /// Records that the backend refuses sockets.
    pub fn set_refused(&mut self, now: Millis) {
        self.until = Some(now.plus(REFUSED));
    }

    /// Records a socket that could not be opened for a reason that would not affect a POST.
    pub fn set_failed(&mut self, now: Millis) {
        self.failures += 1;
        if self.failures >= FAILURES {
            *self = Self { failures: 0, until: Some(now.plus(REST)) };
        }
    }
}
