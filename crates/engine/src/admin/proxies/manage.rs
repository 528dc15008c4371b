//! Adding, changing and assigning proxies, for the command line and the admin API.

use std::collections::HashSet;

use pool::egress::file::{self, FileError, ProxyEntry};
use pool::egress::{Address, Egress, Invalid, MOST, Proxy, ProxyId, check_name};
use pool::{AccountId, Millis};
use store::{NewProxy, Store};

/// Most names that are tried when the one made of an address is taken.
const TRIES: usize = MOST;

/// A proxy to add.
#[derive(Clone, Debug)]
pub struct ProxySpec {
    /// Its name; `None` is made of its address.
    pub name: Option<String>,
    /// Where it is.
    pub address: Address,
    /// Whether it may be at a private address.
    pub allow_private: bool,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// A change of a proxy; `None` keeps the value.
#[derive(Clone, Debug, Default)]
pub struct ProxyChange {
    /// Its name.
    pub name: Option<String>,
    /// Its address; a hidden password ([`pool::egress::MASKED_PASSWORD`]) keeps the stored one.
    pub address: Option<Address>,
    /// Whether it may be at a private address.
    pub allow_private: Option<bool>,
    /// Whether it is switched on.
    pub enabled: Option<bool>,
}

/// Why a proxy was not added, changed or assigned, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// An invalid value.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An invalid file; nothing was imported.
    #[error("{0}; nothing was imported")]
    File(#[from] FileError),
    /// There is no such proxy.
    #[error("there is no such proxy; hint: `polygate proxies list` shows those that are there")]
    Unknown,
    /// There is no such account.
    #[error("there is no account {0}; hint: `polygate accounts list` shows those that are there; nothing was assigned")]
    Account(String),
    /// Several accounts match.
    #[error("{0} names several accounts; hint: use an id; nothing was assigned")]
    Ambiguous(String),
    /// Another proxy has the name.
    #[error("a proxy of this name exists; hint: choose another name")]
    NameTaken,
    /// No route of the egress is open.
    #[error("{0}; hint: `polygate proxies list` shows the proxies")]
    NoEgress(String),
    /// Accounts use it.
    #[error("{0} of the accounts take this proxy; hint: assign them elsewhere first, their calls would have no route")]
    InUse(usize),
    /// There are [`MOST`] proxies already.
    #[error("at most {MOST} proxies can be kept; hint: remove some first")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for ProxyError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::ProxyNameTaken => Self::NameTaken,
            other => Self::Store(other),
        }
    }
}

/// Stores a new proxy. For a known address, returns the known proxy's id and `false`.
pub(super) async fn add_proxy(store: &Store, spec: ProxySpec, now: Millis) -> Result<(ProxyId, bool), ProxyError> {
    // A new proxy has no stored password that a hidden one could mean.
    let address = spec.address.keeping(None)?;
    address.check(spec.allow_private)?;
    let known = store.proxies().await?;
    if let Some(same) = known.iter().find(|proxy| proxy.address == address) {
        return Ok((same.id.clone(), false));
    }
    if known.len() >= MOST {
        return Err(ProxyError::Full);
    }
    let name = match spec.name {
        Some(name) => name,
        None => free_name(&address.host_port(), &known.iter().map(|proxy| proxy.name.clone()).collect()),
    };
    check_name(&name)?;
    let new = NewProxy { name, address, enabled: spec.enabled, allow_private: spec.allow_private };
    let ids = store.add_proxies(&[new], now).await?;
    Ok((ids.into_iter().next().ok_or(ProxyError::Unknown)?, true))
}

/// The name, with a number appended where it is taken.
fn free_name(name: &str, used_names: &HashSet<String>) -> String {
    let name = &name[..name.floor_char_boundary(pool::egress::NAME - 5)];
    let others = (2..=TRIES).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(others);
    let free = names.find(|name| !used_names.contains(name));
    free.unwrap_or_else(|| name.to_owned())
}

/// Changes a stored proxy by its id or name, and returns its id.
pub(super) async fn change_proxy(store: &Store, wanted: &str, change: ProxyChange) -> Result<ProxyId, ProxyError> {
    let old = find(store, wanted).await?;
    let address = match change.address {
        Some(address) => address.keeping(Some(&old.address))?,
        None => old.address.clone(),
    };
    let new = NewProxy {
        name: change.name.unwrap_or(old.name),
        enabled: change.enabled.unwrap_or(old.enabled),
        allow_private: change.allow_private.unwrap_or(old.allow_private),
        address,
    };
    check_name(&new.name)?;
    new.address.check(new.allow_private)?;
    let moved = new.address != old.address;
    if store.change_proxy(&old.id, &new, moved).await? { Ok(old.id) } else { Err(ProxyError::Unknown) }
}

