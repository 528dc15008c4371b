//! Account rows with sealed tokens. [`Store::put_account`] decides whether new tokens replace the stored ones; the write is
//! conditional on the row's version.

mod bulk;
mod link;
mod newer;
mod owner;

use pool::egress::Egress;
use pool::quota::Quota;
use pool::status::Signal;
use pool::{Account, AccountId, AccountLimits, Millis, Secret, Status, Tokens};

use crate::seal::FieldId;
use crate::statement::{Arg, BoundStatement, DbRow, args};
use crate::{Error, Store, failpoint, sql};

pub use link::LinkedAccount;

/// Index of the first token column in a row of `sql::ACCOUNT`.
const TOKENS_AT: usize = 14;
/// How often a write is retried when another process changes the row first.
const TRIES: usize = 16;

/// Where tokens come from, which decides whether they replace stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrigin {
    /// Issued just now by a login: the tokens replace all stored ones.
    Login,
    /// Read from a file or pasted: the tokens replace stored ones only when newer.
    Import,
}

/// An account to add or to sign in again.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Name shown to people; empty keeps the stored one, or takes the e-mail.
    pub label: String,
    /// E-mail claim, empty when unknown.
    pub email: String,
    /// Plan claim, empty when unknown.
    pub plan: String,
    /// The `chatgpt-account-id` header's value.
    pub upstream_id: String,
    /// ChatGPT user id claim, empty when unknown.
    pub user: String,
    /// Whether the workspace is a FedRAMP one.
    pub fedramp: bool,
    /// The account's tokens; `refreshed` is the time when they were issued, as far as known.
    pub tokens: Tokens,
    /// Where the tokens come from.
    pub origin: TokenOrigin,
    /// The egress of the account from its first call on; `None` keeps the stored one.
    pub egress: Option<Egress>,
    /// Status of a new account. A known account keeps its own status.
    pub status: Status,
}

/// Result of [`Store::put_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// The account's id, old or new.
    pub id: AccountId,
    /// Whether the account is new.
    pub added: bool,
    /// Whether the given tokens are stored now; `false` when the stored ones are as new or newer.
    pub stored: bool,
}

/// The columns of a known account that decide whether new tokens replace its own.
struct KnownAccount {
    id: AccountId,
    version: i64,
    status: Status,
    tokens: Tokens,
}

/// Tokens as they are stored.
pub(crate) struct SealedTokens {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) identity: Option<String>,
}

