//! Key rows: digests only, never a key's text.

use pool::Millis;
use pool::hosted::{self, Hosted};
use pool::keys::{Digest, Key, KeyKind};

use crate::seal::{FieldId, hex, unhex};
use crate::statement::{DbRow, args};
use crate::{Error, Store, failpoint, sql};

impl Store {
    /// Every key, revoked ones too, oldest first.
    pub async fn keys(&self) -> Result<Vec<Key>, Error> {
        self.read(sql::KEYS, &[]).await?.iter().map(key).collect()
    }

    /// Adds a key; its id must be new.
    pub async fn add_key(&self, key: &Key) -> Result<(), Error> {
        let (digest, scopes) = (hex(&key.digest.0), key.scopes.to_string());
        let tools = key.tools.as_deref().map(hosted::text);
        let row =
            args![&key.id, kind(key.kind), &key.name, digest, scopes, key.created, key.expires, key.revoked, tools];
        match self.write(failpoint::KEY, sql::KEY_ADD, &row).await? {
            0 => Err(Error::KeyExists),
            _ => Ok(()),
        }
    }

    /// Sets the hosted tools of a client key; `None` applies the settings. `false` when there is no such key.
    pub async fn set_key_tools(&self, id: &str, tools: Option<&[Hosted]>) -> Result<bool, Error> {
        Ok(self.write(failpoint::KEY, sql::KEY_TOOLS, &args![id, tools.map(hosted::text)]).await? > 0)
    }

    /// Revokes a key at `now`; `false` when the key does not exist or is already revoked.
    pub async fn revoke_key(&self, id: &str, now: Millis) -> Result<bool, Error> {
        Ok(self.write(failpoint::REVOKE, sql::KEY_REVOKE, &args![id, now]).await? > 0)
    }
}

fn key(row: &DbRow) -> Result<Key, Error> {
    let id = row.text(0)?;
    let place = |column| FieldId { table: "api_key", column, row: &id };
    let kind = read_kind(&row.text(1)?).ok_or_else(|| place("kind").damaged())?;
    let digest = unhex(&row.text(3)?).map(Digest).ok_or_else(|| place("digest").damaged())?;
    let scopes = row.text(4)?.parse().map_err(|_| place("scopes").damaged())?;
    let tools = row.maybe_text(8)?.map(|text| hosted::known(&text));
    Ok(Key {
        kind,
        name: row.text(2)?,
        digest,
        scopes,
        created: Millis(row.int(5)?),
        expires: row.maybe_int(6)?.map(Millis),
        revoked: row.maybe_int(7)?.map(Millis),
        tools,
        id,
    })
}

fn kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Client => "client",
        KeyKind::Admin => "admin",
    }
}

fn read_kind(text: &str) -> Option<KeyKind> {
    [KeyKind::Client, KeyKind::Admin].into_iter().find(|known| kind(*known) == text)
}
