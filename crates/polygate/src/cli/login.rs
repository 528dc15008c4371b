//! `login`: a ChatGPT account by browser, device code, auth.json or token.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use pool::{Secret, Tokens};
use store::{NewAccount, Origin, Put, Store};
use upstream::Upstream;
use upstream::authfile::{self, Imported};
use upstream::jwt::Claims;
use upstream::oauth::{Callback, CallbackError, Grant, Pkce, RefreshReason, pasted, state};

use super::{Common, output, workplace};
use crate::config::{Accounts, Config};

#[derive(Debug, Args)]
pub(super) struct Login {
    /// Show a code to type on another device instead of opening a browser.
    #[arg(long, group = "way")]
    device: bool,
    /// Take the login of a Codex auth.json; `codex` means the one that Codex uses.
    #[arg(long, value_name = "FILE", group = "way")]
    import: Option<PathBuf>,
    /// Take an access or refresh token; `-` reads it from standard input.
    #[arg(long, value_name = "TOKEN", group = "way")]
    token: Option<String>,
    /// Follow a Codex auth.json, which stays Codex's own; without FILE, the one that Codex uses.
    #[arg(long, value_name = "FILE", group = "way", num_args = 0..=1, default_missing_value = "codex")]
    link: Option<PathBuf>,
    /// Sign in by this way out (direct, auto, or a proxy's name), which the account then takes.
    #[arg(long, value_name = "WAY", conflicts_with_all = ["import", "link"])]
    egress: Option<String>,
    /// Let the gateway refresh the followed file's tokens once they have ended.
    #[arg(long, requires = "link")]
    may_refresh: bool,
}

impl Login {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<()> {
        let config = workplace::config(common)?;
        if let Some(file) = &self.link {
            return link(common, &config, file, self.may_refresh).await;
        }
        let store = workplace::store(&config).await?;
        let way = self.egress.clone();
        let outcome = self.add(&config, &store).await;
        let put = match outcome {
            Ok(new) => {
                let label = new.label.clone();
                stored(&store, new, way.as_deref()).await.map(|put| (put, label))
            }
            Err(error) => Err(error),
        };
        store.close().await;
        let (put, label) = put?;
        report(common, &put, &label);
        Ok(())
    }

    async fn add(self, config: &Config, store: &Store) -> anyhow::Result<NewAccount> {
        if let Some(file) = &self.import {
            return import(&config.accounts, file).await;
        }
        let mut upstream = Upstream::new(crate::start::upstream_config(config))?;
        if let Some(way) = &self.egress {
            upstream = engine::out_by(store, &upstream, way).await?;
        }
        if let Some(token) = &self.token {
            return given(&upstream, secret(token)?).await;
        }
        let grant = if self.device { device(&upstream).await? } else { browser(&upstream).await? };
        account(grant, Origin::Login)
    }
}

/// Stores an account, and the way that it is to take.
async fn stored(store: &Store, new: NewAccount, egress: Option<&str>) -> anyhow::Result<Put> {
    let put = put(store, new).await?;
    if let Some(way) = egress {
        engine::assign(store, &[(&put.id.0, way)]).await?;
    }
    Ok(put)
}

fn report(common: &Common, put: &Put, label: &str) {
    if common.json {
        output::json(&serde_json::json!({ "id": put.id.0, "added": put.added, "label": label }));
    } else if put.added {
        output::line(&format!("Added {label}."));
    } else {
        output::line(&format!("Signed {label} in again."));
    }
}

async fn browser(upstream: &Upstream) -> anyhow::Result<Grant> {
    let (pkce, state) = (Pkce::fresh(), state());
    let callback = Callback::bind(&state).await?;
    let redirect = callback.redirect();
    let url = upstream.authorize_url(&pkce, &state, &redirect);
    eprintln!("Sign in here:\n\n  {url}\n");
    if webbrowser::open(url.as_str()).is_err() {
        eprintln!("No browser opened; copy the address, or use `polygate login --device` on a machine without one.");
    }
    eprintln!("Signing in on another machine? Paste the address where the browser ends up, and press Enter.");
    let code = tokio::select! {
        code = callback.code() => code?,
        code = typed(&state) => code?,
    };
    Ok(upstream.exchange(&code, &pkce.verifier, &redirect).await?)
}