/// Removes a stored proxy that no account uses. Errors: [`ProxyError::InUse`], [`ProxyError::Unknown`].
pub(super) async fn remove_proxy(store: &Store, wanted: &str) -> Result<Proxy, ProxyError> {
    let proxy = find(store, wanted).await?;
    if store.remove_proxy(&proxy.id).await? {
        return Ok(proxy);
    }
    let egress = Egress::Fixed(proxy.id);
    match store.egresses().await?.iter().filter(|(_, assigned)| *assigned == egress).count() {
        0 => Err(ProxyError::Unknown),
        count => Err(ProxyError::InUse(count)),
    }
}

/// Stores the proxies of a file, all or none, and returns how many are new. Known addresses are skipped. Errors:
/// [`ProxyError::File`] with the line of the first fault.
pub(super) async fn import_proxies(store: &Store, text: &str, now: Millis) -> Result<usize, ProxyError> {
    let known = store.proxies().await?;
    let mut new: Vec<NewProxy> = Vec::new();
    let wanted = file::read(text)?;
    let mut names: HashSet<String> = known.iter().map(|proxy| proxy.name.clone()).collect();
    names.extend(wanted.iter().filter_map(|wanted| wanted.name.clone()));
    for wanted in wanted {
        let ProxyEntry { line, name, address, enabled, allow_private } = wanted;
        if known.iter().any(|proxy| proxy.address == address) {
            continue;
        }
        if known.iter().any(|proxy| Some(&proxy.name) == name.as_ref()) {
            let problem = "a proxy of this name exists at another address; hint: give this one another name";
            return Err(FileError { line, problem: problem.to_owned() }.into());
        }
        // One gateway with many users is many proxies at one address.
        let name = name.unwrap_or_else(|| free_name(&address.host_port(), &names));
        names.insert(name.clone());
        new.push(NewProxy { name, address, enabled, allow_private });
    }
    if known.len() + new.len() > MOST {
        return Err(ProxyError::Full);
    }
    if !new.is_empty() {
        store.add_proxies(&new, now).await?;
    }
    Ok(new.len())
}

/// Assigns an egress (`global`, `direct`, `auto`, or a proxy's id or name) to accounts (by id, e-mail or label), all or none, and
/// returns the assignments. Errors: [`ProxyError::Account`], [`ProxyError::Ambiguous`], [`ProxyError::Unknown`].
pub(super) async fn assign(store: &Store, wanted: &[(&str, &str)]) -> Result<Vec<(AccountId, Egress)>, ProxyError> {
    let (accounts, proxies) = (store.accounts().await?, store.proxies().await?);
    let mut assignments = Vec::with_capacity(wanted.len());
    for (account, egress) in wanted {
        assignments.push((account_id(&accounts, account)?, parse_egress(&proxies, egress)?));
    }
    store.set_egresses(&assignments).await?;
    Ok(assignments)
}

/// The account of an id, e-mail or label.
fn account_id(accounts: &[pool::Account], wanted: &str) -> Result<AccountId, ProxyError> {
    if let Some(account) = accounts.iter().find(|account| account.id.0 == wanted) {
        return Ok(account.id.clone());
    }
    let means = |account: &&pool::Account| {
        !wanted.is_empty() && [&account.email, &account.label].iter().any(|name| *name == wanted)
    };
    let mut named = accounts.iter().filter(means);
    match (named.next(), named.next()) {
        (Some(account), None) => Ok(account.id.clone()),
        (Some(_), Some(_)) => Err(ProxyError::Ambiguous(wanted.to_owned())),
        (None, _) => Err(ProxyError::Account(wanted.to_owned())),
    }
}

/// Parses an egress.
pub(super) fn parse_egress(proxies: &[Proxy], wanted: &str) -> Result<Egress, ProxyError> {
    if Egress::WORDS.contains(&wanted) {
        let Ok(egress) = wanted.parse();
        return Ok(egress);
    }
    let proxy = proxies.iter().find(|proxy| proxy.id.0 == wanted || proxy.name == wanted);
    proxy.map(|proxy| Egress::Fixed(proxy.id.clone())).ok_or(ProxyError::Unknown)
}

async fn find(store: &Store, wanted: &str) -> Result<Proxy, ProxyError> {
    let all = store.proxies().await?;
    all.into_iter().find(|proxy| proxy.id.0 == wanted || proxy.name == wanted).ok_or(ProxyError::Unknown)
}
