//! Model lists in the three formats, and which client gets which format.

use std::time::Duration;

use offline::{Endpoint, Plan, Rule, Running};
use rstest::rstest;
use serde_json::Value;

use crate::gateway::Gateway;
use crate::streams::Site;
use crate::wire::Answer;

const SOON: Duration = Duration::from_secs(10);

async fn get(gateway: &Gateway, target: &str, header: &str) -> Answer {
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let key = if target.contains("key=") { "x-none: 1" } else { key.as_str() };
    gateway.ask(&format!("GET {target}"), &["host: localhost", key, header], b"").await
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[rstest]
#[case("/v1/models", "x-none: 1", "openai")]
#[case("/v1/models", "anthropic-version: 2026-10-21", "anthropic")]
#[case("/v1/models", "x-goog-api-client: google-genai-sdk/3.4.0", "google")]
#[case("/v1/models?key=KEY", "x-none: 1", "google")]
#[case("/v1/models?pageSize=3&key=KEY", "anthropic-version: 2023-06-01", "google")]
#[case("/v1beta/models", "x-none: 1", "google")]
#[case("/v1beta/models", "anthropic-version: 2023-06-01", "google")]
#[case("/gemini/v1beta/models", "x-none: 1", "google")]
#[case("/gemini/v1/models", "x-none: 1", "google")]
#[tokio::test]
async fn each_vendors_client_gets_its_shape(#[case] target: &str, #[case] header: &str, #[case] shape: &str) {
    let gateway = Gateway::listing(|_| {}).await;
    let target = target.replace("KEY", &gateway.keys.client);
    let answer = get(&gateway, &target, header).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = json(&answer);
    let found = if list["models"].is_array() {
        "google"
    } else if list["has_more"].is_boolean() {
        "anthropic"
    } else {
        "openai"
    };
    assert_eq!(found, shape, "{list}");
    let path = target.split('?').next().unwrap();
    let one = get(&gateway, &format!("{path}/gpt-6-sol"), header).await;
    assert_eq!(one.status, 200, "{}", one.text());
}

/// Every field of the official SDKs' `ModelInfo`, filled from the catalogue; a retired name is marked as such.
#[tokio::test]
async fn anthropics_clients_hear_what_a_model_can() {
    let gateway = Gateway::listing(|_| {}).await;
    let version = "anthropic-version: 2023-06-01";
    let model = json(&get(&gateway, "/v1/models/gpt-5.5", version).await);
    let can = &model["capabilities"];
    let supported = |path: &str| can.pointer(path).unwrap_or_else(|| panic!("no {path}"))["supported"] == true;
    for path in ["/effort", "/effort/low", "/effort/xhigh", "/image_input", "/thinking", "/thinking/types/adaptive"] {
        assert!(supported(path), "{path}: {can}");
    }
    for path in ["/effort/max", "/batch", "/citations", "/code_execution", "/context_management"] {
        assert!(!supported(path), "{path}: {can}");
    }
    assert!(supported("/server_tools/web_search") && supported("/structured_outputs") && supported("/pdf_input"));
    assert_eq!((&model["lifecycle"], &model["deprecated_at"]), (&Value::from("active"), &Value::Null));
    let retired = json(&get(&gateway, "/v1/models/gpt-5.2", version).await);
    assert_eq!(retired["id"], "gpt-5.2");
    assert_eq!(
        (&retired["lifecycle"], &retired["deprecated_at"]),
        (&"deprecated".into(), &"2026-06-01T00:00:00Z".into())
    );
}

#[tokio::test]
async fn anthropics_list_has_pages() {
    let gateway = Gateway::listing(|_| {}).await;
    let version = "anthropic-version: 2023-06-01";
    let all = json(&get(&gateway, "/v1/models", version).await);
    let ids: Vec<&str> = all["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert!(ids.len() > 4 && all["has_more"] == false);
    assert_eq!((&all["first_id"], &all["last_id"]), (&Value::from(ids[0]), &Value::from(*ids.last().unwrap())));
    let first = &all["data"][0];
    assert_eq!((first["type"].as_str(), first["created_at"].as_str()), (Some("model"), Some("2023-11-14T22:13:20Z")));
    assert!(first["display_name"].is_string() && first["max_input_tokens"].is_u64());
    for (query, range, more) in [
        ("limit=2".to_owned(), 0..2, true),
        (format!("limit=2&after_id={}", ids[1]), 2..4, true),
        (format!("after_id={}", ids[1]), 2..ids.len(), false),
        (format!("limit=2&before_id={}", ids[3]), 1..3, true),
        (format!("before_id={}", ids[1]), 0..1, false),
        (format!("before_id={}", ids[0]), 0..0, false),
        (format!("after_id={}", ids[ids.len() - 1]), 0..0, false),
    ] {
        let page = json(&get(&gateway, &format!("/v1/models?{query}"), version).await);
        let got: Vec<&str> =
            page["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        assert_eq!((got.as_slice(), page["has_more"].as_bool()), (&ids[range], Some(more)), "{query}");
    }
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=1&limit=2",
        "after_id=none",
        "after_id=gpt-6-sol&before_id=gpt-6-luna",
    ] {
        let refused = get(&gateway, &format!("/v1/models?{query}"), version).await;
        assert!(
            refused.status == 400 && refused.text().starts_with("{\"type\":\"error\""),
            "{query}: {}",
            refused.text()
        );
    }
}

#[tokio::test]
async fn googles_list_has_pages_and_resource_names() {
    let gateway = Gateway::listing(|_| {}).await;
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let page = json(&get(&gateway, &format!("/v1beta/models?pageSize=4&pageToken={token}"), "x-none: 1").await);
        let models = page["models"].as_array().unwrap();
        assert!(models.len() <= 4);
        names.extend(models.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert!(names.len() > 4 && names.iter().all(|name| name.starts_with("models/")));
    let one = json(&get(&gateway, "/v1beta/models/models/gpt-6-sol", "x-none: 1").await);
    assert_eq!((one["name"].as_str(), one["baseModelId"].as_str()), (Some("models/gpt-6-sol"), Some("gpt-6-sol")));
    assert_eq!(one["inputTokenLimit"], 272_000);
    let methods = one["supportedGenerationMethods"].as_array().unwrap();
    assert!(methods.contains(&Value::from("generateContent")) && methods.contains(&Value::from("countTokens")));
    for target in ["/v1beta/models?pageSize=0", "/v1beta/models?pageToken=x", "/v1beta/models?pageSize=-1"] {
        assert_eq!(get(&gateway, target, "x-none: 1").await.status, 400, "{target}");
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_is_a_404_of_the_asker() {
    let gateway = Gateway::listing(|_| {}).await;
    for (target, header, start) in [
        ("/v1/models/none", "x-none: 1", "{\"error\":{\"message\""),
        (
            "/v1/models/none",
            "anthropic-version: 2023-06-01",
            "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\"",
        ),
        ("/v1/models/none", "x-goog-api-client: x", "{\"error\":{\"code\":404"),
        ("/v1beta/models/none", "x-none: 1", "{\"error\":{\"code\":404"),
        ("/v1beta/models/models/", "x-none: 1", "{\"error\":{\"code\":404"),
    ] {
        let answer = get(&gateway, target, header).await;
        assert!(answer.status == 404 && answer.text().starts_with(start), "{target} {header}: {}", answer.text());
    }
}

#[tokio::test]
async fn names_with_slashes_reach_the_catalogue() {
    let gateway = Gateway::listing(|_| {}).await;
    for target in ["/v1/models/openai/gpt-6-sol", "/v1/models/openai%2Fgpt-6-sol", "/v1/models/gpt-6-sol-high"] {
        let one = get(&gateway, target, "x-none: 1").await;
        assert_eq!(one.status, 200, "{target}: {}", one.text());
    }
}

/// A gateway that has fetched its account's own list, and the account's id at the backend.
async fn listed() -> (Site, String) {
    let site = Site::new(&["plus"], |_| {}, |_| {}).await;
    let live = async {
        while site.engine.accounts().list()[0].models == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, live).await.expect("the list in time");
    let account = site.backend.record().requests_to(Endpoint::Models).find_map(|seen| seen.account.clone());
    (site, account.expect("an account's list"))
}

fn asked(backend: &Running) -> usize {
    backend.record().requests_to(Endpoint::Models).count()
}

/// The names in a list of any format.
async fn names(gateway: &Gateway, target: &str, header: &str) -> Vec<String> {
    let answer = get(gateway, target, header).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    let list = json(&answer);
    let entries = list["data"].as_array().or(list["models"].as_array()).unwrap().clone();
    let name = |entry: &Value| entry["id"].as_str().or(entry["name"].as_str()).unwrap().to_owned();
    entries.iter().map(|entry| name(entry).trim_start_matches("models/").to_owned()).collect()
}

/// A refresh calls every account, so lists are fetched at most once a minute for all clients together. In between, and for any value other
/// than `true` or `1`, the current list is served.
#[rstest]
#[case::openai("/v1/models?refresh=true", "x-none: 1")]
#[case::a_number("/v1/models?refresh=1", "x-none: 1")]
#[case::anthropic("/v1/models?refresh=true&limit=100", "anthropic-version: 2023-06-01")]
#[case::google("/v1beta/models?pageSize=100&refresh=true", "x-none: 1")]
#[tokio::test]
async fn a_client_may_have_the_lists_asked_for_anew(#[case] target: &str, #[case] header: &str) {
    let (Site { gateway, backend, .. }, account) = listed().await;
    let (plain, before) = (target.split('?').next().unwrap(), asked(&backend));
    let old = names(&gateway, plain, header).await;
    assert!(old.len() > 2, "{old:?}");
    backend.set_models(&account, &["gpt-6-sol"]);
    for quiet in ["", "?refresh", "?refresh=", "?refresh=false", "?refresh=0", "?refresh=yes"] {
        assert_eq!(names(&gateway, &format!("{plain}{quiet}"), header).await, old, "{quiet}");
    }
    assert_eq!(asked(&backend), before);
    assert_eq!(names(&gateway, target, header).await, ["gpt-6-sol"]);
    assert_eq!(names(&gateway, plain, header).await, ["gpt-6-sol"], "it stays");
    assert_eq!(asked(&backend), before + 1);
    backend.set_models(&account, &["gpt-6-sol", "gpt-6-luna"]);
    assert_eq!(names(&gateway, target, header).await, ["gpt-6-sol"], "a second wish a moment later costs nothing");
    let token = format!("authorization: Bearer {}", gateway.keys.admin);
    let head = ["host: localhost", &token, "content-type: application/json"];
    let owner = gateway.ask("POST /admin/refresh-models", &head, b"{}").await;
    assert_eq!((owner.status, asked(&backend)), (200, before + 1), "nor does the owner's: {}", owner.text());
}

#[tokio::test]
async fn a_list_that_does_not_come_leaves_the_one_from_before() {
    let (Site { gateway, backend, .. }, account) = listed().await;
    let old = names(&gateway, "/v1/models", "x-none: 1").await;
    backend.set_models(&account, &["gpt-6-sol"]);
    backend.add_rule(Rule::at(Endpoint::Models, Plan::server_error(500)));
    let before = asked(&backend);
    assert_eq!(names(&gateway, "/v1/models?refresh=true", "x-none: 1").await, old);
    assert_eq!(asked(&backend), before + 1);
}

/// A key in the target works for Google's clients only, and no response shows it.
#[tokio::test]
async fn a_key_in_the_query_is_for_gemini_and_never_shown() {
    let gateway = Gateway::start().await;
    let key = gateway.keys.client.clone();
    let json = "content-type: application/json";
    for (line, status) in [
        (format!("GET /v1beta/models?key={key}"), 200),
        (format!("GET /v1/models/gpt-6-sol?key={key}"), 200),
        (format!("POST /v1beta/models/gpt-6-sol:generateContent?key={key}"), 503),
        (format!("POST /v1beta/models/none:generateContent?key={key}&alt=sse"), 404),
        (format!("POST /v1beta/models/gpt-6-sol:countTokens?key={key}x"), 401),
        (format!("POST /v1beta/models/gpt-6-sol:generateContent?key={key}&key=other"), 401),
        (format!("POST /v1/chat/completions?key={key}"), 401),
        (format!("POST /v1/messages?key={key}"), 401),
        (format!("GET /admin/keys?key={}", gateway.keys.admin), 401),
        (format!("GET /nothing?key={key}"), 404),
    ] {
        let body: &[u8] = if line.starts_with("POST") { br#"{"contents":[{"parts":[{"text":"x"}]}]}"# } else { b"" };
        let answer = gateway.ask(&line, &["host: localhost", json], body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        assert!(!answer.text().contains(&key) && !answer.head.contains(&key), "{}", answer.text());
    }
    let agree = [&format!("x-goog-api-key: {key}")[..], "host: localhost"];
    assert_eq!(gateway.ask(&format!("GET /v1beta/models?key={key}"), &agree, b"").await.status, 200);
    assert_eq!(gateway.ask("GET /v1beta/models?key=other", &agree, b"").await.status, 401);
}

/// Nine models used to be listed that no account could serve.
#[tokio::test]
async fn nothing_is_listed_while_nobody_can_serve_and_the_error_says_what_to_do() {
    let gateway = Gateway::with(|settings| settings.ollama = crate::gateway::ollama()).await;
    for (target, header, members) in [
        ("/v1/models", "x-none: 1", "data"),
        ("/v1/models", "anthropic-version: 2023-06-01", "data"),
        ("/v1beta/models", "x-none: 1", "models"),
    ] {
        let list = json(&get(&gateway, target, header).await);
        assert_eq!(list[members], Value::Array(Vec::new()), "{target} {header}: {list}");
    }
    let tags = gateway.ask_ollama("GET /api/tags", &["host: localhost"], b"").await;
    assert_eq!(json(&tags)["models"], Value::Array(Vec::new()));
    let missing = gateway.post("/v1/responses", &[], br#"{"model":"none","input":"a"}"#).await;
    assert!(missing.status == 404 && missing.text().contains("polygate login"), "{}", missing.text());
    assert!(!missing.text().contains("gpt-6-sol"), "{}", missing.text());
    let known = gateway.post("/v1/responses", &[], br#"{"model":"gpt-6-sol","input":"a"}"#).await;
    assert!(known.status == 503 && known.text().contains("polygate login"), "{}", known.text());
    // Codex starts with a list in its own backend's format, and requests its default model by name.
    let codex = get(&gateway, "/v1/models?client_version=0.169.0", "x-none: 1").await;
    assert!(json(&codex)["models"].as_array().is_some_and(|models| !models.is_empty()), "{}", codex.text());
}
