//! Every registered route x credential x Host x origin, against an oracle that knows nothing of the code.

use std::sync::Arc;

use server::{Class, Route, Settings, ollama_routes, routes};
use tokio::task::JoinSet;

use crate::gateway::{FIXED, Gateway, ollama, request};
use crate::wire::Wire;

/// Every route of the gateway, listed a second time: (method, path, class). A route that is missing here fails the test.
pub(crate) const ORACLE: [(&str, &str, &str); 189] = [
    ("GET", "/", "public"),
    ("GET", "/health", "public"),
    ("GET", "/healthz", "public"),
    ("GET", "/readyz", "public"),
    ("POST", "/v1/chat/completions", "data"),
    ("POST", "/chat/completions", "data"),
    ("POST", "/messages", "data"),
    ("POST", "/messages/count_tokens", "data"),
    ("POST", "/embeddings", "data"),
    ("GET", "/models", "data"),
    ("POST", "/v1/responses", "data"),
    ("POST", "/v1/responses/review", "data"),
    ("POST", "/responses", "data"),
    ("POST", "/responses/review", "data"),
    ("GET", "/v1/responses", "data"),
    ("GET", "/responses", "data"),
    ("POST", "/v1/completions", "data"),
    ("POST", "/v1/responses/compact", "data"),
    ("POST", "/v1/responses/input_tokens", "data"),
    ("POST", "/responses/compact", "data"),
    ("POST", "/responses/input_tokens", "data"),
    ("POST", "/backend-api/codex/responses/compact", "native"),
    ("POST", "/backend-api/codex/images/generations", "native"),
    ("POST", "/backend-api/codex/images/edits", "native"),
    ("POST", "/v1/alpha/search", "data"),
    ("POST", "/backend-api/codex/alpha/search", "native"),
    ("GET", "/v1/responses/{id}", "data"),
    ("DELETE", "/v1/responses/{id}", "data"),
    ("GET", "/v1/responses/{id}/input_items", "data"),
    ("POST", "/v1/responses/{id}/cancel", "data"),
    ("GET", "/responses/{id}", "data"),
    ("DELETE", "/responses/{id}", "data"),
    ("GET", "/responses/{id}/input_items", "data"),
    ("POST", "/responses/{id}/cancel", "data"),
    ("POST", "/v1/embeddings", "data"),
    ("POST", "/v1/audio/speech", "data"),
    ("POST", "/v1/audio/transcriptions", "data"),
    ("POST", "/v1/audio/translations", "data"),
    ("POST", "/v1/images/generations", "data"),
    ("POST", "/v1/images/edits", "data"),
    ("POST", "/v1/images/variations", "data"),
    ("GET", "/auth/api-keys/catalog", "read"),
    ("GET", "/auth/api-keys", "read"),
    ("GET", "/auth/api-keys/export", "export"),
    ("POST", "/auth/api-keys", "write"),
    ("POST", "/auth/api-keys/models", "write"),
    ("POST", "/auth/api-keys/import", "write"),
    ("POST", "/auth/api-keys/batch-delete", "write"),
    ("DELETE", "/auth/api-keys/{id}", "write"),
    ("PATCH", "/auth/api-keys/{id}/label", "write"),
    ("PATCH", "/auth/api-keys/{id}/status", "write"),
    ("PATCH", "/auth/api-keys/{id}/key", "write"),
    ("GET", "/auth/status", "read"),
    ("GET", "/auth/login", "write"),
    ("GET", "/auth/accounts/login", "write"),
    ("POST", "/auth/login-start", "write"),
    ("POST", "/auth/code-relay", "write"),
    ("POST", "/auth/device-login", "write"),
    ("GET", "/auth/device-poll/{id}", "write"),
    ("POST", "/auth/import-cli", "write"),
    ("POST", "/auth/token", "write"),
    ("POST", "/auth/logout", "write"),
    ("GET", "/auth/accounts", "read"),
    ("POST", "/auth/accounts", "write"),
    ("GET", "/auth/accounts/export", "export"),
    ("POST", "/auth/accounts/import", "write"),
    ("POST", "/auth/accounts/batch-delete", "write"),
    ("POST", "/auth/accounts/batch-status", "write"),
    ("POST", "/auth/accounts/batch-label", "write"),
    ("POST", "/auth/accounts/batch-tags", "write"),
    ("POST", "/auth/accounts/batch-refresh", "write"),
    ("POST", "/auth/accounts/health-check", "write"),
    ("DELETE", "/auth/accounts/{id}", "write"),
    ("POST", "/auth/accounts/{id}/refresh", "write"),
    ("PATCH", "/auth/accounts/{id}/label", "write"),
    ("PATCH", "/auth/accounts/{id}/tags", "write"),
    ("GET", "/auth/accounts/{id}/cookies", "export"),
    ("POST", "/auth/accounts/{id}/cookies", "write"),
    ("DELETE", "/auth/accounts/{id}/cookies", "write"),
    ("GET", "/v1/models", "data"),
    ("GET", "/v1/models/{name}", "data"),
    ("POST", "/v1/messages", "data"),
    ("POST", "/v1/messages/count_tokens", "data"),
    ("POST", "/v1beta/models/{name}:generateContent", "data"),
    ("POST", "/v1beta/models/{name}:streamGenerateContent", "data"),
    ("POST", "/v1beta/models/{name}:countTokens", "data"),
    ("POST", "/v1beta/models/{name}", "data"),
    ("GET", "/v1beta/models", "data"),
    ("GET", "/v1beta/models/{name}", "data"),
    ("POST", "/v1/models/{name}:generateContent", "data"),
    ("POST", "/v1/models/{name}:streamGenerateContent", "data"),
    ("POST", "/v1/models/{name}:countTokens", "data"),
    ("POST", "/v1/models/{name}", "data"),
    ("POST", "/gemini/v1beta/models/{name}:generateContent", "data"),
    ("POST", "/gemini/v1beta/models/{name}:streamGenerateContent", "data"),
    ("POST", "/gemini/v1beta/models/{name}:countTokens", "data"),
    ("POST", "/gemini/v1beta/models/{name}", "data"),
    ("GET", "/gemini/v1beta/models", "data"),
    ("GET", "/gemini/v1beta/models/{name}", "data"),
    ("POST", "/gemini/v1/models/{name}:generateContent", "data"),
    ("POST", "/gemini/v1/models/{name}:streamGenerateContent", "data"),
    ("POST", "/gemini/v1/models/{name}:countTokens", "data"),
    ("POST", "/gemini/v1/models/{name}", "data"),
    ("GET", "/gemini/v1/models", "data"),
    ("GET", "/gemini/v1/models/{name}", "data"),
    ("POST", "/backend-api/codex/responses", "native"),
    ("GET", "/backend-api/codex/responses", "native"),
    ("GET", "/backend-api/codex/models", "native"),
    ("GET", "/backend-api/codex/usage", "native"),
    ("GET", "/backend-api/wham/accounts/check", "native"),
    ("GET", "/backend-api/wham/usage", "native"),
    ("GET", "/backend-api/wham/rate-limit-reset-credits", "native"),
    ("POST", "/backend-api/wham/rate-limit-reset-credits/consume", "native"),
    ("GET", "/backend-api/wham/profiles/me", "native"),
    ("GET", "/backend-api/wham/settings/user", "native"),
    ("GET", "/backend-api/wham/workspace-messages", "native"),
    ("GET", "/backend-api/wham/security-setup", "native"),
    ("GET", "/wham/accounts/check", "native"),
    ("GET", "/wham/usage", "native"),
    ("GET", "/wham/rate-limit-reset-credits", "native"),
    ("POST", "/wham/rate-limit-reset-credits/consume", "native"),
    ("GET", "/wham/profiles/me", "native"),
    ("GET", "/wham/settings/user", "native"),
    ("GET", "/wham/workspace-messages", "native"),
    ("GET", "/wham/security-setup", "native"),
    ("GET", "/api/codex/accounts/check", "native"),
    ("GET", "/api/codex/usage", "native"),
    ("GET", "/api/codex/rate-limit-reset-credits", "native"),
    ("POST", "/api/codex/rate-limit-reset-credits/consume", "native"),
    ("GET", "/api/codex/profiles/me", "native"),
    ("GET", "/api/codex/settings/user", "native"),
    ("GET", "/api/codex/workspace-messages", "native"),
    ("GET", "/api/codex/security-setup", "native"),
    ("POST", "/backend-api/codex/analytics-events/events", "native"),
    ("POST", "/backend-api/ps/mcp", "public"),
    ("GET", "/backend-api/ps/plugins/{name}", "native"),
    ("GET", "/backend-api/ps/{name}", "native"),
    ("GET", "/backend-api/wham/config/bundle", "native"),
    ("GET", "/wham/config/bundle", "native"),
    ("GET", "/api/codex/config/bundle", "native"),
    ("POST", "/backend-api/wham/usage/{name}", "native"),
    ("POST", "/wham/usage/{name}", "native"),
    ("POST", "/api/codex/usage/{name}", "native"),
    ("GET", "/backend-api/wham/agent-identities/jwks", "public"),
    ("GET", "/wham/agent-identities/jwks", "public"),
    ("GET", "/api/codex/agent-identities/jwks", "public"),
    ("POST", "/backend-api/wham/accounts/send_add_credits_nudge_email", "native"),
    ("POST", "/wham/accounts/send_add_credits_nudge_email", "native"),
    ("POST", "/api/codex/accounts/send_add_credits_nudge_email", "native"),
    ("POST", "/backend-api/codex/memories/trace_summarize", "native"),
    ("POST", "/backend-api/codex/realtime/calls", "native"),
    ("GET", "/backend-api/plugins/{name}", "native"),
    ("GET", "/admin/openapi.json", "read"),
    ("GET", "/admin/accounts", "read"),
    ("PATCH", "/admin/accounts/{id}", "write"),
    ("GET", "/admin/dry-run", "read"),
    ("GET", "/admin/keys", "read"),
    ("POST", "/admin/keys", "write"),
    ("PATCH", "/admin/keys/{id}", "write"),
    ("DELETE", "/admin/keys/{id}", "write"),
    ("GET", "/admin/retired-models", "read"),
    ("GET", "/admin/guard", "read"),
    ("GET", "/admin/ollama-status", "read"),
    ("GET", "/admin/events", "read"),
    ("POST", "/admin/refresh-models", "write"),
    ("GET", "/admin/forecast", "read"),
    ("GET", "/auth/accounts/{id}/quota", "read"),
    ("GET", "/auth/accounts/{id}/reset-credits", "read"),
    ("POST", "/auth/accounts/{id}/reset-credits/consume", "write"),
    ("GET", "/auth/quota/warnings", "read"),
    ("GET", "/api/proxies", "read"),
    ("POST", "/api/proxies", "write"),
    ("POST", "/api/proxies/check-all", "write"),
    ("PUT", "/api/proxies/settings", "write"),
    ("POST", "/api/proxies/assign", "write"),
    ("DELETE", "/api/proxies/assign/{id}", "write"),
    ("GET", "/api/proxies/assignments", "read"),
    ("POST", "/api/proxies/assign-bulk", "write"),
    ("POST", "/api/proxies/assign-rule", "write"),
    ("GET", "/api/proxies/assignments/export", "read"),
    ("POST", "/api/proxies/assignments/import", "write"),
    ("POST", "/api/proxies/assignments/apply", "write"),
    ("GET", "/api/proxies/export", "export"),
    ("POST", "/api/proxies/import", "write"),
    ("PUT", "/api/proxies/{id}", "write"),
    ("DELETE", "/api/proxies/{id}", "write"),
    ("POST", "/api/proxies/{id}/check", "write"),
    ("POST", "/api/proxies/{id}/enable", "write"),
    ("POST", "/api/proxies/{id}/disable", "write"),
];

