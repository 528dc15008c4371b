//! What a start needs of every account, in one read each.

use std::collections::HashMap;

use pool::{AccountId, Secret, Tokens};

use super::jar;
use crate::statement::Row;
use crate::{Error, Store, sql};

impl Store {
    /// Every account's tokens; an error for those whose own cannot be read.
    pub async fn tokens_of_all(&self) -> Result<HashMap<AccountId, Result<Tokens, Error>>, Error> {
        let rows = self.read(sql::TOKENS_ALL, &[]).await?;
        let read = |row: &Row| -> Result<_, Error> {
            let id = AccountId(row.text(5)?);
            let tokens = self.unseal_tokens(&id, row, 0);
            Ok((id, tokens))
        };
        rows.iter().map(read).collect()
    }

    /// Every account's cookie jar, where it has one; an error for those whose own cannot be read.
    pub async fn cookies_of_all(&self) -> Result<HashMap<AccountId, Result<Secret, Error>>, Error> {
        let rows = self.read(sql::COOKIES_ALL, &[]).await?;
        let read = |row: &Row| -> Result<_, Error> {
            let id = AccountId(row.text(0)?);
            let cookies = self.sealer().open(jar(&id), &row.text(1)?);
            Ok((id, cookies))
        };
        rows.iter().map(read).collect()
    }
}
