//! Compaction: a long conversation becomes one sealed item, which the account that made it can read again.
//!
//! Clients ask for it in one of two ways. The public API's `POST /v1/responses/compact` answers with a list of items; newer
//! Codex clients end an ordinary request with `compaction_trigger`. The Codex backend knows the second way, so this module
//! translates a request of the first way into the second, and translates the answer back.

use bytes::{Bytes, BytesMut};

use crate::canon::{Item, ItemKind, ReplyOptions, Request, Role};
use crate::failure::{Failure, Kind};
use crate::json::emit;
use crate::text::Json;

/// The item that requests a compaction.
const TRIGGER: &str = "compaction_trigger";
/// The item that a compaction makes.
const MADE: &str = "compaction";

/// Turns a compaction request into the form that the backend knows. Returns the messages of people unsealed: the answer
/// begins with them.
pub fn ask(request: &mut Request) -> Vec<Json> {
    let is_user_message = |item: &&Item| matches!(&item.kind, ItemKind::Message { role: Role::User, .. });
    let user_messages = request.items.iter().filter(is_user_message).filter_map(|item| item.raw.clone()).collect();
    if !is_compaction_request(request) {
        let raw = emit::json(|writer| writer.string("type", TRIGGER));
        request.items.push(Item { kind: ItemKind::Other { kind: TRIGGER.to_owned() }, raw: Some(raw) });
    }
    request.reply = ReplyOptions::default();
    user_messages
}

/// Whether a request asks for a compaction.
pub fn is_compaction_request(request: &Request) -> bool {
    request.items.last().is_some_and(|item| matches!(&item.kind, ItemKind::Other { kind } if kind == TRIGGER))
}

/// The one sealed item of a whole response to [`ask`]'s request. Errors: `Upstream` when the response has another form.
pub fn made(response: &Bytes) -> Result<Json, Failure> {
    let response = Json::from_valid(response.clone());
    let is_made = |item: &Json| item.get("type").and_then(|kind| kind.as_text()).is_some_and(|kind| kind.is(MADE));
    let output = response.get("output").map(|output| output.elements().filter(is_made).collect::<Vec<_>>());
    let Some([made]) = output.as_deref() else {
        let message = "the upstream answered a compaction with something else";
        return Err(Failure::new(Kind::Upstream, message).code("upstream_protocol"));
    };
    Ok(made.clone())
}

/// The answer of `/v1/responses/compact`, from the whole response, the earlier messages of people and the sealed item.
pub fn answer(response: &Bytes, user_messages: &[Json], made: &Json) -> Bytes {
    let response = Json::from_valid(response.clone());
    let mut out = BytesMut::with_capacity(user_messages.iter().map(|item| item.bytes().len()).sum::<usize>() + 1024);
    emit::object(&mut out, |writer| {
        for (name, from) in [("id", "id"), ("created_at", "created_at")] {
            if let Some(value) = response.get(from) {
                writer.json(name, &value);
            }
        }
        writer.string("object", "response.compaction");
        writer.array("output", user_messages.iter().chain([made]), |out, item| out.extend_from_slice(item.bytes()));
        if let Some(usage) = response.get("usage") {
            writer.json("usage", &usage);
        }
    });
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn read(body: &'static str) -> Request {
        Dialect::Responses.read_request(Bytes::from_static(body.as_bytes())).unwrap().0
    }

    #[test]
    fn a_request_gets_one_trigger_and_keeps_the_user_messages() {
        let mut request = read(
            r#"{"model":"m","stream":true,"input":[{"role":"user","content":"one"},{"role":"assistant","content":"two"}]}"#,
        );
        let user_messages = ask(&mut request);
        assert!(is_compaction_request(&request) && !request.reply.stream);
        assert_eq!((user_messages.len(), request.items.len()), (1, 3));
        assert!(user_messages[0].as_str().contains("one"));
        ask(&mut request);
        assert_eq!(request.items.len(), 3);
    }

    #[test]
    fn an_answer_is_the_user_messages_and_one_compaction() {
        let user_messages = [Json::of(&serde_json::json!({ "role": "user" }))];
        let response = Bytes::from_static(
            br#"{"id":"resp_1","object":"response","created_at":7,"output":[{"type":"compaction","id":"cmp_1","encrypted_content":"x"}],"usage":{"input_tokens":1}}"#,
        );
        let expected = r#"{"id":"resp_1","created_at":7,"object":"response.compaction","output":[{"role":"user"},{"type":"compaction","id":"cmp_1","encrypted_content":"x"}],"usage":{"input_tokens":1}}"#;
        assert_eq!(answer(&response, &user_messages, &made(&response).unwrap()), expected);
        for output in ["[]", r#"[{"type":"message"}]"#, r#"[{"type":"compaction"},{"type":"compaction"}]"#] {
            let response = Bytes::from(format!(r#"{{"id":"resp_1","output":{output}}}"#));
            assert_eq!(made(&response).unwrap_err().kind, Kind::Upstream);
        }
    }
}
