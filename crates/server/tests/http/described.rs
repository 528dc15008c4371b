//! Compares the description of the admin API with the routes, and the calls of the other tests with the description.

mod check;
mod instants;
mod promised;
mod refused;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use self::check::check;
use self::check::{DOCUMENT, fault, operations, resolve};
use crate::gateway::Gateway;
use crate::matrix::ORACLE;
use crate::wire::Answer;

#[test]
fn every_admin_route_is_described_and_nothing_else() {
    let admin = |class: &str| matches!(class, "read" | "write" | "export");
    let routes = ORACLE.iter().filter(|(.., class)| admin(class));
    let routes: BTreeSet<_> =
        routes.map(|(method, path, scope)| (method.to_string(), path.to_string(), scope.to_string())).collect();
    let described = operations().map(|(path, method, operation)| {
        let security = operation["security"].as_array().unwrap();
        let scopes = security[0]["adminToken"].as_array().unwrap();
        assert_eq!((security.len(), scopes.len()), (1, 1), "{method} {path}");
        (method, path.to_owned(), scopes[0].as_str().unwrap().to_owned())
    });
    let described: BTreeSet<_> = described.collect();
    let missing: Vec<_> = routes.difference(&described).collect();
    assert!(missing.is_empty(), "say what these do, with an `Operation` beside the handler: {missing:?}");
    assert_eq!(described, routes);
}

#[test]
fn every_operation_says_what_it_takes_and_gives() {
    let tags: Vec<&str> =
        DOCUMENT["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let line = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{line}");
        assert!(tags.contains(&operation["tags"][0].as_str().unwrap()), "{line}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{line}: its id is another one's too");
        let named = |parameter: &Value| {
            parameter["in"] == "path" && path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()))
        };
        let parameters = operation["parameters"].as_array();
        assert_eq!(parameters.is_some_and(|all| all.iter().any(named)), path.contains('{'), "{line}");
        assert_eq!(!operation["requestBody"].is_null(), matches!(method.as_str(), "POST" | "PUT" | "PATCH"), "{line}");
        let answers = operation["responses"].as_object().unwrap();
        let good = answers.iter().filter(|(status, _)| matches!(status.as_bytes()[0], b'2' | b'3'));
        let shapes: Vec<bool> = good
            .map(|(status, answer)| {
                status == "204"
                    || status == "302"
                    || answer["content"].as_object().is_some_and(|content| content.len() == 1)
            })
            .collect();
        assert!(!shapes.is_empty() && shapes.iter().all(|shape| *shape), "{line}: {shapes:?}");
        for status in ["400", "401", "403", "404", "500", "503"] {
            let failure = resolve(&answers[status]);
            assert_eq!(
                failure["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Error",
                "{line} {status}"
            );
        }
    }
}

#[test]
fn every_schema_is_one() {
    let document = server::OPENAPI;
    for reference in document.split("\"$ref\": \"").skip(1) {
        let reference = reference.split('"').next().unwrap();
        assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
        assert!(schema.get("type").or(schema.get("oneOf")).or(schema.get("allOf")).is_some(), "{name} says nothing");
    }
}

