//! `login`: adds a ChatGPT account by browser, device code, auth.json or token.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use engine::{Engine, ImportOutcome};
use pool::Secret;
use pool::egress::Egress;
use store::PutOutcome;
use upstream::Upstream;
use upstream::authfile::{self, Imported};
use upstream::jwt::Claims;
use upstream::oauth::{Callback, CallbackError, Grant, Pkce, code_from_pasted, state};

use super::{Common, context, output};
use crate::config::{Accounts, Config};

#[derive(Debug, Args)]
pub(super) struct Login {
    /// Show a code to type on another device instead of opening a browser.
    #[arg(long, group = "method")]
    device: bool,
    /// Copy the login of a Codex auth.json. `codex` means the file that Codex uses.
    #[arg(long, value_name = "FILE", group = "method")]
    import: Option<PathBuf>,
    /// Sign in with an access token or a refresh token. `-` reads it from standard input.
    #[arg(long, value_name = "TOKEN", group = "method")]
    token: Option<String>,
    /// Use a Codex auth.json without taking over its tokens. Default: the file that Codex uses.
    #[arg(long, value_name = "FILE", group = "method", num_args = 0..=1, default_missing_value = "codex")]
    link: Option<PathBuf>,
    /// Sign in through this egress (direct, auto, or a proxy's name). The account then always uses it.
    #[arg(long, value_name = "EGRESS", conflicts_with_all = ["import", "link"])]
    egress: Option<String>,
    /// Let the gateway refresh the tokens of the linked file after they have expired.
    #[arg(long, requires = "link")]
    may_refresh: bool,
}

/// The result of a login.
struct SignedIn {
    id: String,
    added: bool,
}

impl Login {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<()> {
        let config = context::config(common)?;
        if let Some(file) = &self.link {
            return link(common, &config, file, self.may_refresh).await;
        }
        let engine = context::engine(&config).await?;
        let outcome = self.add(&config, &engine).await;
        let label = |signed: &SignedIn| engine.accounts().get(&signed.id).map(|view| view.label).unwrap_or_default();
        let outcome = outcome.map(|signed| (label(&signed), signed));
        context::close(engine).await;
        let (label, signed) = outcome?;
        report(common, &signed, &label);
        Ok(())
    }

    async fn add(self, config: &Config, engine: &Engine) -> anyhow::Result<SignedIn> {
        if let Some(file) = &self.import {
            return import(engine, &codex_file(&config.accounts, file)?).await;
        }
        let egress = self.egress.as_deref().map(|name| engine.proxies().egress(name)).transpose()?;
        if let Some(token) = &self.token {
            return add_token(engine, context::secret(token, "token")?, egress).await;
        }
        let grant =
            if self.device { device(engine, egress.as_ref()).await? } else { browser(engine, egress.as_ref()).await? };
        Ok(engine.logins().sign_in(grant, egress).await?.into())
    }
}

impl From<PutOutcome> for SignedIn {
    fn from(put: PutOutcome) -> Self {
        Self { id: put.id.0, added: put.added }
    }
}

fn report(common: &Common, signed: &SignedIn, label: &str) {
    if common.json {
        output::json(&serde_json::json!({ "id": signed.id, "added": signed.added, "label": label }));
    } else if signed.added {
        output::line(&format!("Added {label}."));
    } else {
        output::line(&format!("Signed {label} in again."));
    }
}

async fn browser(engine: &Engine, egress: Option<&Egress>) -> anyhow::Result<Grant> {
    let (pkce, state) = (Pkce::fresh(), state());
    let callback = Callback::bind(&state).await?;
    let redirect = callback.redirect();
    let url = engine.logins().authorize_url(&pkce, &state, &redirect);
    eprintln!("Sign in here:\n\n  {url}\n");
    if webbrowser::open(url.as_str()).is_err() {
        eprintln!(
            "No browser opened. Copy the address, or use `polygate login --device` on a machine without a browser."
        );
    }
    eprintln!("If the browser runs on another machine, paste the address where it ends up, and press Enter.");
    let code = tokio::select! {
        code = callback.code() => code?,
        code = pasted_code(&state) => code?,
    };
    let (code, verifier, redirect) = (&code, &pkce.verifier, &redirect);
    Ok(engine
        .logins()
        .step_by(egress, |upstream| async move { upstream.exchange(code, verifier, redirect).await })
        .await?)
}

