//! `admin token`: makes an admin token. `admin openapi`: prints the admin API's description.

use clap::Subcommand;
use pool::keys::{KeyKind, Scope, Scopes};

use super::keys::print_new;
use super::{Common, context, output};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Create an admin token and print it. It cannot be shown again.
    Token {
        /// What the token may do.
        #[arg(long, value_delimiter = ',', default_value = "read,write")]
        scopes: Vec<ScopeName>,
        /// Days until the token expires.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// A name for the token.
        #[arg(long, default_value = "admin")]
        name: String,
    },
    /// Print the OpenAPI document of the admin API.
    Openapi,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum ScopeName {
    /// Read state, without secrets.
    Read,
    /// Change state.
    Write,
    /// Export secrets.
    Export,
}

impl Admin {
    pub(super) async fn run(&self, common: &Common) -> anyhow::Result<()> {
        let Self::Token { scopes, days, name } = self else {
            output::line(server::OPENAPI.trim_end());
            return Ok(());
        };
        let config = context::config(common)?;
        let engine = context::keys_engine(&config).await?;
        let scopes: Scopes = scopes
            .iter()
            .map(|scope| match scope {
                ScopeName::Read => Scope::Read,
                ScopeName::Write => Scope::Write,
                ScopeName::Export => Scope::Export,
            })
            .collect();
        let expires = Some(context::now().plus(i64::from(*days) * 86_400_000));
        let new = engine::NewKey { kind: KeyKind::Admin, name: name.clone(), scopes, expires, tools: None };
        let created = engine.keys().create(new).await;
        context::close(engine).await;
        print_new(common, &created?);
        Ok(())
    }
}
