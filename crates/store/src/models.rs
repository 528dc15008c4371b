//! The model list of each account, as fetched.

use std::collections::HashMap;

use bytes::Bytes;
use pool::{AccountId, Millis};

use crate::statement::{DbRow, args};
use crate::{Error, Store, failpoint, sql};

/// A model list as the backend sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredModels {
    /// ETag of the list, if it had one.
    pub etag: Option<String>,
    /// Client version of the request; the list depends on it.
    pub client_version: String,
    /// The body, JSON.
    pub body: Bytes,
    /// When the list was fetched or confirmed.
    pub fetched: Millis,
}

impl Store {
    /// An account's model list.
    pub async fn models(&self, id: &AccountId) -> Result<Option<StoredModels>, Error> {
        let Some(row) = self.read_one(sql::MODELS, &args![&id.0]).await? else { return Ok(None) };
        Ok(Some(models(&row)?))
    }

    /// Every account's model list, in one read.
    pub async fn all_models(&self) -> Result<HashMap<AccountId, StoredModels>, Error> {
        let rows = self.read(sql::MODELS_ALL, &[]).await?;
        rows.iter().map(|row| Ok((AccountId(row.text(4)?), models(row)?))).collect()
    }

    /// Stores an account's model list. Does nothing for an account that is gone.
    pub async fn set_models(&self, id: &AccountId, models: &StoredModels) -> Result<(), Error> {
        let body = std::str::from_utf8(&models.body).map_err(|_| Error::NotText("the model list"))?;
        let row = args![&id.0, models.etag.as_deref(), &models.client_version, body, models.fetched];
        self.write(failpoint::MODELS, sql::MODELS_SET, &row).await?;
        Ok(())
    }
}

fn models(row: &DbRow) -> Result<StoredModels, Error> {
    Ok(StoredModels {
        etag: row.maybe_text(0)?,
        client_version: row.text(1)?,
        body: row.text(2)?.into(),
        fetched: Millis(row.int(3)?),
    })
}
