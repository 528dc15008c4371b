//! Named settings. Two names belong to the store: the install's id and its pepper.

use crate::db::args;
use crate::{Error, Store, failpoint, sql};

/// This install's id.
pub(crate) const INSTANCE: &str = "instance";
/// What key digests are made with, sealed.
pub(crate) const PEPPER: &str = "pepper";

impl Store {
    /// A setting's value.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let row = self.find(sql::SETTING, &args![name]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }

    /// Writes a setting. The names `instance` and `pepper` are reserved.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), Error> {
        if [INSTANCE, PEPPER].contains(&name) {
            return Err(Error::Reserved(name.to_owned()));
        }
        self.write(failpoint::SETTING, sql::SETTING_SET, &args![name, value]).await?;
        Ok(())
    }
}
