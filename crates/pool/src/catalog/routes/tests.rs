use rstest::rstest;

use super::*;
use crate::AccountId;
use crate::catalog::{Model, RelayListing, ServedBy, parse_models};

/// Accounts with two models, a relay that lists one of them and may have more, and one whose owner chose its models.
fn catalog(names: &Names) -> Catalog {
    let accounts =
        parse_models(br#"{"models":[{"slug":"gpt-6-sol","priority":1},{"slug":"gpt-6-luna","priority":2}]}"#).unwrap();
    let ids = ["open", "few"].map(|id| AccountId(id.into()));
    let bare = |slugs: &[&str]| slugs.iter().map(|slug| Model::bare(slug)).collect::<Vec<_>>();
    let lists = [bare(&["gpt-6-sol", "grok-4", "grok-4-fast", "openai/gpt-4o"]), bare(&["m-1"])];
    let listing =
        |at: usize, name, prefix, fixed| RelayListing { id: &ids[at], name, prefix, models: &lists[at], fixed };
    let relays = [listing(0, "open", "", false), listing(1, "few", "f/", true)];
    Catalog::live([accounts.as_slice()]).routed(names).with_relays(relays, &[])
}

fn names(routes: &[(&str, &str)]) -> Names {
    let alias = |name: &str, target: &str| (name.to_owned(), target.to_owned());
    Names {
        aliases: vec![alias("work", "gpt-6-sol-high"), alias("gpt-6-luna", "gpt-6-sol"), alias("ring", "ring")],
        routes: routes.iter().map(|(name, provider)| ((*name).to_owned(), Provider::named(provider))).collect(),
        ..Names::default()
    }
    .with_shipped()
}

#[rstest]
#[case(&[], "gpt-6-sol", "accounts=gpt-6-sol", None)]
// A route counts before the catalogue, for names with suffixes and vendor prefixes too.
#[case(&[("gpt-6-sol", "open")], "gpt-6-sol", "open=gpt-6-sol", None)]
#[case(&[("gpt-6-sol", "open")], "openai/gpt-6-sol-high", "open=gpt-6-sol", Some("high"))]
#[case(&[("gpt-6-sol", "open")], "gpt-6-luna", "accounts=gpt-6-luna", None)]
// What the relay does not list it is asked for, unless its owner chose its models.
#[case(&[("new-one", "open")], "new-one", "open=new-one", None)]
#[case(&[("m-1", "few")], "m-1", "few=m-1", None)]
#[case(&[("m-2", "few")], "m-2", "routed to the relay `few`", None)]
#[case(&[("gpt-6-sol", "gone")], "gpt-6-sol", "routed to the relay `gone`", None)]
// Aliases lead to routes; a name that is there is no alias.
#[case(&[("gpt-6-sol", "open")], "work", "open=gpt-6-sol", Some("high"))]
#[case(&[("gpt-6-sol", "open")], "work-low", "open=gpt-6-sol", Some("low"))]
#[case(&[("work", "few")], "work", "routed to the relay `few`", None)]
#[case(&[("x", "open")], "ring", "does not exist", None)]
// Patterns fit the barest reading and come last; the first that fits counts.
#[case(&[("gpt-*", "few"), ("gpt-6-sol", "open")], "gpt-6-sol", "open=gpt-6-sol", None)]
#[case(&[("gpt-*", "open"), ("*", "few")], "gpt-6-luna-high", "open=gpt-6-luna", Some("high"))]
#[case(&[("*", "open")], "work", "open=gpt-6-sol", Some("high"))]
// A route says who, and never which model: what is listed under a literal name is served under it.
#[case(&[("grok-*", "open")], "grok-4-fast", "open=grok-4-fast", None)]
#[case(&[("grok-4", "few")], "grok-4-fast", "open=grok-4-fast", None)]
#[case(&[("grok-*", "open")], "grok-5-high", "open=grok-5", Some("high"))]
#[case(&[("gpt-*", "open")], "openai/gpt-4o", "open=openai/gpt-4o", None)]
// What the name means is routed, too: the default, shipped patterns, the successor of a retired one.
#[case(&[("gpt-6-sol", "few")], "", "accounts=gpt-6-luna", None)]
#[case(&[("gpt-*", "open")], "", "open=gpt-6-sol", None)]
#[case(&[("gpt-*", "codex")], "gpt-5.4", "accounts=gpt-6-sol", None)]
#[case(&[("*", "codex")], "claude-opus-5", "accounts=gpt-6-sol", None)]
#[case(&[("claude-*", "open")], "claude-opus-5-high", "open=claude-opus-5", Some("high"))]
// To the accounts, past a relay; what they do not list is refused.
#[case(&[("*", "open"), ("gpt-6-sol", "codex")], "gpt-6-sol", "accounts=gpt-6-sol", None)]
#[case(&[("grok-4", "codex")], "grok-4", "routed to the accounts", None)]
#[case(&[("m-1", "codex")], "m-1", "does not exist", None)]
// A name that says who serves it is not routed.
#[case(&[("*", "open")], "few:m-1", "few=m-1", None)]
#[case(&[("*", "open")], "f/m-1", "few=m-1", None)]
#[case(&[("*", "open")], "codex:gpt-6-sol-high", "accounts=gpt-6-sol", Some("high"))]
fn routes_choose_the_provider(
    #[case] routes: &[(&str, &str)],
    #[case] requested: &str,
    #[case] served: &str,
    #[case] effort: Option<&str>,
) {
    let names = names(routes);
    match catalog(&names).resolve(Some(requested).filter(|requested| !requested.is_empty()), &names) {
        Ok(found) => {
            let by = match &found.to {
                ServedBy::Accounts => "accounts",
                ServedBy::Relays(targets) => targets[0].relay.0.as_str(),
            };
            assert_eq!((format!("{by}={}", found.model.slug).as_str(), found.effort.as_deref()), (served, effort));
            assert_eq!(found.retired_from.as_deref(), (requested == "gpt-5.4").then_some("gpt-5.4"));
        }
        Err(failure) => {
            assert!(failure.message.contains(served), "{}", failure.message);
            assert_eq!((failure.kind, failure.param.as_deref()), (Kind::ModelNotFound, Some("model")));
        }
    }
}

/// A name that is routed away is listed as the relay that serves it lists it.
#[test]
fn lists_follow_the_routes() {
    let names = names(&[("gpt-6-sol", "open"), ("gpt-6-luna", "few")]);
    let catalog = catalog(&names);
    assert_eq!(catalog.listed().count(), 0);
    let offers: Vec<_> = catalog.offers().map(|offer| (offer.name, offer.owner)).collect();
    assert!(offers.contains(&("gpt-6-sol", "open")) && !offers.iter().any(|(name, _)| *name == "gpt-6-luna"));
    let codex: serde_json::Value = serde_json::from_slice(&catalog.codex().body).unwrap();
    let entry = codex["models"].as_array().unwrap().iter().find(|model| model["slug"] == "gpt-6-sol").unwrap();
    assert_eq!(entry["use_responses_lite"], false);
}
