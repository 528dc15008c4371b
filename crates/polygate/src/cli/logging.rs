//! The log: lines for people or JSON for programs, on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Log;

/// The crates of this project. No log statement in these crates shows a secret.
const OWN: [&str; 9] = ["audit", "engine", "offline", "polygate", "pool", "proto", "server", "store", "upstream"];

/// Starts logging to standard error.
pub(super) fn start(log: &Log) {
    // Colours are for terminals; `NO_COLOR` (no-color.org) turns colours off there too.
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_target(false).with_ansi(colours);
    let registry = tracing_subscriber::registry().with(log.level.clone()).with(filter_fn(safe));
    let installed = if log.json { registry.with(lines.json()).try_init() } else { registry.with(lines).try_init() };
    // A second subscriber in one process (tests) is ignored: the first one stays.
    drop(installed);
}

/// Whether a line may be logged at all, independent of the filter. At the trace level libraries print secrets: tungstenite 0.29 prints
/// the upgrade request with its token and every message, hyper and h2 print parts of requests.
fn safe(line: &Metadata<'_>) -> bool {
    let part = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::DEBUG || OWN.contains(&part)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn libraries_never_log_at_trace() {
        let written = Lines::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(written.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(filter_fn(safe)).with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "tungstenite::handshake::client", "library trace");
            tracing::trace!(target: "upstreamer", "a name that only begins like ours");
            tracing::debug!(target: "h2::codec", "library debug");
            tracing::trace!(target: "engine::run", "our trace");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("library debug") && text.contains("our trace"), "{text}");
        assert!(!text.contains("library trace") && !text.contains("begins like ours"), "{text}");
    }
}
