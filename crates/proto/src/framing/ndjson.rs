//! Newline-delimited JSON. Placeholder.
