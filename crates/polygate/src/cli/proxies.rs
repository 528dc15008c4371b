//! `proxies`: manages proxies and the egress of accounts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use engine::{ProxyChange, ProxyError, ProxySpec, proxy_state};
use pool::Secret;
use pool::egress::{Address, Egress, Health, Proxy, file};
use serde::Serialize;
use store::Store;
use upstream::Upstream;

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
        way: String,
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
    url: String,
    status: &'static str,
    health: Option<&'a Health>,
    allow_private: bool,
    accounts: usize,
}

#[derive(Serialize)]
struct AssignmentRow<'a> {
    account: &'a str,
    label: &'a str,
    way: String,
}

impl Proxies {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut config = context::config(common)?;
        let _stand_in = if matches!(self, Self::List) { context::temporary_home(&mut config)? } else { None };
        let store = context::store(&config).await?;
        let done = self.carry_out(common, &config, &store).await;
        store.close().await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn carry_out(self, common: &Common, config: &Config, store: &Store) -> anyhow::Result<()> {
        match self {
            Self::List => list(common, config, store).await,
            Self::Add(add) => add.run(common, config, store).await,
            Self::Remove { proxy } => {
                let gone = engine::remove_proxy(store, &proxy).await?;
                print(common, &serde_json::json!({ "removed": gone.id }), &format!("Removed {}.", gone.name));
                Ok(())
            }
            Self::Enable { proxy } => switch(common, store, (&proxy, true)).await,
            Self::Disable { proxy } => switch(common, store, (&proxy, false)).await,
            Self::Check { proxies } => check(common, (config, store), &proxies).await,
            Self::Assign { account, way } => {
                let done = engine::assign(store, &[(&account, &way)]).await?;
                let ways: Vec<_> = done.iter().map(|(id, way)| (&id.0, way.to_string())).collect();
                print(common, &serde_json::json!({ "assigned": ways }), &format!("{account} now uses {way}."));
                Ok(())
            }
            Self::Import { file } => {
                let text = read(&file)?;
                let added = engine::import_proxies(store, text.expose(), context::now()).await?;
                print(common, &serde_json::json!({ "added": added }), &format!("Added {added} proxies."));
                Ok(())
            }
            Self::Export { out } => export(store, out.as_deref()).await,
        }
    }
}

impl Add {
    async fn run(self, common: &Common, config: &Config, store: &Store) -> anyhow::Result<()> {
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
        let (id, added) = engine::add_proxy(store, spec, context::now()).await?;
        let proxy = find(store, &id.0).await?;
        if !added {
            print(common, &serde_json::json!({ "id": id, "added": false }), &format!("{} exists already.", proxy.name));
            return Ok(());
        }
        let found = check_and_record(config, store, std::slice::from_ref(&proxy)).await?;
        let health = found.first().map(|(_, health)| health);
        let text = format!("Added {}: {}.", proxy.name, health.map_or_else(String::new, words));
        print(common, &serde_json::json!({ "id": id, "added": true, "name": proxy.name, "health": health }), &text);
        Ok(())
    }
}

async fn list(common: &Common, config: &Config, store: &Store) -> anyhow::Result<()> {
    let (proxies, ways, accounts) = (store.proxies().await?, store.egresses().await?, store.accounts().await?);
    let row = |proxy| row(proxy, &ways);
    let name = |way: &Egress| match way {
        Egress::Fixed(id) => proxies
            .iter()
            .find(|proxy| proxy.id == *id)
            .map_or_else(|| "a removed proxy".to_owned(), |proxy| proxy.name.clone()),
        way => way.to_string(),
    };
    let assigned = ways.iter().filter_map(|(id, way)| {
        let account = accounts.iter().find(|account| account.id == *id)?;
        Some(AssignmentRow { account: &account.id.0, label: &account.label, way: name(way) })
    });
    let report =
        Report { global: global(config), proxies: proxies.iter().map(row).collect(), assignments: assigned.collect() };
    if common.json {
        output::json(&report);
        return Ok(());
    }
    match &report.global {
        Some(Global { url, origin }) => output::line(&format!("Global: {url} ({origin})")),
        None => output::line("Global: none; calls go out directly"),
    }
    let lines = proxies.iter().zip(&report.proxies).map(|(proxy, row)| line(proxy, row)).collect();
    let empty = "No proxies yet. Add one: polygate proxies add -";
    output::table(&["NAME", "ADDRESS", "STATE", "EXIT", "LATENCY", "ACCOUNTS"], lines, empty);
    if !report.assignments.is_empty() {
        let ways =
            report.assignments.iter().map(|one| vec![one.label.to_owned(), one.account.to_owned(), one.way.clone()]);
        output::line("");
        output::table(&["ACCOUNT", "ID", "EGRESS"], ways.collect(), "");
    }
    Ok(())
}

