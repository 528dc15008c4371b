use serde_json::{Value, json};

use super::*;
use crate::AccountId;
use crate::catalog::{Catalog, Names, RelayListing, ServedBy, parse_models};

/// An entry as the backend lists it, and a relay's model of which little is known.
fn catalog(rows: &[CustomModel]) -> Catalog {
    let body = json!({"models": [{
        "slug": "gpt-x", "priority": 1, "display_name": "GPT-X", "description": "the backend's", "context_window": 100, "max_context_window": 200,
        "supported_reasoning_levels": [{"effort": "low"}], "default_reasoning_level": "low", "base_instructions": "be good",
        "service_tiers": [{"id": "priority"}], "input_modalities": ["text", "image"],
    }]});
    let models = parse_models(body.to_string().as_bytes()).unwrap();
    let (id, known) = (AccountId("1".into()), [Model::bare("llama")]);
    let listing = RelayListing { id: &id, name: "local", prefix: "", models: &known, fixed: false };
    Catalog::live([models.as_slice()]).with_custom(rows).with_relays([listing], rows)
}

fn codex(catalog: &Catalog, slug: &str) -> Value {
    let mut body: Value = serde_json::from_slice(&catalog.codex().body).unwrap();
    let Value::Array(models) = body["models"].take() else { panic!("no list") };
    models.into_iter().find(|model| model["slug"] == slug).expect("listed")
}

fn custom(slug: &str) -> CustomModel {
    CustomModel { slug: slug.to_owned(), ..CustomModel::default() }
}

#[test]
fn an_unlisted_row_is_a_model_of_every_account() {
    let known = CustomModel {
        display: Some("Preview".into()),
        efforts: Some(vec!["low".into(), "high".into()]),
        default_effort: Some("high".into()),
        tiers: Some(vec!["priority".into()]),
        max_context: Some(400_000),
        max_output: Some(32_000),
        modalities: Some(vec!["text".into(), "image".into()]),
        description: Some("not for everybody".into()),
        ..custom("gpt-preview")
    };
    let catalog = catalog(&[known, custom("gpt-bare")]);
    let found = catalog.resolve(Some("gpt-preview-low"), &Names::default()).unwrap();
    let model = found.model;
    assert_eq!((found.to, model.custom, found.effort.as_deref()), (ServedBy::Accounts, true, Some("low")));
    assert_eq!((model.context, model.max_context, model.max_output), (Some(400_000), Some(400_000), Some(32_000)));
    assert_eq!(model.efforts, ["low", "high"]);
    let listed: Vec<_> = catalog.listed().map(|model| (model.slug.as_str(), model.custom)).collect();
    assert_eq!(listed, [("gpt-x", false), ("gpt-bare", true), ("gpt-preview", true)], "after those that have a place");
    let entry = codex(&catalog, "gpt-preview");
    assert_eq!((&entry["display_name"], &entry["description"]), (&json!("Preview"), &json!("not for everybody")));
    assert_eq!((&entry["context_window"], &entry["default_reasoning_level"]), (&json!(400_000), &json!("high")));
    assert_eq!(entry["input_modalities"], json!(["text", "image"]));
    assert_eq!(entry["service_tiers"][0]["id"], "priority");
}

/// The built-in facts of a model that nobody lists serve for its row.
#[test]
fn a_row_is_based_on_the_built_in_entry() {
    let built_in = crate::catalog::bundled().into_iter().find(|model| model.lite).expect("a lite one");
    let (known, heavy) = (custom(&built_in.slug), CustomModel { lite: Some(true), ..custom("gpt-own") });
    let catalog = catalog(&[known, heavy]);
    let model = catalog.get(&built_in.slug).unwrap();
    assert!((model.custom, model.lite, model.listed) == (true, true, true) && model.context == built_in.context);
    assert!(catalog.get("gpt-own").unwrap().lite);
    assert_eq!(codex(&catalog, "gpt-own")["use_responses_lite"], true);
}

#[test]
fn a_row_overrides_the_backends_entry() {
    let rows =
        [CustomModel { context: Some(50), efforts: Some(vec!["high".into()]), tiers: Some(vec![]), ..custom("gpt-x") }];
    let catalog = catalog(&rows);
    let model = catalog.get("gpt-x").unwrap();
    assert_eq!((model.custom, model.context, model.max_context), (false, Some(50), Some(50)));
    assert_eq!((model.display.as_str(), model.default_effort.as_deref()), ("GPT-X", Some("low")), "the rest stays");
    assert!(model.tiers.is_empty());
    let entry = codex(&catalog, "gpt-x");
    assert_eq!((&entry["context_window"], &entry["max_context_window"]), (&json!(50), &json!(50)));
    assert_eq!(entry["supported_reasoning_levels"][0]["effort"], "high");
    assert_eq!((&entry["service_tiers"], &entry["additional_speed_tiers"]), (&json!([]), &json!([])));
    assert_eq!((&entry["base_instructions"], &entry["description"]), (&json!("be good"), &json!("the backend's")));
}

#[test]
fn a_relays_models_have_rows_too() {
    let of = |slug: &str, context| CustomModel { relay: Some("local".into()), context: Some(context), ..custom(slug) };
    let elsewhere = CustomModel { relay: Some("gone".into()), ..custom("lost") };
    let catalog = catalog(&[of("llama", 8_192), of("qwen", 32_768), elsewhere]);
    let offers: Vec<_> = catalog.offers().map(|offer| (offer.name, offer.model.context)).collect();
    assert_eq!(offers, [("llama", Some(8_192)), ("qwen", Some(32_768))]);
    let found = catalog.resolve(Some("qwen"), &Names::default()).unwrap();
    assert!(matches!(&found.to, ServedBy::Relays(targets) if targets.len() == 1 && targets[0].model == "qwen"));
    assert!(catalog.resolve(Some("lost"), &Names::default()).is_err());
}
