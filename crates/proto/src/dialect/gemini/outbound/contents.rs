//! Turns items into contents: the model's text and calls in one content, the results of its calls in the next.

use std::collections::{HashMap, VecDeque};

use super::super::{encode, reasoning_state};
use super::Facts;
use crate::canon::{CallKind, Item, ItemKind, Part, Request, Role, Source};
use crate::dialect::request_values::{begins, is_at_google, is_web};
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};
use crate::notes::{Notes, sanitized};
use crate::quirks::GeminiThinking;
use crate::text::{Text, media_type, standard_base64};

/// Writes `systemInstruction` and `contents`. Errors: `Invalid` where a part has no form in Gemini and its omission would change the
/// question, or no content remains.
pub(super) fn write(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    facts: &Facts<'_>,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let mut contents = Contents::of(&request.items, facts, notes);
    let system: Vec<&Text> = request.instructions.iter().chain(contents.system.drain(..)).collect();
    if contents.done.is_empty() {
        let message = "nothing in this conversation can be sent to an upstream that speaks Gemini";
        return Err(Failure::new(Kind::Invalid, message).at("input").code("invalid_value"));
    }
    if !system.is_empty() {
        writer.object("systemInstruction", |writer| {
            writer.array("parts", system, |out, text| emit::object(out, |writer| writer.text("text", text)));
        });
    }
    writer.try_array("contents", &contents.done, |out, content| {
        emit::object(out, |writer| {
            writer.string("role", if content.model { "model" } else { "user" });
            writer.try_array("parts", &content.pieces, |out, piece| emit::object(out, |writer| one(writer, piece)))
        })
    })
}

/// One content.
struct Content<'a> {
    model: bool,
    pieces: Vec<OutboundPart<'a>>,
}

/// One part, and the state of the preceding thoughts.
struct OutboundPart<'a> {
    what: PieceKind<'a>,
    signature: Option<Text>,
}

enum PieceKind<'a> {
    Part(&'a Part),
    Call {
        kind: CallKind,
        id: &'a Text,
        name: &'a Text,
        input: &'a Text,
    },
    Result {
        id: &'a Text,
        name: Option<&'a Text>,
        parts: &'a [Part],
        failed: bool,
    },
    Image {
        result: &'a Text,
        format: Option<&'a Text>,
    },
    /// Only a signature.
    Nothing,
}

/// A tool result: call id, parts, and whether the tool failed.
type PendingResult<'a> = (&'a Text, &'a [Part], bool);

/// The conversion of items into contents.
struct Contents<'a, 'f> {
    facts: &'f Facts<'f>,
    system: Vec<&'a Text>,
    done: Vec<Content<'a>>,
    /// State that waits for the next part.
    pending: Option<Text>,
    /// Calls of the current model turn.
    open: Vec<&'a Text>,
    /// Results that wait for their call, by call id.
    results: HashMap<&'a [u8], VecDeque<PendingResult<'a>>>,
    /// The names of calls, by call id.
    names: HashMap<&'a [u8], &'a Text>,
}

impl<'a, 'f> Contents<'a, 'f> {
    fn of(items: &'a [Item], facts: &'f Facts<'f>, notes: &mut Notes) -> Self {
        let (results, names) = (HashMap::new(), HashMap::new());
        let mut contents =
            Self { facts, system: Vec::new(), done: Vec::new(), pending: None, open: Vec::new(), results, names };
        for item in items {
            match &item.kind {
                ItemKind::Output { call_id, parts, failed, .. } => {
                    contents.results.entry(call_id.escaped()).or_default().push_back((call_id, parts, *failed));
                }
                ItemKind::Call { call_id, name, .. } => drop(contents.names.insert(call_id.escaped(), name)),
                _ => {}
            }
        }
        for item in items {
            contents.push(&item.kind, notes);
        }
        contents.end_model_turn();
        contents
    }

    fn push(&mut self, kind: &'a ItemKind, notes: &mut Notes) {
        match kind {
            ItemKind::Message { role: Role::Assistant, parts, .. } => {
                parts.iter().filter(|part| !part.is_empty()).for_each(|part| self.model(PieceKind::Part(part)));
            }
            ItemKind::Message { role, parts, .. } => self.operator_message(role, parts, notes),
            ItemKind::Reasoning { encrypted, .. } => self.thought(encrypted.as_ref(), notes),
            ItemKind::Call { kind, call_id, name, input, .. } => {
                self.call(PieceKind::Call { kind: *kind, id: call_id, name, input }, call_id);
            }
            ItemKind::Output { .. } => self.end_model_turn(),
            ItemKind::Image { result, format, .. } if !result.is_empty() => {
                self.model(PieceKind::Image { result, format: format.as_ref() });
            }
            ItemKind::Search { .. } => notes.add("dropped a web search of the history"),
            ItemKind::Image { .. } => notes.add("dropped a generated image of the history"),
            ItemKind::Other { kind } => notes.add(format!("dropped an item of type {}", sanitized(kind))),
        }
    }

    /// Adds a message of the user or the operator.
    fn operator_message(&mut self, role: &Role, parts: &'a [Part], notes: &mut Notes) {
        let texts =
            || parts.iter().filter_map(|part| if let Part::Text { text, .. } = part { Some(text) } else { None });
        if *role != Role::User && self.done.is_empty() {
            if !parts.iter().all(Part::is_text) {
                notes.add("dropped pictures and files of the operator");
            }
            return self.system.extend(texts());
        }
        if *role != Role::User {
            notes.add("sent a system message as a user's");
        }
        self.end_model_turn();
        let pieces = parts.iter().filter(|part| !part.is_empty()).map(PieceKind::Part).collect();
        self.user(pieces);
    }