/// The code in an address that the user pastes; pending forever when standard input is no terminal.
async fn pasted_code(state: &str) -> Result<Secret, CallbackError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    if std::io::stdin().is_terminal() {
        // A thread reads, because a blocked read of standard input would delay the end of the runtime.
        std::thread::spawn(move || {
            let line = std::io::stdin().lines().map_while(Result::ok).find(|line| !line.trim().is_empty());
            line.map(|line| tell.send(line))
        });
    }
    match told.await {
        Ok(line) => code_from_pasted(&line, state),
        Err(_) => std::future::pending().await,
    }
}

async fn device(engine: &Engine, egress: Option<&Egress>) -> anyhow::Result<Grant> {
    let begin = |upstream: Upstream| async move { Ok((upstream.device_start().await?, upstream)) };
    let (device, upstream) = engine.logins().step_by(egress, begin).await?;
    eprintln!("Open {} and type this code:\n\n  {}\n", device.page, device.user_code);
    eprintln!(
        "It is valid for {} minutes. Waiting for the code to be entered; Ctrl-C cancels.",
        device.lifetime.as_secs() / 60
    );
    tokio::select! {
        grant = upstream.device_wait(&device) => Ok(grant?),
        never = count_down(device.lifetime) => match never {},
    }
}

/// Shows on a terminal how long a code is still valid.
async fn count_down(lifetime: Duration) -> Infallible {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let (begun, mut second) = (Instant::now(), tokio::time::interval(Duration::from_secs(1)));
    loop {
        second.tick().await;
        let left = lifetime.saturating_sub(begun.elapsed()).as_secs();
        // The next line of output overwrites the countdown.
        eprint!("{}:{:02} left\r", left / 60, left % 60);
    }
}

async fn link(common: &Common, config: &Config, file: &Path, may_refresh: bool) -> anyhow::Result<()> {
    let file = codex_file(&config.accounts, file)?;
    let engine = context::engine(config).await?;
    let linked = engine.logins().link(&file, may_refresh).await;
    context::close(engine).await;
    let view = linked?;
    if common.json {
        output::json(&serde_json::json!({ "id": view.id, "label": view.label, "linked": view.linked }));
    } else {
        output::line(&format!("{} follows {}.", view.label, file.display()));
    }
    Ok(())
}

async fn import(engine: &Engine, file: &Path) -> anyhow::Result<SignedIn> {
    match authfile::load(file).await? {
        Imported::Login(login) => Ok(engine.logins().add_login(login).await?.into()),
        Imported::ApiKey(_) => bail!(
            "{} contains an OpenAI API key and no ChatGPT login; `polygate accounts import` adds the key as a relay, and `polygate login` signs you in",
            file.display()
        ),
    }
}

/// The file of this name; `codex` means the auth.json that Codex uses.
fn codex_file(accounts: &Accounts, file: &Path) -> anyhow::Result<PathBuf> {
    if file.as_os_str() != "codex" {
        return Ok(file.to_owned());
    }
    accounts.codex_file().context("cannot find a home directory; name the file")
}

/// Adds an account from a token. An access token is a JWT; any other text must be a refresh token, which is exchanged at once.
async fn add_token(engine: &Engine, token: Secret, egress: Option<Egress>) -> anyhow::Result<SignedIn> {
    if token.is_empty() {
        bail!("the token is empty");
    }
    let (access, refresh) = if Claims::read(&token).is_some() { (Some(token), None) } else { (None, Some(token)) };
    let done = engine.logins().add_token(access, refresh, egress).await;
    let entry = done.entries.into_iter().next().context("the token gave no account")?;
    match (entry.error, entry.id) {
        (Some(why), _) => bail!("the token was not accepted: {why}"),
        (None, Some(id)) => Ok(SignedIn { id, added: entry.result == ImportOutcome::Added }),
        (None, None) => bail!("the token gave no account"),
    }
}
