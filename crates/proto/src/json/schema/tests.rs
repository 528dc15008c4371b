use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::strict::Form;
use super::{from_gemini, from_plain, needs_envelope, parameters, permissive, strict, to_gemini};
use crate::json::{Path, valid};
use crate::text::Json;

fn json(text: &str) -> Json {
    assert!(valid(text.as_bytes()), "{text}");
    Json::from_valid(Bytes::copy_from_slice(text.as_bytes()))
}

/// `change` turns the first schema into the second.
fn becomes(table: &[(&str, &str)], change: impl Fn(&Json) -> Json) {
    for (before, after) in table {
        assert_eq!(change(&json(before)).as_str(), *after, "{before}");
    }
}

#[test]
fn strict_schemas_keep_their_bytes() {
    for schema in [
        r#"{ "type":"object", "properties":{"a":{"type":"string"}}, "required":["a"], "additionalProperties":false }"#,
        r#"{"type":"object","properties":{},"additionalProperties":false,"$schema":"x","title":"T"}"#,
        r##"{"type":"object","properties":{"n":{"anyOf":[{"$ref":"#/$defs/N"},{"type":"null"}]}},"required":["n"],"additionalProperties":false,"$defs":{"N":{"type":"object","properties":{"v":{"type":"number","minimum":1.50}},"required":["v"],"additionalProperties":false}}}"##,
        r#"{"type":"object","properties":{"e":{"type":["string","null"],"enum":["a",null]}},"required":["e"],"additionalProperties":false}"#,
    ] {
        let schema = json(schema);
        assert_eq!(strict(&schema, Form::Plain), Ok(schema.clone()));
        assert_eq!(strict(&schema, Form::Envelope), Ok(schema.clone()));
        assert!(!needs_envelope(&schema));
    }
}

#[test]
fn objects_are_closed_and_their_properties_required() {
    becomes(
        &[
            (
                r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"object","properties":{"c":{"type":"number"}}}},"required":["a"]}"#,
                r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"object","properties":{"c":{"type":"number"}},"additionalProperties":false,"required":["c"]}},"required":["b","a"],"additionalProperties":false}"#,
            ),
            // The client's property names are names, even when they equal keywords.
            (
                r#"{"type":"object","properties":{"properties":{"type":"string"},"type":{"type":"string"},"items":{"type":"boolean"}}}"#,
                r#"{"type":"object","properties":{"properties":{"type":"string"},"type":{"type":"string"},"items":{"type":"boolean"}},"additionalProperties":false,"required":["properties","type","items"]}"#,
            ),
            (
                r#"{"properties":{"a":{"enum":["x",1]},"l":{"items":{"type":"string"},"uniqueItems":true}},"additionalProperties":true}"#,
                r#"{"properties":{"a":{"enum":["x",1],"type":["string","number"]},"l":{"items":{"type":"string"},"type":"array"}},"additionalProperties":false,"type":"object","required":["a","l"]}"#,
            ),
            (
                r#"{"type":"object","properties":{"u":{"type":"string","format":"uri","default":""},"d":{"type":"string","format":"date-time"}},"required":["u","d"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"u":{"type":"string"},"d":{"type":"string","format":"date-time"}},"required":["u","d"],"additionalProperties":false}"#,
            ),
            (
                r#"{"type":"object","properties":{"x":{"oneOf":[{"type":"string"},{"allOf":[{"type":"number"}]}]}},"required":["x"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"x":{"anyOf":[{"type":"string"},{"type":"number"}]}},"required":["x"],"additionalProperties":false}"#,
            ),
        ],
        |schema| strict(schema, Form::Plain).unwrap(),
    );
}

