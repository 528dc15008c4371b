//! Builds a request body: the fields that we set replace those of the client's own body, if there is one.

use bytes::{BufMut, Bytes, BytesMut};

use super::client_body::ClientBody;
use super::tool;
use crate::canon::{Request, Tool};
use crate::json::emit::ObjectWriter;
use crate::json::{emit, walk};
use crate::notes::Notes;
use crate::text::Json;

/// Our fields, in the order of a new body.
#[derive(Debug, Default)]
pub(super) struct Body {
    fields: Vec<(&'static str, Json)>,
}

impl Body {
    /// Sets a field.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Option<Json>>) {
        self.fields.extend(value.into().map(|value| (name, value)));
    }

    /// The body. With `own`, fields have the order of `own`, and a field that we do not set stays if `keep` accepts its name.
    pub(super) fn render(mut self, own: Option<&ClientBody>, keep: impl Fn(&str) -> bool) -> Bytes {
        // Names, quotes and commas beside the values.
        let set: usize = self.fields.iter().map(|(name, value)| name.len() + value.bytes().len() + 4).sum();
        let mut out = BytesMut::with_capacity(own.map_or(set + 2, |own| own.len() + 1024));
        emit::object(&mut out, |writer| {
            for (key, value) in own.into_iter().flat_map(ClientBody::fields) {
                match self.fields.iter().position(|(name, _)| key.is(name)) {
                    Some(at) => writer.member(key, &self.fields.remove(at).1),
                    None if keep(&key.plain()) => writer.member(key, value),
                    None => {}
                }
            }
            self.fields.iter().for_each(|(name, value)| writer.json(name, value));
        });
        out.freeze()
    }
}

/// The list `elements`; the client's own bytes if nothing changed.
pub(super) fn list(own: Option<&ClientBody>, name: &str, elements: &[Json]) -> Json {
    let same = own.and_then(|own| own.get(name)).filter(|list| walk::is_list_of(list, elements));
    same.cloned().unwrap_or_else(|| {
        let size = elements.iter().map(|element| element.bytes().len() + 1).sum::<usize>();
        let mut out = BytesMut::with_capacity(size + 2);
        emit::array(&mut out, elements, |out, element| out.put_slice(element.bytes()));
        Json::from_valid(out.freeze())
    })
}

/// The tools in this dialect.
pub(super) fn tools(tools: &[Tool]) -> Vec<Json> {
    tools.iter().map(tool::tool_json).collect()
}

/// The `text` object: the client's own, or built from format and verbosity.
pub(super) fn text(request: &Request, own: Option<&ClientBody>, notes: &mut Notes) -> Option<Json> {
    if let Some(own) = own {
        return own.get("text").map(|text| tool::own_text(text.clone(), request, notes));
    }
    if request.format.is_none() && request.verbosity.is_none() {
        return None;
    }
    Some(emit::json(|writer| {
        writer.optional("verbosity", request.verbosity.as_deref(), ObjectWriter::string);
        tool::write_format(writer, request, notes);
    }))
}

/// The `reasoning` object with this effort: the client's own, or built.
pub(super) fn reasoning(request: &Request, own: Option<&ClientBody>, effort: Option<&str>) -> Option<Json> {
    let mut object = own.and_then(|own| own.get("reasoning")).cloned();
    let built = if object.is_none() { request.reasoning.summary.as_deref() } else { None };
    for (name, value) in [("effort", effort), ("summary", built)] {
        if let Some(value) = value {
            object = Some(tool::with(object.as_ref(), name, &Json::of(value)));
        }
    }
    object
}
