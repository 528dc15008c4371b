//! Passes streams through readers and writers.

use bytes::{Bytes, BytesMut};
use proto::canon::ItemKind;
use proto::dialect::ReplySetting;
use proto::{Dialect, Event, Fold, Item, Reader, What, Whole, Writer};

/// Our own streams, in the shapes of the Codex backend.
pub(crate) const STREAMS: [(&str, &str); 12] = [
    ("text", include_str!("../../corpus/responses/text.sse")),
    ("tools", include_str!("../../corpus/responses/tools.sse")),
    ("reasoning", include_str!("../../corpus/responses/reasoning.sse")),
    ("image", include_str!("../../corpus/responses/image.sse")),
    ("failed", include_str!("../../corpus/responses/failed.sse")),
    ("incomplete", include_str!("../../corpus/responses/incomplete.sse")),
    ("error", include_str!("../../corpus/responses/error.sse")),
    ("filtered", include_str!("../../corpus/responses/filtered.sse")),
    ("refusal", include_str!("../../corpus/responses/refusal.sse")),
    ("search", include_str!("../../corpus/responses/search.sse")),
    ("custom", include_str!("../../corpus/responses/custom.sse")),
    ("minimal", include_str!("../../corpus/responses/minimal.sse")),
];

/// The setting of a client that is not Codex.
pub(crate) fn setting() -> ReplySetting {
    ReplySetting { id: "0001".into(), model: "gpt-6-sol".into(), created: 1_780_000_000, ..ReplySetting::default() }
}

/// Reads `chunks`, then the end.
pub(crate) fn read(dialect: Dialect, chunks: impl IntoIterator<Item = Bytes>) -> Vec<Event> {
    let mut reader = Reader::new(dialect.wire().unwrap());
    let mut events = Vec::new();
    chunks.into_iter().for_each(|chunk| reader.push(chunk, &mut events));
    reader.end(&mut events);
    events
}

/// Reads one buffer.
pub(crate) fn events(dialect: Dialect, bytes: &[u8]) -> Vec<Event> {
    read(dialect, [Bytes::copy_from_slice(bytes)])
}

/// Writes `events`, then the end.
pub(crate) fn write(dialect: Dialect, setting: ReplySetting, events: &[Event]) -> String {
    let mut writer = Writer::new(dialect, setting);
    let mut out = BytesMut::new();
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The item without the upstream's id.
pub(crate) fn nameless(item: &Item) -> Item {
    let mut kind = item.kind.clone();
    match &mut kind {
        ItemKind::Message { id, .. }
        | ItemKind::Reasoning { id, .. }
        | ItemKind::Call { id, .. }
        | ItemKind::Search { id, .. }
        | ItemKind::Image { id, .. } => *id = None,
        ItemKind::Output { .. } | ItemKind::Other { .. } => {}
    }
    Item { kind, raw: None }
}

/// The events without their frames, as another dialect's reader would return them.
pub(crate) fn bare(events: &[Event]) -> Vec<Event> {
    let bare = |event: &Event| {
        let what = match &event.what {
            What::ItemDone { at, item } => What::ItemDone { at: *at, item: nameless(item) },
            What::End { finish, .. } => What::End { finish: *finish, response: None },
            what => what.clone(),
        };
        Event::new(what)
    };
    events.iter().map(bare).collect()
}

/// All events folded.
pub(crate) fn fold(events: &[Event]) -> Whole {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event);
    }
    fold.finish()
}

/// The chunks between `cuts`, each taken modulo the length.
pub(crate) fn split(bytes: &[u8], cuts: &[usize]) -> Vec<Bytes> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut from = 0;
    cuts.into_iter().map(|cut| Bytes::copy_from_slice(&bytes[std::mem::replace(&mut from, cut)..cut])).collect()
}

/// The `data` objects of a responses stream.
pub(crate) fn data(stream: &str) -> Vec<serde_json::Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

/// The `type` of an event.
pub(crate) fn kind(event: &serde_json::Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

/// Whether an event ends a responses stream.
pub(crate) fn is_terminal(kind: &str) -> bool {
    matches!(kind, "response.completed" | "response.failed" | "response.incomplete" | "error")
}

/// The reply of the events, without their frames.
pub(crate) fn meaning(events: &[Event]) -> Whole {
    let mut whole = fold(events);
    whole.items.iter_mut().for_each(|item| item.raw = None);
    whole.response = None;
    whole
}

/// The frames of the stream that a client of this dialect gets, in the stream's order.
pub(crate) fn expected(stream: &str, codex: bool) -> String {
    let mut open = false;
    let mut frames = String::new();
    for frame in stream.split_inclusive("\n\n") {
        open |= frame.starts_with("event: response.created");
        let private = frame.starts_with("event: codex.") || frame.starts_with("event: responsesapi.");
        if open && (codex || !private) {
            frames.push_str(frame);
        }
    }
    frames
}