#[test]
fn references_stand_alone_and_circles_may_end() {
    becomes(
        &[
            (
                r##"{"type":"object","properties":{"p":{"$ref":"#/$defs/P","description":"who"}},"$defs":{"P":{"type":"string"}}}"##,
                r##"{"type":"object","properties":{"p":{"anyOf":[{"$ref":"#/$defs/P"}],"description":"who"}},"$defs":{"P":{"type":"string"}},"additionalProperties":false,"required":["p"]}"##,
            ),
            // A list of its own type can be empty, so it needs no null; the next element of a chain does.
            (
                r##"{"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"v":{"type":"string"},"next":{"$ref":"#/$defs/N"},"all":{"type":"array","items":{"$ref":"#/$defs/N"}}},"required":["v"]}}}"##,
                r##"{"$defs":{"N":{"type":"object","properties":{"v":{"type":"string"},"next":{"anyOf":[{"$ref":"#/$defs/N"},{"type":"null"}]},"all":{"type":"array","items":{"$ref":"#/$defs/N"}}},"required":["v","next","all"],"additionalProperties":false}},"type":"object","properties":{"v":{"type":"string"},"next":{"anyOf":[{"$ref":"#/$defs/N"},{"type":"null"}]},"all":{"type":"array","items":{"$ref":"#/$defs/N"}}},"required":["v","next","all"],"additionalProperties":false}"##,
            ),
            (
                r##"{"type":"object","properties":{"left":{"$ref":"#"},"v":{"type":"number"}},"required":["v"],"additionalProperties":false}"##,
                r##"{"type":"object","properties":{"left":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"v":{"type":"number"}},"required":["left","v"],"additionalProperties":false}"##,
            ),
        ],
        |schema| strict(schema, Form::Plain).unwrap(),
    );
}

