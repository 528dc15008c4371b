//! The responses dialect from outside: our own streams as snapshots, the invariants as properties, the recorded streams of
//! `$POLYGATE_SHARED/corpus` as an oracle.

mod corpus;
mod faults;
mod oracle;
mod properties;
mod requests;
mod support;
