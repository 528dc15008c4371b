//! The refresh of a single-use token, as steps in the account's row: lease, re-read, intent, commit.
//!
//! The lease excludes other processes for 60 s. The intent names the token before the token is sent, so that a token is known to be
//! doubtful after a crash. The fence number grows with every grant and every change of tokens. A holder with an old fence number may commit
//! only while the stored refresh token is still the token that the holder spent. Each step is one statement.

use pool::{AccountId, Millis, Status, Tokens};

use crate::account::{json, status};
use crate::seal::fingerprint;
use crate::statement::{Arg, args};
use crate::{Error, Store, failpoint, sql};

/// Duration of a lease, milliseconds.
const LEASE: i64 = 60_000;
/// A lease that ends later than this was written by a wrong clock and is ignored.
const MAX_PLAUSIBLE: i64 = 10 * LEASE;
/// Attempts to store new tokens while other writes change the row.
const COMMIT_TRIES: usize = 16;

/// Why new tokens were not stored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum CommitError {
    /// Fenced out: another process took the lease over, or the account is gone or was signed in again.
    #[error("the refresh lease was taken over; these tokens are not stored")]
    LeaseLost,
    /// The database failed; the lease still holds, so the commit may be retried with the `ticket`.
    #[error("new tokens are not stored yet: {source}")]
    Failed { ticket: Box<RefreshLease>, source: Error },
}

/// The right to refresh one account until the lease ends or another process takes it over.
#[derive(Debug)]
pub struct RefreshLease {
    /// The account.
    pub id: AccountId,
    /// Fence number, which stops a late commit: every grant and every change of tokens has a new number.
    pub version: i64,
    /// The tokens as stored when the lease was granted.
    pub tokens: Tokens,
    /// Whether an earlier intent names the same refresh token and has an unknown outcome: the token may be used up.
    pub interrupted: bool,
    /// Whether the stored status asked for a login when the lease was granted: an earlier holder may have set that status.
    pub needs_login: bool,
}

/// Result of [`Store::begin_refresh`].
#[derive(Debug)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum LeaseOutcome {
    /// The caller holds the lease for 60 s.
    Granted(RefreshLease),
    /// Another process holds the lease, until `until` at the latest.
    Held { until: Millis },
    /// There is no such account.
    Gone,
}

impl Store {
    /// Takes the account's refresh lease for 60 s and re-reads its tokens, in one atomic statement. `holder` names the
    /// process for people.
    pub async fn begin_refresh(&self, id: &AccountId, holder: &str, now: Millis) -> Result<LeaseOutcome, Error> {
        let until = now.plus(LEASE);
        let lease = args![&id.0, holder, until, now, now.plus(MAX_PLAUSIBLE)];
        if let Some(row) = self.write_returning(failpoint::LEASE, sql::LEASE, &lease).await? {
            let tokens = self.unseal_tokens(id, &row, 0)?;
            let digest = tokens.refresh.as_ref().map(|token| fingerprint(token, self.pepper()));
            let interrupted = row.maybe_text(6)?.is_some_and(|intent| Some(intent) == digest);
            let over = cannot_refresh(&status(&id.0, &row.text(7)?)?);
            return Ok(LeaseOutcome::Granted(RefreshLease {
                id: id.clone(),
                version: row.int(5)?,
                tokens,
                interrupted,
                needs_login: over,
            }));
        }
        match self.read_one(sql::LEASE_END, &args![&id.0]).await? {
            Some(row) => Ok(LeaseOutcome::Held { until: row.maybe_int(0)?.map_or(now, Millis) }),
            None => Ok(LeaseOutcome::Gone),
        }
    }