#[test]
fn keywords_that_strict_mode_lacks_are_named() {
    for (schema, why) in [
        (r#"{"type":"object","additionalProperties":{"type":"string"}}"#, "free keys"),
        (r#"{"type":"object"}"#, "free keys"),
        (r#"{"type":"object","properties":{"a":{}}}"#, "a value of any kind"),
        (r#"{"type":"object","properties":{"a":true}}"#, "a value of any kind"),
        (r#"{"type":"object","properties":{"a":{"type":"array"}}}"#, "an array of anything"),
        (r#"{"type":"object","properties":{"a":{"type":"string","not":{"const":"x"}}}}"#, "conditions"),
        (
            r#"{"type":"object","properties":{"a":{"allOf":[{"type":"string"},{"minLength":2}]}}}"#,
            "several schemas at once",
        ),
        (r#"{"type":"object","properties":{"a":{"$ref":"https://example.test/s"}}}"#, "a $ref to somewhere else"),
        (r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/Gone"}}}"##, "a $ref to somewhere else"),
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#a/$defs/X"}},"$defs":{"X":{"type":"null"}}}"##,
            "a $ref to somewhere else",
        ),
        (r#"{"type":"array","items":{"type":"string"}}"#, "a root that is not an object"),
        (r#"{"anyOf":[{"type":"string"}]}"#, "a root that is not an object"),
    ] {
        assert_eq!(strict(&json(schema), Form::Plain), Err(why), "{schema}");
    }
    // A cycle of names alone.
    let circle = r##"{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/B"},"B":{"$ref":"#/$defs/A"}}}"##;
    assert!(strict(&json(circle), Form::Plain).is_err());
}

#[test]
fn tuples_travel_as_arrays_where_replies_pass_untouched() {
    becomes(
        &[
            (
                r#"{"type":"object","properties":{"p":{"type":"array","prefixItems":[{"type":"number"},{"type":"number"}],"items":false}},"required":["p"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"p":{"type":"array","items":{"type":"number"},"minItems":2,"maxItems":2}},"required":["p"],"additionalProperties":false}"#,
            ),
            (
                r#"{"type":"object","properties":{"p":{"type":"array","items":[{"type":"string","title":"name"},{"type":"number"}],"description":"A pair."}},"required":["p"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"p":{"type":"array","description":"A pair. In this order: string (name), number.","items":{"anyOf":[{"type":"string","title":"name"},{"type":"number"}]},"minItems":2,"maxItems":2}},"required":["p"],"additionalProperties":false}"#,
            ),
        ],
        |schema| strict(schema, Form::Plain).unwrap(),
    );
}

#[test]
fn tuples_and_other_roots_fold_into_objects() {
    becomes(
        &[
            (
                r#"{"type":"array","items":{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}}"#,
                r#"{"type":"object","properties":{"__value":{"type":"array","items":{"type":"object","properties":{"__0":{"type":"string"},"__1":{"type":"number"}},"additionalProperties":false,"required":["__0","__1"]}}},"required":["__value"],"additionalProperties":false}"#,
            ),
            (
                r#"{"type":"string","enum":["a","b"]}"#,
                r#"{"type":"object","properties":{"__value":{"type":"string","enum":["a","b"]}},"required":["__value"],"additionalProperties":false}"#,
            ),
            // Pointers change with the schema that they point into.
            (
                r##"{"anyOf":[{"type":"string"},{"type":"array","items":{"$ref":"#"}},{"$ref":"#/$defs/X"}],"$defs":{"X":{"type":"null"}}}"##,
                r##"{"type":"object","properties":{"__value":{"anyOf":[{"type":"string"},{"type":"array","items":{"$ref":"#/properties/__value"}},{"$ref":"#/$defs/X"}]}},"required":["__value"],"additionalProperties":false,"$defs":{"X":{"type":"null"}}}"##,
            ),
            // A tuple with further elements has no such form.
            (
                r#"{"type":"object","properties":{"p":{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"number"}}},"required":["p"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"p":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"number"}]},"minItems":1,"description":"In this order: string."}},"required":["p"],"additionalProperties":false}"#,
            ),
        ],
        |schema| {
            assert!(needs_envelope(schema));
            strict(schema, Form::Envelope).unwrap()
        },
    );
    // A client that uses the envelope's names gets no envelope.
    assert!(!needs_envelope(&json(
        r#"{"type":"array","items":{"type":"object","properties":{"__0":{"type":"string"}}}}"#
    )));
}

#[test]
fn arguments_are_objects_that_name_their_properties() {
    becomes(
        &[
            (r#"{"type":"object"}"#, r#"{"type":"object","properties":{}}"#),
            (r"{}", r#"{"type":"object","properties":{}}"#),
            (r#"{"type":"object","properties":null}"#, r#"{"type":"object","properties":{}}"#),
            (
                r#"{"type":"object","properties":{"l":{"type":"array"},"m":{"type":"object","additionalProperties":{"type":["array","null"]}}}}"#,
                r#"{"type":"object","properties":{"l":{"type":"array","items":{}},"m":{"type":"object","additionalProperties":{"type":["array","null"],"items":{}},"properties":{}}}}"#,
            ),
            (
                r#"{"type":"object","properties":{"r":{"anyOf":[{"type":"array","prefixItems":[{"type":"integer"},{"type":"integer"}]},{"type":"null"}]}}}"#,
                r#"{"type":"object","properties":{"r":{"anyOf":[{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":2},{"type":"null"}]}}}"#,
            ),
            // The items of tuples in lists, as an agent's own tool has them.
            (
                r#"{"type":"object","properties":{"w":{"type":"array","maxItems":10,"items":{"prefixItems":[{"type":"string"},{"enum":["eq"]},{}]}}}}"#,
                r#"{"type":"object","properties":{"w":{"type":"array","maxItems":10,"items":{"items":{"anyOf":[{"type":"string"},{"enum":["eq"]},{}]},"minItems":3,"maxItems":3,"description":"In this order: string, value, value."}}}}"#,
            ),
            (
                r##"{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"x":{"type":"string"}}}}}"##,
                r#"{"$defs":{"A":{"type":"object","properties":{"x":{"type":"string"}}}},"type":"object","properties":{"x":{"type":"string"}}}"#,
            ),
            (
                r#"{"type":"object","oneOf":[{"properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]},{"properties":{"a":{"type":"string"},"c":{"type":"array"}},"required":["a","c"]}]}"#,
                r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"array","items":{}}},"required":["a"]}"#,
            ),
            (
                r#"{"allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}"#,
                r#"{"properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"],"type":"object"}"#,
            ),
        ],
        parameters,
    );
    for same in [
        r#"{ "$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"string","enum":["array"]}},"additionalProperties":false }"#,
        r#"{"type":"object","properties":{"items":{"type":"string"},"prefixItems":{"type":"string"},"type":{"type":"string"}}}"#,
        r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"array","items":{"type":"string"}},true]}}}"#,
    ] {
        assert_eq!(parameters(&json(same)).as_str(), same);
    }
}

#[test]
fn formats_that_are_not_strict_are_left_alone_where_they_can() {
    let plain =
        json(r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}"#);
    assert_eq!(permissive(&plain, Form::Envelope), plain);
    let list = json(r#"{"type":"array","items":{"type":"object"}}"#);
    assert_eq!(
        permissive(&list, Form::Plain).as_str(),
        r#"{"type":"array","items":{"type":"object","properties":{}}}"#
    );
    assert_eq!(
        permissive(&list, Form::Envelope).as_str(),
        r#"{"type":"object","properties":{"__value":{"type":"array","items":{"type":"object","properties":{}}}},"required":["__value"],"additionalProperties":false}"#
    );
}

#[test]
fn output_formats_are_closed_for_anthropic() {
    becomes(
        &[
            (
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"properties":{"b":{"type":"string"}}}}},"required":["a"]}"#,
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"properties":{"b":{"type":"string"}},"additionalProperties":false}}},"required":["a"],"additionalProperties":false}"#,
            ),
            (
                r#"{ "type":"object","additionalProperties":{"type":"string"}}"#,
                r#"{ "type":"object","additionalProperties":{"type":"string"}}"#,
            ),
        ],
        super::closed,
    );
}

