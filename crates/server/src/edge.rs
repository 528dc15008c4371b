//! The client protocols: each turns one HTTP request into one call of the engine and the reply into one HTTP answer.

pub(crate) mod chat;
pub(crate) mod health;
pub(crate) mod models;
pub(crate) mod responses;
pub(crate) mod run;