impl Store {
    /// Every account, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        self.read(sql::ACCOUNTS, &[]).await?.iter().map(account).collect()
    }

    /// The version of every account's row, oldest account first. Every write of a row changes its version.
    pub async fn account_versions(&self) -> Result<Vec<(AccountId, i64)>, Error> {
        let rows = self.read(sql::VERSIONS, &[]).await?;
        rows.iter().map(|row| Ok((AccountId(row.text(0)?), row.int(1)?))).collect()
    }

    /// One account with its tokens, or with the error when its tokens cannot be read; `None` when there is no such account.
    pub async fn account(&self, id: &AccountId) -> Result<Option<(Account, Result<Tokens, Error>)>, Error> {
        let Some(row) = self.read_one(sql::ACCOUNT, &args![&id.0]).await? else { return Ok(None) };
        Ok(Some((account(&row)?, self.unseal_tokens(id, &row, TOKENS_AT))))
    }

    /// An account's tokens; `None` when there is no such account.
    pub async fn tokens(&self, id: &AccountId) -> Result<Option<Tokens>, Error> {
        let row = self.read_one(sql::TOKENS, &args![&id.0]).await?;
        row.map(|row| self.unseal_tokens(id, &row, 0)).transpose()
    }

    /// Adds an account, or signs a known account (same upstream id and user) in again. Older tokens never replace newer ones.
    pub async fn put_account(&self, new: NewAccount, now: Millis) -> Result<PutOutcome, Error> {
        for _ in 0..TRIES {
            let put = match self.known_account(&new).await? {
                None => self.add(&new, now).await?,
                Some(known) if newer::replaces(&new, &known.tokens, &known.status) => {
                    self.sign_in(&new, known, now).await?
                }
                Some(known) => Some(self.keep_tokens(known, &new).await?),
            };
            if let Some(put) = put {
                return Ok(put);
            }
        }
        Err(Error::Contended)
    }

    async fn known_account(&self, new: &NewAccount) -> Result<Option<KnownAccount>, Error> {
        let Some(row) = self.read_one(sql::ACCOUNT_KNOWN, &args![&new.upstream_id, &new.user]).await? else {
            return Ok(None);
        };
        let id = AccountId(row.text(0)?);
        // Any tokens replace stored tokens that cannot be unsealed any more.
        let sealed = SealedTokens { access: row.text(3)?, refresh: row.maybe_text(4)?, identity: None };
        let tokens = match self.open_tokens(&id, &sealed) {
            Ok((access, refresh, id)) => {
                Tokens { access, refresh, id, expires: row.maybe_int(5)?.map(Millis), refreshed: Millis(row.int(6)?) }
            }
            Err(_) => {
                Tokens { access: Secret::from(""), refresh: None, id: None, expires: None, refreshed: Millis(i64::MIN) }
            }
        };
        Ok(Some(KnownAccount { version: row.int(1)?, status: status(&id.0, &row.text(2)?)?, id, tokens }))
    }

    /// Adds a row; `None` when another process added the account first.
    async fn add(&self, new: &NewAccount, now: Millis) -> Result<Option<PutOutcome>, Error> {
        let id = AccountId(uuid::Uuid::now_v7().to_string());
        let sealed = self.seal_tokens(&id, &new.tokens)?;
        let label = if new.label.is_empty() { &new.email } else { &new.label };
        let row = args![
            &id.0,
            label,
            &new.email,
            &new.plan,
            &new.upstream_id,
            &new.user,
            new.fedramp,
            json(&new.status),
            json(&Quota::default()),
            now,
            sealed.access,
            sealed.refresh,
            sealed.identity,
            new.tokens.expires,
            new.tokens.refreshed,
        ];
        let added = self.write_with_egress((sql::ACCOUNT_ADD, &row), (&id, new)).await? > 0;
        Ok(added.then_some(PutOutcome { id, added: true, stored: true }))
    }

    /// Replaces the tokens of a known account; `None` when the row has changed since it was read.
    async fn sign_in(&self, new: &NewAccount, known: KnownAccount, now: Millis) -> Result<Option<PutOutcome>, Error> {
        let sealed = self.seal_tokens(&known.id, &new.tokens)?;
        let row = args![
            &known.id.0,
            known.version,
            &new.label,
            &new.email,
            &new.plan,
            new.fedramp,
            json(&known.status.apply(&Signal::SignedIn, now)),
            sealed.access,
            sealed.refresh,
            sealed.identity,
            new.tokens.expires,
            new.tokens.refreshed,
        ];
        let done = self.write_with_egress((sql::ACCOUNT_SIGN_IN, &row), (&known.id, new)).await? > 0;
        Ok(done.then_some(PutOutcome { id: known.id, added: false, stored: true }))
    }

    /// Keeps the stored tokens and applies the requested egress.
    async fn keep_tokens(&self, known: KnownAccount, new: &NewAccount) -> Result<PutOutcome, Error> {
        if let Some(egress) = &new.egress {
            self.set_egresses(&[(known.id.clone(), egress.clone())]).await?;
        }
        Ok(PutOutcome { id: known.id, added: false, stored: false })
    }

    /// Writes the row and its egress in one transaction, so that no call uses another egress in between.
    async fn write_with_egress(
        &self,
        row: BoundStatement<'_>,
        (id, new): (&AccountId, &NewAccount),
    ) -> Result<u64, Error> {
        let Some(egress) = &new.egress else { return self.write(failpoint::ACCOUNT, row.0, row.1).await };
        let assignment = args![&id.0, egress.to_string()];
        self.write_two(failpoint::ACCOUNT, row, (sql::EGRESS_SET, &assignment)).await
    }

    /// Removes accounts and their dependent rows in one transaction. The result says for each account, in order, whether it existed.
    pub async fn remove_accounts(&self, ids: &[AccountId]) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = ids.iter().map(|id| args![&id.0].to_vec()).collect();
        self.write_each(failpoint::REMOVE, sql::ACCOUNT_REMOVE, &rows).await
    }

    /// Writes statuses in one transaction, each only while the row has the given [`Account::status_rev`]. The result says for each status,
    /// in order, whether it was written. A status is not written when the account is gone or a sign-in, a switch or another process wrote a
    /// newer status: a finding about an old login must not change the status of a new login.
    pub async fn set_statuses_if_current(&self, learned: &[(AccountId, Status, i64)]) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = learned.iter().map(|(id, status, rev)| args![&id.0, json(status), *rev].to_vec()).collect();
        self.write_each(failpoint::STATUS, sql::ACCOUNT_STATUS, &rows).await
    }

    /// Writes accounts' quotas in one transaction. The result says for each account, in order, whether it exists.
    pub async fn set_quotas(&self, quotas: &[(AccountId, Quota)]) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = quotas.iter().map(|(id, quota)| args![&id.0, json(quota)].to_vec()).collect();
        self.write_each(failpoint::QUOTA, sql::ACCOUNT_QUOTA, &rows).await
    }

    /// An account's cookie jar, as stored by [`Store::set_cookies`].
    pub async fn cookies(&self, id: &AccountId) -> Result<Option<Secret>, Error> {
        let row = self.read_one(sql::COOKIES, &args![&id.0]).await?;
        row.map(|row| self.sealer().open(cookie_field(id), &row.text(0)?)).transpose()
    }

    /// Stores accounts' cookie jars, sealed, in one transaction. Skips accounts that are gone.
    pub async fn set_cookies(&self, jars: &[(AccountId, Secret)]) -> Result<(), Error> {
        let seal = |(id, cookies): &(AccountId, Secret)| self.sealer().seal(cookie_field(id), cookies);
        let sealed = jars.iter().map(seal).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<_> = jars.iter().zip(sealed).map(|((id, _), sealed)| args![&id.0, sealed].to_vec()).collect();
        self.write_each(failpoint::COOKIES, sql::COOKIES_SET, &rows).await?;
        Ok(())
    }

    /// Removes an account's cookie jar.
    pub async fn clear_cookies(&self, id: &AccountId) -> Result<(), Error> {
        self.write(failpoint::COOKIES, sql::COOKIES_CLEAR, &args![&id.0]).await?;
        Ok(())
    }

    pub(crate) fn seal_tokens(&self, id: &AccountId, tokens: &Tokens) -> Result<SealedTokens, Error> {
        let seal = |column, secret: &Secret| self.sealer().seal(token_field(id, column), secret);
        Ok(SealedTokens {
            access: seal("access", &tokens.access)?,
            refresh: tokens.refresh.as_ref().map(|token| seal("refresh", token)).transpose()?,
            identity: tokens.id.as_ref().map(|token| seal("identity", token)).transpose()?,
        })
    }

    /// Reads five columns of a row from `at` on: access, refresh, identity, expires, refreshed.
    pub(crate) fn unseal_tokens(&self, id: &AccountId, row: &DbRow, at: usize) -> Result<Tokens, Error> {
        let (access, refresh, identity) = (row.text(at)?, row.maybe_text(at + 1)?, row.maybe_text(at + 2)?);
        let (access, refresh, identity) = self.open_tokens(id, &SealedTokens { access, refresh, identity })?;
        let (expires, refreshed) = (row.maybe_int(at + 3)?.map(Millis), Millis(row.int(at + 4)?));
        Ok(Tokens { access, refresh, id: identity, expires, refreshed })
    }

    fn open_tokens(
        &self,
        id: &AccountId,
        sealed: &SealedTokens,
    ) -> Result<(Secret, Option<Secret>, Option<Secret>), Error> {
        let open = |column, text: &str| self.sealer().open(token_field(id, column), text);
        Ok((
            open("access", &sealed.access)?,
            sealed.refresh.as_deref().map(|text| open("refresh", text)).transpose()?,
            sealed.identity.as_deref().map(|text| open("identity", text)).transpose()?,
        ))
    }
}