/// Every route of the Ollama listener; `open` needs no key on loopback.
const OLLAMA: [(&str, &str, &str); 36] = [
    ("POST", "/chat/completions", "open"),
    ("POST", "/responses", "open"),
    ("POST", "/messages", "open"),
    ("POST", "/messages/count_tokens", "open"),
    ("POST", "/embeddings", "open"),
    ("GET", "/models", "open"),
    ("GET", "/", "public"),
    ("GET", "/api/version", "public"),
    ("GET", "/api/tags", "open"),
    ("GET", "/api/ps", "open"),
    ("POST", "/api/show", "open"),
    ("POST", "/api/chat", "open"),
    ("POST", "/api/generate", "open"),
    ("POST", "/api/embed", "open"),
    ("POST", "/api/embeddings", "open"),
    ("POST", "/api/pull", "open"),
    ("POST", "/api/push", "open"),
    ("POST", "/api/create", "open"),
    ("POST", "/api/copy", "open"),
    ("DELETE", "/api/delete", "open"),
    ("POST", "/api/blobs/{id}", "open"),
    ("POST", "/v1/chat/completions", "open"),
    ("POST", "/v1/responses", "open"),
    ("POST", "/v1/responses/review", "open"),
    ("GET", "/v1/responses", "open"),
    ("GET", "/v1/models", "open"),
    ("GET", "/v1/models/{name}", "open"),
    ("POST", "/v1/embeddings", "open"),
    ("POST", "/v1/audio/speech", "open"),
    ("POST", "/v1/audio/transcriptions", "open"),
    ("POST", "/v1/audio/translations", "open"),
    ("POST", "/v1/images/generations", "open"),
    ("POST", "/v1/images/edits", "open"),
    ("POST", "/v1/images/variations", "open"),
    ("POST", "/v1/messages", "open"),
    ("POST", "/v1/messages/count_tokens", "open"),
];

