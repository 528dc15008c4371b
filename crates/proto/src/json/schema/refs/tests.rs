use bytes::Bytes;

use super::circular;
use crate::json::schema::keywords;
use crate::json::schema::tree::Tree;
use crate::text::Json;

fn tree(text: &str) -> Tree {
    Tree::of(&Json::from_valid(Bytes::copy_from_slice(text.as_bytes())))
}

/// Cycles, through names inside other names, aliases and names of values that are not schemas.
#[test]
fn circular_references_are_found() {
    let cases = [
        (
            r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"},"c":{"$ref":"#/$defs/a"}}}"##,
            "#/$defs/a #/$defs/b",
        ),
        (r##"{"properties":{"x":{"$ref":"#"}}}"##, "#"),
        (r##"{"properties":{"x":{"properties":{"y":{"$ref":"#/properties/x"}}}}}"##, "#/properties/x"),
        (r##"{"anyOf":[{"items":{"$ref":"#/anyOf/00"}},{"$ref":"#/anyOf/0"}]}"##, "#/anyOf/00"),
        (r##"{"odd":{"in":{"items":{"$ref":"#/odd/in"}}},"properties":{"x":{"$ref":"#/odd/in"}}}"##, "#/odd/in"),
        (r##"{"$defs":{"a":{"type":"string"}},"items":{"$ref":"#/$defs/a"}}"##, ""),
    ];
    for (schema, expected) in cases {
        let mut found: Vec<String> = circular(&tree(schema)).into_iter().collect();
        found.sort();
        assert_eq!(found.join(" "), expected, "{schema}");
    }
}

/// Many targets, each around the next, above many references: every schema is walked once.
#[test]
fn nested_targets_are_walked_once() {
    let depth = 50;
    let pointer = |level: usize| format!("#{}", "/items".repeat(level));
    let refs = (0..20_000).map(|at| format!(r#"{{"$ref":"{}"}}"#, pointer(at % depth))).collect::<Vec<_>>().join(",");
    let schema = format!("{}{{\"anyOf\":[{refs}]}}{}", r#"{"items":"#.repeat(depth), "}".repeat(depth));
    assert_eq!(circular(&tree(&schema)).len(), depth);
}

/// A tuple of many kinds: each kind is compared with all others in at most one step.
#[test]
fn long_tuples_are_flattened() {
    let elements = (0..20_000).map(|at| format!(r#"{{"const":{at}}},{{"const":0}}"#)).collect::<Vec<_>>().join(",");
    let mut schema = tree(&format!(r#"{{"prefixItems":[{elements}]}}"#));
    keywords::flatten(&mut schema);
    let kinds = schema.get("items").and_then(|items| items.get("anyOf")).map(|kinds| kinds.elements().len());
    assert_eq!(kinds, Some(20_000));
}
