//! `doctor`: finds problems of this installation and names the command that fixes each problem.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use engine::RelayOrigin;
use pool::egress::{Address, Egress};
use pool::{Secret, Status};
use serde::Serialize;
use store::Store;

use super::failure::message;
use super::relays::RelayList;
use super::{Common, context, output};
use crate::config::{Config, Layers, Paths};
use crate::file_relays::refusals;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Do not contact the backend.
    #[arg(long)]
    offline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Ok,
    Warn,
    Fail,
}

/// One finding.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    grade: Grade,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, grade: Grade::Ok, found: found.into(), fix: None }
}

fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, grade: Grade::Warn, found: found.into(), fix: Some(fix.into()) }
}

fn fail(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, grade: Grade::Fail, found: found.into(), fix: Some(fix.into()) }
}

impl Doctor {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let paths = context::paths(common)?;
        let mut checks = vec![permissions(&paths.home)];
        let layers = context::layers(&paths);
        checks.extend(layers.as_ref().map_or_else(
            |error| vec![fail("settings file", error.to_string(), "correct the file")],
            |layers| unknown_keys(layers, &paths),
        ));
        if let Ok(layers) = &layers {
            match Config::with_valid_relays(layers, paths) {
                Ok((mut config, wrong)) => {
                    let wrong = wrong.into_iter().map(|error| error.to_string());
                    checks.extend(wrong.map(|error| fail("settings", error, "correct this setting")));
                    self.check_running(&mut config, &mut checks).await;
                }
                Err(error) => checks.push(fail("settings", error.to_string(), "correct this setting")),
            }
        }
        Ok(print(common, &checks))
    }

    async fn check_running(&self, config: &mut Config, checks: &mut Vec<Check>) {
        checks.push(port(config));
        checks.push(global_proxy(config));
        let home = config.paths.home.display().to_string();
        let stand_in = context::temporary_home(config);
        let is_new = matches!(&stand_in, Ok(Some(_)));
        match Store::open(context::store_options(config)).await {
            Ok(store) => {
                let state = if is_new { "none yet" } else { "opens" };
                checks.push(ok("store", format!("{state} ({home})")));
                checks.extend(accounts(config, &store).await);
                checks.push(keys(config, &store).await);
                checks.extend(relays(config, &store).await);
                checks.extend(proxies(&store).await);
                store.close().await;
            }
            Err(error) => {
                let why = message(&error);
                // Errors of the store end in a hint, where they have one.
                let (found, fix) =
                    why.split_once("; hint: ").unwrap_or((&why, "fix the reason above; nothing was changed"));
                checks.push(fail("store", found, fix));
            }
        }
        if self.offline {
            return;
        }
        checks.push(backend(config).await);
    }
}

fn unknown_keys(layers: &Layers, paths: &Paths) -> Vec<Check> {
    let unknown = layers.unknown();
    if unknown.is_empty() {
        let file = paths.config.display();
        let found = if paths.config.exists() { file.to_string() } else { format!("none ({file}); defaults are used") };
        return vec![ok("settings file", found)];
    }
    unknown
        .into_iter()
        .map(|key| {
            warn(
                "settings file",
                format!("unknown key {key}"),
                "remove or rename the key; `polygate config show` lists all keys",
            )
        })
        .collect()
}

fn permissions(home: &Path) -> Check {
    let (name, place) = ("home", home.display());
    match Store::listable_mode(home) {
        Some(mode) => {
            let found = format!("{place} can be listed by other users (mode {mode:04o})");
            warn(name, found, format!("chmod 700 {place}"))
        }
        None if home.exists() => ok(name, place.to_string()),
        None => ok(name, format!("{place} will be created on first use")),
    }
}

fn port(config: &Config) -> Check {
    let port = config.server.port;
    let addresses: Vec<SocketAddr> = config.server.hosts.iter().map(|&host| (host, port).into()).collect();
    match TcpListener::bind(addresses.as_slice()) {
        Ok(_) => ok("port", format!("{port} is free")),
        // If the serve lock is held, a gateway of this home listens on the port. This check must not create a home.
        Err(_) if config.paths.home.exists() && Store::lock(&config.paths.home).is_err() => {
            ok("port", format!("{port} is served by the running gateway"))
        }
        Err(error) => fail("port", format!("{port}: {error}"), "stop the other program, or set server.port"),
    }
}

/// Reports the global proxy, and the layer that set it.
fn global_proxy(config: &Config) -> Check {
    let name = "global proxy";
    let Some(proxy) = &config.upstream.proxy else { return ok(name, "none; calls go out directly") };
    match Address::read(proxy.url.as_str()) {
        Ok(address) => ok(name, format!("{} ({})", address.bare(), proxy.origin)),
        Err(error) => fail(name, format!("{error} ({})", proxy.origin), "correct upstream.proxy"),
    }
}

/// Reports the proxies whose last check failed, and the accounts whose proxy is gone.
async fn proxies(store: &Store) -> Vec<Check> {
    let name = "proxy";
    let (proxies, egresses) = match (store.proxies().await, store.egresses().await) {
        (Ok(proxies), Ok(egresses)) => (proxies, egresses),
        (Err(error), _) | (_, Err(error)) => {
            return vec![fail(name, message(&error), "fix the reason above")];
        }
    };
    let down = proxies.iter().filter_map(|proxy| {
        let error = proxy.health.as_ref().filter(|health| !health.ok && proxy.enabled)?.error.clone();
        let found = format!("{} did not answer: {}", proxy.name, error.unwrap_or_default());
        Some(warn(name, found, format!("polygate proxies check \"{}\"", proxy.name)))
    });
    let lost = egresses.iter().filter(|(_, egress)| match egress {
        Egress::Fixed(id) => !proxies.iter().any(|proxy| proxy.id == *id && proxy.enabled),
        _ => false,
    });
    let lost = lost.map(|(account, _)| {
        let found = format!("account {account} uses a proxy that is removed or disabled, and cannot serve");
        fail(name, found, format!("polygate proxies assign {account} auto"))
    });
    down.chain(lost).collect()
}

