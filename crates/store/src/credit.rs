//! Tries to consume a reset credit, which cannot be undone: each is claimed in the store before it is sent.

use pool::{AccountId, Millis};

use crate::statement::args;
use crate::{Error, Store, failpoint, sql};

/// How long nobody else may try after a try.
const PAUSE: i64 = 30_000;
/// A pause that ends further away than this was written under a wrong clock and does not count. Clocks of nodes differ by less.
const BELIEVED: i64 = 10 * PAUSE;

/// The answer to [`Store::begin_credit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreditUse {
    /// Go on, with this id of the request: the given one, or that of an earlier try whose outcome is not known, so that it consumes no
    /// second credit.
    Begun {
        /// The id.
        request: String,
    },
    /// Somebody tried a moment ago.
    Held {
        /// When the next try may begin.
        until: Millis,
    },
    /// There is no such account.
    Gone,
}

impl Store {
    /// Claims the next try of an account for 30 s, in one atomic statement, over all processes and nodes. `request` is the id of a
    /// try that the caller wants to repeat; without it the try is a new one, unless the outcome of the last is not known.
    pub async fn begin_credit(&self, id: &AccountId, request: Option<&str>, now: Millis) -> Result<CreditUse, Error> {
        let new = uuid::Uuid::new_v4().to_string();
        self.claim_credit(id, (request.unwrap_or(&new), request.is_some()), now).await
    }

    /// As [`Self::begin_credit`] with an id that a client made up for this click: it is that of a new try, unless the outcome of the
    /// last is not known.
    pub async fn offer_credit(&self, id: &AccountId, request: &str, now: Millis) -> Result<CreditUse, Error> {
        self.claim_credit(id, (request, false), now).await
    }

    /// `repeats`: the id replaces that of a try whose outcome is not known.
    async fn claim_credit(
        &self,
        id: &AccountId,
        (request, repeats): (&str, bool),
        now: Millis,
    ) -> Result<CreditUse, Error> {
        let claim = args![&id.0, request, now.plus(PAUSE), now, repeats, now.plus(BELIEVED)];
        if let Some(row) = self.change(failpoint::CREDIT, sql::CREDIT_BEGIN, &claim).await? {
            return Ok(CreditUse::Begun { request: row.text(0)? });
        }
        match self.find(sql::CREDIT_UNTIL, &args![&id.0]).await? {
            Some(row) => Ok(CreditUse::Held { until: Millis(row.int(0)?) }),
            None => Ok(CreditUse::Gone),
        }
    }

    /// Notes that the outcome of a try is known. The next one gets an id of its own.
    pub async fn end_credit(&self, id: &AccountId, request: &str) -> Result<(), Error> {
        self.write(failpoint::CREDIT, sql::CREDIT_DONE, &args![&id.0, request]).await?;
        Ok(())
    }
}
