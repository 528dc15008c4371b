//! Ollama's API from bytes to bytes: snapshots over our own corpus, refusals, and the properties of every stream.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

mod embeddings;
mod properties;
mod replies;
mod requests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::canon::{Event, ReplyOptions};
use proto::dialect::ReplySetting;
use proto::{Dialect, Fold, Reader, Whole, Wire, Writer};
use serde_json::Value;

/// The files of our own corpus below `folder` with this ending, in order: name and content.
#[expect(clippy::disallowed_methods, reason = "tests read their corpus")]
fn corpus(folder: &str, ending: &str) -> Vec<(String, Bytes)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let mut paths: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(ending));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().trim_end_matches(ending).to_owned();
    paths.iter().map(|path| (name(path), Bytes::from(std::fs::read(path).unwrap()))).collect()
}

fn setting(generate: bool) -> ReplySetting {
    ReplySetting {
        model: "gpt-5.5".to_owned(),
        created: 1_767_225_600,
        reply: ReplyOptions { stream: true, generate, ..ReplyOptions::default() },
        ..ReplySetting::default()
    }
}

fn read(wire: Wire, body: &[u8]) -> Vec<Event> {
    let mut reader = Reader::new(wire);
    let mut events = Vec::new();
    reader.push(Bytes::copy_from_slice(body), &mut events);
    reader.end(&mut events);
    events
}

/// The stream of these events, one every 5 ms.
fn write(setting: ReplySetting, events: &[Event]) -> String {
    let mut writer = Writer::new(Dialect::Ollama, setting);
    let mut out = BytesMut::new();
    for (at, event) in (1..).zip(events) {
        writer.at(Duration::from_millis(5 * at));
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn fold(events: &[Event]) -> Whole {
    let mut fold = Fold::new();
    for (at, event) in (1..).zip(events) {
        fold.at(Duration::from_millis(5 * at));
        fold.push(event);
    }
    fold.finish()
}

/// The lines of a stream.
fn lines(stream: &str) -> Vec<Value> {
    assert!(stream.ends_with('\n'), "{stream}");
    stream.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Every stream of our corpus: name and events.
fn replies() -> Vec<(String, Vec<Event>)> {
    let of = |wire, folder: &str| {
        let folder = folder.to_owned();
        let named = corpus(&folder, ".sse").into_iter();
        named.map(move |(name, body)| (format!("{folder}_{name}"), read(wire, &body))).collect::<Vec<_>>()
    };
    [of(Wire::Responses, "responses"), of(Wire::Chat, "chat")].concat()
}