/// The status of a credential for a class, 0 if the credential is accepted; the credential's first word is its kind.
fn opens(credential: &str, class: &str) -> u16 {
    match (credential.split(' ').next().unwrap(), class) {
        (_, "public")
        | ("client", "data" | "native")
        | ("client" | "none", "open")
        | ("admin", "read" | "write")
        | ("reader", "read")
        | ("exporter", "export") => 0,
        ("client", "read" | "write" | "export")
        | ("admin" | "reader" | "exporter", "data" | "native" | "open")
        | ("admin" | "reader", "export")
        | ("reader", "write")
        | ("exporter", "read" | "write") => 403,
        _ => 401,
    }
}

/// Host header lines, and whether they name this gateway.
const HOSTS: [(&str, bool); 22] = [
    ("host: 127.0.0.1:PORT", true),
    ("host: [::1]:PORT", true),
    ("host: localhost:PORT", true),
    ("host: LOCALHOST.", true),
    ("host: gw.example:443", true),
    ("host: evil.com", false),
    ("host: 127.0.0.1.evil.com", false),
    ("host: localhost:PORT/?x", false),
    ("host: localhost/?", false),
    ("host: a@localhost", false),
    ("host: evil.com@localhost", false),
    ("host: 2130706433", false),
    ("host: 0x7f000001", false),
    ("host: 0177.0.0.1", false),
    ("host: 0.0.0.0:PORT", false),
    ("host: 10.1.2.3", false),
    ("host: 169.254.169.254", false),
    ("host:", false),
    ("x-no: host", false),
    ("host: localhost\r\nhost: localhost", false),
    ("host: localhost\r\nhost: evil.com", false),
    ("host: localhost, evil.com", false),
];

