//! The turn metadata of the official client, which the Codex profiles add for other clients.
//!
//! Names, values and order: spec of the official client 0.169.0 on the wire, sections 1.4 and 2.1, November 2026. Fields that only
//! a single run of `codex exec` sends (`thread_source`, `turn_trigger`) are left out: conversations in the app do not have them.

use pool::Millis;
use serde::Serialize;

use crate::Profile;

/// The purpose of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnKind {
    /// The other end only reads the request; no answer is generated.
    Prewarm,
    /// A turn, or its continuation after a tool call.
    #[default]
    Turn,
    /// A request for a shorter history.
    Compaction,
}

/// A turn of a client that is not the official one. Every id is a UUID.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnFacts<'a> {
    /// The client's installation: a different one for each account, so that no two accounts share one.
    pub installation: &'a str,
    /// Root session.
    pub session: &'a str,
    /// Thread.
    pub thread: &'a str,
    /// The context window: the part of the conversation since its last compaction.
    pub context: &'a str,
    /// The turn; absent in a prewarm.
    pub id: &'a str,
    /// When the turn began.
    pub begun: Millis,
    /// The purpose of the request.
    pub kind: TurnKind,
    /// Model slug.
    pub model: &'a str,
    /// Effort as in the body.
    pub effort: Option<&'a str>,
    /// Whether the body has the Responses Lite shape.
    pub lite: bool,
}

/// The metadata of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnMetadata {
    /// Header `x-codex-window-id`.
    pub(crate) window: String,
    /// Header `x-codex-turn-metadata`.
    pub(crate) turn: String,
    /// `client_metadata` of the body; it includes the two values above.
    pub fields: Vec<(String, String)>,
}

/// The object in `x-codex-turn-metadata`.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "members of somebody else's object")]
struct Object<'a> {
    installation_id: &'a str,
    session_id: &'a str,
    thread_id: &'a str,
    agent_name: &'static str,
    turn_id: &'a str,
    window_id: &'a str,
    window_number: u32,
    context_window_id: &'a str,
    request_kind: TurnKind,
    history_initialization: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_turn_id: Option<&'a str>,
    sandbox: &'static str,
    sandbox_mode: &'static str,
    auto_review_enabled: bool,
    node_repl_auto_review_required: bool,
    node_repl_disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_started_at_unix_ms: Option<i64>,
    analytics_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compaction: Option<Compaction>,
}

/// A compaction. The client's reason is unknown, so the metadata names a request of the user.
#[derive(Serialize)]
struct Compaction {
    trigger: &'static str,
    reason: &'static str,
    implementation: &'static str,
    phase: &'static str,
    strategy: &'static str,
}

const COMPACTION: Compaction = Compaction {
    trigger: "manual",
    reason: "user_requested",
    implementation: "responses_compaction_v2",
    phase: "standalone_turn",
    strategy: "memento",
};

