//! `proxies`: manages proxies and the egress of accounts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use engine::{AccountView, Engine, ProxyChange, ProxySpec, ProxyView};
use pool::Secret;
use pool::egress::{Address, Egress, Health, file};
use serde::Serialize;

use super::context::UpstreamSettings;
use super::{Common, context, output};
use crate::config::{self, Config};

#[derive(Debug, Subcommand)]
pub(super) enum Proxies {
    /// List all proxies with their states, and the accounts that do not use the global proxy.
    List,
    /// Add a proxy and check it.
    Add(Add),
    /// Remove a proxy that no account uses.
    Remove {
        /// Name or id of the proxy.
        proxy: String,
    },
    /// Enable a proxy.
    Enable {
        /// Name or id of the proxy.
        proxy: String,
    },
    /// Disable a proxy. Accounts that are assigned to it then cannot serve.
    Disable {
        /// Name or id of the proxy.
        proxy: String,
    },
    /// Call the echo service through proxies. Shows exit address and latency.
    Check {
        /// Names or ids of the proxies. Default: all proxies.
        proxies: Vec<String>,
    },
    /// Set the egress of an account.
    Assign {
        /// Id, e-mail or label of the account.
        account: String,
        /// global, direct, auto, or the name or id of a proxy.
        egress: String,
    },
    /// Add the proxies of a file: YAML, JSON, or one URL on each line. Adds all of them or none.
    Import {
        /// The file. `-` reads standard input.
        file: PathBuf,
    },
    /// Write all proxies as YAML, with unencrypted passwords.
    Export {
        /// Write to this new file instead of standard output. Only you can read the file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// scheme://user:password@host:port with http, https, socks5 or socks5h. `-` reads the URL from standard input, so that other
    /// users cannot see it.
    #[arg(value_name = "URL", required_unless_present = "url_file")]
    url: Option<String>,
    /// A file that contains the URL.
    #[arg(long, value_name = "FILE", env = "POLYGATE_PROXY_URL_FILE", conflicts_with = "url")]
    url_file: Option<PathBuf>,
    /// Name of the proxy. Default: host and port.
    #[arg(long)]
    name: Option<String>,
    /// Allow a private address, such as a proxy on this machine.
    #[arg(long)]
    allow_private: bool,
    /// Add the proxy disabled.
    #[arg(long)]
    disabled: bool,
}

/// Longest URL and file that are read, bytes.
const LARGEST: u64 = file::LARGEST as u64 + 1;

#[derive(Serialize)]
struct Report<'a> {
    global: Option<Global>,
    proxies: Vec<ProxyRow<'a>>,
    assignments: Vec<AssignmentRow<'a>>,
}

#[derive(Serialize)]
struct Global {
    url: String,
    origin: String,
}

#[derive(Serialize)]
struct ProxyRow<'a> {
    id: &'a str,
    name: &'a str,
    url: &'a str,
    status: &'static str,
    health: Option<&'a Health>,
    allow_private: bool,
    accounts: usize,
}

#[derive(Serialize)]
struct AssignmentRow<'a> {
    account: &'a str,
    label: &'a str,
    egress: String,
    /// The earlier name of `egress`, for scripts.
    way: String,
}

