//! Which leg a model call to the backend takes: a WebSocket of its conversation, or a POST.
//!
//! A socket serves one conversation, one turn at a time, and remembers it: a turn sends what is new and waits for no handshake.
//! The first turn pays for it with a handshake that a POST over a connection in use does not need.

#[cfg(test)]
mod tests;

use crate::Millis;

/// What the owner chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// A socket where a conversation goes on; a POST where it does not, or where sockets do not work.
    #[default]
    Auto,
    /// Sockets only.
    WebSocket,
    /// POSTs only.
    Http,
}

impl Transport {
    /// The setting's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::WebSocket => "websocket",
            Self::Http => "http",
        }
    }

    /// The choice of a setting's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Auto, Self::WebSocket, Self::Http].into_iter().find(|transport| transport.as_str() == word)
    }

    /// Whether a call takes a socket.
    pub fn uses_socket(self, talk: ConversationFacts) -> bool {
        match self {
            Self::Auto => talk.codex || talk.history || talk.tools,
            Self::WebSocket => true,
            Self::Http => false,
        }
    }
}

/// What is known of a conversation before its next turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversationFacts {
    /// The client is Codex, whose own client speaks over sockets.
    pub codex: bool,
    /// The model has spoken in it before.
    pub history: bool,
    /// It has tools, whose results will come.
    pub tools: bool,
}

/// Sockets that fail, one after the other, before an account's are left alone.
const FAILURES: u32 = 3;
/// How long they are left alone for then, in milliseconds.
const REST: i64 = 10 * 60_000;
/// The same after the backend said that it wants no sockets (426).
const REFUSED: i64 = 60 * 60_000;

/// Whether sockets work for an account, by what became of the last ones.
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

    /// The backend took a socket.
    pub fn set_working(&mut self) {
        *self = Self::default();
    }

    /// The backend wants none.
    pub fn set_refused(&mut self, now: Millis) {
        self.until = Some(now.plus(REFUSED));
    }

    /// A socket could not be opened, for no reason that a POST would meet too.
    pub fn set_failed(&mut self, now: Millis) {
        self.failures += 1;
        if self.failures >= FAILURES {
            *self = Self { failures: 0, until: Some(now.plus(REST)) };
        }
    }
}
