//! What owners do: accounts, logins, relays, proxies, model lists. One way for the command line and the admin API.

pub(crate) mod accounts;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod models;
pub(crate) mod proxies;
pub(crate) mod relays;