/// Origin and Sec-Fetch-Site lines, and whether their page belongs to this gateway (for `localhost:PORT`).
const SITES: [(&str, bool); 13] = [
    ("x-none: 1", true),
    ("origin: http://localhost:PORT", true),
    ("sec-fetch-site: none", true),
    ("origin: http://localhost:PORT\r\nsec-fetch-site: same-origin", true),
    ("referer: https://evil.com/", true),
    ("origin: null", false),
    ("origin: https://evil.com", false),
    ("origin: http://localhost:3000", false),
    ("origin: http://localhost:PORT.evil.com", false),
    ("origin: http://localhost:3000\r\nsec-fetch-site: same-site", false),
    ("origin: https://evil.com\r\nsec-fetch-site: cross-site", false),
    ("sec-fetch-site: cross-site", false),
    ("sec-fetch-site: same-site", false),
];

/// The lines of pages on this machine, on any port.
const LOCAL: [&str; 4] = [
    "origin: http://localhost:PORT",
    "origin: http://localhost:PORT\r\nsec-fetch-site: same-origin",
    "origin: http://localhost:3000",
    "origin: http://localhost:3000\r\nsec-fetch-site: same-site",
];

/// Headers that claim another client or target; they change nothing.
const FORWARDED: &str = "x-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1;host=localhost\r\nx-real-ip: 127.0.0.1\r\n\
    x-forwarded-host: localhost\r\nx-forwarded-proto: https\r\ncf-connecting-ip: ::1\r\nx-original-url: /admin/keys";

