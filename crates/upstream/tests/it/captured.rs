//! Compares the recorded requests of the official client with the gateway's, recording by recording.
//!
//! [`TABLE`] names every file of the recordings and how the file is compared; a test checks the table against the folder. The tests that
//! need no recordings are in `golden.rs`, `login.rs`, `side.rs` and `socket.rs`; they also use the names in [`orders`]. Bodies take the
//! whole path: read as a client's request, written for the backend, sent, and compared as the server received them.

mod calls;
mod frames;
pub(crate) mod orders;
mod relay;
mod side;
mod tokens;

use pool::Millis;
use proto::dialect::{CodexTarget, Target, Written};
use proto::{Dialect, Wire};
use serde_json::Value;
use upstream::profile::{Platform, agent};
use upstream::{Profile, TurnFacts, TurnKind};

use crate::recorder::RecordedRequest;
use crate::recordings::shared;

/// How a recording is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// `POST /codex/responses`: names, values and order of the headers, and the body, byte by byte.
    Call,
    /// A Codex client's request to the gateway: the headers that reach the backend, and the body.
    Client,
    /// `POST /codex/images/generations`: headers and body.
    Picture,
    /// The upgrade to a socket: names, values and order.
    Upgrade,
    /// A message over a socket: order, values, and the set of fields in `client_metadata`.
    Frame,
    /// A small call: headers in order with their values, and the body.
    Side,
    /// A call of the auth server: path, headers in order with their values, and the body.
    Token,
    /// A call with an API key, which only relays make, under the gateway's own name: path, body, and the headers of the protocol.
    Relay,
    /// A ClientHello; compared in `hello.rs`.
    Hello,
    /// Never sent, with the reason.
    Unsent(&'static str),
}

/// Every recording.
const TABLE: [(&str, How); 47] = [
    ("01-accounts-check-h2.json", How::Side),
    ("02-accounts-check-h1.json", How::Side),
    ("03-models-get-h1.json", How::Side),
    ("04-models-get-h2.json", How::Side),
    ("05-ws-upgrade-gpt55.json", How::Upgrade),
    ("06-ws-01-prewarm-gpt55.json", How::Frame),
    ("07-ws-02-turn-gpt55.json", How::Frame),
    ("08-ws-03-tool-output-gpt55.json", How::Frame),
    ("09-ws-upgrade-lite.json", How::Upgrade),
    ("10-ws-01-prewarm-lite.json", How::Frame),
    ("11-ws-02-turn-lite.json", How::Frame),
    ("12-ws-next-turn-gpt55.json", How::Frame),
    ("13-responses-http-h1-gpt55.json", How::Call),
    ("14-responses-http-h2-gpt55.json", How::Call),
    ("15-responses-http-h2-gpt55-tool-followup.json", How::Call),
    ("16-responses-http-lite.json", How::Call),
    ("17-responses-http-compaction-v2.json", How::Call),
    ("18-responses-http-after-compaction.json", How::Call),
    ("19-ws-compaction-v2.json", How::Frame),
    ("20-responses-http-subagent-review.json", How::Call),
    ("21-responses-http-residency-us.json", How::Call),
    ("22-responses-http-fast-schema-desktop-originator.json", How::Call),
    ("23-ws-turn-state-in-metadata.json", How::Frame),
    ("24-images-generations.json", How::Picture),
    ("25-usage-get.json", How::Side),
    ("26-reset-credits-get.json", How::Side),
    ("27-reset-credits-consume.json", How::Side),
    (
        "28-profiles-me.json",
        How::Unsent("noise: token statistics; the gateway counts its own, and answers this call itself"),
    ),
    ("29-workspace-messages.json", How::Unsent("noise: news for people at the client's screen; answered with none")),
    ("30-security-setup.json", How::Unsent("noise: a setup of the client's own machine; answered with nothing")),
    ("31-settings-user.json", How::Unsent("noise: settings of the client's own screens; answered with nothing")),
    ("32-oauth-refresh-proactive.json", How::Token),
    ("33-oauth-refresh-unauthorized.json", How::Token),
    ("34-oauth-code-exchange.json", How::Token),
    // 35 and 39: no command requests a key or revokes a login, but the calls exist and are compared.
    ("35-oauth-apikey-exchange.json", How::Token),
    ("36-deviceauth-usercode.json", How::Token),
    ("37-deviceauth-token-poll.json", How::Token),
    ("38-deviceauth-code-exchange.json", How::Token),
    ("39-oauth-revoke.json", How::Token),
    ("40-apikey-ws-upgrade.json", How::Unsent("API keys belong to relays, and a relay is asked by POST alone")),
    ("41-apikey-responses-http.json", How::Relay),
    (
        "42-apikey-models.json",
        How::Unsent("a relay is asked for its models at its own address; the backend takes no API keys"),
    ),
    ("43-downstream-codex-custom-provider-http.json", How::Client),
    (
        "47-clienthello-openssl-default.json",
        How::Unsent("OpenSSL's hello is not copied: ours is rustls', as 48 and 49"),
    ),
    ("48-clienthello-rustls-custom-ca-h2.json", How::Hello),
    ("49-clienthello-rustls-websocket.json", How::Hello),
    (
        "retry-behaviour.json",
        How::Unsent("no request: how the client takes answers, which `pool::attempt` has rules of its own for"),
    ),
];

