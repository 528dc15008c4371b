//! Relay rows with sealed keys. A key is sent only to the target for which the owner gave the key.

use pool::relay::{Capabilities, Relay, Wire, format, same_target, wire};
use pool::status::Signal;
use pool::{AccountId, Millis, Secret, Status};

use crate::account::json;
use crate::error::duplicate;
use crate::seal::FieldId;
use crate::statement::{DbRow, args};
use crate::{Error, Store, failpoint, sql};

/// How often a write is retried when another process changes the row first.
const TRIES: usize = 16;

/// A relay to add, or the new values of a known relay. The caller has validated the values ([`Relay::check`]).
#[derive(Clone, Debug)]
pub struct NewRelay {
    /// `None` adds a relay; an id changes the relay of this id.
    pub id: Option<AccountId>,
    /// Unique name.
    pub name: String,
    /// As [`Relay::base_url`].
    pub base_url: String,
    /// The protocol that the relay speaks.
    pub wire: Wire,
    /// The relay's models; empty for its live list.
    pub models: Vec<String>,
    /// The prefix of the relay's model names.
    pub prefix: String,
    /// The features that the relay supports.
    pub capabilities: Capabilities,
    /// Whether plain http and private addresses are allowed.
    pub allow_private: bool,
    /// Whether the relay is switched on.
    pub enabled: bool,
    /// The relay's share among relays that could serve the same request.
    pub weight: u32,
    /// The relay's key, empty for a relay without a key. `None` keeps the stored key, which requires the same scheme, host and port.
    pub key: Option<Secret>,
}

/// A relay's model list, in the form of [`pool::relay::models::write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayModels {
    /// The list, JSON.
    pub body: bytes::Bytes,
    /// When the list was fetched.
    pub fetched: Millis,
}

impl Store {
    /// Every relay, oldest first.
    pub async fn relays(&self) -> Result<Vec<Relay>, Error> {
        self.read(sql::RELAYS, &[]).await?.iter().map(relay).collect()
    }

    /// A relay's key, empty for a relay without one; `None` when there is no such relay.
    pub async fn relay_key(&self, id: &AccountId) -> Result<Option<Secret>, Error> {
        let row = self.read_one(sql::RELAY_KEY, &args![&id.0]).await?;
        row.map(|row| self.sealer().open(key_field(&id.0), &row.text(0)?)).transpose()
    }

    /// Adds a relay or changes a known relay, and returns its id. Errors: [`Error::RelayNameTaken`] when another relay has the name,
    /// [`Error::KeyNeeded`] when a new target needs the key again, [`Error::NoSuchRelay`] when the relay to change does not exist.
    pub async fn put_relay(&self, new: &NewRelay, now: Millis) -> Result<AccountId, Error> {
        let Some(id) = &new.id else { return self.add_relay(new, now).await };
        for _ in 0..TRIES {
            if self.change_relay(id, new, now).await? {
                return Ok(id.clone());
            }
        }
        Err(Error::Contended)
    }

    /// Removes a relay with everything that belongs to it; `false` when there is none.
    pub async fn remove_relay(&self, id: &AccountId) -> Result<bool, Error> {
        Ok(self.write(failpoint::RELAY_REMOVE, sql::RELAY_REMOVE, &args![&id.0]).await? > 0)
    }

    /// Writes a relay's status while its row has this version. `false` when the row has changed or is gone: a finding about an old key must
    /// not change the status of a new key.
    pub async fn set_relay_status(&self, id: &AccountId, status: &Status, version: i64) -> Result<bool, Error> {
        let row = args![&id.0, json(status), version];
        Ok(self.write(failpoint::RELAY_STATUS, sql::RELAY_STATUS, &row).await? > 0)
    }

    /// The stored model list of a relay.
    pub async fn relay_models(&self, id: &AccountId) -> Result<Option<RelayModels>, Error> {
        let Some(row) = self.read_one(sql::RELAY_MODELS, &args![&id.0]).await? else { return Ok(None) };
        Ok(Some(RelayModels { body: row.text(0)?.into(), fetched: Millis(row.int(1)?) }))
    }

