//! State on disk: accounts with their tokens, relays with their keys, proxies with theirs, client keys, settings, usage. The only crate that speaks SQL.
//!
//! Two SQLite files, or one PostgreSQL database that speaks the same statements. Secrets are sealed before they reach a
//! statement. Policy lives in `pool`; here are rows, leases, files and their modes.

mod account;
mod clock;
mod credit;
mod data_key;
mod db;
mod error;
mod failpoint;
mod files;
mod home;
mod key;
mod lock;
#[cfg(feature = "failpoints")]
mod meddle;
mod migrate;
mod models;
pub mod portable;
mod postgres;
mod presence;
mod proxy;
mod refresh;
mod relay;
mod remote;
mod reserve;
mod seal;
mod setting;
mod sql;
mod sqlite;
mod statement;
mod store;
#[cfg(test)]
mod tests;
mod usage;
mod watch;

pub use account::{Link, NewAccount, Origin, Put};
pub use credit::CreditUse;
pub use data_key::DataKey;
pub use error::{Error, LockError, OpenError};
pub use failpoint::FAILPOINTS;
pub use lock::ServeLock;
#[cfg(feature = "failpoints")]
pub use meddle::meddle;
pub use migrate::Schema;
pub use models::StoredModels;
pub use pool::keys::Key;
pub use proxy::NewProxy;
pub use refresh::{Begin, CommitError, Ticket};
pub use relay::{NewRelay, RelayModels};
pub use store::{Options, Store};
pub use usage::{Outcome, Retention, Tally, Usage, UsageRow};
