//! `accounts import` and `accounts export`: accounts in files.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use engine::{Engine, Format, Imports};
use pool::Secret;

use crate::cli::{Common, context, output};

/// One byte more than the longest accepted file, so that a longer file is detected.
const LONGEST: u64 = (64 << 20) + 1;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files to read. `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("form").required(true)))]
pub(crate) struct Export {
    /// Ids, e-mails or labels of the accounts. Default: all accounts.
    accounts: Vec<String>,
    /// full, minimal, cockpit_tools, sub2api or cpa. Every format contains the tokens unencrypted.
    #[arg(long, value_parser = format, group = "form")]
    format: Option<Format>,
    /// Encrypt the export with a passphrase. `accounts import` can read it.
    #[arg(long, group = "form")]
    encrypt: bool,
    /// Write to this new file instead of standard output. Only you can read the file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// Source of a passphrase; never the command line itself, which other users can see.
#[derive(Debug, Args)]
struct Passphrase {
    /// A file whose first line is the passphrase.
    #[arg(long, value_name = "FILE", env = "POLYGATE_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Import {
    pub(super) async fn run(self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        let passphrase = self.passphrase.read()?;
        let mut good = true;
        for file in &self.files {
            let text = text(file)?;
            let done = engine.logins().import(text, passphrase.clone()).await;
            let done = done.with_context(|| format!("{}", file.display()))?;
            good &= done.success;
            if common.json { output::json(&done) } else { report(file, &done) }
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn report(file: &Path, done: &Imports) {
    for error in &done.errors {
        eprintln!("{}: {error}", file.display());
    }
    let counts = [
        ("added", done.added),
        ("updated", done.updated),
        ("unchanged", done.unchanged),
        ("failed", done.failed),
        ("listed twice", done.duplicates),
        ("of other providers", done.skipped),
        ("added as relay", done.relays),
    ];
    let words = counts.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}"));
    let words = words.collect::<Vec<_>>().join(", ");
    output::line(&format!("{}: {}.", file.display(), if words.is_empty() { "no accounts" } else { &words }));
}

impl Export {
    pub(super) async fn run(self, engine: &Engine) -> anyhow::Result<()> {
        let ids = self.accounts.iter().map(|wanted| context::account(engine, wanted).map(|view| view.id));
        let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
        let passphrase = self.passphrase.read()?;
        let text = engine.accounts().export(&ids, self.format.unwrap_or(Format::Full)).await?;
        let text = match (self.encrypt, passphrase) {
            (false, _) => text,
            (true, Some(passphrase)) => Secret::new(engine.accounts().seal_export(text, passphrase).await?),
            (true, None) => {
                bail!("--encrypt needs a passphrase: set POLYGATE_PASSPHRASE, or give --passphrase-file FILE")
            }
        };
        match &self.out {
            None => std::io::stdout().lock().write_all(text.expose().as_bytes())?,
            Some(out) => {
                output::write_private(out, &text)?;
                let count = if ids.is_empty() { engine.accounts().list().len() } else { ids.len() };
                let noun = if count == 1 { "account" } else { "accounts" };
                eprintln!("Wrote {count} {noun} to {}.", out.display());
            }
        }
        if !self.encrypt {
            eprintln!("warning: this export contains your logins unencrypted. Anyone who reads it can use them.");
        }
        Ok(())
    }
}

impl Passphrase {
    fn read(&self) -> anyhow::Result<Option<Secret>> {
        let Some(file) = &self.passphrase_file else {
            let given = std::env::var("POLYGATE_PASSPHRASE").ok().filter(|text| !text.is_empty());
            return Ok(given.map(Secret::new));
        };
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text.lines().next().filter(|line| !line.is_empty()).map(Secret::from))
    }
}

fn text(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_end(&mut text).context("cannot read standard input")?;
    } else {
        let open = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        open.take(LONGEST).read_to_end(&mut text).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(text)
}

fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| "give full, minimal, cockpit_tools, sub2api or cpa".to_owned())
}
