//! Facts about the client in a request's headers.

use engine::Client;
use http::HeaderMap;
use http::header::USER_AGENT;

/// Headers that name a conversation, the most specific first: Codex (new and old), opencode, Claude Code.
const SESSION_HEADERS: [&str; 6] =
    ["session-id", "session_id", "x-session-id", "x-session-affinity", "x-claude-code-session-id", "conversation_id"];
const THREAD_HEADERS: [&str; 2] = ["thread-id", "thread_id"];
/// Headers that switch default hosted tools on or off: this gateway's, and another gateway's.
const TOOLS: [&str; 2] = ["x-polygate-default-tools", "x-codex-default-tools"];
/// Values that mean off.
const OFF_VALUES: [&str; 6] = ["off", "false", "0", "none", "disable", "disabled"];
/// The other gateway's header that switches default tools off, and its values for on.
const NO_TOOLS: (&str, [&str; 3]) = ("x-codex-no-default-tools", ["1", "true", "yes"]);
const SUBAGENT: &str = "x-openai-subagent";
/// The longest header that is forwarded, bytes; Codex's turn metadata is the longest header.
pub(crate) const MAX_HEADER_LEN: usize = 16 << 10;
/// The longest name of a conversation, bytes.
pub(crate) const MAX_SESSION_LEN: usize = 256;

/// Reads the client's facts. `subagent` is the Codex subagent that the path names.
pub(crate) fn read(headers: &HeaderMap, request_id: &str, subagent: Option<&str>) -> Client {
    let user_agent = single_header(headers, USER_AGENT.as_str(), 512).unwrap_or_default();
    let codex = is_from_codex(headers);
    let mut passed = if codex { selected_headers(headers, &engine::PASSED_HEADERS) } else { Vec::new() };
    if let Some(subagent) = subagent
        && passed.iter().all(|(name, _)| *name != SUBAGENT)
    {
        passed.push((SUBAGENT, subagent.to_owned()));
    }
    Client {
        request_id: request_id.to_owned(),
        user_agent: user_agent.to_owned(),
        codex,
        version: version(headers).filter(|_| codex),
        headers: passed,
        relayed: selected_headers(headers, &engine::RELAYED),
        session: first(headers, &SESSION_HEADERS),
        thread: first(headers, &THREAD_HEADERS),
        own_tools: own_tools(headers),
        turn_state: single_header(headers, "x-codex-turn-state", MAX_HEADER_LEN).filter(|_| codex).map(str::to_owned),
        ..Client::default()
    }
}

/// The turn headers of a Codex client, for images and searches.
pub(crate) fn turn_headers(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    if is_from_codex(headers) { selected_headers(headers, &engine::TURN_HEADERS) } else { Vec::new() }
}

/// Adds the beta feature of compaction if the client names no beta feature (observed with Codex CLI 0.169, 2026-11-21).
pub(crate) fn mark_compaction(client: &mut Client) {
    const BETA: &str = "x-codex-beta-features";
    if client.headers.iter().all(|(name, _)| *name != BETA) {
        client.headers.push((BETA, "remote_compaction_v2".to_owned()));
    }
}

/// Whether the client wants only its own tools.
fn own_tools(headers: &HeaderMap) -> bool {
    let has_word = |name: &str, words: &[&str]| {
        single_header(headers, name, 16).is_some_and(|value| words.iter().any(|word| value.eq_ignore_ascii_case(word)))
    };
    TOOLS.iter().any(|name| has_word(name, &OFF_VALUES)) || has_word(NO_TOOLS.0, &NO_TOOLS.1)
}

/// The version of a Codex client, from the `version` header, which the client sends to its own backend, or from its user agent.
fn version(headers: &HeaderMap) -> Option<String> {
    let named = || single_header(headers, USER_AGENT.as_str(), 512)?.split_once('/')?.1.split(' ').next();
    single_header(headers, "version", 64).or_else(named).map(str::to_owned)
}

fn is_from_codex(headers: &HeaderMap) -> bool {
    ["user-agent", "originator"].iter().any(|name| single_header(headers, name, 512).is_some_and(is_codex))
}

fn selected_headers(headers: &HeaderMap, names: &[&'static str]) -> Vec<(&'static str, String)> {
    names.iter().filter_map(|name| Some((*name, single_header(headers, name, MAX_HEADER_LEN)?.to_owned()))).collect()
}

fn is_codex(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("codex"))
}

fn first(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| single_header(headers, name, MAX_SESSION_LEN)).map(str::to_owned)
}

/// A header with one value, visible ASCII of at most `longest` bytes.
pub(crate) fn single_header<'a>(headers: &'a HeaderMap, name: &str, longest: usize) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && !value.is_empty() && value.len() <= longest).then_some(value)
}

#[cfg(test)]
mod tests;