#[test]
fn geminis_dialect_is_read() {
    let read = |schema: &Json| from_gemini(schema, &Path::ROOT).unwrap();
    becomes(
        &[
            (
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true},"b":{"type":"ARRAY","items":{"type":"INTEGER","format":"int32"},"min_items":"1","maxItems":"4"}},"propertyOrdering":["b","a"],"required":["a"]}"#,
                r#"{"type":"object","properties":{"b":{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":4},"a":{"type":["string","null"]}},"required":["a"]}"#,
            ),
            (
                r#"{"type":"string","format":"enum","enum":["x","y"],"nullable":true,"example":"x"}"#,
                r#"{"type":["string","null"],"enum":["x","y",null],"examples":["x"]}"#,
            ),
            (
                r#"{"any_of":[{"type":"Number","format":"double"},{"type":"BOOLEAN"}],"nullable":true}"#,
                r#"{"anyOf":[{"type":"number"},{"type":"boolean"},{"type":"null"}]}"#,
            ),
            (
                r#"{"type":"ARRAY","prefix_items":[{"type":"STRING"},{"type":"NUMBER"}]}"#,
                r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}"#,
            ),
            (r#"{"type":"ARRAY","items":[{"type":"STRING"}]}"#, r#"{"type":"array","items":[{"type":"string"}]}"#),
            (r#"{"type":"TYPE_UNSPECIFIED","title":"t"}"#, r#"{"title":"t"}"#),
            (
                r#"{"type":["STRING","NULL"],"format":"date-time"}"#,
                r#"{"type":["string","null"],"format":"date-time"}"#,
            ),
            (
                r##"{"ref":"#/defs/A","defs":{"A":{"type":"STRING"}}}"##,
                r##"{"$ref":"#/$defs/A","$defs":{"A":{"type":"string"}}}"##,
            ),
            // Properties may have the names of keywords.
            (
                r#"{"type":"OBJECT","properties":{"any_of":{"type":"STRING"},"type":{"type":"STRING"},"nullable":{"type":"BOOLEAN"}}}"#,
                r#"{"type":"object","properties":{"any_of":{"type":"string"},"type":{"type":"string"},"nullable":{"type":"boolean"}}}"#,
            ),
        ],
        read,
    );
    for (schema, param) in [
        (r#"{"type":"THING"}"#, "type"),
        (r#"{"type":1}"#, "type"),
        (r#"{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"x"}}}}"#, "properties.a.items.type"),
        (r#"{"properties":[]}"#, "properties"),
        (r#"{"anyOf":{}}"#, "anyOf"),
        (r#"{"anyOf":[1]}"#, "anyOf[0]"),
        (r#"{"items":"x"}"#, "items"),
    ] {
        let failure = from_gemini(&json(schema), &Path::ROOT).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param), "{schema}");
    }
}

#[test]
fn geminis_types_in_json_schema_are_read() {
    let plain = r#"{"type":"object","properties":{"OBJECT":{"type":"string","example":"x"}}}"#;
    assert_eq!(from_plain(json(plain), &Path::ROOT).as_str(), plain);
    let mixed = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"}},"additionalProperties":false}"#;
    let read = r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#;
    assert_eq!(from_plain(json(mixed), &Path::ROOT).as_str(), read);
    let below = r#"{"type":"object","properties":{"a":{"type":"ARRAY","items":{}}}}"#;
    let read = r#"{"type":"object","properties":{"a":{"type":"array","items":{}}}}"#;
    assert_eq!(from_plain(json(below), &Path::ROOT).as_str(), read);
    let neither = r#"{"type":"STRING","items":{"type":"letters"}}"#;
    assert_eq!(from_plain(json(neither), &Path::ROOT).as_str(), neither);
}

#[test]
fn geminis_dialect_is_written_where_it_has_the_words() {
    becomes(
        &[
            (
                r#"{"$schema":"x","type":"object","properties":{"a":{"type":["string","null"],"description":"d"},"b":{"type":"array","items":{"type":"integer"}}},"required":["a"],"additionalProperties":false}"#,
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"description":"d"},"b":{"type":"ARRAY","items":{"type":"INTEGER"}}},"required":["a"],"propertyOrdering":["a","b"]}"#,
            ),
            (r#"{"const":"x"}"#, r#"{"type":"STRING","enum":["x"]}"#),
            (r#"{"description":"d","enum":["x","y"]}"#, r#"{"type":"STRING","description":"d","enum":["x","y"]}"#),
            (r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, r#"{"anyOf":[{"type":"STRING"},{"type":"NULL"}]}"#),
        ],
        |schema| to_gemini(schema).unwrap(),
    );
    for schema in [
        r##"{"$ref":"#/$defs/A"}"##,
        r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
        r#"{"oneOf":[{"type":"string"}]}"#,
        r#"{"type":["string","number"]}"#,
        r#"{"type":"integer","enum":[1,2]}"#,
        r#"{"type":"array"}"#,
        r#"{"type":"array","prefixItems":[{"type":"string"}]}"#,
        r#"{"type":"object","properties":{"a":true}}"#,
        r#"{"type":"string","format":"uri"}"#,
        // Gemini refuses these schemas.
        "{}",
        r#"{"description":"anything"}"#,
        r#"{"type":"object"}"#,
        r#"{"type":"object","properties":{"a":{"type":"object","properties":{}}}}"#,
        r#"{"type":"array","items":{"type":"object"}}"#,
        r#"{"properties":{"a":{"type":"string"}}}"#,
        r#"{"type":"string","items":{"type":"string"}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a","b"]}"#,
        r#"{"type":"object","required":["a"]}"#,
        r#"{"type":"string","enum":["a",""]}"#,
    ] {
        assert_eq!(to_gemini(&json(schema)), None, "{schema}");
    }
}

/// A schema, in the forms that clients write.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(serde_json::json!({"type":"string"})),
        Just(serde_json::json!({"type":"number","minimum":1})),
        Just(serde_json::json!({"enum":["a",null]})),
        Just(serde_json::json!({"type":"array"})),
        Just(serde_json::json!({"type":"object"})),
        Just(serde_json::json!(true)),
        Just(serde_json::json!({"$ref":"#"})),
        Just(serde_json::json!({"$ref":"#/$defs/D","description":"d"})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            (prop::collection::btree_map("[a-c]", inner.clone(), 0..3), any::<bool>()).prop_map(
                |(properties, closed)| {
                    if closed {
                        serde_json::json!({"type":"object","properties":properties,"additionalProperties":false})
                    } else {
                        serde_json::json!({"type":"object","properties":properties,"$defs":{"D":{"type":"string"}}})
                    }
                }
            ),
            inner.prop_map(|inner| serde_json::json!({"type":"array","items":inner})),
            list.clone().prop_map(|list| serde_json::json!({"type":"array","prefixItems":list})),
            list.prop_map(|list| serde_json::json!({"anyOf":list})),
        ]
    })
}

/// The checks of OpenAI's upstreams for a strict schema.
fn is_strict(schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return false };
    if schema.contains_key("$ref") {
        return schema.len() == 1;
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let all = properties.keys().all(|key| required.contains(&key.as_str())) && required.len() == properties.len();
        let none = properties.is_empty() && !schema.contains_key("required");
        if schema.get("additionalProperties") != Some(&Value::Bool(false))
            || !(all || none)
            || !properties.values().all(is_strict)
        {
            return false;
        }
    }
    let lists = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let items = schema.get("items").into_iter();
    let typed = schema.contains_key("type") || schema.contains_key("anyOf");
    typed && !schema.contains_key("prefixItems") && lists.chain(items).all(is_strict)
}

