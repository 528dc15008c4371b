//! The client protocols: each turns one HTTP request into one call of the engine, and the reply into one HTTP response.

pub(crate) mod chat;
pub(crate) mod codex;
mod count;
pub(crate) mod forward;
pub(crate) mod gemini;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod models;
pub(crate) mod multipart;
pub(crate) mod ollama;
pub(crate) mod responses;
pub(crate) mod run;
pub(crate) mod stored;
mod websocket;
