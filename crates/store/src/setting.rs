//! Named settings. Two names belong to the store: the install's id and its pepper.

use crate::statement::args;
use crate::store::{INSTANCE, PEPPER};
use crate::{Error, Store, failpoint, sql};

impl Store {
    /// A setting's value.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let row = self.read_one(sql::SETTING, &args![name]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }

    /// Writes a setting. The names `instance` and `pepper` are reserved.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), Error> {
        reject_reserved(name)?;
        self.write(failpoint::SETTING, sql::SETTING_SET, &args![name, value]).await?;
        Ok(())
    }

    /// Writes a setting only while its value is `known`; `None` means that the setting does not exist. `false` when the value is another
    /// one, because another process wrote first. The names `instance` and `pepper` are reserved.
    pub async fn swap_setting(&self, name: &str, known: Option<&str>, value: &str) -> Result<bool, Error> {
        reject_reserved(name)?;
        let written = match known {
            Some(known) => self.write(failpoint::SETTING, sql::SETTING_SWAP, &args![name, known, value]).await?,
            None => self.write(failpoint::SETTING, sql::SETTING_FIRST, &args![name, value]).await?,
        };
        Ok(written > 0)
    }
}

/// Refuses the reserved names.
fn reject_reserved(name: &str) -> Result<(), Error> {
    if [INSTANCE, PEPPER].contains(&name) {
        return Err(Error::Reserved(name.to_owned()));
    }
    Ok(())
}
