//! The responses dialect from outside: our own streams as snapshots, the invariants as properties, the recorded streams of
//! `$POLYGATE_SHARED/corpus` as an oracle.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

mod corpus;
mod faults;
mod oracle;
mod properties;
#[path = "../../../../tests/recordings.rs"]
mod recordings;
mod requests;
mod socket;
mod stored;
mod support;
