//! Availability of the server, derived from its last answers.

#[cfg(test)]
mod tests;

use std::io::ErrorKind;

/// Missed timeouts in a row after which the server counts as unavailable.
const BROKEN: u32 = 2;

/// What the result of an operation says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The server answers.
    There,
    /// The server answers, but aborted this operation because of other sessions: run it again.
    Again,
    /// A timeout, or a broken connection.
    Broken,
    /// The server refuses logins, shuts down, is full, or takes no writes any more.
    Moved,
}

/// The server's state.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: u32,
    away: bool,
    /// Counts recoveries.
    turn: Turn,
}

/// The time between two outages. Evidence counts only for the epoch in which its operation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Health {
    /// The current epoch; `None` while the server is unavailable and only the probe may connect.
    pub(super) fn turn(&self) -> Option<Turn> {
        (!self.away).then_some(self.turn)
    }

    /// The server answers again. Operations of the old epoch may still time out and are ignored.
    pub(super) fn back(&mut self) {
        *self = Self { turn: Turn(self.turn.0 + 1), ..Self::default() };
    }

    /// Records the evidence of an operation of this epoch; `true` when it makes the server unavailable.
    pub(super) fn hear(&mut self, word: Word, turn: Turn) -> bool {
        if turn != self.turn {
            return false;
        }
        match word {
            Word::There | Word::Again => self.broken = 0,
            Word::Broken => self.broken += 1,
            Word::Moved => self.broken = BROKEN,
        }
        let leaves = !self.away && self.broken >= BROKEN;
        self.away |= leaves;
        leaves
    }
}

/// The evidence of a finished operation. Codes: PostgreSQL's documentation, appendix A.
pub(super) fn word(error: Option<&sqlx::Error>) -> Word {
    match error {
        Some(sqlx::Error::Database(error)) => error.code().map_or(Word::There, |code| spoken(&code)),
        Some(sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Word::Broken,
        Some(sqlx::Error::Io(error)) if error.kind() == ErrorKind::NotConnected => Word::Moved,
        // `Other` comes from a test's failpoint, not from the server.
        Some(sqlx::Error::Io(error)) if error.kind() != ErrorKind::Other => Word::Broken,
        _ => Word::There,
    }
}

fn spoken(code: &str) -> Word {
    match code {
        // Serialization failure, deadlock, lock not available, query cancelled by its own bound.
        "40001" | "40P01" | "55P03" | "57014" => Word::Again,
        // Read-only transaction, shutdown, crash, cannot connect now, too many connections.
        "25006" | "57P01" | "57P02" | "57P03" | "53300" => Word::Moved,
        code if code.starts_with("08") => Word::Moved,
        _ => Word::There,
    }
}