/// The code of an address that the person pastes; never ends where nobody can type.
async fn typed(state: &str) -> Result<Secret, CallbackError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    if std::io::stdin().is_terminal() {
        // A thread of its own: a blocked read of standard input would hold up the end of the runtime.
        std::thread::spawn(move || {
            let line = std::io::stdin().lines().map_while(Result::ok).find(|line| !line.trim().is_empty());
            line.map(|line| tell.send(line))
        });
    }
    match told.await {
        Ok(line) => pasted(&line, state),
        Err(_) => std::future::pending().await,
    }
}

async fn device(upstream: &Upstream) -> anyhow::Result<Grant> {
    let device = upstream.device_start().await?;
    eprintln!("Open {} and type this code:\n\n  {}\n", device.page, device.user_code);
    Ok(upstream.device_wait(&device).await?)
}

/// Stores a login. An account that followed a file has one of its own from here on.
async fn put(store: &store::Store, new: NewAccount) -> anyhow::Result<Put> {
    let owned = new.tokens.refresh.is_some();
    let put = store.put_account(new, workplace::now()).await?;
    if owned && put.stored {
        store.unlink(&put.id).await?;
    }
    Ok(put)
}

async fn link(common: &Common, config: &Config, file: &Path, may_refresh: bool) -> anyhow::Result<()> {
    let file = codex_file(&config.accounts, file)?;
    let engine = workplace::engine(config).await?;
    let linked = engine.link(&file, may_refresh).await;
    workplace::end(engine).await;
    let view = linked?;
    if common.json {
        output::json(&serde_json::json!({ "id": view.id, "label": view.label, "linked": view.linked }));
    } else {
        output::line(&format!("{} follows {}.", view.label, file.display()));
    }
    Ok(())
}

async fn import(accounts: &Accounts, file: &Path) -> anyhow::Result<NewAccount> {
    let file = codex_file(accounts, file)?;
    match authfile::load(&file).await? {
        Imported::Login(login) => {
            let tokens = Tokens {
                access: login.access,
                refresh: login.refresh,
                id: login.id,
                expires: login.claims.expires,
                refreshed: login.refreshed.unwrap_or_else(workplace::now),
            };
            Ok(new_account(login.claims, tokens, Origin::Import))
        }
        Imported::ApiKey(_) => bail!(
            "{} holds an OpenAI API key and no ChatGPT login; `polygate accounts import` makes a relay of the key, and `polygate login` signs you in",
            file.display()
        ),
    }
}

/// The file of this name; `codex` is the one that Codex uses.
fn codex_file(accounts: &Accounts, file: &Path) -> anyhow::Result<PathBuf> {
    if file.as_os_str() != "codex" {
        return Ok(file.to_owned());
    }
    accounts.codex_file().context("cannot find a home directory; name the file")
}

fn secret(text: &str) -> anyhow::Result<Secret> {
    if text != "-" {
        return Ok(Secret::new(text.trim()));
    }
    let mut input = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut input).context("cannot read the token from standard input")?;
    Ok(Secret::new(input.trim()))
}

/// An access token is a JWT; anything else must be a refresh token, which is spent at once for a pair of our own.
async fn given(upstream: &Upstream, token: Secret) -> anyhow::Result<NewAccount> {
    if token.is_empty() {
        bail!("the token is empty");
    }
    if Claims::read(&token).is_some() {
        return account(Grant { access: token, refresh: None, id: None }, Origin::Import);
    }
    let grant = upstream.refresh(&token, RefreshReason::ProactiveExpiry).await.context("the token was not accepted")?;
    let refresh = grant.refresh.or(Some(token));
    account(Grant { refresh, ..grant }, Origin::Login)
}

fn account(grant: Grant, origin: Origin) -> anyhow::Result<NewAccount> {
    let claims = Claims::of(&grant.access, grant.id.as_ref());
    if claims.account_id.is_empty() {
        bail!("the token names no ChatGPT account; sign in with `polygate login`");
    }
    let expires = claims.expires;
    let refreshed = workplace::now();
    Ok(new_account(
        claims,
        Tokens { access: grant.access, refresh: grant.refresh, id: grant.id, expires, refreshed },
        origin,
    ))
}

fn new_account(claims: Claims, tokens: Tokens, origin: Origin) -> NewAccount {
    let label =
        [&claims.email, &claims.account_id].into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
    NewAccount {
        label,
        email: claims.email,
        plan: claims.plan,
        upstream_id: claims.account_id,
        user: claims.user,
        fedramp: claims.fedramp,
        tokens,
        origin,
    }
}
