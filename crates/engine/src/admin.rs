//! Changes by the owner: accounts, logins, relays, proxies, model lists. The command line and the admin API share this code.

pub(crate) mod accounts;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod models;
pub(crate) mod proxies;
pub(crate) mod relays;