fn token_field<'a>(id: &'a AccountId, column: &'static str) -> FieldId<'a> {
    FieldId { table: "account", column, row: &id.0 }
}

fn cookie_field(id: &AccountId) -> FieldId<'_> {
    FieldId { table: "cookies", column: "jar", row: &id.0 }
}

fn account(row: &DbRow) -> Result<Account, Error> {
    let id = row.text(0)?;
    Ok(Account {
        label: row.text(1)?,
        email: row.text(2)?,
        plan: row.text(3)?,
        upstream_id: row.text(4)?,
        user: row.text(5)?,
        fedramp: row.int(6)? != 0,
        status: status(&id, &row.text(7)?)?,
        // The next answer brings new quota figures, so unreadable ones are dropped.
        quota: serde_json::from_str(&row.text(8)?).unwrap_or_default(),
        created: Millis(row.int(9)?),
        version: row.int(10)?,
        limits: limits(row)?,
        status_rev: row.int(13)?,
        id: AccountId(id),
    })
}

/// Reads an account's limits. Values that Polygate never writes count as not set.
fn limits(row: &DbRow) -> Result<AccountLimits, Error> {
    let max_concurrent = row.maybe_int(11)?.and_then(|most| u32::try_from(most).ok());
    let priority = i32::try_from(row.int(12)?).unwrap_or(0);
    Ok(AccountLimits { max_concurrent, priority }.check().unwrap_or_default())
}

pub(crate) fn status(id: &str, text: &str) -> Result<Status, Error> {
    let place = FieldId { table: "account", column: "status", row: id };
    serde_json::from_str(text).map_err(|_| place.damaged())
}

/// A status or quota as JSON text.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Arg<'static> {
    Arg::from(serde_json::to_string(value).expect("invariant: pool's types have string keys only"))
}