#[test]
fn the_table_names_every_recording() {
    let Some(folder) = shared() else { return };
    let files = std::fs::read_dir(folder.join("captures")).unwrap();
    let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, TABLE.map(|(name, _)| name));
}

/// A recording.
struct Capture {
    name: &'static str,
    value: Value,
}

/// The recordings that are compared in this way; empty where the recordings are missing.
fn of(how: How) -> Vec<Capture> {
    let names = TABLE.iter().filter(|(_, entry)| *entry == how).map(|(name, _)| *name);
    names.filter_map(Capture::of).collect()
}

impl Capture {
    fn of(name: &'static str) -> Option<Self> {
        Some(Self { name, value: crate::setup::capture(name)? })
    }

    /// The number at the beginning of its name.
    fn number(&self) -> u8 {
        self.name[..2].parse().unwrap()
    }

    fn url(&self) -> url::Url {
        self.value["url"].as_str().unwrap().parse().unwrap()
    }

    /// The request line of HTTP/1.1.
    fn line(&self) -> String {
        let url = self.url();
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        format!("{} {}{query} HTTP/1.1", self.value["method"].as_str().unwrap(), url.path())
    }

    /// Every header, as recorded.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.value["headers"].as_array().unwrap().iter();
        pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The headers to compare. Headers of HTTP itself are compared if the recording has them: HTTP/2 has no `host`. A length is compared
    /// if the recording has the whole body, uncompressed.
    fn headers(&self) -> Vec<(String, String)> {
        let pairs = self.pairs().filter(|(name, _)| !name.starts_with(':'));
        pairs.map(|(name, value)| self.plain(name, value)).collect()
    }

    /// The same headers of the gateway's request.
    fn sent(&self, request: &RecordedRequest) -> Vec<(String, String)> {
        let ours = request.headers.iter().filter(|(name, _)| name != "host" || self.header("host").is_some());
        ours.map(|(name, value)| self.plain(name, value)).collect()
    }

    fn plain(&self, name: &str, value: &str) -> (String, String) {
        let mut cookies: Vec<&str> = value.split("; ").collect();
        cookies.sort_unstable();
        let value = match name {
            "host" | "Host" | "Sec-WebSocket-Key" => "",
            "content-length" if !self.whole() => "",
            // A jar has no order.
            "cookie" => &cookies.join("; "),
            _ => value,
        };
        (name.to_owned(), value.to_owned())
    }

    fn whole(&self) -> bool {
        let length = self.value["body_wire_len"].as_u64().unwrap();
        usize::try_from(length).unwrap() == self.body().len()
    }

    /// The body as recorded, which may be truncated.
    fn body(&self) -> String {
        match &self.value["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            json => json.to_string(),
        }
    }

