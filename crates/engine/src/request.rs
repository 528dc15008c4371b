//! Requests: one call of a client, from its reading to its usage row.
//!
//! ```text
//! Call -> run -> (registry, dispatch, tokens) -> ModelAttempt -> commit barrier -> ReplyStream | Whole
//! ```

pub(crate) mod attempt;
pub(crate) mod call;
pub(crate) mod conversation;
mod estimate;
pub(crate) mod forward;
mod native;
pub(crate) mod reply;
pub(crate) mod retired;
pub(crate) mod run;
pub(crate) mod services;
pub(crate) mod stored;
pub(crate) mod stream;
mod usage;