impl Proxies {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut config = context::config(common)?;
        let _stand_in = if matches!(self, Self::List) { context::temporary_home(&mut config)? } else { None };
        let calls = if matches!(self, Self::Add(_) | Self::Check { .. }) {
            UpstreamSettings::Configured
        } else {
            UpstreamSettings::Unused
        };
        let engine = context::engine_without_refresh(&config, context::store(&config).await?, calls).await?;
        let done = self.act(common, &config, &engine).await;
        context::close(engine).await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn act(self, common: &Common, config: &Config, engine: &Engine) -> anyhow::Result<()> {
        match self {
            Self::List => {
                list(common, config, engine);
                Ok(())
            }
            Self::Add(add) => add.run(common, engine).await,
            Self::Remove { proxy } => {
                let gone = engine.proxies().find(&proxy)?;
                engine.proxies().remove(&gone.id).await?;
                print(common, &serde_json::json!({ "removed": gone.id }), &format!("Removed {}.", gone.name));
                Ok(())
            }
            Self::Enable { proxy } => switch(common, engine, (&proxy, true)).await,
            Self::Disable { proxy } => switch(common, engine, (&proxy, false)).await,
            Self::Check { proxies } => check(common, engine, &proxies).await,
            Self::Assign { account, egress } => {
                let done = engine.proxies().assign(&[(&account, &egress)]).await?;
                let assigned: Vec<_> = done.iter().map(|(id, egress)| (&id.0, egress.to_string())).collect();
                print(common, &serde_json::json!({ "assigned": assigned }), &format!("{account} now uses {egress}."));
                Ok(())
            }
            Self::Import { file } => {
                let text = read(&file)?;
                let added = engine.proxies().import(text.expose()).await?;
                print(common, &serde_json::json!({ "added": added }), &format!("Added {added} proxies."));
                Ok(())
            }
            Self::Export { out } => export(engine, out.as_deref()),
        }
    }
}

impl Add {
    async fn run(self, common: &Common, engine: &Engine) -> anyhow::Result<()> {
        let text = match (&self.url, &self.url_file) {
            (Some(url), _) if url == "-" => read(Path::new("-"))?,
            (Some(url), _) => Secret::from(url.as_str()),
            (None, Some(file)) => read(file)?,
            (None, None) => bail!("no URL is given; hint: `-` reads it from standard input"),
        };
        let spec = ProxySpec {
            name: self.name,
            address: Address::read(text.expose())?,
            allow_private: self.allow_private,
            enabled: !self.disabled,
        };
        let (ProxyView { id, name, .. }, added) = engine.proxies().add(spec).await?;
        if !added {
            print(common, &serde_json::json!({ "id": id, "added": false }), &format!("{name} exists already."));
            return Ok(());
        }
        let health = engine.proxies().check(&id).await?.health;
        let text = format!("Added {name}: {}.", health.as_ref().map_or_else(String::new, describe));
        print(common, &serde_json::json!({ "id": id, "added": true, "name": name, "health": health }), &text);
        Ok(())
    }
}

fn list(common: &Common, config: &Config, engine: &Engine) {
    let (proxies, accounts) = (engine.proxies().list(), engine.accounts().list());
    let egresses = engine.proxies().egresses();
    let assigned = egresses.iter().filter_map(|(id, egress)| {
        let account = accounts.iter().find(|account| account.id == *id)?;
        Some(assignment(account, egress_name(egress, &proxies)))
    });
    let report =
        Report { global: global(config), proxies: proxies.iter().map(row).collect(), assignments: assigned.collect() };
    if common.json {
        output::json(&report);
        return;
    }
    match &report.global {
        Some(Global { url, origin }) => output::line(&format!("Global: {url} ({origin})")),
        None => output::line("Global: none; calls go out directly"),
    }
    let lines = report.proxies.iter().map(line).collect();
    let empty = "No proxies yet. Add one: polygate proxies add -";
    output::table(&["NAME", "ADDRESS", "STATE", "EXIT", "LATENCY", "ACCOUNTS"], lines, empty);
    if !report.assignments.is_empty() {
        let lines =
            report.assignments.iter().map(|one| vec![one.label.to_owned(), one.account.to_owned(), one.egress.clone()]);
        output::line("");
        output::table(&["ACCOUNT", "ID", "EGRESS"], lines.collect(), "");
    }
}

fn assignment(account: &AccountView, egress: String) -> AssignmentRow<'_> {
    AssignmentRow { account: &account.id, label: &account.label, way: egress.clone(), egress }
}

/// `direct` or `auto`, or the name of a proxy.
fn egress_name(egress: &str, proxies: &[ProxyView]) -> String {
    if Egress::WORDS.contains(&egress) {
        return egress.to_owned();
    }
    let proxy = proxies.iter().find(|proxy| proxy.id == egress);
    proxy.map_or_else(|| "a removed proxy".to_owned(), |proxy| proxy.name.clone())
}

