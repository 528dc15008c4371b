//! The Gemini dialect from bytes to bytes: snapshots over our own corpus, properties, and the results of Google's SDKs as the oracle.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

mod defects;
mod oracle;
mod properties;
#[path = "../../../../tests/recordings.rs"]
mod recordings;
mod replies;
mod requests;
mod sdk;

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use proto::canon::{Carrier, Event, ReplyOptions, What};
use proto::dialect::ReplySetting;
use proto::{Dialect, Fold, Reader, Whole, Writer};

/// The files of our own corpus below `folder` with this ending, in order: name and content.
fn corpus(folder: &str, ending: &str) -> Vec<(String, Bytes)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder), ending)
}

/// The files of the shared corpus; without a corpus here the result is empty, and a message reports that.
fn shared(folder: &str, ending: &str) -> Vec<(String, Bytes)> {
    let Some(root) = recordings::shared() else { return Vec::new() };
    let folder = root.join("corpus").join(folder);
    let found = files(&folder, ending);
    assert!(!found.is_empty(), "{} holds no {ending}", folder.display());
    found
}

#[expect(clippy::disallowed_methods, reason = "tests read their corpus")]
fn files(folder: &Path, ending: &str) -> Vec<(String, Bytes)> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(ending));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().trim_end_matches(ending).to_owned();
    paths.iter().map(|path| (name(path), Bytes::from(std::fs::read(path).unwrap()))).collect()
}

/// Every recorded reply of our corpus in Gemini's protocol, streams and bodies.
fn replies() -> Vec<(String, Bytes)> {
    corpus("gemini", ".sse").into_iter().chain(corpus("gemini", ".json")).collect()
}

fn setting(dialect: Dialect) -> ReplySetting {
    let id = match dialect {
        Dialect::Chat => "chatcmpl-test",
        Dialect::Responses => "resp_test",
        Dialect::Messages => "msg_test",
        Dialect::Gemini | Dialect::Ollama => "reply-test",
    };
    ReplySetting {
        id: id.to_owned(),
        model: "gpt-5.5".to_owned(),
        created: 1_767_225_600,
        reply: ReplyOptions { stream: true, include_usage: true, ..ReplyOptions::default() },
        ..ReplySetting::default()
    }
}

/// The setting of a client that wants one JSON array.
fn array() -> ReplySetting {
    let mut setting = setting(Dialect::Gemini);
    setting.reply.array = true;
    setting
}

/// The events of a stream that comes in these chunks.
fn read<'a>(dialect: Dialect, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut reader = Reader::new(dialect.wire().unwrap());
    let mut events = Vec::new();
    for chunk in chunks {
        reader.push(Bytes::copy_from_slice(chunk), &mut events);
    }
    reader.end(&mut events);
    events
}

fn write(dialect: Dialect, setting: ReplySetting, events: &[Event]) -> Bytes {
    let mut writer = Writer::new(dialect, setting);
    let mut out = BytesMut::new();
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    out.freeze()
}

fn fold(events: &[Event]) -> Whole {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event);
    }
    fold.finish()
}

/// The events as if they came from another dialect.
fn strange(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        event.carrier = Carrier::Ours;
    }
    events
}

fn terminals(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event.what, What::End { .. } | What::Fail(_))).count()
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