/// Reports the relays that cannot serve, or the number of relays when all can.
async fn relays(config: &Config, store: &Store) -> Vec<Check> {
    let all = match relay_list(config, store).await {
        Ok(all) => all,
        Err(error) => return vec![fail("relays", message(&error), "fix the reason above")],
    };
    let left_out = all.wrong.iter().map(|wrong| {
        let found = format!("{} is not used: {}", wrong.name, message(wrong.error.as_ref()));
        fail("relay", found, format!("correct it in {}", config.paths.config.display()))
    });
    let refused = all.known.iter().filter(|known| !known.hidden).filter_map(|known| {
        let name = &known.relay.name;
        let (Status::NeedsLogin { why } | Status::Blocked { why }) = &known.relay.status else { return None };
        let fix = match known.origin {
            RelayOrigin::Store => format!("polygate relays key {name} --api-key -"),
            RelayOrigin::File => format!("correct its key in {}", config.paths.config.display()),
        };
        Some(fail("relay", format!("{name}: {why}"), fix))
    });
    let mut checks: Vec<Check> = left_out.chain(refused).collect();
    if checks.is_empty() {
        checks.push(ok("relays", format!("{}; `polygate relays test NAME` tests one", all.known.len())));
    }
    checks
}

/// Every relay. The checks need no keys of stored relays.
async fn relay_list(config: &Config, store: &Store) -> Result<RelayList, store::Error> {
    let refusals = refusals::read(store, &config.paths.home).await?;
    let stored = store.relays().await?.into_iter().map(|relay| (relay, Secret::from("")));
    Ok(RelayList::new(config, &refusals, stored.collect()))
}

async fn accounts(config: &Config, store: &Store) -> Vec<Check> {
    let accounts = match store.accounts().await {
        Ok(accounts) => accounts,
        Err(error) => return vec![fail("accounts", message(&error), "fix the reason above")],
    };
    let relayed = !config.relays.is_empty() || store.relays().await.is_ok_and(|relays| !relays.is_empty());
    if accounts.is_empty() && relayed {
        return vec![ok("accounts", "none; relays serve")];
    }
    if accounts.is_empty() {
        return vec![fail("accounts", "none", "polygate login")];
    }
    accounts
        .iter()
        .map(|account| match &account.status {
            Status::NeedsLogin { why } => {
                fail("account", format!("{} needs a login: {why}", account.label), "polygate login")
            }
            Status::Expiring { .. } => {
                let notice = account.status.notice(context::now()).unwrap_or_else(|| "needs a login".to_owned());
                warn("account", format!("{}: {notice}", account.label), "polygate login")
            }
            Status::Blocked { why } => fail(
                "account",
                format!("{} is blocked: {why}", account.label),
                format!("polygate accounts remove {}", account.id),
            ),
            Status::Disabled => warn(
                "account",
                format!("{} is disabled", account.label),
                format!("polygate accounts enable {}", account.id),
            ),
            Status::Active | Status::Cooling { .. } | Status::Exhausted { .. } => ok("account", account.label.clone()),
        })
        .collect()
}

async fn keys(config: &Config, store: &Store) -> Check {
    let name = "client keys";
    let usable = store.keys().await.map(|keys| {
        let client = pool::keys::KeyKind::Client;
        keys.iter().filter(|key| key.kind == client && key.revoked.is_none()).count()
    });
    match usable {
        Ok(0) if config.server.api_key.is_none() && config.server.require_key => {
            fail(name, "none", "polygate keys create")
        }
        Ok(count) => {
            ok(name, format!("{count} created{}", if config.server.api_key.is_some() { ", one fixed" } else { "" }))
        }
        Err(error) => fail(name, message(&error), "fix the reason above"),
    }
}

/// Whether the backend's host accepts a connection, through the configured proxy if any. Sends no credentials.
async fn backend(config: &Config) -> Check {
    let name = "backend";
    let host = config.upstream.base_url.host_str().unwrap_or_default().to_owned();
    let upstream = match upstream::Upstream::new(crate::start::upstream_config(config)) {
        Ok(upstream) => upstream,
        Err(error) => return fail(name, error.to_string(), "correct this setting"),
    };
    match upstream.check_reachable().await {
        Ok(status) => ok(name, format!("{host} answers ({status})")),
        Err(fault) => {
            fail(name, format!("{host}: {}", fault.message), "check the network, upstream.proxy and upstream.ca_bundle")
        }
    }
}

fn print(common: &Common, checks: &[Check]) -> ExitCode {
    if common.json {
        output::json(checks);
    } else {
        for check in checks {
            let mark = match check.grade {
                Grade::Ok => "ok  ",
                Grade::Warn => "warn",
                Grade::Fail => "FAIL",
            };
            output::line(&format!("{mark}  {}: {}", check.name, check.found));
            if let Some(fix) = &check.fix {
                output::line(&format!("      fix: {fix}"));
            }
        }
    }
    ExitCode::from(u8::from(checks.iter().any(|check| check.grade == Grade::Fail)))
}