fn credentials(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let keys = &gateway.keys;
    let wrong = |key: &str| -> String {
        let swap = |c: char| if c == 'a' { 'b' } else { 'a' };
        key.char_indices().map(|(at, c)| if at == 20 { swap(c) } else { c }).collect()
    };
    let spliced = format!("{}{}", &keys.admin[..13], &keys.client[13..]);
    vec![
        ("none", "x-none: 1".to_owned()),
        ("none empty", "authorization: Bearer ".to_owned()),
        ("none malformed", "authorization: Bearer x y z".to_owned()),
        ("none basic", format!("authorization: Basic {}", keys.client)),
        ("none cookie", format!("cookie: polygate={}", keys.client)),
        ("none guess", format!("authorization: Bearer {}", wrong(&keys.client))),
        ("none sql", "authorization: Bearer ' OR 1=1 --".to_owned()),
        ("none spliced", format!("authorization: Bearer {spliced}")),
        ("none revoked", format!("authorization: Bearer {}", keys.revoked)),
        ("none expired", format!("x-api-key: {}", keys.expired)),
        ("none differing", format!("authorization: Bearer {}\r\nx-api-key: {}", keys.client, keys.admin)),
        ("client bearer", format!("authorization: Bearer {}", keys.client)),
        ("client anthropic", format!("x-api-key: {}", keys.client)),
        ("client google", format!("x-goog-api-key: {}", keys.client)),
        ("client twice", format!("authorization: bearer {0}\r\nx-api-key: {0}", keys.client)),
        ("client in a login", format!("authorization: Bearer eyJhbGciOiJub25lIn0.e30.{}", keys.client)),
        ("none in a login", format!("authorization: Bearer eyJhbGciOiJub25lIn0.e30.{}", keys.revoked)),
        ("none admin login", format!("authorization: Bearer eyJhbGciOiJub25lIn0.e30.{}", keys.admin)),
        ("client fixed", format!("authorization: Bearer {FIXED}")),
        ("admin token", format!("authorization: Bearer {}", keys.admin)),
        ("reader token", format!("authorization: Bearer {}", keys.reader)),
        ("exporter token", format!("authorization: Bearer {}", keys.exporter)),
    ]
}

#[test]
fn every_route_is_in_the_oracle() {
    assert_eq!(sorted(routes().iter().map(|route| row_of(route, "data"))), sorted(ORACLE));
    assert_eq!(sorted(ollama_routes().iter().map(|route| row_of(route, "open"))), sorted(OLLAMA));
}

