//! `migrate`: brings the schema of the store up to date, as `serve` does at its start.

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use store::Store;

use super::{Common, context, output};

#[derive(Debug, Args)]
pub(super) struct Migrate {}

#[derive(Serialize)]
struct Done {
    migrated: bool,
}

impl Migrate {
    pub(super) async fn run(&self, common: &Common) -> anyhow::Result<()> {
        let config = context::config(common)?;
        let place = || format!("cannot migrate the store in {}", config.paths.home.display());
        let store = Store::open(crate::start::store_options(&config)).await.with_context(place)?;
        let usage = store.open_usage().await.with_context(place);
        store.close().await;
        usage?;
        if common.json {
            output::json(&Done { migrated: true });
        } else {
            output::line("the store is up to date");
        }
        Ok(())
    }
}
