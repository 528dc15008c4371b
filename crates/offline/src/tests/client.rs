//! A client that sees every byte: it makes one request per connection over plain TCP.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{FakeAccount, Offline, Options, Running};

/// A backend with default options.
pub(crate) async fn backend() -> Running {
    Offline::start(Options::default()).await.unwrap()
}

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The body without chunk framing.
    pub(crate) body: Vec<u8>,
    /// All bytes of the connection.
    pub(crate) wire: Vec<u8>,
    /// Whether the connection was reset.
    pub(crate) reset: bool,
    /// Whether the HTTP body had its proper end.
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The events of a stream.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("not JSON: {data}"))).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// All text deltas, joined.
    pub(crate) fn reply_text(&self) -> String {
        let events = self.events();
        let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
        deltas.map(|event| event["delta"].as_str().unwrap()).collect()
    }

    /// The items of `response.output_item.done`.
    pub(crate) fn items(&self) -> Vec<Value> {
        let events = self.events();
        let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
        done.map(|event| event["item"].clone()).collect()
    }
}

/// The bytes of a request that closes its connection afterwards.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
    [head.as_bytes(), body].concat()
}

/// Sends bytes and reads until the connection ends.
pub(crate) async fn exchange(backend: &Running, bytes: &[u8]) -> Reply {
    let mut tcp = TcpStream::connect(backend.addr()).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    read(&mut tcp).await
}

/// Reads until the connection ends.
pub(crate) async fn read(tcp: &mut TcpStream) -> Reply {
    let (mut wire, mut buf, mut reset) = (Vec::new(), vec![0; 64 << 10], false);
    loop {
        match tcp.read(&mut buf).await {
            Ok(0) => break,
            Ok(length) => wire.extend_from_slice(&buf[..length]),
            Err(error) => {
                reset = error.kind() == std::io::ErrorKind::ConnectionReset;
                break;
            }
        }
    }
    parse(wire, reset)
}

fn parse(wire: Vec<u8>, reset: bool) -> Reply {
    let Some(end) = wire.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Reply { status: 0, headers: Vec::new(), body: Vec::new(), wire, reset, whole: false };
    };
    let head = String::from_utf8_lossy(&wire[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<(String, String)> = pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let rest = &wire[end + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let (body, whole) = if chunked { dechunk(rest) } else { (rest.to_vec(), !reset) };
    Reply { status, headers, body, wire, reset, whole }
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let from = end + 2;
        let to = (from + size).min(rest.len());
        body.extend_from_slice(&rest[from..to]);
        if rest.len() < from + size + 2 {
            return (body, false);
        }
        rest = &rest[from + size + 2..];
    }
}

/// A classic request body.
pub(crate) fn classic(prompt: &str) -> Value {
    json!({
        "model": "gpt-5.5",
        "instructions": "Be short.",
        "input": [{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": prompt }] }],
        "store": false,
        "stream": true,
    })
}

/// A lite request body with these tools.
pub(crate) fn lite(prompt: &str, tools: &Value) -> Value {
    json!({
        "model": "gpt-6-sol",
        "input": [
            { "type": "additional_tools", "role": "developer", "tools": [{ "type": "namespace", "name": "functions", "description": "", "tools": tools }] },
            { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "Be short." }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": prompt }] },
        ],
        "reasoning": { "effort": "low", "context": "all_turns" },
        "store": false,
        "stream": true,
    })
}

/// The bytes of a model request.
pub(crate) fn turn(account: &FakeAccount, body: &Value) -> Vec<u8> {
    let bearer = format!("Bearer {}", account.access);
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("chatgpt-account-id", account.account_id.as_str()),
        ("content-type", "application/json"),
    ];
    if body["model"] != "gpt-5.5" {
        headers.push(("x-openai-internal-codex-responses-lite", "true"));
    }
    request("POST", "/backend-api/codex/responses", &headers, body.to_string().as_bytes())
}

/// One model request.
pub(crate) async fn ask(backend: &Running, account: &FakeAccount, body: &Value) -> Reply {
    exchange(backend, &turn(account, body)).await
}

/// One authorized GET.
pub(crate) async fn get(backend: &Running, account: &FakeAccount, path: &str, more: &[(&str, &str)]) -> Reply {
    let bearer = format!("Bearer {}", account.access);
    let mut headers = vec![("authorization", bearer.as_str()), ("chatgpt-account-id", account.account_id.as_str())];
    headers.extend_from_slice(more);
    exchange(backend, &request("GET", path, &headers, b"")).await
}

/// One JSON POST.
pub(crate) async fn post(backend: &Running, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    exchange(backend, &request("POST", path, &headers, body.to_string().as_bytes())).await
}

/// One form POST.
pub(crate) async fn form(backend: &Running, path: &str, fields: &[(&str, &str)]) -> Reply {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    exchange(backend, &request("POST", path, &headers, body.as_bytes())).await
}
