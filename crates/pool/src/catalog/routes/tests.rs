use rstest::rstest;

use super::*;
use crate::AccountId;
use crate::catalog::{Model, Shelf, To, parse_models};

/// Accounts with two models, a relay that lists one of them and may have more, and one whose owner chose its models.
fn catalog() -> Catalog {
    let accounts =
        parse_models(br#"{"models":[{"slug":"gpt-6-sol","priority":1},{"slug":"gpt-6-luna","priority":2}]}"#).unwrap();
    let ids = ["open", "few"].map(|id| AccountId(id.into()));
    let lists = [vec![Model::bare("gpt-6-sol")], vec![Model::bare("m-1")]];
    let shelf = |at: usize, name, fixed| Shelf { id: &ids[at], name, prefix: "", models: &lists[at], fixed };
    Catalog::live([accounts.as_slice()]).beside([shelf(0, "open", false), shelf(1, "few", true)], &[])
}

fn names(routes: &[(&str, &str)]) -> Names {
    let alias = |name: &str, target: &str| (name.to_owned(), target.to_owned());
    Names {
        aliases: vec![alias("work", "gpt-6-sol-high"), alias("gpt-6-luna", "gpt-6-sol"), alias("ring", "ring")],
        routes: routes.iter().map(|(name, provider)| ((*name).to_owned(), Provider::named(provider))).collect(),
        ..Names::default()
    }
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
// To the accounts, past a relay; what they do not list is refused.
#[case(&[("*", "open"), ("gpt-6-sol", "codex")], "gpt-6-sol", "accounts=gpt-6-sol", None)]
#[case(&[("m-1", "codex")], "m-1", "routed to the accounts", None)]
// A name that says who serves it is not routed.
#[case(&[("*", "open")], "few:m-1", "few=m-1", None)]
#[case(&[("*", "open")], "codex:gpt-6-sol", "accounts=gpt-6-sol", None)]
fn routes_say_who_serves(
    #[case] routes: &[(&str, &str)],
    #[case] asked: &str,
    #[case] served: &str,
    #[case] effort: Option<&str>,
) {
    match catalog().resolve(Some(asked), &names(routes)) {
        Ok(found) => {
            let by = match &found.to {
                To::Accounts => "accounts",
                To::Relays(stops) => stops[0].relay.0.as_str(),
            };
            assert_eq!((format!("{by}={}", found.model.slug).as_str(), found.effort.as_deref()), (served, effort));
            assert_eq!(found.retired_from, None);
        }
        Err(failure) => {
            assert!(failure.message.contains(served), "{}", failure.message);
            assert_eq!((failure.kind, failure.param.as_deref()), (Kind::ModelNotFound, Some("model")));
        }
    }
}