proptest! {
    #[test]
    fn every_schema_comes_out_valid_and_small(schema in schemas()) {
        let text = schema.to_string();
        let schema = json(&text);
        for form in [Form::Plain, Form::Envelope] {
            if let Ok(made) = strict(&schema, form) {
                let value: Value = serde_json::from_str(made.as_str()).unwrap();
                let object = value["type"] == "object";
                prop_assert!(object && is_strict(&value), "{} became {}", text, made.as_str());
                prop_assert!(made.bytes().len() <= 4 * text.len() + 200, "{} became {}", text, made.as_str());
                // A strict schema does not change.
                prop_assert_eq!(strict(&made, form), Ok(made));
            }
            let made = permissive(&schema, form);
            prop_assert!(valid(made.bytes()));
            prop_assert_eq!(permissive(&made, Form::Plain), made);
        }
        let made = parameters(&schema);
        prop_assert!(valid(made.bytes()) && made.bytes().len() <= 4 * text.len() + 200);
        prop_assert_eq!(parameters(&made), made);
        if let Some(made) = to_gemini(&schema) {
            prop_assert!(from_gemini(&made, &Path::ROOT).is_ok());
        }
    }

    #[test]
    fn any_json_passes_without_a_panic(text in "[{}\\[\\]\",:a-z$#/0-9]{0,40}") {
        let wrapped = format!("{{\"properties\":{text}}}");
        for text in [text, wrapped] {
            if valid(text.as_bytes()) {
                let schema = json(&text);
                let _ = strict(&schema, Form::Envelope);
                let _ = from_gemini(&schema, &Path::ROOT);
                let _ = to_gemini(&schema);
                parameters(&schema);
                permissive(&schema, Form::Envelope);
            }
        }
    }
}

