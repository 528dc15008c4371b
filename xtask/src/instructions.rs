//! The number of instructions per request and per token in each protocol, counted by Callgrind and checked by a lint.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::install::debian;
use crate::shell::{cargo, command, output, root, step, target, works};

/// The page with the table, and the lines before the table's rows.
const PAGE: &str = "docs/benchmarks.md";
const MARK: &str = "<!-- instructions: ";
const HEAD: &str =
    "| protocol | streamed request of 1 token | collected request of 1 token | further token |\n|---|---|---|---|\n";
/// Requests per count and further tokens of the long reply, as in `bench/instructions`.
const REQUESTS: f64 = 50.0;
const TOKENS: f64 = 400.0;
/// The maximum relative difference between a figure and the table.
const TOLERANCE: f64 = 0.03;

/// A protocol and its figures in the order of the table's columns.
type Row = (String, [f64; 3]);

/// Counts, then writes the table or with `check` compares the counts with it.
pub(crate) fn run(check: bool) -> Result<()> {
    if !works("valgrind", &["--version"]) {
        debian("valgrind");
    }
    if check && !works("valgrind", &["--version"]) {
        return not_run("valgrind is not installed");
    }
    let page = root().join(PAGE);
    let text = fs::read_to_string(&page).context(PAGE)?;
    let (before, rest) = text.split_once(MARK).context("the page has no table of instructions")?;
    let (compiler, rest) = rest.split_once(" -->\n").context("the table names no compiler")?;
    let end = rest.find("\n\n").map_or(rest.len(), |at| at + 1);
    let used = output(&mut command("rustc", ["--version"]))?.trim().to_owned();
    if check && compiler != used {
        return not_run(&format!("the table is of {compiler} and this is {used}"));
    }
    let rows = count()?;
    if check {
        return compare(&rest[..end], &rows);
    }
    let table = rows.iter().fold(HEAD.to_owned(), |mut table, (name, [stream, collected, token])| {
        let _ = writeln!(table, "| {name} | {stream:.0} | {collected:.0} | {token:.0} |");
        table
    });
    Ok(fs::write(page, format!("{before}{MARK}{used} -->\n{table}{}", &rest[end..]))?)
}

/// Says that the check did not run. Errors: CI requires it.
fn not_run(reason: &str) -> Result<()> {
    ensure!(std::env::var_os("POLYGATE_REQUIRE_INSTRUCTIONS").is_none(), "instructions: {reason}");
    println!("\n== instructions: NOT RUN, {reason}");
    Ok(())
}

/// Builds the program and runs it in Callgrind.
fn count() -> Result<Vec<Row>> {
    step("build", &mut cargo(&["build", "--quiet", "--profile", "count", "--package", "instructions"]))?;
    let folder = target().join("count/dumps");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    println!("\n== instructions");
    let counted = "instructions::counted_requests";
    let mut callgrind = command("valgrind", ["--quiet", "--tool=callgrind"]);
    callgrind.arg(format!("--callgrind-out-file={}", folder.join("dump").display()));
    callgrind.arg(format!("--toggle-collect={counted}")).arg(format!("--dump-after={counted}"));
    let printed = output(callgrind.arg(target().join("count/instructions")))?;
    let names: Vec<&str> = printed.lines().collect();
    let totals = (1..=names.len()).map(|n| total(&folder.join(format!("dump.{n}"))));
    let totals: Vec<f64> = totals.collect::<Result<_>>()?;
    let rows = names.chunks(3).zip(totals.chunks(3)).map(|(names, totals)| {
        let (name, _) = names[0].split_once('|').context("a count without a name")?;
        let [stream, collected, long] = totals else { bail!("{name} has not three counts") };
        let per_request = [stream / REQUESTS, collected / REQUESTS, (long - stream) / REQUESTS / TOKENS];
        Ok((name.to_owned(), per_request))
    });
    rows.collect()
}

/// The instructions of one dump.
fn total(dump: &Path) -> Result<f64> {
    let text = fs::read_to_string(dump).with_context(|| dump.display().to_string())?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(total.context("a dump without a total")?.trim().parse()?)
}

/// Fails if a figure differs from the table's.
fn compare(table: &str, rows: &[Row]) -> Result<()> {
    let mut changed = Vec::new();
    for (name, figures) in rows {
        let row = table.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
        let row = row.with_context(|| format!("{PAGE} has no row for {name}"))?;
        let written: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
        ensure!(written.len() == figures.len(), "the row of {name} has {} figures", written.len());
        for (now, then) in figures.iter().zip(written) {
            let change = now / then - 1.0;
            if change.abs() > TOLERANCE {
                changed.push(format!("{name}: {then:.0} -> {now:.0} instructions ({:+.1} %)", change * 100.0));
            }
        }
    }
    ensure!(
        changed.is_empty(),
        "{}\nWhere the change is meant, `cargo xtask instructions` writes {PAGE} anew.",
        changed.join("\n")
    );
    println!("all within 3 % of {PAGE}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| chat | 1000 | 2000 | 100 |\n";

    fn row(figures: [f64; 3]) -> Vec<Row> {
        vec![("chat".to_owned(), figures)]
    }

    #[test]
    fn a_change_over_three_percent_fails_up_and_down() {
        assert!(compare(TABLE, &row([1029.0, 1941.0, 100.0])).is_ok());
        for figures in [[1031.0, 2000.0, 100.0], [1000.0, 1939.0, 100.0], [1000.0, 2000.0, 104.0]] {
            assert!(compare(TABLE, &row(figures)).is_err(), "{figures:?}");
        }
    }

    #[test]
    fn a_protocol_without_a_row_fails() {
        assert!(compare("", &row([1.0; 3])).is_err());
    }
}
