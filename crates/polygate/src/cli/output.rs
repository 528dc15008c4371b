//! Output of commands: tables for people, JSON for programs.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use pool::{Millis, Secret};
use serde::Serialize;
use upstream::private_file::{self, Existing};

/// Prints `rows` as pretty JSON.
pub(super) fn json<T: Serialize + ?Sized>(rows: &T) {
    line(&serde_json::to_string_pretty(rows).expect("invariant: our types serialise"));
}

/// Prints a table, or `empty` when there are no rows.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        line(empty);
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    table.add_rows(rows);
    line(&table.to_string());
}

/// `in 3 h 12 min`, `in 40 s`, `now`.
pub(super) fn time_until(now: Millis, until: Millis) -> String {
    let seconds = now.until(until) / 1000;
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("in {seconds} s"),
        60..3600 => format!("in {} min", seconds / 60),
        3600..172_800 => format!("in {} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("in {} days", seconds / 86_400),
    }
}

/// Prints a line. A closed reader (`| head`, a closed terminal) does not end a running gateway.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes a new file with mode 0600. Fails when the path exists.
pub(super) fn write_private(out: &Path, text: &Secret) -> anyhow::Result<()> {
    private_file::write(out, text.expose().as_bytes(), Existing::Keep)
        .with_context(|| format!("cannot write {}", out.display()))
}
