//! Instants: RFC 3339 among the camelCase names of the older paths, milliseconds among this gateway's own snake_case names.

use serde_json::{Map, Value};

use super::check::DOCUMENT;

/// Every object in the description: the name of its schema, and its fields.
fn objects() -> Vec<(&'static str, &'static Map<String, Value>)> {
    let mut found = Vec::new();
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        members(name, schema, &mut found);
    }
    found
}

fn members(name: &'static str, value: &'static Value, found: &mut Vec<(&'static str, &'static Map<String, Value>)>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Object(each)) = object.get("properties") {
                found.push((name, each));
            }
            object.values().for_each(|inner| members(name, inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| members(name, inner, found)),
        _ => {}
    }
}

#[test]
fn an_instant_has_one_form_among_names_of_one_style() {
    let mut dates = 0;
    for (schema, members) in objects() {
        let camel = members.keys().any(|name| name.contains(|letter: char| letter.is_ascii_uppercase()));
        for (name, kind) in members {
            let text = kind.to_string();
            let (date, millis) = (text.contains("/schemas/Date\""), text.contains("/schemas/Millis\""));
            assert!(!(camel && millis), "{schema}.{name} is in milliseconds among names in camelCase");
            assert!(camel || !date, "{schema}.{name} is a text among names in snake_case");
            let is_instant = name.ends_with("At") || name.ends_with("Checked") || name.ends_with("Until");
            let taken = schema == "NewRelay";
            assert!(date || taken || !(camel && is_instant), "{schema}.{name} is no date: {text}");
            dates += usize::from(date);
        }
    }
    assert!(dates > 0, "nothing is a date");
}
