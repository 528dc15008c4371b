//! Names of retired models: every response about such a name says so in its headers.

use serde_json::{Value, json};
use server::{Class, Route, ollama_routes, routes};

use crate::gateway::{Gateway, ollama};
use crate::streams;
use crate::wire::Answer;

const RETIRED: &str = "gpt-5.2";
const LIVE: &str = "gpt-6-sol";

/// The body of a call for a model; `None` if the path takes no such body.
fn body(path: &str, model: &str) -> Option<Value> {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hello"}]}]);
    let input = json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}]);
    Some(match path.rsplit('/').next()? {
        "completions" if path.ends_with("chat/completions") => json!({"model": model, "messages": messages}),
        "completions" => json!({"model": model, "prompt": "hello"}),
        "responses" | "review" | "compact" | "input_tokens" => json!({"model": model, "input": input}),
        "messages" => json!({"model": model, "max_tokens": 100, "messages": messages}),
        "count_tokens" => json!({"model": model, "messages": messages}),
        "chat" => json!({"model": model, "stream": false, "messages": messages}),
        "generate" => json!({"model": model, "stream": false, "prompt": "hello"}),
        "show" => json!({"model": model}),
        _ if path.contains("{name}:") => json!({"contents": contents}),
        _ => return None,
    })
}

/// Whether a route responds about one model that the client names and that accounts can serve.
fn is_about_a_model(route: &Route) -> bool {
    let data = matches!(route.class, Class::Data | Class::Codex);
    let reads = route.method == "GET" && route.path.ends_with("models/{name}");
    data && (reads || route.method == "POST" && body(route.path, "").is_some())
}

async fn ask(gateway: &Gateway, route: &Route, model: &str, headers: &[&str]) -> Answer {
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let mut all = vec!["host: localhost", "content-type: application/json", key.as_str()];
    all.extend(headers);
    let line = format!("{} {}", route.method, route.path.replace("{name}", model));
    let body = if route.method == "POST" { body(route.path, model) } else { None };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let of_ollama = ollama_routes().iter().any(|other| std::ptr::eq(other, route));
    if of_ollama {
        gateway.ask_ollama(&line, &all, body.as_bytes()).await
    } else {
        gateway.ask(&line, &all, body.as_bytes()).await
    }
}

/// Whether a response's headers report the retirement of a `retired` model, and report none otherwise.
fn is_told(answer: &Answer, retired: bool) -> bool {
    let note = answer.header("x-polygate-notes").unwrap_or_default();
    let (date, noted) = (answer.header("deprecation"), note.contains("gpt-5.2 is retired and gpt-6-sol answers"));
    (date, noted) == (retired.then_some("@1780272000"), retired)
}

#[tokio::test]
async fn every_path_that_takes_a_name_tells_of_its_retirement() {
    let (gateway, _backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    let all: Vec<_> = routes().iter().chain(ollama_routes()).filter(|route| is_about_a_model(route)).collect();
    for route in &all {
        for (model, retired) in [(RETIRED, true), (LIVE, false)] {
            let answer = ask(&gateway, route, model, &[]).await;
            let case = format!("{} {} {model}", route.method, route.path);
            assert_eq!(answer.status, 200, "{case}: {}", answer.text());
            assert!(is_told(&answer, retired), "{case}: {}", answer.head);
            assert_eq!(answer.header("x-polygate-model"), Some(LIVE), "{case}");
        }
    }
    // A new route that takes a model's name changes these counts: give the route a body above.
    let count = |prefix: &str| all.iter().filter(|route| route.path.starts_with(prefix)).count();
    assert_eq!(
        [
            count("/v1/"),
            count("/v1beta/"),
            count("/gemini/"),
            count("/responses"),
            count("/backend-api/"),
            count("/api/")
        ],
        [18, 4, 8, 5, 2, 3]
    );
}

/// Clients of three vendors request a model under the same path.
#[tokio::test]
async fn every_vendors_client_is_told() {
    let (gateway, _backend) = streams::gateway(|_| {}).await;
    let route = routes().iter().find(|route| route.method == "GET" && route.path == "/v1/models/{name}").unwrap();
    for headers in [&[][..], &["anthropic-version: 2023-06-01"], &["x-goog-api-client: gl-node/24"]] {
        for (model, retired) in [(RETIRED, true), (LIVE, false)] {
            let answer = ask(&gateway, route, model, headers).await;
            assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
            assert!(is_told(&answer, retired), "{headers:?}: {}", answer.head);
        }
    }
}