    /// The identity of the recorded client.
    fn profile(&self) -> Profile {
        let agent = self.header("user-agent").unwrap();
        let (originator, rest) = agent.split_once('/').unwrap();
        let version = rest.split(' ').next().unwrap();
        let client =
            rest.split_once(" xterm (").map(|(_, client)| client.trim_end_matches(')').split_once("; ").unwrap());
        profile(originator, version, client)
    }
}

/// The recorded machine.
fn platform() -> Platform {
    Platform { os: "Debian 12.0.0".into(), arch: "x86_64".into(), terminal: "xterm".into() }
}

/// The recorded client's identity under a name; `client` is the name and the version of its host app.
fn profile(originator: &str, version: &str, client: Option<(&str, &str)>) -> Profile {
    let platform = platform();
    Profile {
        originator: originator.to_owned(),
        user_agent: agent(originator, version, &platform, client),
        ..Profile::codex_cli(version, &platform)
    }
}

/// Every profile of the gateway.
fn profiles() -> [Profile; 3] {
    ["polygate", "codex-cli", "codex-desktop"].map(|name| Profile::named(name, &platform()).unwrap())
}

/// The recorded headers with another identity in them.
fn as_sent_by(profile: &Profile, headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let value = |name: String, value| match &*name {
        "originator" => (name, profile.originator.clone()),
        "user-agent" => (name, profile.user_agent.clone()),
        _ => (name, value),
    };
    headers.into_iter().map(|(name, recorded)| value(name, recorded)).collect()
}

/// The turn metadata of a recorded client, without the fields that only a single run of `codex exec` sends.
struct RecordedTurn {
    /// `client_metadata`.
    fields: Value,
    /// The object in `x-codex-turn-metadata`.
    metadata: Value,
}

impl RecordedTurn {
    fn of(fields: &Value) -> Self {
        let mut metadata: Value = serde_json::from_str(fields["x-codex-turn-metadata"].as_str().unwrap()).unwrap();
        for name in ["thread_source", "turn_trigger"] {
            metadata.as_object_mut().unwrap().shift_remove(name);
        }
        let mut fields = fields.clone();
        fields["x-codex-turn-metadata"] = metadata.to_string().into();
        Self { fields, metadata }
    }

    /// The same values as facts, from which a profile must produce the same metadata.
    fn facts(&self, lite: bool) -> TurnFacts<'_> {
        let text = |name: &str| self.metadata[name].as_str();
        let kind = match text("request_kind").unwrap() {
            "prewarm" => TurnKind::Prewarm,
            "turn" => TurnKind::Turn,
            "compaction" => TurnKind::Compaction,
            other => panic!("{other}"),
        };
        TurnFacts {
            installation: text("installation_id").unwrap(),
            session: text("session_id").unwrap(),
            thread: text("thread_id").unwrap(),
            context: text("context_window_id").unwrap(),
            id: text("turn_id").unwrap(),
            begun: Millis(self.metadata["turn_started_at_unix_ms"].as_i64().unwrap_or(0)),
            kind,
            model: text("model").unwrap_or("not said"),
            effort: text("reasoning_effort"),
            lite,
        }
    }

    /// Whether only the official client can send this metadata: for a subagent, or after a compaction.
    fn apart(&self) -> bool {
        self.metadata["window_number"] != 0 || self.metadata.get("parent_thread_id").is_some()
    }
}

/// A client's body as written for the backend; no field may be lost.
fn written(body: &Value) -> bytes::Bytes {
    let (request, _) = Dialect::Responses.read_request(body.to_string().into()).unwrap();
    let target = CodexTarget {
        model: body["model"].as_str().unwrap().to_owned(),
        lite: body.get("tools").is_none(),
        priority_tier: true,
        ..CodexTarget::default()
    };
    let Written { body: written, notes, .. } = Wire::Responses.write_request(&request, &Target::Codex(target)).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    written
}

/// The fields of a JSON object, by name.
fn by_name(object: &Value) -> std::collections::BTreeMap<&str, &Value> {
    object.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)).collect()
}
