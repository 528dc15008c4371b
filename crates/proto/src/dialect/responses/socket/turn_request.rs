//! A request body as the frame of a socket.

use bytes::{BufMut, Bytes, BytesMut};

use super::chain::{Chain, Record};
use super::fingerprint::{Fingerprint, ItemFingerprint, exact};
use super::is_object;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// A request body, as it would be sent over HTTP.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    fields: Vec<(Text, Json)>,
    input: Vec<Json>,
    head: Fingerprint,
    items: Vec<Fingerprint>,
}

impl TurnRequest {
    /// Splits a body of `write_request` into its parts; `None` for a body that is not an object with a list of items.
    pub fn read(body: Bytes) -> Option<Self> {
        if !is_object(&body) {
            return None;
        }
        let fields: Vec<(Text, Json)> = Json::from_valid(body).fields().collect();
        let field = |name: &str| fields.iter().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value);
        let input: Vec<Json> = field("input")?.elements().collect();
        let mut head = BytesMut::new();
        for name in ["model", "instructions"] {
            head.put_slice(field(name).map_or(b"", |value| value.bytes()));
            head.put_u8(b'\n');
        }
        let (head, items) = (exact(&head), input.iter().map(|item| exact(item.bytes())).collect());
        Some(Self { fields, input, head, items })
    }

    /// The number of items that the other end already has: the items sent before, and those of its reply that the client sends
    /// back. `None` when the conversation is another one, or when no new item is left to send.
    pub fn known(&self, chain: &Chain) -> Option<usize> {
        if self.head != chain.head || !self.items.starts_with(&chain.items) {
            return None;
        }
        let mut at = chain.items.len();
        for replied in &chain.replied {
            let sent = self.input.get(at).map(ItemFingerprint::of);
            match sent {
                Some(sent) if sent.matches(replied) => at += 1,
                _ if replied.optional => {}
                _ => return None,
            }
        }
        (at < self.input.len()).then_some(at)
    }

    /// The `response.create` message: whole, or after a chain's reply and without the items that the other end has.
    /// `generate` is false for a request that only warms up the other end. `metadata` goes into `client_metadata`.
    pub fn frame(&self, after: Option<(&Chain, usize)>, generate: bool, metadata: &[(&str, String)]) -> Bytes {
        let skip = after.map_or(0, |(_, known)| known);
        let tail: usize = self.input[skip..].iter().map(|item| item.bytes().len() + 1).sum();
        let rest = self.fields.iter().filter(|(key, _)| !key.is("input"));
        let size: usize = rest.map(|(key, value)| key.escaped().len() + value.bytes().len() + 4).sum();
        let mut out = BytesMut::with_capacity(size + tail + 512);
        emit::object(&mut out, |writer| {
            writer.string("type", "response.create");
            let mut warm = !generate;
            // Without `previous_response_id` the new items would be another conversation.
            if let (None, Some((chain, _))) = (self.fields.iter().find(|(key, _)| key.is("stream")), after) {
                writer.string("previous_response_id", chain.response());
            }
            for (key, value) in &self.fields {
                match key.as_str() {
                    "input" => writer.array("input", &self.input[skip..], |out, item| out.put_slice(item.bytes())),
                    "client_metadata" => {
                        if std::mem::take(&mut warm) {
                            writer.literal("generate", "false");
                        }
                        writer.object("client_metadata", |writer| joined(writer, value, metadata));
                    }
                    _ => writer.member(key, value),
                }
                if let (true, Some((chain, _))) = (key.is("stream"), after) {
                    writer.string("previous_response_id", chain.response());
                }
            }
            if warm {
                writer.literal("generate", "false");
            }
            if !metadata.is_empty() && !self.fields.iter().any(|(key, _)| key.is("client_metadata")) {
                writer.object("client_metadata", |writer| {
                    for (key, value) in metadata {
                        writer.string(key, value);
                    }
                });
            }
        });
        out.freeze()
    }

    /// Starts the record of the reply to this turn.
    pub fn record(self) -> Record {
        Record { head: self.head, items: self.items, replied: Vec::new(), response: None, blind: false }
    }
}

/// The client's own metadata; our values replace those of the same name.
fn joined(writer: &mut ObjectWriter<'_>, own: &Json, ours: &[(&str, String)]) {
    for (key, value) in own.fields().filter(|(key, _)| ours.iter().all(|(name, _)| !key.is(name))) {
        writer.member(&key, &value);
    }
    for (key, value) in ours {
        writer.string(key, value);
    }
}
