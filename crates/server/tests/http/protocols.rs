//! The client protocols from the clients' side: the paths, the bodies, and which part of a response is text, an end or a failure.

use serde_json::Value;

use crate::gateway::{Gateway, request};

/// One protocol, in one of its forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) name: &'static str,
    /// Paths for a streamed and for a collected reply, and for a model that does not exist.
    pub(crate) paths: [&'static str; 3],
    /// The fields of the body other than model and stream; `PROMPT` is the prompt.
    members: &'static str,
    /// Whether model and stream are in the body.
    named: bool,
    /// The media type of a stream.
    pub(crate) media: &'static str,
    /// A text that only a stream with a regular end contains.
    pub(crate) done: &'static str,
    /// A text that a failure contains, before and in a stream.
    pub(crate) error: &'static str,
}

const GEMINI: Protocol = Protocol {
    name: "gemini",
    paths: [
        "/v1beta/models/gpt-6-sol:streamGenerateContent?alt=sse",
        "/v1beta/models/gpt-6-sol:generateContent",
        "/v1beta/models/none:generateContent",
    ],
    members: r#""contents":[{"role":"user","parts":[{"text":"PROMPT"}]}]"#,
    named: false,
    media: "text/event-stream",
    done: "\"finishReason\":\"STOP\"",
    error: "\"status\":\"",
};

/// All protocols.
pub(crate) const PROTOCOLS: [Protocol; 8] = [
    Protocol {
        name: "responses",
        paths: ["/v1/responses"; 3],
        members: r#""input":"PROMPT""#,
        named: true,
        media: "text/event-stream",
        done: "event: response.completed",
        error: "\"error\":{",
    },
    Protocol {
        name: "chat",
        paths: ["/v1/chat/completions"; 3],
        members: r#""messages":[{"role":"user","content":"PROMPT"}]"#,
        named: true,
        media: "text/event-stream",
        done: "data: [DONE]",
        error: "\"error\":{\"message\"",
    },
    Protocol {
        name: "messages",
        paths: ["/v1/messages"; 3],
        members: r#""max_tokens":1000,"messages":[{"role":"user","content":"PROMPT"}]"#,
        named: true,
        media: "text/event-stream",
        done: "event: message_stop",
        error: "{\"type\":\"error\",\"error\":{\"type\":\"",
    },
    GEMINI,
    Protocol {
        name: "gemini array",
        paths: ["/v1/models/gpt-6-sol:streamGenerateContent", GEMINI.paths[1], GEMINI.paths[2]],
        media: "application/json",
        ..GEMINI
    },
    Protocol {
        name: "gemini below a path",
        paths: [
            "/gemini/v1beta/models/models/gpt-6-sol:streamGenerateContent?alt=sse",
            "/gemini/v1/models/gpt-6-sol:generateContent",
            "/gemini/v1/models/none:generateContent",
        ],
        ..GEMINI
    },
    Protocol {
        name: "ollama chat",
        paths: ["/api/chat"; 3],
        members: r#""messages":[{"role":"user","content":"PROMPT"}]"#,
        named: true,
        media: "application/x-ndjson",
        done: "\"done\":true",
        error: "{\"error\":\"",
    },
    Protocol {
        name: "ollama generate",
        paths: ["/api/generate"; 3],
        members: r#""prompt":"PROMPT""#,
        named: true,
        media: "application/x-ndjson",
        done: "\"done\":true",
        error: "{\"error\":\"",
    },
];

impl Protocol {
    /// The port that serves the protocol.
    pub(crate) fn port(&self, gateway: &Gateway) -> u16 {
        if self.name.starts_with("ollama") { gateway.ollama } else { gateway.port }
    }

    /// A body for `model`.
    pub(crate) fn body(&self, model: &str, prompt: &str, stream: bool) -> String {
        let members = self.members.replace("PROMPT", prompt);
        if !self.named {
            return format!("{{{members}}}");
        }
        format!(r#"{{"model":"{model}","stream":{stream},{members}}}"#)
    }

    /// A whole request with the client key.
    pub(crate) fn call(&self, gateway: &Gateway, prompt: &str, stream: bool) -> Vec<u8> {
        let key = format!("x-api-key: {}", gateway.keys.client);
        let headers = ["host: localhost", "content-type: application/json", "anthropic-version: 2023-06-01", &key];
        let path = self.paths[usize::from(!stream)];
        request(&format!("POST {path}"), &headers, self.body("gpt-6-sol", prompt, stream).as_bytes())
    }

    /// The text of a reply, streamed or collected, cut or not.
    pub(crate) fn text(&self, body: &str) -> String {
        self.values(body).iter().map(|value| self.reply_text(value)).collect()
    }

    /// The JSON values of a reply, in any framing.
    fn values(&self, body: &str) -> Vec<Value> {
        // Clients of the upstream's own protocol get the upstream's line ends.
        let body = &body.replace('\r', "\n");
        let array = body.trim_start().starts_with('[');
        if array {
            let whole = if body.trim_end().ends_with(']') { body.to_owned() } else { format!("{}]", body.trim_end()) };
            return serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{}: {error}: {body}", self.name));
        }
        let lines = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn reply_text(&self, value: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let joined = |list: &Value, pick: &dyn Fn(&Value) -> String| -> String {
            list.as_array().into_iter().flatten().map(pick).collect()
        };
        match self.name.split(' ').next().unwrap() {
            "responses" if value["type"] == "response.output_text.delta" => text(&value["delta"]),
            "responses" if value["object"] == "response" => {
                joined(&value["output"], &|item| joined(&item["content"], &|part| text(&part["text"])))
            }
            "chat" => {
                let choice = &value["choices"][0];
                text(&choice["delta"]["content"]) + &text(&choice["message"]["content"])
            }
            "messages" if value["delta"]["type"] == "text_delta" => text(&value["delta"]["text"]),
            "messages" if value["type"] == "message" => joined(&value["content"], &|part| text(&part["text"])),
            "gemini" => joined(&value["candidates"][0]["content"]["parts"], &|part| {
                if part["thought"] == true { String::new() } else { text(&part["text"]) }
            }),
            "ollama" => text(&value["message"]["content"]) + &text(&value["response"]),
            _ => String::new(),
        }
    }
}
