//! Makes a value that fits a JSON schema. Supports only the keywords that function parameters and structured outputs use.

use serde_json::{Map, Value, json};

use super::prompt_values::PromptArguments;

/// The depth of optional values. Schemas may be recursive; below this depth only required values are made.
const DEEP: usize = 5;
/// The maximum depth.
const DEEPEST: usize = 24;

/// A value that fits the schema; strings and numbers come from the hint if they fit.
pub(crate) fn sample(schema: &Value, hint: &mut PromptArguments) -> Value {
    Sampler { root: schema, hint }.value(schema, "", 0)
}

struct Sampler<'a> {
    root: &'a Value,
    hint: &'a mut PromptArguments,
}

impl<'a> Sampler<'a> {
    fn value(&mut self, schema: &'a Value, name: &str, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(target) = schema["$ref"].as_str().and_then(|path| self.follow(path)) {
            return self.value(target, name, depth + 1);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.first().cloned().unwrap_or(Value::Null);
        }
        if let Some(choices) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            return self.choice(choices, name, depth);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            return self.merged(schema, parts, name, depth);
        }
        match kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => json!(self.integer(schema)),
            "number" => self.number(schema),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => json!(self.string(schema, name)),
        }
    }

    fn follow(&self, path: &str) -> Option<&'a Value> {
        self.root.pointer(path.strip_prefix('#')?)
    }

    /// The first choice; below the optional depth `null`, if offered, ends the recursion.
    fn choice(&mut self, choices: &'a [Value], name: &str, depth: usize) -> Value {
        let null = choices.iter().find(|choice| choice["type"] == "null").filter(|_| depth >= DEEP);
        match null.or_else(|| choices.iter().find(|choice| choice["type"] != "null")) {
            Some(choice) => self.value(choice, name, depth + 1),
            None => Value::Null,
        }
    }

    fn merged(&mut self, schema: &'a Value, parts: &'a [Value], name: &str, depth: usize) -> Value {
        let mut whole = if schema.get("properties").is_some() { self.object(schema, depth) } else { Value::Null };
        for part in parts {
            match (self.value(part, name, depth + 1), &mut whole) {
                (Value::Object(more), Value::Object(all)) => all.extend(more),
                (value, whole) => *whole = value,
            }
        }
        whole
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &'a Value, name: &str, depth: usize) -> Value {
        let least = schema["minItems"].as_u64().unwrap_or(u64::from(depth < DEEP));
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        if let Some(places) = schema["prefixItems"].as_array() {
            return places.iter().map(|place| self.value(place, name, depth + 1)).collect();
        }
        let Some(items) = schema.get("items").filter(|items| items.is_object()) else { return json!([]) };
        (0..least.min(most).min(64)).map(|_| self.value(items, name, depth + 1)).collect()
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let step = schema["multipleOf"].as_i64().unwrap_or(1).max(1);
        let low = schema["minimum"].as_i64().or(schema["exclusiveMinimum"].as_i64().map(|low| low + 1));
        let high = schema["maximum"].as_i64().or(schema["exclusiveMaximum"].as_i64().map(|high| high - 1));
        let (low, high) = (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX));
        let fits = |number: &i64| (low..=high).contains(number) && number % step == 0;
        let up = low.max(0).min(high);
        let rounded = up - up.rem_euclid(step) + if up.rem_euclid(step) == 0 { 0 } else { step };
        self.hint.number().filter(fits).or(Some(7).filter(fits)).unwrap_or(rounded)
    }

    fn number(&mut self, schema: &Value) -> Value {
        let low = schema["minimum"].as_f64().or(schema["exclusiveMinimum"].as_f64()).unwrap_or(f64::MIN);
        let high = schema["maximum"].as_f64().or(schema["exclusiveMaximum"].as_f64()).unwrap_or(f64::MAX);
        let hinted = self.hint.number().filter(|number| {
            let range = i32::try_from(*number).map(f64::from);
            range.is_ok_and(|number| low < number && number < high)
        });
        if let Some(number) = hinted {
            return json!(number);
        }
        let inside = |number: &f64| low < *number && *number < high;
        json!([7.5, 0.5, low + 1.0].into_iter().find(inside).unwrap_or(f64::midpoint(low, high)))
    }

    fn string(&self, schema: &Value, name: &str) -> String {
        let text = match schema["format"].as_str() {
            Some("date-time") => "2026-11-21T10:12:00Z".to_owned(),
            Some("date") => "2026-11-21".to_owned(),
            Some("time") => "10:12:00Z".to_owned(),
            Some("duration") => "PT1H".to_owned(),
            Some("email") => "user@example.test".to_owned(),
            Some("hostname") => "example.test".to_owned(),
            Some("ipv4") => "192.0.2.1".to_owned(),
            Some("ipv6") => "2001:db8::1".to_owned(),
            Some("uuid") => "01a1fd2e-9666-7011-89c0-858418f1300d".to_owned(),
            Some("uri" | "url") => "https://example.test/".to_owned(),
            _ => self.hint.string(name),
        };
        let least = schema["minLength"].as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
        let most = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let missing = least.saturating_sub(text.chars().count());
        text.chars().chain(std::iter::repeat_n('x', missing)).take(most).collect()
    }
}

/// The type of the value: the first that is not null; an object for a schema with only properties.
fn kind(schema: &Value, depth: usize) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            let deep = depth >= DEEP && kinds.clone().any(|kind| kind == "null");
            if deep { "null" } else { kinds.find(|kind| *kind != "null").unwrap_or("null") }
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        Value::Null if schema == &Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty) => "object",
        _ => "string",
    }
}
