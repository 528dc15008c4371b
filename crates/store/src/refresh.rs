//! The refresh of a single-use token, as rows: lease, re-read, intent, commit.
//!
//! The lease keeps others away for 60 s. The intent says, before anything is sent, which token is about to be used, so
//! that after a crash it is known to be doubtful. The fence number grows with every grant and every change of tokens: a holder
//! that was away too long overwrites what came later only when that is still the token which it has spent. Each step is one
//! statement.

use pool::{AccountId, Millis, Status, Tokens};

use crate::account::{json, status};
use crate::seal::fingerprint;
use crate::statement::{Arg, args};
use crate::{Error, Store, failpoint, sql};

/// How long a lease holds.
const LEASE: i64 = 60_000;
/// A lease that ends further away than this was written under a wrong clock and does not count.
const BELIEVED: i64 = 10 * LEASE;
/// Tries to store a successor while other writes change the row.
const COMMIT_TRIES: usize = 16;

/// Why new tokens were not stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Fenced out: somebody took the lease over, or the account is gone or was signed in again.
    #[error("the refresh lease was taken over; these tokens are not stored")]
    Stale,
    /// The database failed; the ticket still holds, try again.
    #[error("new tokens are not stored yet: {source}")]
    Failed {
        /// For the next try.
        ticket: Box<Ticket>,
        /// Why.
        source: Error,
    },
}

/// The right to refresh one account until the lease ends or somebody takes over.
#[derive(Debug)]
pub struct Ticket {
    /// Whose tokens.
    pub id: AccountId,
    /// Fences a late commit: every grant and every change of tokens has a number of its own.
    pub version: i64,
    /// The tokens as stored when the lease was granted.
    pub tokens: Tokens,
    /// Whether this very refresh token was announced before and its answer is not known, as its holder died or lost it: it may be
    /// used up.
    pub interrupted: bool,
    /// Whether the account needs a login, as stored when the lease was granted: whoever had the lease before may have found that out.
    pub over: bool,
}

/// The answer to [`Store::begin_refresh`].
#[derive(Debug)]
pub enum Begin {
    /// Go on; nobody else may for 60 s.
    Granted(Ticket),
    /// Somebody else refreshes; look again then.
    Held {
        /// When the lease ends at the latest.
        until: Millis,
    },
    /// There is no such account.
    Gone,
}

impl Store {
    /// Takes the account's refresh lease for 60 s and re-reads its tokens, in one atomic statement. `holder` names the
    /// process for people.
    pub async fn begin_refresh(&self, id: &AccountId, holder: &str, now: Millis) -> Result<Begin, Error> {
        let until = now.plus(LEASE);
        let lease = args![&id.0, holder, until, now, now.plus(BELIEVED)];
        if let Some(row) = self.change(failpoint::LEASE, sql::LEASE, &lease).await? {
            let tokens = self.unseal_tokens(id, &row, 0)?;
            let digest = tokens.refresh.as_ref().map(|token| fingerprint(token, self.pepper()));
            let interrupted = row.maybe_text(6)?.is_some_and(|intent| Some(intent) == digest);
            let over = lost(&status(&id.0, &row.text(7)?)?);
            return Ok(Begin::Granted(Ticket { id: id.clone(), version: row.int(5)?, tokens, interrupted, over }));
        }
        match self.find(sql::LEASE_END, &args![&id.0]).await? {
            Some(row) => Ok(Begin::Held { until: row.maybe_int(0)?.map_or(now, Millis) }),
            None => Ok(Begin::Gone),
        }
    }

    /// Ends the leases of processes that have ended; how many. Open intents stay, for they say that a token may be used. A command that
    /// runs beside keeps its lease: its token is on its way. Of a store that other machines share nobody knows who has ended, and
    /// leases run out.
    pub async fn free_leases(&self) -> Result<u64, Error> {
        if self.shared() {
            return Ok(0);
        }
        let mut freed = 0;
        for row in self.read(sql::LEASE_HOLDERS, &[]).await? {
            let holder = row.text(0)?;
            if self.ended(&holder) {
                freed += self.write(failpoint::LEASE, sql::LEASES_FREE, &args![&holder]).await?;
            }
        }
        Ok(freed)
    }

