//! Server-sent events. Placeholder.