#[test]
fn a_wide_schema_takes_no_time() {
    let names: Vec<String> = (0..12_000).map(|at| format!(r#""p{at}":{{"type":"string"}}"#)).collect();
    let wide = json(&format!(r#"{{"type":"object","properties":{{{}}}}}"#, names.join(",")));
    assert!(strict(&wide, Form::Envelope).is_ok());
    let choices = vec![r##"{"$ref":"#"}"##; 12_000].join(",");
    let wide = json(&format!(r#"{{"type":"object","anyOf":[{choices}]}}"#));
    assert_eq!(strict(&wide, Form::Envelope), Err("free keys"));
    parameters(&wide);
}

#[test]
fn many_references_to_one_schema_are_fast() {
    // `00` and `0` are the same index; pointers below an anchor are not resolved.
    for (pointer, expected) in [("#/$defs/X/anyOf/", Err("free keys")), ("#a/", Err("a $ref to somewhere else"))] {
        let choice = |at: usize| format!(r#"{{"$ref":"{pointer}{:0width$}"}}"#, 0, width = 1 + at % 200);
        let choices = (0..6_000).map(choice).collect::<Vec<_>>().join(",");
        let text = format!(
            r##"{{"type":"object","properties":{{"x":{{"$ref":"#/$defs/X"}},"y":{{"type":"object"}}}},"$defs":{{"X":{{"anyOf":[{{"anyOf":[{choices}]}}]}}}}}}"##
        );
        assert_eq!(strict(&json(&text), Form::Plain), expected);
        parameters(&json(&text));
    }
}
