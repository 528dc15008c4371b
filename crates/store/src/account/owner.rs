//! What an account's owner says of it: its name, its tags, its terms, and whether it is switched off. What is said of several is
//! written for all of them or for none.

use pool::{AccountId, Status, Terms};

use super::json;
use crate::failpoint::{self, Step};
use crate::statement::{Arg, args};
use crate::{Error, Store, sql};

impl Store {
    /// Writes the status that the owner wants, whatever it was; whether there is such an account, of each in order.
    pub async fn switch(&self, ids: &[AccountId], status: &Status) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = ids.iter().map(|id| args![&id.0, json(status)].to_vec()).collect();
        self.write_each(failpoint::OWNER, sql::ACCOUNT_SWITCH, &rows).await
    }

    /// Names accounts; an empty name is their e-mails again. Whether there is such an account, of each in order.
    pub async fn set_label(&self, ids: &[AccountId], label: &str) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = ids.iter().map(|id| args![&id.0, label].to_vec()).collect();
        self.write_each(failpoint::OWNER, sql::ACCOUNT_LABEL, &rows).await
    }

    /// Writes the ceiling and priority that its owner set; `false` when there is no such account.
    pub async fn set_terms(&self, id: &AccountId, terms: Terms) -> Result<bool, Error> {
        let most = Arg::MaybeInt(terms.max_concurrent.map(i64::from));
        let row = [Arg::from(&id.0), most, Arg::from(i64::from(terms.priority))];
        Ok(self.write(failpoint::OWNER, sql::ACCOUNT_TERMS, &row).await? > 0)
    }

    /// Every account's tags; accounts without any may be left out.
    pub async fn tags(&self) -> Result<Vec<(AccountId, Vec<String>)>, Error> {
        let rows = self.read(sql::TAGS, &[]).await?;
        // Tags are for people to sort by; nothing is lost with ones that cannot be read.
        let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
        rows.iter().map(|row| Ok((AccountId(row.text(0)?), read(&row.text(1)?)))).collect()
    }

    /// Replaces the tags of accounts; whether there is such an account, of each in order.
    pub async fn set_tags(&self, tags: &[(AccountId, Vec<String>)]) -> Result<Vec<bool>, Error> {
        let rows: Vec<_> = tags.iter().map(|(id, tags)| args![&id.0, json(tags)].to_vec()).collect();
        self.write_each(failpoint::OWNER, sql::TAGS_SET, &rows).await
    }

    /// One durable step of a row for each of several accounts; whether it changed anything, of each in order.
    pub(super) async fn write_each(
        &self,
        step: Step,
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
