//! `admin token`: makes an admin token. `admin openapi`: prints the admin API's description.

use clap::Subcommand;
use pool::keys::{KeyKind, Scope, Scopes};

use super::keys::{KeyRequest, create, print_new};
use super::{Common, context, output};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Make an admin token and print it; it cannot be shown again.
    Token {
        /// What it may do.
        #[arg(long, value_delimiter = ',', default_value = "read,write")]
        scopes: Vec<ScopeName>,
        /// Days until it ends.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// What it is for.
        #[arg(long, default_value = "admin")]
        name: String,
    },
    /// Print what the admin API takes and gives, as an OpenAPI document.
    Openapi,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum ScopeName {
    /// See state, without secrets.
    Read,
    /// Change state.
    Write,
    /// Take secrets out.
    Export,
}

impl Admin {
    pub(super) async fn run(&self, common: &Common) -> anyhow::Result<()> {
        let Self::Token { scopes, days, name } = self else {
            output::line(server::OPENAPI.trim_end());
            return Ok(());
        };
        let config = context::config(common)?;
        let store = context::store(&config).await?;
        let scopes: Scopes = scopes
            .iter()
            .map(|scope| match scope {
                ScopeName::Read => Scope::Read,
                ScopeName::Write => Scope::Write,
                ScopeName::Export => Scope::Export,
            })
            .collect();
        let expires = Some(context::now().plus(i64::from(*days) * 86_400_000));
        let minted = create(&store, KeyRequest { kind: KeyKind::Admin, name, scopes, expires, tools: None }).await?;
        print_new(common, &minted);
        store.close().await;
        Ok(())
    }
}
