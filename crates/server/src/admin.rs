//! The admin API: state and keys, behind admin tokens. A client key never gives access to it.

pub(crate) mod accounts;
pub(crate) mod events;
pub(crate) mod guard;
pub(crate) mod input;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod models;
pub(crate) mod ollama;
pub(crate) mod openapi;
mod output;
pub(crate) mod proxies;
pub(crate) mod quota;
pub(crate) mod relays;
pub(crate) mod selection;

pub(crate) use input::is_text;
