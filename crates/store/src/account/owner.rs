//! Settings of an account that its owner chooses: label, tags, limits, and whether the account is switched off. A change of several
//! accounts is one transaction.

use pool::{AccountId, AccountLimits, Status};

use super::json;
use crate::failpoint::{self, WritePoint};
use crate::statement::{Arg, args};
use crate::{Error, Store, sql};

impl Store {
    /// Writes the owner's status over any stored one. The result says for each account, in order, whether it exists.
    pub async fn set_owner_status(&self, ids: &[AccountId], status: &Status) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = ids.iter().map(|id| args![&id.0, json(status)].to_vec()).collect();
        self.write_each(failpoint::OWNER, sql::ACCOUNT_SWITCH, &rows).await
    }

    /// Sets the label of accounts; an empty label restores the e-mail. The result says for each account, in order, whether it exists.
    pub async fn set_label(&self, ids: &[AccountId], label: &str) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = ids.iter().map(|id| args![&id.0, label].to_vec()).collect();
        self.write_each(failpoint::OWNER, sql::ACCOUNT_LABEL, &rows).await
    }

    /// Writes the owner's limits of an account (concurrent requests and priority); `false` when there is no such account.
    pub async fn set_limits(&self, id: &AccountId, limits: AccountLimits) -> Result<bool, Error> {
        let most = Arg::MaybeInt(limits.max_concurrent.map(i64::from));
        let row = [Arg::from(&id.0), most, Arg::from(i64::from(limits.priority))];
        Ok(self.write(failpoint::OWNER, sql::ACCOUNT_LIMITS, &row).await? > 0)
    }

    /// Every account's tags; accounts without any may be left out.
    pub async fn tags(&self) -> Result<Vec<(AccountId, Vec<String>)>, Error> {
        let rows = self.read(sql::TAGS, &[]).await?;
        // Tags only help people to sort accounts, so unreadable ones are dropped.
        let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
        rows.iter().map(|row| Ok((AccountId(row.text(0)?), read(&row.text(1)?)))).collect()
    }

    /// Replaces the tags of accounts. The result says for each account, in order, whether it exists.
    pub async fn set_tags(&self, tags: &[(AccountId, Vec<String>)]) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = tags.iter().map(|(id, tags)| args![&id.0, json(tags)].to_vec()).collect();
        self.write_each(failpoint::OWNER, sql::TAGS_SET, &rows).await
    }

    /// Runs one statement for each of several accounts in one durable step. The result says for each account, in order, whether a row
    /// changed.
    pub(super) async fn write_each(
        &self,
        step: WritePoint,
        sql: &'static str,
        rows: &[Vec<Arg<'_>>],
    ) -> Result<Vec<bool>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // One row needs no transaction around it.
        let done = match rows {
            [row] => vec![self.write(step, sql, row).await?],
            rows => self.write_all(step, sql, rows).await?,
        };
        Ok(done.into_iter().map(|changed| changed > 0).collect())
    }
}