    /// Releases the leases of processes that have ended, and returns the number of released leases. Open intents stay, because they mark
    /// tokens that may be used up. A running command keeps its lease. In a PostgreSQL store no lease is released, because the processes of
    /// other machines cannot be checked; those leases expire.
    pub async fn release_dead_leases(&self) -> Result<u64, Error> {
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

    /// Records durably that the refresh token is about to be sent, and extends the lease to 60 s from now. Nothing may be sent without
    /// `Ok`.
    pub async fn write_intent(&self, ticket: &RefreshLease, now: Millis) -> Result<(), Error> {
        let digest = ticket.tokens.refresh.as_ref().map(|token| fingerprint(token, self.pepper()));
        let row = args![&ticket.id.0, ticket.version, digest, now, now.plus(LEASE)];
        match self.write(failpoint::INTENT, sql::INTENT, &row).await? {
            0 => Err(Error::LeaseLost),
            _ => Ok(()),
        }
    }

    /// Stores the new tokens durably, and ends lease and intent. A failed commit returns the lease for a retry; a retry is safe even
    /// when the first commit succeeded.
    pub async fn commit_refresh(&self, ticket: RefreshLease, tokens: &Tokens) -> Result<(), CommitError> {
        match self.commit(&ticket, tokens).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CommitError::LeaseLost),
            Err(source) => Err(CommitError::Failed { ticket: Box::new(ticket), source }),
        }
    }

    async fn commit(&self, ticket: &RefreshLease, tokens: &Tokens) -> Result<bool, Error> {
        let sealed = self.seal_tokens(&ticket.id, tokens)?;
        let row = args![
            &ticket.id.0, ticket.version, sealed.access, sealed.refresh, sealed.identity, tokens.expires,
            tokens.refreshed,
        ];
        if self.write(failpoint::COMMIT, sql::COMMIT, &row).await? > 0 {
            return Ok(true);
        }
        self.commit_after_takeover(ticket, tokens, row).await
    }

    /// Commits for a fenced-out holder. While the stored refresh token is the spent token, the new tokens are the only valid ones. The new
    /// tokens also end a status that asks for a login, because the spent token caused that status.
    async fn commit_after_takeover(
        &self,
        ticket: &RefreshLease,
        tokens: &Tokens,
        mut row: [Arg<'_>; 7],
    ) -> Result<bool, Error> {
        for _ in 0..COMMIT_TRIES {
            let Some(found) = self.read_one(sql::COMMIT_STATE, &args![&ticket.id.0]).await? else { return Ok(false) };
            let stored = self.unseal_tokens(&ticket.id, &found, 0)?;
            if stored == *tokens {
                return Ok(true);
            }
            if stored.refresh.is_none() || stored.refresh != ticket.tokens.refresh {
                return Ok(false);
            }
            row[1] = Arg::from(found.int(5)?);
            let text = found.text(6)?;
            let lost = status(&ticket.id.0, &text).is_ok_and(|status| cannot_refresh(&status));
            let status = if lost { json(&Status::Active) } else { Arg::from(text.as_str()) };
            let row: Vec<Arg<'_>> = row.iter().cloned().chain([status]).collect();
            if self.write(failpoint::COMMIT, sql::COMMIT_SUCCESSOR, &row).await? > 0 {
                return Ok(true);
            }
        }
        Err(Error::Contended)
    }

    /// Ends lease and intent without new tokens, and sets the status if one is given. `false` when fenced out: then nothing was written,
    /// because another process knows the account's newer state. Without a status the intent of an interrupted refresh stays, because its
    /// outcome is still unknown.
    pub async fn end_refresh(&self, ticket: RefreshLease, status: Option<&Status>) -> Result<bool, Error> {
        if ticket.interrupted && status.is_none() {
            return self.release_lease(ticket).await;
        }
        let status = status.map_or(Arg::MaybeText(None), json);
        let row = [Arg::from(&ticket.id.0), Arg::from(ticket.version), status];
        Ok(self.write(failpoint::END, sql::END, &row).await? > 0)
    }

    /// Ends the lease and keeps the intent: the token was sent without an answer and may be used up. `false` when fenced out: then nothing
    /// was written.
    pub async fn release_lease(&self, ticket: RefreshLease) -> Result<bool, Error> {
        Ok(self.write(failpoint::END, sql::LEAVE, &args![&ticket.id.0, ticket.version]).await? > 0)
    }

    /// Accounts with an intent and no lease: their refresh was interrupted, and the stored token may be used up. Refresh them at start.
    pub async fn interrupted_refreshes(&self, now: Millis) -> Result<Vec<AccountId>, Error> {
        let rows = self.read(sql::INTERRUPTED, &args![now, now.plus(MAX_PLAUSIBLE)]).await?;
        rows.iter().map(|row| Ok(AccountId(row.text(0)?))).collect()
    }
}

/// Whether the status says that a login cannot be refreshed any more.
fn cannot_refresh(status: &Status) -> bool {
    matches!(status, Status::NeedsLogin { .. } | Status::Expiring { .. })
}