/// The global proxy of the configuration, without its credentials.
fn global(config: &Config) -> Option<Global> {
    let config::Proxy { url, origin } = config.upstream.proxy.as_ref()?;
    let shown = Address::read(url.as_str()).map_or_else(|_| url.scheme().to_owned(), |address| address.bare());
    Some(Global { url: shown, origin: origin.clone() })
}

fn row(proxy: &ProxyView) -> ProxyRow<'_> {
    ProxyRow {
        id: &proxy.id,
        name: &proxy.name,
        url: &proxy.url,
        status: proxy.status,
        health: proxy.health.as_ref(),
        allow_private: proxy.allow_private,
        accounts: proxy.accounts,
    }
}

fn line(row: &ProxyRow<'_>) -> Vec<String> {
    let health = row.health;
    let exit = health.and_then(|health| health.exit_ip).map_or("-".to_owned(), |ip| ip.to_string());
    let latency = health.and_then(|health| health.latency_ms).map_or("-".to_owned(), |millis| format!("{millis} ms"));
    let private = if row.allow_private { " (private)" } else { "" };
    let state = if health.is_none() && row.status != "disabled" { "not checked" } else { row.status };
    vec![
        row.name.to_owned(),
        format!("{}{private}", row.url),
        state.to_owned(),
        exit,
        latency,
        row.accounts.to_string(),
    ]
}

/// The result of a check as text.
fn describe(health: &Health) -> String {
    match (health.ok, health.exit_ip, &health.error) {
        (true, Some(ip), _) => format!("answers in {} ms, exit {ip}", health.latency_ms.unwrap_or(0)),
        (_, _, Some(error)) if health.ok => format!("answers, but {error}"),
        (_, _, Some(error)) => format!("does not answer: {error}"),
        _ => "answers".to_owned(),
    }
}

async fn switch(common: &Common, engine: &Engine, (proxy, enabled): (&str, bool)) -> anyhow::Result<()> {
    let change = ProxyChange { enabled: Some(enabled), ..ProxyChange::default() };
    let id = engine.proxies().change(proxy, change).await?.id;
    let text = format!("{proxy} is {}.", if enabled { "enabled" } else { "disabled" });
    print(common, &serde_json::json!({ "id": id, "enabled": enabled }), &text);
    Ok(())
}

/// Checks the named proxies, or all. Fails when one of them does not answer.
async fn check(common: &Common, engine: &Engine, wanted: &[String]) -> anyhow::Result<()> {
    let all = engine.proxies().list();
    let names: Vec<&str> = if wanted.is_empty() {
        all.iter().map(|proxy| proxy.id.as_str()).collect()
    } else {
        wanted.iter().map(String::as_str).collect()
    };
    let found = engine.proxies().check_each(&names).await?;
    if common.json {
        let row = |proxy: &ProxyView| {
            let ProxyView { id, name, health, .. } = proxy;
            serde_json::json!({ "id": id, "name": name, "health": health })
        };
        output::json(&found.iter().map(row).collect::<Vec<_>>());
    } else {
        for ProxyView { name, health, .. } in &found {
            output::line(&format!("{name} {}", health.as_ref().map_or_else(String::new, describe)));
        }
    }
    let dead = found.iter().filter(|proxy| proxy.health.as_ref().is_some_and(|health| !health.ok)).count();
    if dead > 0 {
        bail!("{dead} of {} proxies do not answer", found.len());
    }
    Ok(())
}

fn export(engine: &Engine, out: Option<&Path>) -> anyhow::Result<()> {
    let text = engine.proxies().export();
    let Some(path) = out else {
        output::line(text.expose().trim_end());
        return Ok(());
    };
    output::write_private(path, &text)?;
    eprintln!("Wrote {}. The file contains passwords.", path.display());
    Ok(())
}

/// Reads a file, or standard input for `-`.
fn read(path: &Path) -> anyhow::Result<Secret> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LARGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Secret::new(text))
}

fn print(common: &Common, json: &serde_json::Value, text: &str) {
    if common.json {
        output::json(json);
    } else {
        output::line(text);
    }
}