#[test]
fn what_is_not_described_is_noticed() {
    let answer = |status: u16, media: &str, body: &str| Answer {
        status,
        head: format!("HTTP/1.1 {status} x\r\ncontent-type: {media}\r\n\r\n"),
        body: body.into(),
    };
    let error = r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#;
    let json = "application/json";
    let cases = [
        ("GET /admin/keys", 200, json, r#"{"keys":[]}"#, true),
        ("GET /admin/keys?x=1", 200, json, r#"{"keys":[],"more":1}"#, false),
        ("GET /admin/keys", 200, json, r#"{"keys":{}}"#, false),
        ("GET /admin/keys", 200, json, "{}", false),
        ("GET /admin/keys", 200, json, "", false),
        ("GET /admin/keys", 200, "text/plain", r#"{"keys":[]}"#, false),
        ("GET /admin/keys", 202, json, r#"{"keys":[]}"#, false),
        ("GET /admin/keys", 401, json, error, true),
        ("GET /admin/keys", 401, json, r#"{"error":"no"}"#, false),
        ("DELETE /admin/keys/x", 204, json, "", true),
        ("DELETE /admin/keys/x", 204, json, "{}", false),
        ("DELETE /admin/keys", 405, json, error, true),
        ("GET /v1/models", 418, json, "", true),
    ];
    for (line, status, media, body, good) in cases {
        let fault = fault(line, b"", &answer(status, media, body));
        assert_eq!(fault.is_none(), good, "{line} {status} {body}: {fault:?}");
    }
    let made = r#"{"id":"a","name":"b","key":"c","expires":null}"#;
    for (wish, good) in [(r#"{"name":"b"}"#, true), (r#"{"name":1}"#, false), (r#"{"name":"b","for":"c"}"#, false)] {
        let fault = fault("POST /admin/keys", wish.as_bytes(), &answer(201, json, made));
        assert_eq!(fault.is_none(), good, "{wish}: {fault:?}");
    }
}

#[tokio::test]
async fn the_description_is_served_to_readers() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.reader);
    let answer = gateway.ask("GET /admin/openapi.json", &["host: localhost", &key], b"").await;
    let served: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, served["openapi"].as_str()), (200, Some("3.1.0")));
    assert_eq!(served, *DOCUMENT);
}

/// An operation, the name of an option, and an invalid query with the status of its refusal.
type Named = (&'static str, &'static str, Option<(&'static str, u16)>);

/// The options in queries and headers, listed a second time.
const OPTIONS: [Named; 11] = [
    ("GET /admin/dry-run", "model", Some(("?model=none", 404))),
    ("GET /admin/dry-run", "key_id", Some(("?key_id=none", 400))),
    ("GET /admin/dry-run", "conversation", None),
    ("GET /auth/accounts", "quota", Some(("?quota=never", 400))),
    ("GET /auth/login", "egress", Some(("?egress=none", 404))),
    ("GET /auth/accounts/login", "egress", Some(("?egress=none", 404))),
    ("GET /auth/accounts/export", "ids", Some(("?ids=none&format=full&plaintext=true", 404))),
    ("GET /auth/accounts/export", "format", Some(("?format=none&plaintext=true", 400))),
    ("GET /auth/accounts/export", "plaintext", Some(("?format=full&plaintext=yes", 400))),
    ("GET /auth/accounts/export", "x-polygate-passphrase", None),
    ("POST /auth/accounts/import", "x-polygate-passphrase", None),
];

#[tokio::test]
async fn options_are_read_where_they_are_said() {
    let gateway = Gateway::start().await;
    let described = operations().flat_map(|(path, method, operation)| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let options = parameters.filter(|parameter| parameter["in"] != "path");
        options.map(move |option| (format!("{method} {path}"), option["name"].as_str().unwrap()))
    });
    let listed: BTreeSet<_> = OPTIONS.iter().map(|(line, name, _)| ((*line).to_owned(), *name)).collect();
    assert_eq!(described.collect::<BTreeSet<_>>(), listed);
    for (line, name, refused) in OPTIONS {
        let Some((query, status)) = refused else { continue };
        let token = if line.ends_with("export") { &gateway.keys.exporter } else { &gateway.keys.admin };
        let key = format!("authorization: Bearer {token}");
        let answer = gateway.ask(&format!("{line}{query}"), &["host: localhost", &key], b"").await;
        assert_eq!(answer.status, status, "{line} {name}: {}", answer.text());
    }
}

/// Bodies that no operation accepts.
const JUNK: [&str; 10] = [
    "",
    "{",
    "[]",
    "[{}]",
    "null",
    "7",
    "\"text\"",
    r#"{"no such member":1}"#,
    r#"{"ids":1,"name":[],"url":{},"keys":"x"}"#,
    "\u{0}",
];

/// Every operation with unknown ids and junk bodies: refused as described, which `ask` checks, and never with an internal error.
#[tokio::test]
async fn bad_input_is_refused_as_described() {
    let gateway = Gateway::start().await;
    for (path, method, operation) in operations() {
        if operation["responses"]["200"]["content"].get("text/event-stream").is_some() {
            continue;
        }
        let export = operation["security"][0]["adminToken"][0] == "export";
        let token = if export { &gateway.keys.exporter } else { &gateway.keys.admin };
        let key = format!("authorization: Bearer {token}");
        let headers = ["host: localhost", "content-type: application/json", key.as_str()];
        for id in ["nothing", "%F0%9F%92%A5", "%00", &"x".repeat(300)] {
            let path = path.replace("{id}", id);
            for query in ["", "?format=none&ids=,&quota=never&model=%FF"] {
                for body in if method == "GET" { &JUNK[..1] } else { &JUNK[..] } {
                    let line = format!("{method} {path}{query}");
                    let answer = gateway.ask(&line, &headers, body.as_bytes()).await;
                    // Without a backend, operations that call it answer 502; `ask` has checked that this is described.
                    assert!(answer.status < 500 || answer.status == 502, "{line} {body}: {}", answer.text());
                }
            }
            if !path.contains(id) {
                break;
            }
        }
    }
}
