//! What Codex clients are listed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::account::AccountId;
use crate::catalog::{RelayListing, parse_models};
use crate::learned::{LearnedLimits, ModelKey};

/// Keys whose values are texts of ours.
const PROSE: [&str; 7] = [
    "description", "base_instructions", "model_messages", "availability_nux", "upgrade", "service_tiers",
    "supported_reasoning_levels",
];

fn entries(list: &CodexList) -> Vec<Value> {
    let mut body: Value = serde_json::from_slice(&list.body).unwrap();
    let Value::Array(entries) = body["models"].take() else { panic!("no list") };
    entries
}

fn keys(entry: &Value) -> BTreeSet<&str> {
    entry.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A live entry that has every key.
fn full(slug: &str) -> String {
    let mut model = Model::bare(slug);
    model.priority = 3;
    let entry = serde_json::to_string(&ModelBody::of(slug, &model, Owner::Account)).unwrap();
    entry
        .replace("{\"slug\"", "{\"from_the_future\" : [1],\"slug\"")
        .replace("You are a coding agent", "The backend says")
}

#[test]
fn a_live_entry_goes_through_as_it_came() {
    let came = full("gpt-x");
    let models = parse_models(format!("{{\"models\":[{came}]}}").as_bytes()).unwrap();
    let list = Catalog::live([models.as_slice()]).codex();
    assert_eq!(std::str::from_utf8(&list.body).unwrap(), format!("{{\"models\":[{came}]}}"));
}

#[test]
fn what_an_entry_lacks_is_filled_in() {
    let body =
        br#"{"models":[{"slug":"gpt-x","use_responses_lite":true,"comp_hash":"7","context_window":9,"new":{"a":1},
        "supported_reasoning_levels":[{"effort":"low"}],"upgrade":null}]}"#;
    let models = parse_models(body).unwrap();
    let entry = entries(&Catalog::live([models.as_slice()]).codex()).remove(0);
    let whole: Value = serde_json::from_str(&full("y")).unwrap();
    let lacking: Vec<_> = keys(&whole).difference(&keys(&entry)).copied().collect();
    assert_eq!(lacking, ["from_the_future"]);
    assert_eq!(
        (&entry["comp_hash"], &entry["new"]["a"], &entry["context_window"]),
        (&"7".into(), &1.into(), &9.into())
    );
    // What came is not mended, however odd.
    assert_eq!(entry["supported_reasoning_levels"][0].get("description"), None);
    assert_eq!((&entry["max_context_window"], &entry["tool_mode"]), (&9.into(), &Value::Null));
}

#[test]
fn a_relays_model_is_listed_by_the_name_to_ask_for() {
    let id = AccountId("r".into());
    let mut model = Model::bare("deepseek-r2");
    model.efforts = vec!["high".into(), "of their own".into()];
    let models = [model];
    let listing = RelayListing { id: &id, name: "house", prefix: "ds/", models: &models, fixed: false };
    let catalog = Catalog::default().with_relays([listing], &[]);
    let entry = entries(&catalog.codex()).remove(0);
    assert_eq!(
        (&entry["slug"], &entry["visibility"], &entry["priority"]),
        (&"ds/deepseek-r2".into(), &"list".into(), &LAST.into())
    );
    assert_eq!((&entry["apply_patch_tool_type"], &entry["use_responses_lite"]), (&Value::Null, &false.into()));
    let efforts: Vec<_> = entry["supported_reasoning_levels"].as_array().unwrap().iter().collect();
    assert_eq!(
        (&efforts[0]["description"], &efforts[1]["description"]),
        (&"Long thinking".into(), &"of their own".into())
    );
    assert_eq!(entry["input_modalities"], serde_json::json!(["text"]));
}

#[test]
fn the_etag_follows_the_body() {
    let (one, two) = (Catalog::bundled().codex(), Catalog::default().codex());
    assert_eq!(one, Catalog::bundled().codex());
    assert!(one.etag != two.etag && one.etag.starts_with("W/\"") && one.etag.len() == 28);
    assert_eq!(two.body, "{\"models\":[]}");
}

/// The floor has all that the official client's own list has, and says the same where it is no prose.
#[test]
#[expect(clippy::disallowed_methods, reason = "this test reads the shared captures, which are no part of the project")]
fn the_bundled_list_has_every_key_of_the_official_one() {
    let Some(shared) = crate::recordings::shared() else { return };
    let text = std::fs::read(shared.join("data/models-bundled.json")).unwrap();
    let official: Value = serde_json::from_slice(&text).unwrap();
    let ours = entries(&Catalog::bundled().codex());
    for official in official["models"].as_array().unwrap() {
        let entry = ours.iter().find(|entry| entry["slug"] == official["slug"]).unwrap();
        for (key, value) in official.as_object().unwrap() {
            let actual = entry.get(key).unwrap_or_else(|| panic!("{}: no {key}", official["slug"]));
            assert!(
                PROSE.contains(&key.as_str()) || actual == value,
                "{}: {key} is {actual}, not {value}",
                official["slug"]
            );
        }
        assert_eq!(entry["upgrade"]["model"], official["upgrade"]["model"]);
    }
}

/// A window that was learned stands in the place of a larger one, and of none; all else stays as it came.
#[test]
fn learned_windows_count_more_than_what_came() {
    let body = br#"{"models":[{"slug":"a","context_window":272000,"max_context_window":872000,"comp_hash":"7"},
        {"slug":"b","context_window":null},{"slug":"c","context_window":100000}]}"#;
    let models = parse_models(body).unwrap();
    let known = |of: ModelKey| LearnedLimits { window: of.relay.is_none().then_some(200_000), output: None };
    let list = Catalog::live([models.as_slice()]).with_learned_limits(known).codex();
    let entries = entries(&list);
    let window = |entry: &Value| ["context_window", "max_context_window"].map(|key| entry[key].as_u64());
    let windows: Vec<_> = entries.iter().map(window).collect();
    assert_eq!(windows, [[Some(200_000); 2], [Some(200_000); 2], [Some(100_000); 2]]);
    assert_eq!(entries[0]["comp_hash"], "7");
    let full = full("gpt-x").replace("\"context_window\":null", "\"context_window\":300000");
    let models = parse_models(format!("{{\"models\":[{full}]}}").as_bytes()).unwrap();
    let plain = Catalog::live([models.as_slice()]).with_learned_limits(|_| LearnedLimits::default()).codex();
    assert_eq!(std::str::from_utf8(&plain.body).unwrap(), format!("{{\"models\":[{full}]}}"));
    assert_ne!(plain.etag, Catalog::live([models.as_slice()]).with_learned_limits(known).codex().etag);
}
