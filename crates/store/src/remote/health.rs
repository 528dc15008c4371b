//! Whether the server is there, by what its last answers were.

#[cfg(test)]
mod tests;

use std::io::ErrorKind;

/// Waits in a row that broke their bound, after which the server is away.
const BROKEN: u32 = 2;

/// What an answer says about its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is there.
    There,
    /// It is there, and gave this piece of work up in favour of another one's: run it again.
    Again,
    /// No answer in time, or a connection that broke.
    Broken,
    /// It lets nobody in, ends, is full, or takes no writes any more.
    Moved,
}

/// The server's state.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: u32,
    away: bool,
    /// How often it came back.
    turn: Turn,
}

/// The time between two absences: what an answer says counts in its own only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Health {
    /// The turn in which work begins; none where nobody but the task that asks should try.
    pub(super) fn turn(&self) -> Option<Turn> {
        (!self.away).then_some(self.turn)
    }

    /// The server answers again. Waits that began before it went away may break their bound yet, and say nothing of it.
    pub(super) fn back(&mut self) {
        *self = Self { turn: Turn(self.turn.0 + 1), ..Self::default() };
    }

    /// Takes in what an answer said to work of this turn; `true` when the server is away from now on.
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

/// What the end of a piece of work says about the server. Codes: PostgreSQL's documentation, appendix A.
pub(super) fn word(error: Option<&sqlx::Error>) -> Word {
    match error {
        Some(sqlx::Error::Database(error)) => error.code().map_or(Word::There, |code| spoken(&code)),
        Some(sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Word::Broken,
        Some(sqlx::Error::Io(error)) if error.kind() == ErrorKind::NotConnected => Word::Moved,
        // What a failpoint of the tests says is no word of the server.
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
