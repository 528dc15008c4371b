//! Accounts whose tokens another program owns.

use std::path::PathBuf;

use pool::AccountId;

use crate::statement::args;
use crate::{Error, Store, failpoint, sql};

/// An account that follows a Codex auth.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedAccount {
    /// The account.
    pub account: AccountId,
    /// The auth.json; Codex owns it.
    pub file: PathBuf,
    /// Whether the gateway may refresh the file's tokens after they expired.
    pub may_refresh: bool,
}

impl Store {
    /// Every linked account.
    pub async fn links(&self) -> Result<Vec<LinkedAccount>, Error> {
        let rows = self.read(sql::LINKS, &[]).await?;
        let link = |row: &crate::statement::DbRow| {
            let (account, file) = (AccountId(row.text(0)?), PathBuf::from(row.text(1)?));
            Ok(LinkedAccount { account, file, may_refresh: row.int(2)? != 0 })
        };
        rows.iter().map(link).collect()
    }

    /// Links an account, or changes its link; `false` when there is no such account.
    pub async fn set_link(&self, link: &LinkedAccount) -> Result<bool, Error> {
        let file = link.file.to_str().ok_or(Error::NotText("the linked file's path"))?;
        let row = args![&link.account.0, file, link.may_refresh];
        Ok(self.write(failpoint::LINK, sql::LINK_SET, &row).await? > 0)
    }

    /// Removes a link; the account keeps its tokens. `false` when the account was not linked.
    pub async fn unlink(&self, id: &AccountId) -> Result<bool, Error> {
        Ok(self.write(failpoint::LINK, sql::LINK_REMOVE, &args![&id.0]).await? > 0)
    }
}
