use rstest::rstest;

use super::*;
use crate::route::BodyKind;

fn name(method: &Method, path: &str) -> String {
    match find(ListenerKind::Gateway, method, path) {
        RouteMatch::Route(route, param) => format!("{} {}", route.path, param).trim_end().to_owned(),
        RouteMatch::OtherMethods(others) => format!("405 {others:?}"),
        RouteMatch::Nothing => "404".to_owned(),
    }
}

#[rstest]
#[case("/v1/models", "/v1/models")]
#[case("/v1/models/gpt-6-sol", "/v1/models/{name} gpt-6-sol")]
#[case("/v1/models/gpt%2D6", "/v1/models/{name} gpt-6")]
#[case("/v1/models/openai/gpt-6", "/v1/models/{name} openai/gpt-6")]
#[case("/v1/models/openai%2Fgpt-6", "/v1/models/{name} openai/gpt-6")]
#[case("/v1beta/models/box:llama3", "/v1beta/models/{name} box:llama3")]
#[case("/gemini/v1/models", "/gemini/v1/models")]
#[case("/v1/responses/resp_1", "/v1/responses/{id} resp_1")]
#[case("/v1/chat/completions", "405 [POST]")]
fn paths_are_found(#[case] path: &str, #[case] found: &str) {
    assert_eq!(name(&Method::GET, path), found);
    assert_eq!(name(&Method::HEAD, path), found);
}

#[rstest]
#[case("//v1/models")]
#[case("/v1//models")]
#[case("/v1/models/")]
#[case("/V1/models")]
#[case("/v1%2fmodels")]
#[case("/v1/models.")]
#[case("/v1/models;x")]
#[case("/v1\\models")]
#[case("/v1/../admin/keys")]
#[case("/v1/models/../../admin/keys")]
#[case("/v1/models/..%2f..%2fadmin%2fkeys")]
#[case("/v1/models/a//b")]
#[case("/v1/models/a/")]
#[case("/v1/models/a/../b")]
#[case("/v1/models/a%2f")]
#[case("/v1/models/a%5cb")]
#[case("/admin/keys/a%2fb")]
#[case("/gemini/admin/keys")]
#[case("/v1/models/%2e%2e")]
#[case("/v1/models/..")]
#[case("/v1/models/a%00")]
#[case("/v1/models/a%0d%0ab")]
#[case("/v1/models/%")]
#[case("/v1/models/%zz")]
#[case("/v1/models/%ff")]
#[case("/%61dmin/keys")]
#[case("/admin/keys/")]
#[case("/admin//keys")]
#[case("/./admin/keys")]
#[case("/admin/keys;v1")]
#[case("*")]
#[case("")]
fn variants_are_not(#[case] path: &str) {
    assert_eq!(name(&Method::GET, path), "404", "{path}");
}

#[rstest]
#[case("/v1beta/models/m:generateContent", "/v1beta/models/{name}:generateContent m")]
#[case("/v1/models/m:streamGenerateContent", "/v1/models/{name}:streamGenerateContent m")]
#[case("/gemini/v1beta/models/a:b:countTokens", "/gemini/v1beta/models/{name}:countTokens a:b")]
#[case("/v1beta/models/models/m:generateContent", "/v1beta/models/{name}:generateContent models/m")]
#[case("/v1beta/models/m%3AgenerateContent", "/v1beta/models/{name} m:generateContent")]
#[case("/v1beta/models/m:embedContent", "/v1beta/models/{name} m:embedContent")]
#[case("/v1beta/models/:generateContent", "/v1beta/models/{name} :generateContent")]
#[case("/v1beta/models/..:generateContent", "/v1beta/models/{name} ..:generateContent")]
#[case("/v1beta/models/../m:generateContent", "404")]
#[case("/v1beta/models/", "404")]
fn methods_of_a_model_are_found(#[case] path: &str, #[case] found: &str) {
    assert_eq!(name(&Method::POST, path), found);
}

#[rstest]
#[case(ListenerKind::Gateway, "POST /v1beta/models/x:y", "", Dialect::Gemini)]
#[case(ListenerKind::Gateway, "GET /v1beta", "", Dialect::Gemini)]
#[case(ListenerKind::Gateway, "GET /v1beta2/models", "", Dialect::Chat)]
#[case(ListenerKind::Gateway, "GET /gemini/nothing", "", Dialect::Gemini)]
#[case(ListenerKind::Gateway, "POST /v1/messages/batches", "", Dialect::Messages)]
#[case(ListenerKind::Gateway, "GET /v1/models", "", Dialect::Chat)]
#[case(ListenerKind::Gateway, "GET /v1/models", "x-goog-api-key", Dialect::Gemini)]
#[case(ListenerKind::Gateway, "GET /v1/models/m", "x-goog-api-client", Dialect::Gemini)]
#[case(ListenerKind::Gateway, "GET /v1/models", "anthropic-version", Dialect::Messages)]
#[case(ListenerKind::Gateway, "POST /v1/models/m:countTokens", "", Dialect::Gemini)]
#[case(ListenerKind::Gateway, "GET /nothing", "", Dialect::Chat)]
#[case(ListenerKind::Ollama, "GET /nothing", "", Dialect::Ollama)]
#[case(ListenerKind::Ollama, "POST /api/chat", "", Dialect::Ollama)]
#[case(ListenerKind::Ollama, "POST /v1/chat/completions", "", Dialect::Chat)]
#[case(ListenerKind::Ollama, "POST /v1/messages", "", Dialect::Messages)]
fn errors_speak_the_language_of_the_path(
    #[case] listener: ListenerKind,
    #[case] line: &str,
    #[case] header: &str,
    #[case] dialect: Dialect,
) {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = http::Request::builder().method(method).uri(path);
    if !header.is_empty() {
        request = request.header(header, "x");
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    assert_eq!(dialect_of(listener, &parts, false), dialect);
}

#[test]
fn no_route_stands_twice() {
    for table in [routes(), ollama_routes()] {
        for (at, route) in table.iter().enumerate() {
            let twins = table[at + 1..].iter().filter(|other| other.path == route.path && other.method == route.method);
            assert_eq!(twins.count(), 0, "{} {}", route.method, route.path);
        }
    }
}

/// All other routes take JSON or no body.
#[test]
fn few_routes_take_something_else_than_json() {
    let takes = |table: &'static [Route], takes: BodyKind| -> Vec<String> {
        let found = table.iter().filter(|route| route.body == takes);
        found.map(|route| format!("{} {}", route.method, route.path)).collect()
    };
    let forms = ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations"];
    let forms = forms.map(|path| format!("POST {path}"));
    assert_eq!(takes(routes(), BodyKind::Nothing), ["POST /v1/responses/{id}/cancel", "POST /responses/{id}/cancel"]);
    assert_eq!(takes(routes(), BodyKind::Form), forms);
    assert_eq!(takes(routes(), BodyKind::File), ["POST /auth/accounts/import"]);
    assert_eq!(
        takes(routes(), BodyKind::Socket),
        ["GET /v1/responses", "GET /responses", "GET /backend-api/codex/responses"]
    );
    assert_eq!(takes(ollama_routes(), BodyKind::Form), forms);
    assert_eq!(takes(ollama_routes(), BodyKind::Socket), ["GET /v1/responses"]);
    for other in [BodyKind::Nothing, BodyKind::File] {
        assert!(takes(ollama_routes(), other).is_empty());
    }
}
