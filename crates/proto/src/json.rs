//! Checks on raw JSON before any parse. Placeholder.