    /// Stores a relay's model list. Does nothing for a relay that is gone.
    pub async fn set_relay_models(&self, id: &AccountId, models: &RelayModels) -> Result<(), Error> {
        let body = std::str::from_utf8(&models.body).map_err(|_| Error::NotText("the model list"))?;
        self.write(failpoint::RELAY_MODELS, sql::RELAY_MODELS_SET, &args![&id.0, body, models.fetched]).await?;
        Ok(())
    }

    async fn add_relay(&self, new: &NewRelay, now: Millis) -> Result<AccountId, Error> {
        let id = AccountId(uuid::Uuid::now_v7().to_string());
        let key = self.sealer().seal(key_field(&id.0), new.key.as_ref().unwrap_or(&Secret::from("")))?;
        let row = args![
            &id.0,
            &new.name,
            &new.base_url,
            format(new.wire),
            json(&new.models),
            &new.prefix,
            new.capabilities.to_string(),
            new.allow_private,
            new.enabled,
            i64::from(new.weight),
            json(&Status::Active),
            now,
            key,
        ];
        match self.write(failpoint::RELAY, sql::RELAY_ADD, &row).await? {
            0 => Err(Error::RelayNameTaken(new.name.clone())),
            _ => Ok(id),
        }
    }

    /// Changes a relay; `false` when the row has changed since it was read.
    async fn change_relay(&self, id: &AccountId, new: &NewRelay, now: Millis) -> Result<bool, Error> {
        let known = self.relays().await?;
        if known.iter().any(|other| other.id != *id && other.name == new.name) {
            return Err(Error::RelayNameTaken(new.name.clone()));
        }
        let old = known.into_iter().find(|known| known.id == *id).ok_or(Error::NoSuchRelay)?;
        let same = same_target(&old.base_url, &new.base_url);
        let key = match &new.key {
            Some(key) => Some(self.sealer().seal(key_field(&id.0), key)?),
            None if same => None,
            None => return Err(Error::RelayKeyRequired),
        };
        // The old status does not apply to a new address or key.
        let fresh = key.is_some() || !same;
        let status = if fresh { old.status.apply(&Signal::SignedIn, now) } else { old.status };
        let row = args![
            &id.0,
            old.version,
            &new.name,
            &new.base_url,
            format(new.wire),
            json(&new.models),
            &new.prefix,
            new.capabilities.to_string(),
            new.allow_private,
            new.enabled,
            i64::from(new.weight),
            json(&status),
            key,
        ];
        match self.write(failpoint::RELAY, sql::RELAY_CHANGE, &row).await {
            // Another write took the name since the check above.
            Err(Error::Database(error)) if duplicate(&error) => Err(Error::RelayNameTaken(new.name.clone())),
            done => Ok(done? > 0),
        }
    }
}

fn key_field(id: &str) -> FieldId<'_> {
    FieldId { table: "relay", column: "api_key", row: id }
}

fn relay(row: &DbRow) -> Result<Relay, Error> {
    let id = row.text(0)?;
    let damaged = |column| FieldId { table: "relay", column, row: &id }.damaged();
    Ok(Relay {
        name: row.text(1)?,
        base_url: row.text(2)?,
        wire: wire(&row.text(3)?).ok_or_else(|| damaged("wire"))?,
        models: serde_json::from_str(&row.text(4)?).map_err(|_| damaged("models"))?,
        prefix: row.text(5)?,
        capabilities: row.text(6)?.parse().map_err(|_| damaged("capabilities"))?,
        allow_private: row.int(7)? != 0,
        enabled: row.int(8)? != 0,
        weight: u32::try_from(row.int(9)?).map_err(|_| damaged("weight"))?,
        status: serde_json::from_str(&row.text(10)?).map_err(|_| damaged("status"))?,
        created: Millis(row.int(11)?),
        version: row.int(12)?,
        id: AccountId(id),
    })
}
