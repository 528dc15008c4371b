//! The requests of the load: a protocol, streamed or collected, and the bytes of the request.

/// The client protocol and, for a relay, its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Responses,
    /// Responses in a conversation with a tool; the upstream calls use a socket.
    Socket,
    Chat,
    Messages,
    Gemini,
    Ollama,
    /// Chat Completions to a relay with the same protocol.
    Relay,
}

/// The protocol and form of a round's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) client: Client,
    /// Whether the answer is streamed; otherwise it is collected.
    pub(crate) stream: bool,
}

/// The relay's name in the gateway, its model, and its base path on the backend.
pub(crate) const RELAY: (&str, &str, &str) = ("bench", "relay-model", "/relay/v1");

impl Form {
    /// Path and body of a request. A proxy that forwards streams unchanged gets the request for the backend's stream of the same tokens.
    pub(crate) fn request(self, through: bool) -> (String, String) {
        let prompt = "a prompt of about a kilobyte; ".repeat(33);
        let stream = self.stream;
        let (_, relayed, base) = RELAY;
        match self.client {
            Client::Relay if through => (format!("{base}/chat/completions"), chat(relayed, &prompt, stream)),
            Client::Relay => ("/v1/chat/completions".into(), chat(&format!("bench:{relayed}"), &prompt, stream)),
            Client::Chat => ("/v1/chat/completions".into(), chat("gpt-5.5", &prompt, stream)),
            Client::Responses => (
                "/v1/responses".into(),
                format!(
                    r#"{{"model":"gpt-5.5","stream":{stream},"store":false,"input":[{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{prompt}"}}]}}]}}"#
                ),
            ),
            Client::Socket => (
                "/v1/responses".into(),
                format!(
                    r#"{{"model":"gpt-5.5","stream":{stream},"input":[{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{prompt}"}}]}}],"tools":[{{"type":"function","name":"look","parameters":{{"type":"object"}}}}]}}"#
                ),
            ),
            Client::Messages => (
                "/v1/messages".into(),
                format!(
                    r#"{{"model":"gpt-5.5","stream":{stream},"max_tokens":64000,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
                ),
            ),
            Client::Gemini => {
                let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}]}}"#);
                (format!("/v1beta/models/gpt-5.5:{verb}"), body)
            }
            Client::Ollama => ("/api/chat".into(), chat("gpt-5.5", &prompt, stream)),
        }
    }
}

fn chat(model: &str, prompt: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#)
}
