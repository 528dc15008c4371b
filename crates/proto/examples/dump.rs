//! `dump FOLDER`: what every writer makes of every recorded stream, for judges in other languages (`tests/python`).
//!
//! Reads our own corpus and, where `POLYGATE_SHARED` is set, the recorded one. Writes
//! `FOLDER/DIALECT/WIRE.NAME.VARIANT.FORM`: the dialect written, the wire and name of the recording, the variant of the
//! reply, and `stream`, `whole` or `error`. Frames never pass through: all that is written is our own.
#![expect(clippy::disallowed_methods, reason = "reads a corpus and writes files; the crate itself does neither")]

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use proto::canon::{Event, ReplyOptions, What};
use proto::dialect::ReplySetting;
use proto::{Dialect, Failure, Fold, Kind, Reader, Wire, Writer};

const DIALECTS: [(Dialect, &str); 5] = [
    (Dialect::Responses, "responses"),
    (Dialect::Chat, "chat"),
    (Dialect::Messages, "messages"),
    (Dialect::Gemini, "gemini"),
    (Dialect::Ollama, "ollama"),
];

const KINDS: [Kind; 18] = [
    Kind::Invalid,
    Kind::Unauthorized,
    Kind::Forbidden,
    Kind::NotFound,
    Kind::ModelNotFound,
    Kind::Method,
    Kind::Stalled,
    Kind::TooLarge,
    Kind::Unsupported,
    Kind::RateLimited,
    Kind::Exhausted,
    Kind::ContextLength,
    Kind::Filtered,
    Kind::Internal,
    Kind::Upstream,
    Kind::NoAccount,
    Kind::Overloaded,
    Kind::Timeout,
];

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| Error::other("usage: dump FOLDER"))?;
    let recordings = recordings()?;
    for (dialect, name) in DIALECTS {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder)?;
        for recording in &recordings {
            replies(dialect, recording, &folder)?;
        }
        for kind in KINDS {
            let failure = Failure::new(kind, "What went wrong, in words.").at("input[0]").retry_after(7);
            let failure = Failure { resets_at: Some(1_780_000_007), ..failure };
            fs::write(folder.join(format!("none.{kind:?}.plain.error")), dialect.error(&failure).1)?;
        }
    }
    Ok(())
}

/// A recorded reply.
struct Recording {
    /// `WIRE.NAME`.
    name: String,
    events: Vec<Event>,
}

/// Everything that a client of this dialect could get of it.
fn replies(dialect: Dialect, recording: &Recording, folder: &Path) -> Result<()> {
    for (variant, reply) in variants(dialect) {
        let setting = ReplySetting {
            id: "0001".into(),
            model: "gpt-6-sol".into(),
            created: 1_780_000_000,
            reply,
            ..ReplySetting::default()
        };
        let path = |form: &str| folder.join(format!("{}.{variant}.{form}", recording.name));
        fs::write(path("stream"), stream(dialect, setting.clone(), &recording.events))?;
        let mut fold = Fold::new();
        for event in &recording.events {
            fold.push(event);
        }
        let whole = fold.finish();
        match &whole.failure {
            Some(failure) => fs::write(path("error"), dialect.error(failure).1)?,
            None => fs::write(path("whole"), dialect.whole(&whole, &setting))?,
        }
    }
    Ok(())
}

/// The replies that clients of a dialect can ask for.
fn variants(dialect: Dialect) -> Vec<(&'static str, ReplyOptions)> {
    let plain = ReplyOptions { stream: true, include_usage: true, ..ReplyOptions::default() };
    // The official client for Python reads what Ollama's own types have as strings as objects.
    let plain = ReplyOptions { image_objects: dialect == Dialect::Ollama, ..plain };
    let other = match dialect {
        Dialect::Chat => Some(("legacy", ReplyOptions { legacy_functions: true, ..plain.clone() })),
        Dialect::Gemini => Some(("array", ReplyOptions { array: true, ..plain.clone() })),
        Dialect::Ollama => Some(("generate", ReplyOptions { generate: true, ..plain.clone() })),
        Dialect::Responses | Dialect::Messages => None,
    };
    std::iter::once(("plain", plain)).chain(other).collect()
}

fn stream(dialect: Dialect, setting: ReplySetting, events: &[Event]) -> Bytes {
    let mut writer = Writer::new(dialect, setting);
    let mut out = BytesMut::new();
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    out.freeze()
}

/// Our own corpus, then the recorded one.
fn recordings() -> Result<Vec<Recording>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let shared = std::env::var_os("POLYGATE_SHARED").map(|root| Path::new(&root).join("corpus"));
    let mut all = Vec::new();
    for root in std::iter::once(own).chain(shared) {
        for wire in [Wire::Responses, Wire::Chat, Wire::Messages, Wire::Gemini] {
            let name = DIALECTS.iter().find(|(dialect, _)| dialect.wire() == Some(wire)).map_or("", |(_, name)| name);
            for path in files(&root.join(name))? {
                let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().replace('.', "-");
                all.push(Recording { name: format!("{name}.{stem}"), events: events(wire, &path)? });
            }
        }
    }
    Ok(all)
}

/// The files of a folder in order; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "sse" || ending == "json" || ending == "txt"));
    paths.sort();
    Ok(paths)
}

/// The events of a recording, as if another dialect had said them.
fn events(wire: Wire, path: &Path) -> Result<Vec<Event>> {
    let body = fs::read(path)?;
    let lines = path.extension().is_some_and(|ending| ending == "txt");
    let body = if lines { framed(&String::from_utf8_lossy(&body)) } else { body };
    let mut reader = Reader::new(wire);
    let mut events = Vec::new();
    reader.push(Bytes::from(body), &mut events);
    reader.end(&mut events);
    for event in &mut events {
        event.carrier = proto::canon::Carrier::Ours;
        match &mut event.what {
            What::End { response, .. } => *response = None,
            What::ItemDone { item, .. } => item.raw = None,
            _ => {}
        }
    }
    Ok(events)
}

/// One event a line, as the stream that it was.
fn framed(lines: &str) -> Vec<u8> {
    let frame = |line: &str| {
        // A recording that was cut by hand lacks a brace at the end of some lines.
        let whole = serde_json::from_str::<serde_json::Value>(line).is_ok();
        format!("data: {line}{}\n\n", if whole { "" } else { "}" })
    };
    lines.lines().filter(|line| !line.is_empty()).map(frame).collect::<String>().into_bytes()
}
