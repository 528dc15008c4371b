//! The admin side: state and keys, behind admin tokens. A client key never opens it.

pub(crate) mod accounts;
pub(crate) mod guard;
pub(crate) mod keys;
pub(crate) mod ollama;
pub(crate) mod relays;
