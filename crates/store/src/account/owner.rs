//! What an account's owner says of it: its name, its tags, its terms, and whether it is switched off.

use pool::{AccountId, Status, Terms};

use super::json;
use crate::db::{Arg, args};
use crate::{Error, Store, failpoint, sql};

impl Store {
    /// Writes the status that the owner wants, whatever it was; `false` when there is no such account.
    pub async fn switch(&self, id: &AccountId, status: &Status) -> Result<bool, Error> {
        Ok(self.write(failpoint::OWNER, sql::ACCOUNT_SWITCH, &args![&id.0, json(status)]).await? > 0)
    }

    /// Names an account; an empty name is its e-mail again. `false` when there is no such account.
    pub async fn set_label(&self, id: &AccountId, label: &str) -> Result<bool, Error> {
        Ok(self.write(failpoint::OWNER, sql::ACCOUNT_LABEL, &args![&id.0, label]).await? > 0)
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

    /// Replaces an account's tags; `false` when there is no such account.
    pub async fn set_tags(&self, id: &AccountId, tags: &[String]) -> Result<bool, Error> {
        let row = [Arg::from(&id.0), json(&tags)];
        Ok(self.write(failpoint::OWNER, sql::TAGS_SET, &row).await? > 0)
    }
}
