//! Proxies as the server sees them. What is written is read again before the answer, so that the next request goes by it.

use pool::egress::{Address, Egress, ProxyId, Route, file};
use pool::{Account, AccountId, Secret};
use upstream::Upstream;
use upstream::oauth::{LoginError, Pkce};
use url::Url;

use super::{GlobalView, INTERVAL, Moves, ProxyChange, ProxyError, ProxyView, ProxyWish, Ticket, manage, transfer};
use crate::core::Core;
use crate::engine::Engine;
use crate::logins::LoginProblem;

impl Engine {
    /// Every proxy, oldest first.
    pub fn proxies(&self) -> Vec<ProxyView> {
        let table = self.0.egress.table();
        table.proxies.iter().map(|proxy| ProxyView::of(&table, proxy)).collect()
    }

    /// The proxy of the configuration.
    pub fn global_proxy(&self) -> Option<GlobalView> {
        let url = self.0.upstream.config().proxy.as_ref()?;
        let down = self.0.egress.table().down.contains_key(&Route::Global);
        let shown = Address::read(url.as_str()).map_or_else(|_| url.scheme().to_owned(), |address| address.bare());
        Some(GlobalView {
            url: shown,
            origin: self.0.settings.proxies.origin.clone(),
            status: if down { "unreachable" } else { "active" },
            health: self.0.egress.global.lock().clone(),
        })
    }

    /// The accounts that do not take the global way, each with `direct`, `auto` or a proxy's id.
    pub fn egresses(&self) -> Vec<(String, String)> {
        let table = self.0.egress.table();
        let all = table.assigned.iter().map(|(account, way)| (account.0.clone(), way.to_string()));
        let mut all: Vec<_> = all.collect();
        all.sort();
        all
    }

    /// The way out of these words: `global`, `direct`, `auto`, or a proxy's id or name.
    ///
    /// # Errors
    /// [`ProxyError::Unknown`].
    pub fn egress(&self, wanted: &str) -> Result<Egress, ProxyError> {
        manage::meant(&self.0.egress.table().proxies, wanted)
    }

    /// Where a person signs in; nothing is sent.
    pub fn authorize_url(&self, pkce: &Pkce, state: &str, redirect: &str) -> Url {
        self.0.upstream.authorize_url(pkce, state, redirect)
    }

    /// A step of a login that is no account yet, by such a way and never by another: with [`Egress::Auto`] one proxy after the other
    /// is tried while nothing was sent. `step` is called with the backend by each.
    ///
    /// # Errors
    /// [`LoginProblem::Way`] with [`ProxyError::Stuck`], and what the step comes to.
    pub async fn step_by<T, F>(&self, egress: Option<&Egress>, step: impl Fn(Upstream) -> F) -> Result<T, LoginProblem>
    where
        F: Future<Output = Result<T, LoginError>>,
    {
        self.0.step_by(egress, step).await
    }

    /// Minutes between two checks; 0 for none.
    pub fn check_minutes(&self) -> u64 {
        self.0.check_interval().map_or(0, |interval| interval.as_secs().div_ceil(60))
    }

    /// Sets the minutes between two checks; 0 for none. Beats the configuration from now on.
    ///
    /// # Errors
    /// [`ProxyError::Store`].
    pub async fn set_check_minutes(&self, minutes: u32) -> Result<(), ProxyError> {
        self.0.store.set_setting(INTERVAL, &minutes.to_string()).await?;
        self.0.reread_now().await
    }

    /// Adds a proxy; `false` when its address was there already.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn add_proxy(&self, wish: ProxyWish) -> Result<(ProxyView, bool), ProxyError> {
        let (id, added) = manage::add_proxy(&self.0.store, wish, self.0.now()).await?;
        self.0.reread_now().await?;
        Ok((self.proxy(&id).ok_or(ProxyError::Unknown)?, added))
    }

    /// Changes a proxy.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn change_proxy(&self, id: &str, change: ProxyChange) -> Result<ProxyView, ProxyError> {
        let id = manage::change_proxy(&self.0.store, id, change).await?;
        self.0.reread_now().await?;
        self.proxy(&id).ok_or(ProxyError::Unknown)
    }

    /// Removes a proxy that no account takes.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn remove_proxy(&self, id: &str) -> Result<(), ProxyError> {
        manage::remove_proxy(&self.0.store, id).await?;
        self.0.reread_now().await
    }

    /// Every proxy as a file, with the passwords in clear.
    pub fn export_proxies(&self) -> Secret {
        let table = self.0.egress.table();
        tracing::warn!(count = table.proxies.len(), "audit: proxies were exported with their passwords");
        file::write(&table.proxies)
    }

    /// Takes the proxies of a file, all or none; how many are new.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn import_proxies(&self, text: &str) -> Result<usize, ProxyError> {
        let added = manage::import_proxies(&self.0.store, text, self.0.now()).await?;
        self.0.reread_now().await?;
        Ok(added)
    }

    /// Assigns accounts to ways, all or none; see [`super::assign`].
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn assign(&self, wanted: &[(&str, &str)]) -> Result<(), ProxyError> {
        manage::assign(&self.0.store, wanted).await?;
        self.0.reread_now().await
    }

    /// The assignments as a file.
    pub fn export_egresses(&self) -> Vec<Ticket> {
        transfer::export(&self.0.egress.table(), &self.0.own_accounts())
    }

    /// What a file of assignments would come to.
    ///
    /// # Errors
    /// [`ProxyError::Account`], [`ProxyError::Unknown`].
    pub fn preview_egresses(&self, tickets: &[Ticket]) -> Result<Moves, ProxyError> {
        transfer::preview(&self.0.egress.table(), &self.0.own_accounts(), tickets)
    }

    pub(super) fn proxy(&self, id: &ProxyId) -> Option<ProxyView> {
        let table = self.0.egress.table();
        table.proxy(id).map(|proxy| ProxyView::of(&table, proxy))
    }
}

impl Core {
    async fn reread_now(&self) -> Result<(), ProxyError> {
        let _turn = self.sync.lock().await;
        Ok(self.reread_ways().await?)
    }

    fn own_accounts(&self) -> Vec<Account> {
        let list = self.accounts.list();
        list.iter().filter(|entry| entry.relay.is_none()).map(|entry| entry.account.clone()).collect()
    }

    /// The words for an account's way: `global`, `direct` or `auto` twice, or a proxy's id and its name.
    pub(crate) fn way_words(&self, id: &AccountId) -> (String, String) {
        let table = self.egress.table();
        let way = table.egress(id);
        let proxy = if let Egress::Fixed(id) = way { table.proxy(id) } else { None };
        (way.to_string(), proxy.map_or_else(|| way.to_string(), |proxy| proxy.name.clone()))
    }
}