    /// Announces durably that the refresh token is about to be used, and holds the lease for 60 s from now. Without `Ok`
    /// nothing may be sent.
    pub async fn intend(&self, ticket: &Ticket, now: Millis) -> Result<(), Error> {
        let digest = ticket.tokens.refresh.as_ref().map(|token| fingerprint(token, self.pepper()));
        let row = args![&ticket.id.0, ticket.version, digest, now, now.plus(LEASE)];
        match self.write(failpoint::INTENT, sql::INTENT, &row).await? {
            0 => Err(Error::Stale),
            _ => Ok(()),
        }
    }

    /// Stores what the token endpoint gave, durably, and ends lease and intent. A failed commit gives the ticket back; it
    /// may be repeated, also when the first one had come through after all.
    pub async fn commit_refresh(&self, ticket: Ticket, tokens: &Tokens) -> Result<(), CommitError> {
        match self.commit(&ticket, tokens).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CommitError::Stale),
            Err(source) => Err(CommitError::Failed { ticket: Box::new(ticket), source }),
        }
    }

    async fn commit(&self, ticket: &Ticket, tokens: &Tokens) -> Result<bool, Error> {
        let sealed = self.seal_tokens(&ticket.id, tokens)?;
        let row = args![
            &ticket.id.0,
            ticket.version,
            sealed.access,
            sealed.refresh,
            sealed.identity,
            tokens.expires,
            tokens.refreshed,
        ];
        if self.write(failpoint::COMMIT, sql::COMMIT, &row).await? > 0 {
            return Ok(true);
        }
        self.commit_successor(ticket, tokens, row).await
    }

    /// The commit of whoever was fenced out: these tokens are the only ones that are good while the stored refresh token is the one
    /// that was spent for them. They end a status that asks for a login, which came of that token.
    async fn commit_successor(&self, ticket: &Ticket, tokens: &Tokens, mut row: [Arg<'_>; 7]) -> Result<bool, Error> {
        for _ in 0..COMMIT_TRIES {
            let Some(found) = self.find(sql::COMMIT_STATE, &args![&ticket.id.0]).await? else { return Ok(false) };
            let stored = self.unseal_tokens(&ticket.id, &found, 0)?;
            if stored == *tokens {
                return Ok(true);
            }
            if stored.refresh.is_none() || stored.refresh != ticket.tokens.refresh {
                return Ok(false);
            }
            row[1] = Arg::from(found.int(5)?);
            let text = found.text(6)?;
            let lost = status(&ticket.id.0, &text).is_ok_and(|status| lost(&status));
            let status = if lost { json(&Status::Active) } else { Arg::from(text.as_str()) };
            let row: Vec<Arg<'_>> = row.iter().cloned().chain([status]).collect();
            if self.write(failpoint::COMMIT, sql::COMMIT_SUCCESSOR, &row).await? > 0 {
                return Ok(true);
            }
        }
        Err(Error::Contended)
    }

    /// Ends lease and intent without new tokens, and sets the status if one is given. `false` when fenced out: then nothing was done, and
    /// somebody else knows the account better.
    pub async fn end_refresh(&self, ticket: Ticket, status: Option<&Status>) -> Result<bool, Error> {
        let status = status.map_or(Arg::MaybeText(None), json);
        let row = [Arg::from(&ticket.id.0), Arg::from(ticket.version), status];
        Ok(self.write(failpoint::END, sql::END, &row).await? > 0)
    }

    /// Ends the lease and leaves the intent: the token was sent and no answer came, so it may be used up. Does nothing when fenced out.
    pub async fn leave_refresh(&self, ticket: Ticket) -> Result<(), Error> {
        self.write(failpoint::END, sql::LEAVE, &args![&ticket.id.0, ticket.version]).await?;
        Ok(())
    }

    /// Accounts whose refresh was cut off after its intent: the stored token may be used up. Refresh these at start.
    pub async fn interrupted(&self, now: Millis) -> Result<Vec<AccountId>, Error> {
        let rows = self.read(sql::INTERRUPTED, &args![now, now.plus(BELIEVED)]).await?;
        rows.iter().map(|row| Ok(AccountId(row.text(0)?))).collect()
    }
}

/// Whether a login cannot be refreshed any more.
fn lost(status: &Status) -> bool {
    matches!(status, Status::NeedsLogin { .. } | Status::Expiring { .. })
}
