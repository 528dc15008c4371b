//! `keys`: client keys. A key's text is shown once, when the key is made.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use engine::{CreatedKey, Engine, NewKey};
use pool::hosted::{self, Hosted, UnknownHosted};
use pool::keys::{Key, KeyKind, Scopes};
use serde::Serialize;
use upstream::authfile::guest::{self, KeyLogin};

use super::{Common, context, output};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Create a key and print it. It cannot be shown again.
    Create {
        /// A name for the key.
        #[arg(long, default_value = "client")]
        name: String,
        /// Days until the key expires. Default: never.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
        /// Hosted tools that Polygate adds to requests with this key: web_search,image_generation or none. Default: the settings.
        #[arg(long, value_name = "LIST", value_parser = tools)]
        default_tools: Option<Tools>,
        /// Write the key as a login to DIR/auth.json instead of printing it, for a Codex whose home is DIR.
        #[arg(long, value_name = "DIR")]
        codex_home: Option<PathBuf>,
    },
    /// List all keys, without their text.
    List,
    /// Set the hosted tools that Polygate adds to requests with a key.
    Tools {
        /// Id of the key, from `keys list`.
        id: String,
        /// web_search,image_generation, none, or inherit for the value of the settings.
        #[arg(value_parser = tools_or_inherit)]
        tools: Inherited,
    },
    /// Revoke a key at once.
    Revoke {
        /// Id of the key, from `keys list`.
        id: String,
    },
}

#[derive(Serialize)]
struct KeyRow {
    id: String,
    kind: KeyKind,
    name: String,
    created: i64,
    expires: Option<i64>,
    revoked: Option<i64>,
    default_tools: Option<Vec<Hosted>>,
}

