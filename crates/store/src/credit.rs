//! Attempts to consume a reset credit. An attempt cannot be undone, so each one is claimed in the store before it is sent.

use pool::{AccountId, Millis};

use crate::statement::args;
use crate::{Error, Store, failpoint, sql};

/// Pause after an attempt, milliseconds; no other attempt may begin within it.
const PAUSE: i64 = 30_000;
/// A pause that ends later than this was written by a wrong clock and is ignored. The clocks of nodes differ by less.
const MAX_PLAUSIBLE: i64 = 10 * PAUSE;

/// Result of [`Store::begin_credit`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum CreditClaim {
    /// The attempt may begin, with `request` as its id: the given id, or the id of an earlier attempt with an unknown outcome, so that no
    /// second credit is consumed.
    Begun { request: String },
    /// The pause after another attempt has not ended; the next attempt may begin at `until`.
    TooSoon { until: Millis },
    /// There is no such account.
    Gone,
}

impl Store {
    /// Claims the next attempt of an account for 30 s, in one atomic statement, over all processes and nodes. `request` is the id of an
    /// attempt to repeat. Without `request` the attempt is new, unless the outcome of the last attempt is unknown.
    pub async fn begin_credit(&self, id: &AccountId, request: Option<&str>, now: Millis) -> Result<CreditClaim, Error> {
        let new = uuid::Uuid::new_v4().to_string();
        self.claim_credit(id, (request.unwrap_or(&new), request.is_some()), now).await
    }

    /// Like [`Self::begin_credit`], with an id that a client made for this click. A new attempt takes that id, unless the outcome of the
    /// last attempt is unknown.
    pub async fn begin_credit_with_id(&self, id: &AccountId, request: &str, now: Millis) -> Result<CreditClaim, Error> {
        self.claim_credit(id, (request, false), now).await
    }

    /// `repeats` says that the id replaces the id of an attempt with an unknown outcome.
    async fn claim_credit(
        &self,
        id: &AccountId,
        (request, repeats): (&str, bool),
        now: Millis,
    ) -> Result<CreditClaim, Error> {
        let claim = args![&id.0, request, now.plus(PAUSE), now, repeats, now.plus(MAX_PLAUSIBLE)];
        if let Some(row) = self.write_returning(failpoint::CREDIT, sql::CREDIT_BEGIN, &claim).await? {
            return Ok(CreditClaim::Begun { request: row.text(0)? });
        }
        match self.read_one(sql::CREDIT_UNTIL, &args![&id.0]).await? {
            Some(row) => Ok(CreditClaim::TooSoon { until: Millis(row.int(0)?) }),
            None => Ok(CreditClaim::Gone),
        }
    }

    /// Records that the outcome of an attempt is known. The next attempt gets a new id.
    pub async fn end_credit(&self, id: &AccountId, request: &str) -> Result<(), Error> {
        self.write(failpoint::CREDIT, sql::CREDIT_DONE, &args![&id.0, request]).await?;
        Ok(())
    }
}
