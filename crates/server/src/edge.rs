//! The client protocols: each turns one HTTP request into one call of the engine and the reply into one HTTP answer.

pub(crate) mod chat;
mod count;
pub(crate) mod gemini;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod models;
pub(crate) mod multipart;
pub(crate) mod native;
pub(crate) mod ollama;
pub(crate) mod pass;
pub(crate) mod responses;
pub(crate) mod run;
mod socket;
pub(crate) mod stored;
