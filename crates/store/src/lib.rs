//! State on disk: accounts with their tokens, relays with their keys, proxies with their addresses, client keys, settings, usage. Only this
//! crate uses SQL.
//!
//! Two SQLite files, or one PostgreSQL database with the same statements. Secrets are sealed before they reach a statement. Policy lives in
//! `pool`; this crate has rows, leases, files and file modes.

mod account;
mod clock;
mod credit;
mod data_key;
mod db;
mod error;
mod failpoint;
mod files;
#[cfg(feature = "failpoints")]
mod foreign_sql;
mod home;
mod key;
mod liveness;
mod lock;
mod migrate;
mod models;
pub mod portable;
mod postgres;
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

pub use account::{LinkedAccount, NewAccount, PutOutcome, TokenOrigin};
pub use credit::CreditClaim;
pub use data_key::DataKey;
pub use error::{Error, LockError, OpenError};
pub use failpoint::FAILPOINTS;
#[cfg(feature = "failpoints")]
pub use foreign_sql::execute_foreign_sql;
pub use lock::ServeLock;
pub use migrate::SchemaPolicy;
pub use models::StoredModels;
pub use pool::keys::Key;
pub use proxy::NewProxy;
pub use refresh::{CommitError, LeaseOutcome, RefreshLease};
pub use relay::{NewRelay, RelayModels};
pub use store::{Options, Store};
pub use usage::{Outcome, Retention, TokenUsage, Usage, UsageRow};
