//! Token counting, loaded on first need. Placeholder.