impl Profile {
    /// The metadata of a turn; `None` for the profile `polygate`, which sends none.
    pub fn turn_metadata(&self, turn: &TurnFacts<'_>) -> Option<TurnMetadata> {
        if !self.sends_turn_metadata {
            return None;
        }
        let window = format!("{}:0", turn.thread);
        let warm = turn.kind == TurnKind::Prewarm;
        let id = if warm { "" } else { turn.id };
        let model = (turn.kind != TurnKind::Compaction).then_some(turn.model);
        let object = Object {
            installation_id: turn.installation,
            session_id: turn.session,
            thread_id: turn.thread,
            agent_name: "/root",
            turn_id: id,
            window_id: &window,
            window_number: 0,
            context_window_id: turn.context,
            request_kind: turn.kind,
            history_initialization: "new",
            root_turn_id: (!warm).then_some(id),
            sandbox: self.sandbox(),
            sandbox_mode: "read-only",
            auto_review_enabled: false,
            node_repl_auto_review_required: turn.lite,
            node_repl_disabled: false,
            turn_started_at_unix_ms: (!warm).then_some(turn.begun.0),
            analytics_enabled: true,
            model,
            reasoning_effort: turn.effort.filter(|_| model.is_some()),
            compaction: model.is_none().then_some(COMPACTION),
        };
        let object = serde_json::to_string(&object).expect("invariant: strings, numbers and truth values are JSON");
        let fields = [
            ("session_id", Some(turn.session)),
            ("thread_id", Some(turn.thread)),
            ("turn_id", Some(id)),
            ("root_turn_id", (!warm).then_some(id)),
            ("x-codex-installation-id", Some(turn.installation)),
            ("x-codex-window-id", Some(&window)),
            ("x-codex-turn-metadata", Some(&object)),
            ("guardian_credits_requested", Some("true")),
            ("mcp_attribution", Some(r#"{"status":"none"}"#)),
        ];
        let fields =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        Some(TurnMetadata { window, turn: object, fields })
    }

    /// The sandbox of the official client on the profile's platform (openai/codex `SandboxType`, 2026).
    fn sandbox(&self) -> &'static str {
        match self.platform.os.split(' ').next() {
            Some("Mac") => "seatbelt",
            Some("Windows") => "windows_sandbox",
            _ => "seccomp",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::profile::Platform;

    /// The recorded metadata, with short ids.
    #[rstest]
    #[case::prewarm(
        TurnKind::Prewarm,
        "Debian 12.0.0",
        r#"{"installation_id":"i","session_id":"s","thread_id":"t","agent_name":"/root","turn_id":"","window_id":"t:0","window_number":0,"context_window_id":"c","request_kind":"prewarm","history_initialization":"new","sandbox":"seccomp","sandbox_mode":"read-only","auto_review_enabled":false,"node_repl_auto_review_required":false,"node_repl_disabled":false,"analytics_enabled":true,"model":"m","reasoning_effort":"low"}"#
    )]
    #[case::turn(
        TurnKind::Turn,
        "Mac OS 15.6.1",
        r#"{"installation_id":"i","session_id":"s","thread_id":"t","agent_name":"/root","turn_id":"u","window_id":"t:0","window_number":0,"context_window_id":"c","request_kind":"turn","history_initialization":"new","root_turn_id":"u","sandbox":"seatbelt","sandbox_mode":"read-only","auto_review_enabled":false,"node_repl_auto_review_required":false,"node_repl_disabled":false,"turn_started_at_unix_ms":7,"analytics_enabled":true,"model":"m","reasoning_effort":"low"}"#
    )]
    #[case::compaction(
        TurnKind::Compaction,
        "Windows 11",
        r#"{"installation_id":"i","session_id":"s","thread_id":"t","agent_name":"/root","turn_id":"u","window_id":"t:0","window_number":0,"context_window_id":"c","request_kind":"compaction","history_initialization":"new","root_turn_id":"u","sandbox":"windows_sandbox","sandbox_mode":"read-only","auto_review_enabled":false,"node_repl_auto_review_required":false,"node_repl_disabled":false,"turn_started_at_unix_ms":7,"analytics_enabled":true,"compaction":{"trigger":"manual","reason":"user_requested","implementation":"responses_compaction_v2","phase":"standalone_turn","strategy":"memento"}}"#
    )]
    fn the_recorded_words(#[case] kind: TurnKind, #[case] os: &str, #[case] expected: &str) {
        let facts = TurnFacts {
            installation: "i",
            session: "s",
            thread: "t",
            context: "c",
            id: "u",
            begun: Millis(7),
            kind,
            model: "m",
            effort: Some("low"),
            lite: false,
        };
        let platform = Platform { os: os.to_owned(), ..Platform::default() };
        let metadata = Profile::codex_cli("0.169.0", &platform).turn_metadata(&facts).unwrap();
        assert_eq!((metadata.turn.as_str(), metadata.window.as_str()), (expected, "t:0"));
        let names: Vec<&str> = metadata.fields.iter().map(|(name, _)| name.as_str()).collect();
        let root = (kind != TurnKind::Prewarm).then_some("root_turn_id");
        let wanted: Vec<&str> = ["session_id", "thread_id", "turn_id"]
            .into_iter()
            .chain(root)
            .chain(["x-codex-installation-id", "x-codex-window-id", "x-codex-turn-metadata"])
            .chain(["guardian_credits_requested", "mcp_attribution"])
            .collect();
        assert_eq!(names, wanted);
        assert_eq!(Profile::polygate().turn_metadata(&facts), None);
    }
}
