//! The failures that any route may give: each failure from each operation.

use std::time::Duration;

use serde_json::Value;
use server::Limits;

use super::check::{check, operations};
use crate::gateway::{Gateway, request};
use crate::wire::{Answer, Wire};

const STALL: Duration = Duration::from_millis(50);
const JSON: &str = "content-type: application/json";

/// Calls an operation with these headers, possibly with an incomplete body, and checks the response.
async fn ask(gateway: &Gateway, line: &str, headers: &[&str]) -> Answer {
    let mut wire = Wire::open(gateway.port).await;
    wire.send(request(line, headers, b"")).await;
    let answer = wire.answer().await.unwrap_or_else(|| panic!("no answer to {line} {headers:?}"));
    check(line, b"", &answer);
    answer
}

fn line(path: &str, method: &str) -> String {
    format!("{method} {}", path.replace("{id}", "x"))
}

fn key(gateway: &Gateway, operation: &Value) -> String {
    let export = operation["security"][0]["adminToken"][0] == "export";
    let token = if export { &gateway.keys.exporter } else { &gateway.keys.admin };
    format!("authorization: Bearer {token}")
}

#[tokio::test]
async fn every_operation_refuses_unauthorized_calls() {
    let gateway = Gateway::start().await;
    let client = format!("authorization: Bearer {}", gateway.keys.client);
    let long = format!("x-long: {}", "x".repeat(Limits::default().head_bytes));
    for (path, method, operation) in operations() {
        let (line, key) = (line(path, &method), key(&gateway, operation));
        let cases: [(u16, &[&str]); 6] = [
            (401, &["host: localhost", JSON]),
            (403, &["host: localhost", JSON, &client]),
            (403, &["host: localhost", JSON, &key, "origin: https://evil.example"]),
            (421, &["host: evil.example", JSON, &key]),
            (431, &["host: localhost", JSON, &key, &long]),
            (400, &["host: localhost", JSON, &key, "upgrade: websocket", "connection: upgrade"]),
        ];
        for (status, headers) in cases {
            let answer = ask(&gateway, &line, headers).await;
            assert_eq!(answer.status, status, "{line}: {}", answer.text());
        }
    }
}

/// The failures of reading a body come only from operations that are described as reading one. A body's type is checked wherever a request
/// may have a body.
#[tokio::test]
async fn bodies_are_refused_where_they_are_read() {
    let limits = Limits { body_stall: STALL, wire: 1 << 10, ..Limits::default() };
    let gateway = Gateway::with(|settings| settings.limits = limits).await;
    let tight = Gateway::with(|settings| settings.limits.buffered = 0).await;
    for (path, method, operation) in operations() {
        let is_described = |status: &str| !operation["responses"][status].is_null();
        let (reads, typed) = (is_described("413"), method != "GET");
        assert_eq!((is_described("408"), is_described("415")), (reads, reads || typed), "{method} {path}");
        if typed {
            let key = key(&gateway, operation);
            let headers = ["host: localhost", &key, "content-type: text/csv", "content-length: 2"];
            let answer = ask(&gateway, &line(path, &method), &headers).await;
            assert_eq!(answer.status, 415, "{method} {path}: {}", answer.text());
        }
        if !reads {
            continue;
        }
        let cases: [(&Gateway, u16, &[&str]); 4] = [
            (&gateway, 408, &["content-length: 9"]),
            (&gateway, 413, &["content-length: 2000"]),
            (&gateway, 415, &["content-encoding: none-such"]),
            (&tight, 503, &["content-length: 9"]),
        ];
        for (gateway, status, more) in cases {
            let key = key(gateway, operation);
            let headers = [&["host: localhost", JSON, &key], more].concat();
            let answer = ask(gateway, &line(path, &method), &headers).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        }
    }
}
