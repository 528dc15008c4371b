//! `accounts explain`: which account would serve a request, according to the store.

use std::process::ExitCode;

use clap::Args;
use engine::{CandidateView, Engine, RoutingExplanation, RoutingQuery};

use crate::cli::{Common, context, output};
use crate::file_relays::FileRelays;

#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    /// The model's name. Default: the default model.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The id of the client key.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
}

impl Explain {
    pub(super) async fn run(&self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        engine.models().restore().await;
        let config = context::config(common)?;
        FileRelays::new(engine.clone(), config.paths.config.clone()).put(&config.relays).await;
        let inquiry =
            RoutingQuery { model: self.model.as_deref(), key: self.key.as_deref(), ..RoutingQuery::default() };
        match engine.routing().explain(inquiry) {
            Ok(explained) if common.json => output::json(&explained),
            Ok(explained) => show(explained),
            Err(failure) => anyhow::bail!("{}", failure.message),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(explained: RoutingExplanation) {
    let RoutingExplanation { model, candidates, fallbacks, instead, .. } = explained;
    output::line(&format!(
        "Model {model}, according to the store. A running gateway also knows the requests that are in flight."
    ));
    let row = |(nth, candidate): (usize, CandidateView)| {
        vec![
            (nth + 1).to_string(),
            candidate.name,
            candidate.kind.to_owned(),
            candidate.standing.to_owned(),
            candidate.why,
        ]
    };
    let rows = candidates.into_iter().enumerate().map(row).collect();
    let empty = "No account yet. Add one: polygate login";
    output::table(&["", "NAME", "KIND", "STANDING", "WHY"], rows, empty);
    if let Some(instead) = instead {
        output::line(&format!("No account or relay can serve it now; {instead} would be tried instead."));
    } else if !fallbacks.is_empty() {
        output::line(&format!("Tried if no account or relay can serve: {}", fallbacks.join(", ")));
    }
}
