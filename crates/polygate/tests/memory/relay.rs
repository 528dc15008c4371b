//! Relays of the four protocols, whose replies are short or endless depending on the path of the base URL.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// Bytes of text in one event of an endless reply, and the pause after it: about 4 MB a second.
const DELTA: (usize, Duration) = (16 << 10, Duration::from_millis(4));

/// A protocol of clients and relays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Chat,
    Responses,
    Messages,
    Gemini,
}

/// All protocols.
pub(super) const PROTOCOLS: [Protocol; 4] = [Protocol::Chat, Protocol::Responses, Protocol::Messages, Protocol::Gemini];

/// The relays' listener.
pub(super) struct Relay(SocketAddr);

/// The events of a reply.
struct Script {
    open: Vec<Value>,
    delta: Value,
    close: Vec<Value>,
}

impl Relay {
    /// Listens until the process ends.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A client that disconnects ends its reply.
                thread::spawn(move || serve(connection).ok());
            }
        });
        Ok(Self(address))
    }

    /// The gateway's configuration: a relay for each protocol and length of its replies.
    pub(super) fn tables(&self) -> String {
        let mut tables = String::new();
        for kind in ["short", "endless"] {
            for protocol in PROTOCOLS {
                let name = format!("{kind}-{}", protocol.name());
                let _ = writeln!(tables, "[[relays]]\nname = \"{name}\"\nmodels = [\"{name}\"]\napi_key = \"sk-soak\"");
                let (format, address) = (protocol.name(), self.0);
                let _ = writeln!(tables, "format = \"{format}\"\nbase_url = \"http://{address}/{kind}/{format}/v1\"\n");
            }
        }
        tables
    }
}

impl Protocol {
    /// Its name in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }

    /// Whether the body is an error in the form of this protocol.
    pub(super) fn is_error(self, body: &Value) -> bool {
        let error = &body["error"];
        error["message"].is_string()
            && match self {
                Self::Chat | Self::Responses => error["type"].is_string(),
                Self::Messages => body["type"] == "error" && error["type"].is_string(),
                Self::Gemini => error["code"].is_u64() && error["status"].is_string(),
            }
    }

    fn script(self, text: &str) -> Script {
        match self {
            Self::Chat => chat(text),
            Self::Responses => responses(text),
            Self::Messages => messages(text),
            Self::Gemini => gemini(text),
        }
    }
}

fn serve(mut connection: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    loop {
        let Some((path, length)) = head(&mut reader)? else { return Ok(()) };
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        let protocol = PROTOCOLS.into_iter().find(|protocol| path.split('/').nth(2) == Some(protocol.name()));
        let Some(protocol) = protocol.filter(|_| length > 0) else {
            connection.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let endless = path.starts_with("/endless/");
        let script = protocol.script(&"a".repeat(if endless { DELTA.0 } else { 5 }));
        // Gemini has no opening event, and an empty chunk would end the reply.
        chunk(&mut connection, &[&script.open[..], std::slice::from_ref(&script.delta)].concat())?;
        if endless {
            return forever(connection, &script.delta);
        }
        chunk(&mut connection, &script.close)?;
        connection.write_all(b"0\r\n\r\n")?;
    }
}

/// Sends an event until the gateway closes the connection.
fn forever(mut connection: TcpStream, event: &Value) -> Result<()> {
    loop {
        chunk(&mut connection, std::slice::from_ref(event))?;
        thread::sleep(DELTA.1);
    }
}

/// Path and body length of the next request; `None` at the end of the connection.
fn head(reader: &mut impl BufRead) -> Result<Option<(String, u64)>> {
    let (mut path, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some((path, length)));
        }
        if path.is_empty() {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
}

fn chunk(connection: &mut TcpStream, events: &[Value]) -> Result<()> {
    let mut text = String::new();
    for event in events {
        if let Some(name) = event["type"].as_str() {
            let _ = writeln!(text, "event: {name}");
        }
        let _ = match event.as_str() {
            Some(plain) => writeln!(text, "data: {plain}\n"),
            None => writeln!(text, "data: {event}\n"),
        };
    }
    connection.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
    Ok(())
}

fn chat(text: &str) -> Script {
    let event = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    Script {
        open: vec![event(json!({"role": "assistant", "content": ""}), Value::Null)],
        delta: event(json!({"content": text}), Value::Null),
        close: vec![event(json!({}), "stop".into()), "[DONE]".into()],
    }
}

fn responses(text: &str) -> Script {
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let item = |status: &str, content: Value| json!({"id": "i", "type": "message", "role": "assistant", "status": status, "content": content});
    let response = |status: &str, output: Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output,
               "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
    };
    let event = |name: &str, mut rest: Value| {
        rest["type"] = name.into();
        rest["sequence_number"] = 0.into();
        rest
    };
    let place = || json!({"item_id": "i", "output_index": 0, "content_index": 0});
    let with = |mut object: Value, key: &str, value: Value| {
        object[key] = value;
        object
    };
    let done = item("completed", json!([part(text)]));
    Script {
        open: vec![
            event("response.created", json!({"response": response("in_progress", json!([]))})),
            event("response.output_item.added", json!({"output_index": 0, "item": item("in_progress", json!([]))})),
            event("response.content_part.added", with(place(), "part", part(""))),
        ],
        delta: event("response.output_text.delta", with(place(), "delta", text.into())),
        close: vec![
            event("response.output_text.done", with(place(), "text", text.into())),
            event("response.content_part.done", with(place(), "part", part(text))),
            event("response.output_item.done", json!({"output_index": 0, "item": done})),
            event("response.completed", json!({"response": response("completed", json!([done]))})),
        ],
    }
}

fn messages(text: &str) -> Script {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                         "stop_reason": null, "stop_sequence": null, "usage": usage});
    Script {
        open: vec![
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ],
        delta: json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        close: vec![
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage}),
            json!({"type": "message_stop"}),
        ],
    }
}

fn gemini(text: &str) -> Script {
    let event = |text: &str, finish: Value| {
        json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}],
               "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
               "modelVersion": "m", "responseId": "r"})
    };
    Script { open: Vec::new(), delta: event(text, Value::Null), close: vec![event("", "STOP".into())] }
}
