//! One accepted connection: its shared state, and the check of HTTP/1 request heads below hyper.

pub(crate) mod head;
pub(crate) mod head_filter;
pub(crate) mod signal;
pub(crate) mod state;
