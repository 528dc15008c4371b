use rstest::rstest;

use super::*;
use crate::catalog::{Catalog, Names, parse_models};
use crate::learned::{LearnedLimits, ModelKey};

fn models(slugs: &[&str]) -> Vec<Model> {
    slugs.iter().map(|slug| Model::bare(slug)).collect()
}

/// Accounts with two models; relays: `open` with a live list, `dark` whose list is not known, `few` with chosen models, and
/// `twin`, which lists what `open` lists too.
fn catalog() -> Catalog {
    let accounts =
        parse_models(br#"{"models":[{"slug":"gpt-6-sol","priority":1},{"slug":"x-high","priority":2}]}"#).unwrap();
    let ids = ["1", "2", "3", "4"].map(|id| AccountId(id.into()));
    let lists = [
        models(&["llama-4", "openai/gpt-6", "gpt-6-sol"]),
        models(&[]),
        models(&["m-1", "m-2"]),
        models(&["llama-4", "twin-only"]),
    ];
    let listing =
        |at: usize, name, prefix, fixed| RelayListing { id: &ids[at], name, prefix, models: &lists[at], fixed };
    let relays = [
        listing(0, "open", "", false),
        listing(1, "dark", "d/", false),
        listing(2, "few", "few/", true),
        listing(3, "twin", "", false),
    ];
    Catalog::live([accounts.as_slice()]).with_relays(relays, &[])
}

fn names() -> Names {
    let alias = |name: &str, target: &str| (name.to_owned(), target.to_owned());
    let aliases = vec![alias("best", "few:m-1"), alias("llama-4", "gpt-6-sol"), alias("far", "dark:who-knows")];
    Names { aliases, ..Names::default() }
}

/// The case of letters matters only where two names differ by nothing else.
#[rstest]
#[case("qwen/qwen3", Ok("Qwen/Qwen3"))]
#[case("Far:Qwen/Qwen3", Ok("Qwen/Qwen3"))]
#[case("Twin", Ok("Twin"))]
#[case("twin", Ok("twin"))]
#[case("TWIN", Ok("twin"))]
#[case("MIXED", Err(()))]
fn letters_of_another_case_name_the_one_model(#[case] requested: &str, #[case] slug: Result<&str, ()>) {
    let (id, models) = (AccountId("1".into()), models(&["Qwen/Qwen3", "Twin", "twin", "Mixed", "mIxed"]));
    let listing = RelayListing { id: &id, name: "far", prefix: "", models: &models, fixed: true };
    let catalog = Catalog::live([]).with_relays([listing], &[]);
    let resolved = catalog.resolve(Some(requested), &Names::default());
    assert_eq!(resolved.map(|found| found.model.slug).map_err(|_| ()), slug.map(str::to_owned));
}

/// `accounts:model`, or the relays as `id=model` joined by a comma.
fn targets(name: Option<&str>, names: &Names) -> Result<String, String> {
    let resolved = catalog().resolve(name, names).map_err(|failure| failure.message)?;
    Ok(match resolved.to {
        ServedBy::Accounts => format!("accounts:{}", resolved.model.slug),
        ServedBy::Relays(targets) => {
            assert_eq!(resolved.model.slug, targets[0].model);
            targets.iter().map(|target| format!("{}={}", target.relay, target.model)).collect::<Vec<_>>().join(",")
        }
    })
}

#[rstest]
// Accounts come first; a relay that lists the same is chosen by name.
#[case("gpt-6-sol", "accounts:gpt-6-sol")]
#[case("open:gpt-6-sol", "1=gpt-6-sol")]
#[case("codex:gpt-6-sol", "accounts:gpt-6-sol")]
// Then relays that list it, all of them; before aliases.
#[case("llama-4", "1=llama-4,4=llama-4")]
#[case("twin:llama-4", "4=llama-4")]
#[case("twin-only", "4=twin-only")]
#[case("openai/gpt-6", "1=openai/gpt-6")]
// Behind its prefix only.
#[case("few/m-1", "3=m-1")]
#[case("few:m-2", "3=m-2")]
// Suffixes and aliases.
#[case("llama-4-high", "1=llama-4,4=llama-4")]
#[case("few:m-1-low", "3=m-1")]
#[case("best", "3=m-1")]
#[case("far", "2=who-knows")]
// A relay may serve more than it lists.
#[case("open:unlisted", "1=unlisted")]
#[case("dark:any:thing", "2=any:thing")]
#[case("d/any", "2=any")]
fn a_name_goes_to(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(targets(Some(name), &names()).as_deref(), Ok(expected));
}

#[rstest]
// Its owner chose two models.
#[case("few:m-3", "The relay `few` offers: m-1, m-2.")]
#[case("few/m-3", "Models that can be used: gpt-6-sol, x-high, llama-4, openai/gpt-6, open:gpt-6-sol, few/m-1.")]
#[case("m-1", "does not exist")]
#[case("nobody:m-1", "does not exist")]
#[case("open:", "does not exist")]
#[case("d/", "does not exist")]
fn a_name_goes_nowhere(#[case] name: &str, #[case] expected: &str) {
    let message = targets(Some(name), &names()).unwrap_err();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn long_names_are_not_sent_to_a_relay() {
    let (id, long) = (AccountId("1".into()), "x".repeat(NAME + 1));
    let catalog = Catalog::default()
        .with_relays([RelayListing { id: &id, name: "r", prefix: "p/", models: &[], fixed: false }], &[]);
    for (name, resolves) in [(&long[1..], true), (&long, false)] {
        assert_eq!(catalog.at_only_relay(name).is_some(), resolves);
        for prefix in ["r:", "p/"] {
            assert_eq!(
                catalog.resolve(Some(&format!("{prefix}{name}")), &Names::default()).is_ok(),
                resolves,
                "{prefix}"
            );
        }
    }
}

#[test]
fn offers_are_shown_by_a_name_that_reaches_them() {
    let catalog = catalog();
    let shown: Vec<_> = catalog.offers().map(|offer| (offer.name, offer.owner)).collect();
    let expected = [
        ("llama-4", "open"),
        ("openai/gpt-6", "open"),
        ("open:gpt-6-sol", "open"),
        ("few/m-1", "few"),
        ("few/m-2", "few"),
        ("twin-only", "twin"),
    ];
    assert_eq!(shown, expected);
    for offer in catalog.offers() {
        let ServedBy::Relays(targets) = catalog.resolve(Some(offer.name), &names()).unwrap().to else {
            panic!("{offer:?}")
        };
        assert_eq!(targets[0].model, offer.model.slug);
    }
}

#[test]
fn without_accounts_the_first_relay_has_the_default() {
    let (id, list) = (AccountId("1".into()), models(&["a", "b"]));
    let listing = RelayListing { id: &id, name: "r", prefix: "p/", models: &list, fixed: false };
    let catalog = Catalog::default().with_relays([listing], &[]);
    assert_eq!(catalog.resolve(None, &Names::default()).unwrap().model.slug, "a");
    assert!(catalog.resolve(Some("gpt-6-sol"), &Names::default()).unwrap_err().message.contains("p/a, p/b"));
}

/// Limits are learned of one relay's model, and shown in lists where they are lower than its own, or nothing is.
#[test]
fn learned_limits_are_shown() {
    let id = AccountId("1".into());
    let lists = [Model { context: Some(400_000), max_output: Some(4096), ..Model::bare("a") }, Model::bare("b")];
    let listing = RelayListing { id: &id, name: "far", prefix: "", models: &lists, fixed: false };
    let known = |of: ModelKey| match (of.relay.as_ref() == Some(&id), of.model.as_str()) {
        (true, "a") => LearnedLimits { window: Some(200_000), output: Some(8192) },
        (true, "b") => LearnedLimits { window: None, output: Some(8192) },
        _ => LearnedLimits { window: Some(1), output: Some(1) },
    };
    let catalog = Catalog::default().with_relays([listing], &[]).with_learned_limits(known);
    let limits = |model: &Model| (model.context, model.max_context, model.max_output);
    let shown: Vec<_> = catalog.offers().map(|offer| limits(offer.model)).collect();
    assert_eq!(shown, [(Some(200_000), Some(200_000), Some(4096)), (None, None, Some(8192))]);
    let resolved = catalog.resolve(Some("far:a"), &Names::default()).unwrap();
    assert_eq!(limits(&resolved.model), shown[0]);
}

/// The entries of another version's lists stand in the place of ours; which models there are is ours to say.
#[test]
fn a_versioned_catalogue_has_our_models_in_other_words() {
    let list = |text: &str| parse_models(text.as_bytes()).unwrap();
    let first = list(r#"{"models":[{"slug":"x-high","display_name":"One","priority":1},{"slug":"new","priority":0}]}"#);
    let second = list(r#"{"models":[{"slug":"x-high","display_name":"Two","priority":1}]}"#);
    let (ours, versioned) = (catalog(), catalog().for_client_version([first.as_slice(), second.as_slice()]));
    let names: Vec<_> = versioned.models().iter().map(|model| (model.slug.as_str(), model.display.as_str())).collect();
    assert_eq!(names, [("x-high", "One")]);
    assert!(versioned.is_live() && versioned.get("gpt-6-sol").is_none());
    assert!(versioned.offers().map(|offer| offer.name).eq(ours.offers().map(|offer| offer.name)));
}
