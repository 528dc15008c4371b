//! Named settings, and what an install has of its own: instance id and pepper.

use crate::{Error, Store};

impl Store {
    /// A setting's value.
    pub async fn setting(&self, _name: &str) -> Result<Option<String>, Error> {
        unimplemented!()
    }

    /// Writes a setting. The names `instance` and `pepper` are reserved.
    pub async fn set_setting(&self, _name: &str, _value: &str) -> Result<(), Error> {
        unimplemented!()
    }
}
