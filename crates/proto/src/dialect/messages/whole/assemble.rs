//! Assembles stream events of this dialect as the official SDKs do: `message_start` is the message, deltas extend their blocks,
//! and the fields of `message_delta` replace those of the message.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::wire::{Kind, Piece};
use crate::json::closer::Closer;
use crate::json::patch::{Edit, patch};
use crate::json::{self, Shape, emit};
use crate::text::{Json, Text};

/// A message that is being assembled.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    message: Option<Json>,
    blocks: Vec<Block>,
    /// Fields of the message that later events set.
    fields: Vec<(Text, Json)>,
    /// Fields of the message's usage that later events set.
    usage: Vec<(Text, Json)>,
}

/// A content block that is being assembled.
#[derive(Debug)]
struct Block {
    index: Option<u64>,
    first: Json,
    /// The text that deltas add to each field: field name, escaped text.
    grown: Vec<(String, BytesMut)>,
    citations: Vec<Json>,
}

impl Assembly {
    /// Adds the next event; `name` is the event name in its frame.
    pub(super) fn read(&mut self, name: Kind, event: &Json) {
        match event.text("type").map_or(name, |kind| Kind::of(kind.plain().as_bytes())) {
            Kind::Start => self.message = event.get("message").or_else(|| self.message.take()),
            Kind::BlockStart => {
                let block = |first| Block { index: index(event), first, grown: Vec::new(), citations: Vec::new() };
                self.blocks.extend(event.get("content_block").map(block));
            }
            Kind::BlockDelta => {
                let block = self.blocks.iter_mut().rev().find(|block| block.index == index(event));
                if let (Some(block), Some(delta)) = (block, event.get("delta")) {
                    block.grow(&delta);
                }
            }
            Kind::Delta => self.ending(event),
            Kind::BlockStop | Kind::Stop | Kind::Error | Kind::Other => {}
        }
    }

    fn ending(&mut self, event: &Json) {
        for (key, value) in event.fields() {
            match key.as_str() {
                "type" => {}
                "delta" => self.fields.extend(value.fields()),
                "usage" => self.usage.extend(value.fields()),
                _ => self.fields.push((key, value)),
            }
        }
    }

    /// The message.
    pub(super) fn message(self) -> Bytes {
        let Self { message, blocks, fields, usage } = self;
        let message = message.unwrap_or(Json::EMPTY);
        let mut fields = fields;
        fields.push((Text::from("content"), emit::list(blocks.into_iter().map(Block::whole))));
        if let Some(first) = message.get("usage").filter(|first| first.shape() == Shape::Object) {
            fields.push((Text::from("usage"), overlay(&first, usage)));
        } else if !usage.is_empty() {
            fields.push((Text::from("usage"), overlay(&Json::EMPTY, usage)));
        }
        overlay(&message, fields).bytes().clone()
    }
}

/// `object` with `fields` set; of several fields with one name the last counts.
fn overlay(object: &Json, mut fields: Vec<(Text, Json)>) -> Json {
    let mut out = BytesMut::with_capacity(object.bytes().len() + 256);
    emit::object(&mut out, |writer| {
        for (key, value) in object.fields() {
            writer.member(&key, &take(&mut fields, &key).unwrap_or(value));
        }
        while let Some(key) = fields.first().map(|(key, _)| key.clone()) {
            if let Some(value) = take(&mut fields, &key) {
                writer.member(&key, &value);
            }
        }
    });
    Json::from_valid(out.freeze())
}

/// Removes the fields called `key` and returns the last of them.
fn take(fields: &mut Vec<(Text, Json)>, key: &Text) -> Option<Json> {
    let found = fields.iter().rposition(|(name, _)| name == key)?;
    let value = fields[found].1.clone();
    fields.retain(|(name, _)| name != key);
    Some(value)
}

impl Block {
    fn grow(&mut self, delta: &Json) {
        let kind = delta.text("type").unwrap_or_default();
        if let Some(citation) = delta.get("citation") {
            self.citations.push(citation);
            return;
        }
        let known = Piece::ALL.into_iter().find(|piece| kind.is(piece.name()));
        if let Some(piece) = known {
            return self.add(piece.field(), delta.text(piece.field()));
        }
        // Newer kinds, such as `compaction_delta`: a text that belongs to the field of the same name.
        for (key, value) in delta.fields().filter(|(key, _)| !key.is("type")) {
            self.add(&key.plain(), value.as_text());
        }
    }

    fn add(&mut self, field: &str, text: Option<Text>) {
        let Some(text) = text else { return };
        let found = self.grown.iter().position(|(name, _)| name == field).unwrap_or_else(|| {
            self.grown.push((field.to_owned(), BytesMut::new()));
            self.grown.len() - 1
        });
        self.grown[found].1.put_slice(text.escaped());
    }

    /// The block with the text of all its deltas.
    fn whole(self) -> Json {
        let Self { first, mut grown, citations, .. } = self;
        let cited = |list: Option<&Json>| {
            let all = list.into_iter().flat_map(Json::elements).chain(citations.iter().cloned());
            emit::list(all)
        };
        let has_list = first.get("citations").is_some();
        let edited = patch(
            &first,
            |key, value| {
                if key.is("citations") && has_list && !citations.is_empty() {
                    return Edit::Set(cited(Some(value)));
                }
                let name = if key.is("input") { Piece::Input.field() } else { key.as_str() };
                let Some(found) = grown.iter().position(|(field, _)| field == name) else { return Edit::Keep };
                let text = grown.remove(found).1;
                Edit::Set(if name == Piece::Input.field() { input(text, value) } else { joined(value, &text) })
            },
            [],
        );
        let fresh = (!citations.is_empty() && !has_list).then(|| (Text::from("citations"), cited(None)));
        let rest = grown.into_iter().filter(|(name, _)| name != Piece::Input.field());
        let rest = rest.map(|(name, text)| (Text::from(name.as_str()), Text::from_escaped(text.freeze()).quoted()));
        let more: Vec<(Text, Json)> = fresh.into_iter().chain(rest).collect();
        if more.is_empty() { edited } else { overlay(&edited, more) }
    }
}

/// A string and the text that was added to it.
fn joined(first: &Json, more: &BytesMut) -> Json {
    let mut out = BytesMut::with_capacity(more.len() + 2);
    out.put_u8(b'"');
    out.put_slice(first.as_text().unwrap_or_default().escaped());
    out.put_slice(more);
    out.put_u8(b'"');
    Json::from_valid(out.freeze())
}

/// The input of a call from its pieces; closes JSON that a limit cut.
fn input(pieces: BytesMut, first: &Json) -> Json {
    let text = Text::from_escaped(pieces.freeze());
    let mut plain = text.plain().into_owned().into_bytes();
    if plain.trim_ascii().is_empty() {
        return first.clone();
    }
    if !json::valid(&plain) {
        let mut closer = Closer::default();
        closer.feed(&plain);
        plain.extend(closer.closing().unwrap_or_default());
    }
    if json::valid(&plain) { Json::from_valid(Bytes::from(plain)) } else { first.clone() }
}

fn index(event: &Json) -> Option<u64> {
    event.get("index")?.as_u64()
}
