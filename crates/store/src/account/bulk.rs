//! Reads of all accounts at once, for the start of a gateway.

use std::collections::HashMap;

use pool::{AccountId, Secret, Tokens};

use super::cookie_field;
use crate::statement::DbRow;
use crate::{Error, Store, sql};

impl Store {
    /// Every account's tokens, or the error where an account's tokens cannot be read.
    pub async fn all_tokens(&self) -> Result<HashMap<AccountId, Result<Tokens, Error>>, Error> {
        let rows = self.read(sql::TOKENS_ALL, &[]).await?;
        let read = |row: &DbRow| -> Result<_, Error> {
            let id = AccountId(row.text(5)?);
            let tokens = self.unseal_tokens(&id, row, 0);
            Ok((id, tokens))
        };
        rows.iter().map(read).collect()
    }

    /// The cookie jar of every account that has one, or the error where a jar cannot be read.
    pub async fn all_cookies(&self) -> Result<HashMap<AccountId, Result<Secret, Error>>, Error> {
        let rows = self.read(sql::COOKIES_ALL, &[]).await?;
        let read = |row: &DbRow| -> Result<_, Error> {
            let id = AccountId(row.text(0)?);
            let cookies = self.sealer().open(cookie_field(&id), &row.text(1)?);
            Ok((id, cookies))
        };
        rows.iter().map(read).collect()
    }
}