impl Keys {
    pub(super) async fn run(&self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut config = context::config(common)?;
        let _stand_in = if matches!(self, Self::List) { context::temporary_home(&mut config)? } else { None };
        let engine = context::keys_engine(&config).await?;
        let done = self.act(common, &config, &engine).await;
        context::close(engine).await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn act(&self, common: &Common, config: &Config, engine: &Engine) -> anyhow::Result<()> {
        match self {
            Self::Create { name, expires, default_tools, codex_home } => {
                let expires = expires.map(|days| context::now().plus(i64::from(days) * 86_400_000));
                let tools = default_tools.as_ref().map(|tools| tools.0.clone());
                let (name, scopes) = (name.clone(), Scopes::default());
                let new = NewKey { kind: KeyKind::Client, name, scopes, expires, tools };
                match codex_home {
                    None => print_new(common, &engine.keys().create(new).await?),
                    Some(folder) => sign_in(common, (config, engine), new, folder).await?,
                }
                Ok(())
            }
            Self::List => {
                list(common, &engine.keys().list());
                Ok(())
            }
            Self::Tools { id, tools } => {
                let tools = tools.0.as_ref().map(|tools| tools.0.as_slice());
                let found = engine.keys().set_tools(id, tools).await?;
                report_change(found, "Set. A running gateway uses it within a second.", &format!("client key {id}"))
            }
            Self::Revoke { id } => {
                let found = engine.keys().revoke(id).await?;
                report_change(found, &format!("Revoked {id}."), &format!("active key {id}"))
            }
        }
    }
}

/// Advice for a Codex that signs in with such a file: Codex takes a ChatGPT login over plain http only to a provider.
const CODEX_CONFIG: &str = r#"Before you start Codex with this login, put the lines below into config.toml in the same folder, with this gateway's address.
Without them Codex sends the key to chatgpt.com.

chatgpt_base_url = "http://ADDRESS/backend-api/"
model_provider = "polygate"
[model_providers.polygate]
name = "Polygate"
base_url = "http://ADDRESS/backend-api/codex"
wire_api = "responses"
requires_openai_auth = true

Then start Codex with CODEX_HOME set to that folder."#;

/// A list of hosted tools on the command line.
#[derive(Clone, Debug)]
pub(super) struct Tools(Vec<Hosted>);

/// Like [`Tools`]; `None` applies the settings.
#[derive(Clone, Debug)]
pub(super) struct Inherited(Option<Tools>);

fn tools(text: &str) -> Result<Tools, UnknownHosted> {
    hosted::list(text).map(Tools)
}

fn tools_or_inherit(text: &str) -> Result<Inherited, UnknownHosted> {
    if text == "inherit" { Ok(Inherited(None)) } else { tools(text).map(|tools| Inherited(Some(tools))) }
}

/// Makes a key and writes it as a login for Codex. An existing file is the login of a user and is never replaced.
async fn sign_in(
    common: &Common,
    (config, engine): (&Config, &Engine),
    new: NewKey,
    folder: &Path,
) -> anyhow::Result<()> {
    let (name, expires, file) = (new.name.clone(), new.expires, folder.join("auth.json"));
    anyhow::ensure!(
        !file.exists(),
        "{} exists already; move it away, or give another folder and set CODEX_HOME to that folder",
        file.display()
    );
    make(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let created = engine.keys().create(new).await?;
    let account = uuid::Uuid::new_v4().to_string();
    let guest = KeyLogin { key: &created.text, name: &name, account: &account, expires };
    if let Err(error) = output::write_private(&file, &guest::write(&guest, context::now())) {
        // A key whose text was lost must not stay valid.
        let revoked = engine.keys().revoke(&created.id).await;
        revoked.with_context(|| format!("{error:#}; key {} was not revoked", created.id))?;
        return Err(error);
    }
    if common.json {
        output::json(&serde_json::json!({ "id": created.id, "file": file }));
    } else {
        let advice = CODEX_CONFIG.replace("ADDRESS", &address(config));
        eprintln!("Wrote key {} to {} as a login. {advice}", created.id, file.display());
    }
    Ok(())
}

/// The address of a gateway with this configuration for local programs, as `host:port`.
fn address(config: &Config) -> String {
    let host = config.server.hosts.first().copied().filter(|host| !host.is_unspecified());
    let host = host.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    std::net::SocketAddr::from((host, config.server.port)).to_string()
}

/// Creates a folder with mode 0700; an existing folder stays as it is.
fn make(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Prints a new key: the bare text on standard output, the advice on standard error.
pub(super) fn print_new(common: &Common, created: &CreatedKey) {
    if common.json {
        output::json(&serde_json::json!({ "id": created.id, "key": created.text.expose() }));
    } else {
        eprintln!("Save the key now: it is not shown again.");
        output::line(created.text.expose());
    }
}

fn list(common: &Common, keys: &[Key]) {
    if common.json {
        let rows: Vec<KeyRow> = keys.iter().map(row).collect();
        return output::json(&rows);
    }
    let now = context::now();
    let rows = keys.iter().map(|key| {
        let kind = match key.kind {
            KeyKind::Client => "client",
            KeyKind::Admin => "admin",
        };
        vec![key.id.clone(), kind.to_owned(), key.name.clone(), state(key, now)]
    });
    output::table(&["ID", "KIND", "NAME", "STATE"], rows.collect(), "No keys yet. Create one: polygate keys create");
}

fn state(key: &Key, now: pool::Millis) -> String {
    match (key.revoked, key.expires) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) if end <= now => "expired".to_owned(),
        (None, Some(end)) => format!("ends {}", output::time_until(now, end)),
        (None, None) => "active".to_owned(),
    }
}

fn row(key: &Key) -> KeyRow {
    KeyRow {
        id: key.id.clone(),
        kind: key.kind,
        name: key.name.clone(),
        created: key.created.0,
        expires: key.expires.map(|at| at.0),
        revoked: key.revoked.map(|at| at.0),
        default_tools: key.tools.clone(),
    }
}

/// Prints the change of a key, or fails when there is no such key.
fn report_change(found: bool, done: &str, key: &str) -> anyhow::Result<()> {
    anyhow::ensure!(found, "there is no {key}; see `polygate keys list`");
    eprintln!("{done}");
    Ok(())
}