/// The global proxy of the configuration, without its credentials.
fn global(config: &Config) -> Option<Global> {
    let config::Proxy { url, origin } = config.upstream.proxy.as_ref()?;
    let shown = Address::read(url.as_str()).map_or_else(|_| url.scheme().to_owned(), |address| address.bare());
    Some(Global { url: shown, origin: origin.clone() })
}

fn row<'a>(proxy: &'a Proxy, ways: &[(pool::AccountId, Egress)]) -> ProxyRow<'a> {
    let taken = Egress::Fixed(proxy.id.clone());
    ProxyRow {
        id: &proxy.id.0,
        name: &proxy.name,
        url: proxy.address.to_string(),
        status: proxy_state(proxy, false),
        health: proxy.health.as_ref(),
        allow_private: proxy.allow_private,
        accounts: ways.iter().filter(|(_, way)| *way == taken).count(),
    }
}

fn line(proxy: &Proxy, row: &ProxyRow<'_>) -> Vec<String> {
    let health = proxy.health.as_ref();
    let exit = health.and_then(|health| health.exit_ip).map_or("-".to_owned(), |ip| ip.to_string());
    let latency = health.and_then(|health| health.latency_ms).map_or("-".to_owned(), |millis| format!("{millis} ms"));
    let private = if proxy.allow_private { " (private)" } else { "" };
    let state = if health.is_none() && proxy.enabled { "not checked" } else { row.status };
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
fn words(health: &Health) -> String {
    match (health.ok, health.exit_ip, &health.error) {
        (true, Some(ip), _) => format!("answers in {} ms, exit {ip}", health.latency_ms.unwrap_or(0)),
        (_, _, Some(error)) if health.ok => format!("answers, but {error}"),
        (_, _, Some(error)) => format!("does not answer: {error}"),
        _ => "answers".to_owned(),
    }
}

async fn switch(common: &Common, store: &Store, (proxy, enabled): (&str, bool)) -> anyhow::Result<()> {
    let change = ProxyChange { enabled: Some(enabled), ..ProxyChange::default() };
    let id = engine::change_proxy(store, proxy, change).await?;
    let text = format!("{proxy} is {}.", if enabled { "enabled" } else { "disabled" });
    print(common, &serde_json::json!({ "id": id, "enabled": enabled }), &text);
    Ok(())
}

/// Checks the named proxies, or all. Fails when one of them does not answer.
async fn check(common: &Common, (config, store): (&Config, &Store), wanted: &[String]) -> anyhow::Result<()> {
    let mut proxies = Vec::new();
    for name in wanted {
        proxies.push(find(store, name).await?);
    }
    if wanted.is_empty() {
        proxies = store.proxies().await?;
    }
    let found = check_and_record(config, store, &proxies).await?;
    if common.json {
        let rows = proxies
            .iter()
            .zip(&found)
            .map(|(proxy, (id, health))| serde_json::json!({ "id": id, "name": proxy.name, "health": health }));
        output::json(&rows.collect::<Vec<_>>());
    } else {
        for (proxy, (_, health)) in proxies.iter().zip(&found) {
            output::line(&format!("{} {}", proxy.name, words(health)));
        }
    }
    let dead = found.iter().filter(|(_, health)| !health.ok).count();
    if dead > 0 {
        bail!("{dead} of {} proxies do not answer", found.len());
    }
    Ok(())
}

/// Checks proxies and stores the results; a running gateway notices the new results.
async fn check_and_record(
    config: &Config,
    store: &Store,
    proxies: &[Proxy],
) -> anyhow::Result<Vec<engine::ProxyCheck>> {
    let upstream = Upstream::new(crate::start::upstream_config(config))?;
    let found = engine::check_proxies(&upstream, &config.proxies.echo, proxies, context::now()).await;
    engine::store_checks(store, &found).await?;
    Ok(found)
}

async fn export(store: &Store, out: Option<&Path>) -> anyhow::Result<()> {
    let text = file::write(&store.proxies().await?);
    let Some(path) = out else {
        output::line(text.expose().trim_end());
        return Ok(());
    };
    output::write_private(path, &text)?;
    eprintln!("Wrote {}. The file contains passwords.", path.display());
    Ok(())
}

async fn find(store: &Store, wanted: &str) -> anyhow::Result<Proxy> {
    let all = store.proxies().await?;
    let found = all.into_iter().find(|proxy| proxy.id.0 == wanted || proxy.name == wanted);
    Ok(found.ok_or(ProxyError::Unknown)?)
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
