//! Availability of the server, derived from its last answers.

#[cfg(test)]
mod tests;

use std::io::ErrorKind;

/// Missed timeouts in a row after which the server counts as unavailable.
const BROKEN: u32 = 2;

/// What the result of an operation says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The server answers.
    Answers,
    /// The server answers, but aborted this operation because of other sessions: run it again.
    Retry,
    /// A timeout, or a broken connection.
    NoAnswer,
    /// The server refuses logins, shuts down, is full, or takes no writes any more.
    Unavailable,
}

/// The server's state.
#[derive(Debug, Default)]
pub(super) struct Health {
    missed_timeouts: u32,
    unavailable: bool,
    /// Counts recoveries.
    epoch: Epoch,
}

/// The time between two outages. Evidence counts only for the epoch in which its operation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Health {
    /// The current epoch; `None` while the server is unavailable and only the probe may connect.
    pub(super) fn current_epoch(&self) -> Option<Epoch> {
        (!self.unavailable).then_some(self.epoch)
    }

    /// Records that the server answers again. Operations of the old epoch may still time out and are ignored.
    pub(super) fn recovered(&mut self) {
        *self = Self { epoch: Epoch(self.epoch.0 + 1), ..Self::default() };
    }

    /// Records the evidence of an operation of this epoch; `true` when the evidence makes the server unavailable.
    pub(super) fn record(&mut self, word: Evidence, turn: Epoch) -> bool {
        if turn != self.epoch {
            return false;
        }
        match word {
            Evidence::Answers | Evidence::Retry => self.missed_timeouts = 0,
            Evidence::NoAnswer => self.missed_timeouts += 1,
            Evidence::Unavailable => self.missed_timeouts = BROKEN,
        }
        let leaves = !self.unavailable && self.missed_timeouts >= BROKEN;
        self.unavailable |= leaves;
        leaves
    }
}

/// The evidence of a finished operation. Codes: PostgreSQL's documentation, appendix A.
pub(super) fn evidence(error: Option<&sqlx::Error>) -> Evidence {
    match error {
        Some(sqlx::Error::Database(error)) => error.code().map_or(Evidence::Answers, |code| evidence_of_code(&code)),
        Some(sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Evidence::NoAnswer,
        Some(sqlx::Error::Io(error)) if error.kind() == ErrorKind::NotConnected => Evidence::Unavailable,
        // `Other` comes from a test's failpoint, not from the server.
        Some(sqlx::Error::Io(error)) if error.kind() != ErrorKind::Other => Evidence::NoAnswer,
        _ => Evidence::Answers,
    }
}

fn evidence_of_code(code: &str) -> Evidence {
    match code {
        // Serialization failure, deadlock, lock not available, query cancelled by its timeout.
        "40001" | "40P01" | "55P03" | "57014" => Evidence::Retry,
        // Read-only transaction, shutdown, crash, cannot connect now, too many connections.
        "25006" | "57P01" | "57P02" | "57P03" | "53300" => Evidence::Unavailable,
        code if code.starts_with("08") => Evidence::Unavailable,
        _ => Evidence::Answers,
    }
}