type Row = (&'static str, &'static str, &'static str);

fn sorted(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().collect();
    rows.sort_unstable();
    rows
}

/// A route in the oracle's form; `data` is the oracle's name of the data class.
fn row_of(route: &'static Route, data: &'static str) -> Row {
    let class = match route.class {
        Class::Public => "public",
        Class::Data => data,
        Class::Codex => "native",
        Class::Admin(scope) => scope.name(),
    };
    (route.method.as_str(), route.path, class)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_matrix_equals_its_oracle() {
    let open = |settings: &mut Settings| {
        settings.allowed_hosts = vec!["gw.example".to_owned()];
        settings.ollama = ollama();
    };
    let gateway = Arc::new(Gateway::with(open).await);
    let mut rows = JoinSet::new();
    for (listener, table) in [(ListenerKind::Gateway, &ORACLE[..]), (ListenerKind::Ollama, &OLLAMA)] {
        // The first route of each method and class is tested in full, the others with each pair of dimensions, as all go through the same
        // code.
        let mut seen = Vec::new();
        for route in table {
            let kind = (route.0, route.2);
            let whole = !seen.contains(&kind);
            seen.push(kind);
            let gateway = gateway.clone();
            rows.spawn(async move { row(&gateway, listener, *route, whole).await });
        }
    }
    let asked: usize = rows.join_all().await.into_iter().sum();
    assert!(asked > 50_000, "{asked}");
}

/// The listener that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListenerKind {
    Gateway,
    Ollama,
}

/// Tests all combinations of one route, or each pair of its dimensions, and returns the number of requests.
async fn row(gateway: &Gateway, listener: ListenerKind, (method, path, class): Row, whole: bool) -> usize {
    // For an endless stream, only the head is requested.
    let endless = path == "/admin/events";
    let method = if endless { "HEAD" } else { method };
    let line = format!("{method} {}", path.replace("{id}", "x").replace("{name}", "x"));
    let port = if listener == ListenerKind::Ollama { gateway.ollama } else { gateway.port };
    // Codex's own paths are many names of few routes.
    let most = match (whole, class == "native") {
        (true, _) => 3,
        (false, false) => 2,
        (false, true) => 1,
    };
    let mut wire = Wire::open(port).await;
    let mut asked = 0;
    for (at, (credential, key)) in credentials(gateway).into_iter().enumerate() {
        for pair in 0..HOSTS.len() * SITES.len() {
            let (host_at, site_at) = (pair / SITES.len(), pair % SITES.len());
            let varied = [at, host_at, site_at].into_iter().filter(|at| *at > 0).count();
            if varied > most {
                continue;
            }
            let (host, site) = (&HOSTS[host_at], &SITES[site_at]);
            let expected = expected((host, site), listener, opens(credential, class));
            let (host, site) = (host.0.replace("PORT", &port.to_string()), site.0.replace("PORT", &port.to_string()));
            let forwarded = if asked % 2 == 0 { "x-none: 1" } else { FORWARDED };
            let headers = [host.as_str(), key.as_str(), site.as_str(), forwarded];
            asked += 1;
            wire.send(request(&line, &headers, b"")).await;
            let answer = if endless { wire.bare_answer().await } else { wire.answer().await };
            let answer = answer.unwrap_or_else(|| panic!("no answer to {line} {headers:?}"));
            let denied = if matches!(answer.status, 401 | 403 | 421) { answer.status } else { 0 };
            assert_eq!(denied, expected, "{line} {headers:?} -> {} {}", answer.status, answer.text());
            answer.check();
            if (credential.starts_with("none") && class != "open") || expected == 421 {
                assert!(answer.body.len() <= 200, "{} bytes: {}", answer.body.len(), answer.text());
                assert!(!answer.text().contains(env!("CARGO_PKG_VERSION")), "{}", answer.text());
            }
            if answer.header("connection") == Some("close") {
                wire = Wire::open(port).await;
            }
        }
    }
    asked
}

/// The status that the oracle expects; 0 is none of 401, 403 and 421.
fn expected(((host, ours), (site, own)): (&(&str, bool), &(&str, bool)), listener: ListenerKind, key: u16) -> u16 {
    // A page belongs to the gateway only under the requested host; under another of the gateway's names it is foreign.
    let same = host.starts_with("host: localhost:") || !site.contains("origin: http://localhost:PORT");
    // The Ollama listener accepts pages of this machine.
    let near = listener == ListenerKind::Ollama && LOCAL.contains(site);
    match (*ours, (*own && same) || near) {
        (false, _) => 421,
        (true, false) => 403,
        (true, true) => key,
    }
}
