//! Changes of proxies and egress. The registry is reloaded before the answer, so that the next request uses the change.

use std::sync::Arc;

use pool::egress::{Address, Egress, ProxyId, Route, file};
use pool::{Account, AccountId, Secret};

mod manage;
mod transfer;
mod view;

use crate::registry::egress::INTERVAL;
use crate::request::services::Services;

pub use manage::{ProxyChange, ProxyError, ProxySpec};
pub use transfer::{AssignmentPreview, EgressAssignment, EgressChange};
pub use view::{GlobalView, ProxyView};

/// The handle that `Engine::proxies` returns.
#[derive(Clone, Copy)]
pub struct Proxies<'e>(pub(crate) &'e Arc<Services>);

impl Proxies<'_> {
    /// Every proxy, oldest first.
    pub fn list(self) -> Vec<ProxyView> {
        let table = self.0.registry.egress.table();
        table.proxies.iter().map(|proxy| ProxyView::of(&table, proxy)).collect()
    }

    /// The proxy of the configuration.
    pub fn global(self) -> Option<GlobalView> {
        let url = self.0.runtime.upstream.config().proxy.as_ref()?;
        let down = self.0.registry.egress.table().down.contains_key(&Route::Global);
        Some(GlobalView {
            url: Address::read(url.as_str()).map_or_else(|_| url.scheme().to_owned(), |address| address.bare()),
            origin: self.0.runtime.settings.proxies.origin.clone(),
            status: if down { "unreachable" } else { "active" },
            health: self.0.registry.egress.global.lock().clone(),
        })
    }

    /// The accounts with an egress of their own, each with `direct`, `auto` or a proxy's id.
    pub fn egresses(self) -> Vec<(String, String)> {
        let table = self.0.registry.egress.table();
        let all = table.assigned.iter().map(|(account, egress)| (account.0.clone(), egress.to_string()));
        let mut all: Vec<_> = all.collect();
        all.sort();
        all
    }

    /// Parses an egress: `global`, `direct`, `auto`, or a proxy's id or name. Errors: [`ProxyError::Unknown`].
    pub fn egress(self, wanted: &str) -> Result<Egress, ProxyError> {
        manage::parse_egress(&self.0.registry.egress.table().proxies, wanted)
    }

    /// Minutes between two checks; 0 for none.
    pub fn check_minutes(self) -> u64 {
        self.0.dispatch.check_interval().map_or(0, |interval| interval.as_secs().div_ceil(60))
    }

    /// Sets the minutes between two checks; 0 for none. Beats the configuration from now on. Errors: [`ProxyError::Store`].
    pub async fn set_check_minutes(self, minutes: u32) -> Result<(), ProxyError> {
        self.0.runtime.store.set_setting(INTERVAL, &minutes.to_string()).await?;
        self.reload().await
    }

    /// Adds a proxy; `false` when its address is known already.
    pub async fn add(self, spec: ProxySpec) -> Result<(ProxyView, bool), ProxyError> {
        let (id, added) = manage::add_proxy(&self.0.runtime.store, spec, self.0.runtime.now()).await?;
        self.reload().await?;
        Ok((self.proxy(&id).ok_or(ProxyError::Unknown)?, added))
    }

    /// Changes a proxy.
    pub async fn change(self, id: &str, change: ProxyChange) -> Result<ProxyView, ProxyError> {
        let id = manage::change_proxy(&self.0.runtime.store, id, change).await?;
        self.reload().await?;
        self.proxy(&id).ok_or(ProxyError::Unknown)
    }

    /// Removes a proxy that no account uses. Errors: [`ProxyError::InUse`], [`ProxyError::Unknown`].
    pub async fn remove(self, id: &str) -> Result<(), ProxyError> {
        manage::remove_proxy(&self.0.runtime.store, id).await?;
        self.reload().await
    }

    /// Every proxy as a file, with the passwords in clear.
    pub fn export(self) -> Secret {
        let table = self.0.registry.egress.table();
        tracing::warn!(count = table.proxies.len(), "audit: proxies were exported with their passwords");
        file::write(&table.proxies)
    }

    /// Imports the proxies of a file, all or none, and returns how many are new.
    pub async fn import(self, text: &str) -> Result<usize, ProxyError> {
        let added = manage::import_proxies(&self.0.runtime.store, text, self.0.runtime.now()).await?;
        self.reload().await?;
        Ok(added)
    }

    /// Assigns an egress (`global`, `direct`, `auto`, or a proxy's id or name) to accounts (by id, e-mail or label), all or none, and
    /// returns the assignments. Errors: [`ProxyError::Account`], [`ProxyError::Ambiguous`], [`ProxyError::Unknown`].
    pub async fn assign(self, wanted: &[(&str, &str)]) -> Result<Vec<(AccountId, Egress)>, ProxyError> {
        let assigned = manage::assign(&self.0.runtime.store, wanted).await?;
        self.reload().await?;
        Ok(assigned)
    }

    /// The assignments as a file.
    pub fn export_egresses(self) -> Vec<EgressAssignment> {
        transfer::export(&self.0.registry.egress.table(), &self.own_accounts())
    }

    /// The effect that a file of assignments would have. Errors: [`ProxyError::Account`], [`ProxyError::Unknown`].
    pub fn preview_egresses(self, tickets: &[EgressAssignment]) -> Result<AssignmentPreview, ProxyError> {
        transfer::preview(&self.0.registry.egress.table(), &self.own_accounts(), tickets)
    }

    pub(super) fn proxy(self, id: &ProxyId) -> Option<ProxyView> {
        let table = self.0.registry.egress.table();
        table.proxy(id).map(|proxy| ProxyView::of(&table, proxy))
    }

    async fn reload(self) -> Result<(), ProxyError> {
        let _guard = self.0.registry.lock_reload().await;
        Ok(self.0.registry.reload_egress().await?)
    }

    fn own_accounts(self) -> Vec<Account> {
        let list = self.0.registry.accounts.list();
        list.accounts().map(|entry| entry.account.clone()).collect()
    }

    /// The proxy with this id or name. Errors: [`ProxyError::Unknown`].
    pub fn find(self, wanted: &str) -> Result<ProxyView, ProxyError> {
        let table = self.0.registry.egress.table();
        table.named(wanted).map(|proxy| ProxyView::of(&table, proxy)).ok_or(ProxyError::Unknown)
    }

    /// Checks one proxy now. A failed check is no error.
    pub async fn check(self, id: &str) -> Result<ProxyView, ProxyError> {
        self.check_each(&[id]).await?.pop().ok_or(ProxyError::Unknown)
    }

    /// Checks proxies now, by their ids or names, and returns them in the same order. A failed check is no error. Errors:
    /// [`ProxyError::Unknown`] when one of them does not exist; none is checked then.
    pub async fn check_each(self, wanted: &[&str]) -> Result<Vec<ProxyView>, ProxyError> {
        let table = self.0.registry.egress.table();
        let named = wanted.iter().map(|wanted| table.named(wanted).cloned().ok_or(ProxyError::Unknown));
        let proxies = named.collect::<Result<Vec<_>, _>>()?;
        self.0.dispatch.check_now(&proxies).await?;
        proxies.iter().map(|proxy| self.proxy(&proxy.id).ok_or(ProxyError::Unknown)).collect()
    }

    /// Checks every proxy now, and that of the configuration.
    pub async fn check_all(self) -> Result<Vec<ProxyView>, ProxyError> {
        let proxies = self.0.registry.egress.table().proxies.clone();
        self.0.dispatch.check_now(&proxies).await?;
        if self.0.registry.egress.table().global {
            self.0.dispatch.check_global().await;
        }
        Ok(self.list())
    }
}
