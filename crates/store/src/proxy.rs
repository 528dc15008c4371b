//! Proxy rows and the egress of each account. Whole addresses are sealed, because a user name may be as secret as a password.

use pool::egress::{Address, Egress, Health, Proxy, ProxyId};
use pool::{AccountId, Millis};

use crate::error::duplicate;
use crate::seal::FieldId;
use crate::statement::{Arg, DbRow, args};
use crate::{Error, Store, failpoint, sql};

/// A proxy to add, or the new values of a known proxy. The caller has validated the values.
#[derive(Clone, Debug)]
pub struct NewProxy {
    /// Unique name.
    pub name: String,
    /// The proxy's address.
    pub address: Address,
    /// Whether the proxy is switched on.
    pub enabled: bool,
    /// Whether the proxy may be at a private address.
    pub allow_private: bool,
}

impl Store {
    /// Every proxy, oldest first. A proxy whose address cannot be unsealed is left out and logged.
    pub async fn proxies(&self) -> Result<Vec<Proxy>, Error> {
        let mut all = Vec::new();
        for row in self.read(sql::PROXIES, &[]).await? {
            match self.proxy(&row) {
                // A damaged row must not hide the others.
                Err(error @ (Error::CannotUnseal { .. } | Error::Damaged { .. })) => {
                    tracing::error!(%error, "a proxy is not readable");
                }
                proxy => all.push(proxy?),
            }
        }
        Ok(all)
    }

    /// Adds proxies, all or none, and returns their ids in the same order. Errors: [`Error::ProxyNameTaken`] when another proxy has one of
    /// the names.
    pub async fn add_proxies(&self, new: &[NewProxy], now: Millis) -> Result<Vec<ProxyId>, Error> {
        let ids: Vec<ProxyId> = new.iter().map(|_| ProxyId(uuid::Uuid::now_v7().to_string())).collect();
        let mut rows = Vec::with_capacity(new.len());
        for (id, new) in ids.iter().zip(new) {
            let address = self.sealer().seal(address_field(&id.0), &new.address.full())?;
            rows.push(args![&id.0, &new.name, address, new.enabled, new.allow_private, now].to_vec());
        }
        match self.write_all(failpoint::PROXY, sql::PROXY_ADD, &rows).await {
            Err(Error::Database(error)) if duplicate(&error) => Err(Error::ProxyNameTaken),
            done => done.map(|_| ids),
        }
    }

    /// Replaces the values of a proxy; `false` when there is no proxy of this id. `moved` says that the address changed: then the
    /// stored health is cleared. Errors: [`Error::ProxyNameTaken`] when another proxy has the name.
    pub async fn change_proxy(&self, id: &ProxyId, new: &NewProxy, moved: bool) -> Result<bool, Error> {
        let address = self.sealer().seal(address_field(&id.0), &new.address.full())?;
        let row = args![&id.0, &new.name, address, new.enabled, new.allow_private, moved];
        match self.write(failpoint::PROXY, sql::PROXY_CHANGE, &row).await {
            Err(Error::Database(error)) if duplicate(&error) => Err(Error::ProxyNameTaken),
            done => Ok(done? > 0),
        }
    }

    /// Removes a proxy; `false` when it does not exist or an account is assigned to it.
    pub async fn remove_proxy(&self, id: &ProxyId) -> Result<bool, Error> {
        Ok(self.write(failpoint::PROXY_REMOVE, sql::PROXY_REMOVE, &args![&id.0]).await? > 0)
    }

    /// Stores the results of health checks in one write, because every write makes every gateway reload.
    pub async fn set_proxy_health(&self, found: &[(ProxyId, Health)]) -> Result<(), Error> {
        let text = |health: &Health| -> String {
            serde_json::to_string(health).expect("invariant: a struct of plain values serialises")
        };
        let row =
            |(id, health): &(ProxyId, Health)| -> Vec<Arg<'static>> { args![id.0.clone(), text(health)].to_vec() };
        let rows: Vec<_> = found.iter().map(row).collect();
        self.write_all(failpoint::PROXY_HEALTH, sql::PROXY_HEALTH, &rows).await?;
        Ok(())
    }

    /// The egress of every account that does not use the global egress.
    pub async fn egresses(&self) -> Result<Vec<(AccountId, Egress)>, Error> {
        let rows = self.read(sql::EGRESSES, &[]).await?;
        let pair = |row: &DbRow| {
            let Ok(egress) = row.text(1)?.parse();
            Ok((AccountId(row.text(0)?), egress))
        };
        rows.iter().map(pair).collect()
    }

    /// Sets the egress of accounts in one transaction; accounts that are gone are skipped.
    pub async fn set_egresses(&self, egresses: &[(AccountId, Egress)]) -> Result<(), Error> {
        let row = |(id, egress): &(AccountId, Egress)| -> Vec<Arg<'static>> {
            args![id.0.clone(), egress.to_string()].to_vec()
        };
        let rows: Vec<_> = egresses.iter().map(row).collect();
        self.write_all(failpoint::EGRESS, sql::EGRESS_SET, &rows).await?;
        Ok(())
    }

    fn proxy(&self, row: &DbRow) -> Result<Proxy, Error> {
        let id = row.text(0)?;
        let damaged = |column| FieldId { table: "proxy", column, row: &id }.damaged();
        let address = self.sealer().open(address_field(&id), &row.text(2)?)?;
        let health = row.maybe_text(5)?;
        Ok(Proxy {
            name: row.text(1)?,
            address: Address::read(address.expose()).map_err(|_| damaged("address"))?,
            enabled: row.int(3)? != 0,
            allow_private: row.int(4)? != 0,
            health: health.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| damaged("health"))?,
            created: Millis(row.int(6)?),
            id: ProxyId(id),
        })
    }
}

fn address_field(row: &str) -> FieldId<'_> {
    FieldId { table: "proxy", column: "address", row }
}