    fn thought(&mut self, encrypted: Option<&Text>, notes: &mut Notes) {
        let own = encrypted.and_then(reasoning_state::unwrap_own).filter(|_| !self.facts.without_replay);
        let Some(own) = own else { return notes.add("dropped reasoning") };
        if self.pending.is_some() {
            self.model(PieceKind::Nothing);
        }
        self.pending = Some(own);
    }

    fn call(&mut self, call: PieceKind<'a>, id: &'a Text) {
        // The first call of a turn must have a signature, and the others must not.
        if self.pending.is_none() && self.open.is_empty() && matches!(self.facts.thinking, GeminiThinking::Level(_)) {
            self.pending = Some(Text::from_plain(encode::UNSIGNED));
        }
        self.model(call);
        self.open.push(id);
    }

    fn model(&mut self, what: PieceKind<'a>) {
        let piece = OutboundPart { what, signature: self.pending.take() };
        // The results of a call directly follow the content of the call.
        match self.done.last_mut() {
            Some(content) if content.model => content.pieces.push(piece),
            _ => self.done.push(Content { model: true, pieces: vec![piece] }),
        }
    }

    fn user(&mut self, kinds: Vec<PieceKind<'a>>) {
        let pieces = kinds.into_iter().map(|what| OutboundPart { what, signature: None });
        match self.done.last_mut() {
            Some(content) if !content.model => content.pieces.extend(pieces),
            _ => {
                let pieces: Vec<OutboundPart<'a>> = pieces.collect();
                if !pieces.is_empty() {
                    self.done.push(Content { model: false, pieces });
                }
            }
        }
    }

    /// Ends the model's turn: its last state is written, and the results of its calls follow.
    fn end_model_turn(&mut self) {
        if self.pending.is_some() {
            self.model(PieceKind::Nothing);
        }
        for id in std::mem::take(&mut self.open) {
            self.result(id);
        }
    }

    fn result(&mut self, id: &'a Text) {
        let name = self.names.get(&id.escaped()[..]).copied();
        let next = self.results.get_mut(&id.escaped()[..]).and_then(VecDeque::pop_front);
        if let Some((id, parts, failed)) = next {
            let mut kinds = vec![PieceKind::Result { id, name, parts, failed }];
            // Not every version accepts images and files inside the result.
            kinds.extend(parts.iter().filter(|part| !part.is_text()).map(PieceKind::Part));
            self.user(kinds);
        }
    }
}

fn one(writer: &mut ObjectWriter<'_>, piece: &OutboundPart<'_>) -> Result<(), Failure> {
    match &piece.what {
        PieceKind::Nothing => writer.string("text", ""),
        PieceKind::Part(part) => self::part(writer, part)?,
        PieceKind::Call { kind, id, name, input } => encode::call(writer, *kind, (id, name, input)),
        PieceKind::Image { result, format } => encode::image(writer, result, *format),
        PieceKind::Result { id, name, parts, failed } => writer.object("functionResponse", |writer| {
            writer.text("id", id);
            match name {
                Some(name) => writer.text("name", name),
                None => writer.string("name", "unknown"),
            }
            let texts: Vec<&[u8]> = parts.iter().filter_map(Part::text).map(|text| &text.escaped()[..]).collect();
            let text = Text::from_escaped(texts.join(&br"\n"[..]).into());
            writer.object("response", |writer| writer.text(if *failed { "error" } else { "output" }, &text));
        }),
    }
    writer.optional_text("thoughtSignature", piece.signature.as_ref());
    Ok(())
}

fn part(writer: &mut ObjectWriter<'_>, part: &Part) -> Result<(), Failure> {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => writer.text("text", text),
        Part::Image { source: Source::Url(url), .. } => bytes(writer, url, None)?,
        Part::File { source: Source::Url(url), name } => bytes(writer, url, name.as_ref())?,
        Part::Image { source: Source::Id(_), .. } => return Err(refused("an image by file id")),
        Part::File { source: Source::Id(id), .. } if is_at_google(id.as_str()) => bytes(writer, id, None)?,
        Part::File { .. } => return Err(refused("a file by id")),
        Part::Other(_) => return Err(refused("a content part of an unknown type")),
    }
    Ok(())
}

/// Inline bytes, or a URL that Google fetches.
fn bytes(writer: &mut ObjectWriter<'_>, url: &Text, name: Option<&Text>) -> Result<(), Failure> {
    let plain = url.plain();
    if begins(&plain, "data:") {
        let inline = plain[5..].split_once(";base64,").filter(|(_, data)| !data.is_empty());
        let inline = inline.and_then(|(kind, data)| Some((kind, standard_base64(data)?)));
        let (kind, data) = inline.ok_or_else(|| refused("a data URL that is not base64"))?;
        let untyped = !kind.contains('/');
        let kind = if untyped { Some("application/octet-stream".to_owned()) } else { media_type(kind) };
        let kind = kind.ok_or_else(|| refused("a data URL without a legal media type"))?;
        writer.object("inlineData", |writer| {
            writer.string("mimeType", &kind);
            writer.string("data", &data);
        });
        return Ok(());
    }
    let blank = plain.bytes().any(|byte| byte <= b' ');
    if blank || !is_web(&plain) && !is_at_google(&plain) {
        return Err(refused("a file that is neither inline nor on the web"));
    }
    let named = name.map(|name| name.plain().into_owned());
    let kind = type_of(named.as_deref().unwrap_or(&plain));
    writer.object("fileData", |writer| {
        writer.optional("mimeType", kind, ObjectWriter::string);
        writer.text("fileUri", url);
    });
    Ok(())
}

/// The media type for a file name's extension.
fn type_of(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())?;
    Some(match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" => "text/html",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => return None,
    })
}

fn refused(what: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("{what} cannot be sent to an upstream that speaks Gemini"))
        .code("unsupported_value")
}
