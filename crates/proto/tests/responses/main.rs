//! The responses dialect from outside: our own streams as snapshots, the invariants as properties, the recorded streams of
//! `$POLYGATE_SHARED/corpus` as an oracle.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what is wrong by failing, or aloud")]

mod corpus;
mod faults;
mod oracle;
mod properties;
mod requests;
mod socket;
mod stored;
mod support;
