//! Upstream bytes of any kind, read and written for both kinds of clients: any chunking gives the same bytes, there is exactly one end also
//! after a cut, every frame is JSON, our own frames are legal, and the collected body equals the stream.

use std::collections::{HashMap, HashSet};

use bytes::{Bytes, BytesMut};
use proto::canon::{Channel, Event, Head, ItemKind, ReplyOptions, What};
use proto::dialect::ReplySetting;
use proto::fold::Whole;
use proto::framing::sse;
use proto::text::Json;
use proto::{Dialect, Fold, Reader, Writer, json};

use super::cut::{cuts, inflated};
use super::{contents, legal};

/// The protocols that clients speak here.
const CLIENTS: [Dialect; 5] = [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

/// Checks what a chat upstream sends.
pub fn chat(input: &[u8]) {
    check(Dialect::Chat, input);
}

/// Checks what a responses upstream sends.
pub fn responses(input: &[u8]) {
    check(Dialect::Responses, input);
}

/// Checks what a messages upstream sends.
pub fn messages(input: &[u8]) {
    check(Dialect::Messages, input);
}

/// Checks what a Gemini upstream sends.
pub fn gemini(input: &[u8]) {
    check(Dialect::Gemini, input);
}

fn check(upstream: Dialect, input: &[u8]) {
    let bytes = inflated(input);
    let events = read(upstream, &[Bytes::copy_from_slice(&bytes)]);
    promises(upstream, &events);
    let ways: Vec<Vec<Event>> = cuts(&bytes).iter().map(|chunks| read(upstream, chunks)).collect();
    for way in &ways {
        promises(upstream, way);
        assert!(bytes.len() > input.len() || *way == events, "another chunking gives other events");
    }
    let garbled = legal::garbled(&bytes);
    // A large frame passes in pieces, also one that the upstream never ends.
    let unreadable = legal::garbled(&[&bytes[..], b"\n\n"].concat());
    let legal = |client: Dialect, out: &[u8]| {
        if client == upstream { legal::passed(client, out, &unreadable) } else { legal::ours(client, out) }
    };
    for client in CLIENTS {
        for mut setting in settings() {
            // With Chat this field means the legacy completions, which have another shape.
            setting.reply.generate = client == Dialect::Ollama && setting.reply.legacy_functions;
            let out = write(client, &setting, &events);
            legal(client, &out);
            for way in &ways {
                assert_eq!(write(client, &setting, way), out, "another chunking gives other bytes");
                cut_short(client, &setting, way, &legal);
            }
            // A client cannot read every frame that an upstream garbled. Pieces and further candidates of a Gemini upstream pass as they
            // came and are complete in our own frames only; the same is true of pieces without an open item, and of parts without pieces.
            let own = client == Dialect::Gemini || passes_stray_pieces(&events) || has_part_without_pieces(&events);
            if client == upstream && own {
                let bare: Vec<Event> = events.iter().map(|event| Event::new(event.what.clone())).collect();
                folded(client, &setting, &bare, &write(client, &setting, &bare));
            } else if client != upstream || garbled.is_empty() {
                folded(client, &setting, &events, &out);
            }
        }
    }
}

/// Whether a frame passes with a piece of a call or block that is not open. Clients may read such a piece in their own way.
fn passes_stray_pieces(events: &[Event]) -> bool {
    let has = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|found| found == word.as_bytes());
    let mut blocks = HashSet::new();
    events.iter().filter_map(|event| Some((event, event.carrier.frame()?))).any(|(event, frame)| {
        let words = ["content_block_delta", "\"tool_calls\"", "\"function_call\"", ".delta\""];
        let unread = event.what == What::Other && words.iter().any(|word| has(&frame.bytes, word));
        let stray = frame.dialect == Dialect::Messages && !begins_or_has(&mut blocks, &frame.bytes);
        unread || stray || frame.dialect == Dialect::Responses && has_no_index(&frame.bytes)
    })
}

/// Whether a Responses frame begins or ends an item without its index. Our reader finds the item by its id.
fn has_no_index(frame: &Bytes) -> bool {
    let data = sse::parse(frame.clone()).map(|frame| legal::readable(frame.data));
    let Some(json) = data.filter(|data| json::valid(data)).map(Json::from_valid) else { return false };
    let is_item = json.text("type").is_some_and(|kind| kind.plain().starts_with("response.output_item."));
    is_item && json.get("output_index").and_then(|index| index.as_u64()).is_none()
}

/// Records the block that a Messages frame begins; `false` for a piece of a block that did not begin.
fn begins_or_has(blocks: &mut HashSet<u64>, frame: &Bytes) -> bool {
    let Some(frame) = sse::parse(frame.clone()).filter(|frame| json::valid(&frame.data)) else { return true };
    let json = Json::from_valid(frame.data.clone());
    let index = json.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
    let name = json.text("type").map(|name| name.plain().into_owned().into_bytes());
    match name.as_deref().unwrap_or(frame.event()) {
        b"content_block_start" => blocks.insert(index),
        b"content_block_delta" => blocks.contains(&index),
        _ => true,
    }
}

/// Whether the upstream sent a part in its finished item only: its client reads the part there, and other clients get it in pieces.
fn has_part_without_pieces(events: &[Event]) -> bool {
    let (mut framed, mut made) = (HashSet::new(), HashSet::new());
    for event in events {
        if let What::Delta { at, part, channel, .. } = &event.what {
            let parts = if event.carrier.frame().is_some() { &mut framed } else { &mut made };
            parts.insert((*at, *part, *channel));
        }
    }
    made.difference(&framed).next().is_some()
}

/// The events of an upstream's bytes.
pub(crate) fn read(upstream: Dialect, chunks: &[Bytes]) -> Vec<Event> {
    let (mut reader, mut events) = (Reader::new(upstream.wire().expect("an upstream's")), Vec::new());
    for chunk in chunks {
        reader.push(chunk.clone(), &mut events);
    }
    reader.end(&mut events);
    events
}

/// The bytes that a client gets for these events.
pub(crate) fn write(client: Dialect, setting: &ReplySetting, events: &[Event]) -> BytesMut {
    let (mut writer, mut out) = (Writer::new(client, setting.clone()), BytesMut::new());
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    out
}

/// Settings of clients with different options.
pub(crate) fn settings() -> [ReplySetting; 2] {
    let setting = |include_usage, legacy_functions, codex| ReplySetting {
        id: "f1".to_owned(),
        model: "m".to_owned(),
        created: 1,
        reply: ReplyOptions {
            stream: true,
            include_usage,
            legacy_functions,
            array: legacy_functions,
            ..ReplyOptions::default()
        },
        codex,
        ..ReplySetting::default()
    };
    [setting(true, false, true), setting(false, true, false)]
}

/// A stream that breaks off after any event still ends as it must.
fn cut_short(client: Dialect, setting: &ReplySetting, events: &[Event], legal: &impl Fn(Dialect, &[u8])) {
    let step = 1 + events.len() / 16;
    for count in (0..events.len()).step_by(step) {
        legal(client, &write(client, setting, &events[..count]));
    }
}

/// The contract between readers and the writers and folds: exactly one event carries a frame, and all frames are the upstream's own.
fn carried(upstream: Dialect, events: &[Event]) {
    let mut frames: Vec<(*const u8, usize)> = Vec::new();
    for event in events {
        assert!(event.carrier.dialect().is_none_or(|dialect| dialect == upstream), "a frame of another dialect");
        frames.extend(event.carrier.frame().map(|frame| (frame.bytes.as_ptr(), frame.bytes.len())));
    }
    let all = frames.len();
    frames.sort_unstable();
    frames.dedup();
    assert_eq!(frames.len(), all, "a frame is carried twice");
}

fn promises(upstream: Dialect, events: &[Event]) {
    carried(upstream, events);
    let ends = events.iter().filter(|event| matches!(event.what, What::End { .. } | What::Fail(_))).count();
    let last = events.last().is_some_and(|event| matches!(event.what, What::End { .. } | What::Fail(_)));
    assert!(ends == 1 && last, "{ends} terminal events");
    let (mut open, mut items, mut parts) = (false, HashMap::new(), HashSet::new());
    for event in events {
        match &event.what {
            What::Open(_) => assert!(!std::mem::replace(&mut open, true), "two openings"),
            What::End { .. } => assert!(open, "an end without an opening"),
            What::ItemOpen { at, .. } => assert!(open && items.insert(*at, true).is_none(), "item {at} opens twice"),
            What::Delta { at, part, channel, data } => {
                parts.insert((*at, u64::from(*part), *channel));
                let live = items.get(at).copied();
                assert!(live.is_some() && !data.is_empty(), "a delta of item {at}, which is not open");
                assert!(live == Some(true) || upstream == Dialect::Responses, "a delta of item {at}, which is done");
            }
            What::ItemDone { at, item } => {
                assert!(items.insert(*at, false).is_some(), "item {at} ends unopened");
                for (channel, part, text) in contents::texts(&item.kind) {
                    assert!(text.is_empty() || parts.contains(&(*at, part, channel)), "no delta of {channel:?} {part}");
                }
            }
            _ => {}
        }
    }
}

/// The collected body is JSON, and equals the stream where the upstream did not contradict itself.
fn folded(client: Dialect, setting: &ReplySetting, events: &[Event], out: &[u8]) {
    let whole = fold(events);
    let body = client.whole(&whole, setting);
    assert!(json::valid(&body), "a body is no JSON: {}", body.escape_ascii());
    let has_output = whole
        .response
        .as_ref()
        .and_then(|response| response.get("output"))
        .is_some_and(|output| output.elements().next().is_some());
    if whole.finish.is_none() || has_output || !coherent(events) {
        return;
    }
    let (mut stream, mut body) = match client {
        Dialect::Chat => (contents::chat_stream(out), contents::chat_whole(&body)),
        Dialect::Responses => (contents::responses_stream(out), contents::responses_whole(&body)),
        Dialect::Messages => (contents::messages_stream(out), contents::messages_whole(&body)),
        Dialect::Gemini => (contents::gemini_stream(out), contents::gemini_whole(&body)),
        Dialect::Ollama => (contents::ollama_stream(out), contents::ollama_whole(&body)),
    };
    if client == Dialect::Chat {
        // The legacy form has no ids, and both an upstream's frames and a client's options may use that form.
        stream.calls.iter_mut().chain(&mut body.calls).for_each(|call| call.id.clear());
    }
    if client == Dialect::Messages {
        contents::close(&stream, &mut body);
    }
    if matches!(client, Dialect::Gemini | Dialect::Ollama) {
        // A call goes out when it is complete, calls of one turn have no order there, and an upstream's own calls may have no ids.
        for contents in [&mut stream, &mut body] {
            contents.calls.iter_mut().for_each(|call| call.id.clear());
            contents.calls.sort_by(|one, two| (&one.name, &one.input).cmp(&(&two.name, &two.input)));
        }
    }
    assert_eq!(stream, body, "{client:?}: stream and body differ");
}

/// The reply from the events.
pub(crate) fn fold(events: &[Event]) -> Whole {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event);
    }
    fold.finish()
}

/// Whether an upstream sends its events in order, and its finished items equal their pieces.
fn coherent(events: &[Event]) -> bool {
    let (mut texts, mut heads): (HashMap<_, String>, HashMap<u32, &Head>) = (HashMap::new(), HashMap::new());
    let mut done = Vec::new();
    let (mut latest, mut newest) = ((0, 0, 0), None);
    for event in events {
        match &event.what {
            What::ItemOpen { at, head } => {
                if newest.is_some_and(|newest| newest >= *at) {
                    return false;
                }
                newest = Some(*at);
                heads.insert(*at, head);
            }
            What::Delta { at, part, channel, data } => {
                let position = (*at, u8::from(*channel == Channel::Reasoning), *part);
                let fits = heads.get(at).is_some_and(|head| belongs(head, *channel)) && !done.contains(at);
                let behind = *channel != Channel::Arguments && position < latest;
                if !fits || behind || *channel == Channel::Image {
                    return false;
                }
                latest = latest.max(position);
                texts.entry((*at, *channel as u8, u64::from(*part))).or_default().push_str(data.as_str());
            }
            What::ItemDone { at, item } => {
                let item_texts =
                    contents::texts(&item.kind).into_iter().filter(|(.., text)| !text.is_empty()).collect::<Vec<_>>();
                let streamed = texts.keys().filter(|key| key.0 == *at).count();
                let same = item_texts.iter().all(|(channel, part, text)| {
                    texts.get(&(*at, *channel as u8, *part)).is_some_and(|streamed| streamed == text.as_str())
                });
                if done.contains(at) || !same || streamed != item_texts.len() || !fits(heads.get(at), &item.kind) {
                    return false;
                }
                done.push(*at);
            }
            _ => {}
        }
    }
    true
}

fn belongs(head: &Head, channel: Channel) -> bool {
    match head {
        Head::Message { .. } => matches!(channel, Channel::Text | Channel::Refusal),
        Head::Reasoning => matches!(channel, Channel::Reasoning | Channel::Summary),
        Head::Call { .. } => channel == Channel::Arguments,
        Head::Search | Head::Image | Head::Other => false,
    }
}

/// Whether an item matches its head.
fn fits(head: Option<&&Head>, item: &ItemKind) -> bool {
    match (head, item) {
        (Some(Head::Message { .. }), ItemKind::Message { .. })
        | (Some(Head::Reasoning), ItemKind::Reasoning { .. })
        | (Some(Head::Search), ItemKind::Search { .. })
        | (Some(Head::Image), ItemKind::Image { .. })
        | (Some(Head::Other), ItemKind::Other { .. } | ItemKind::Output { .. }) => true,
        (Some(Head::Call { kind, call_id, name, .. }), ItemKind::Call { kind: k, call_id: c, name: n, .. }) => {
            (kind, call_id, name) == (k, c, n) && !name.is_empty()
        }
        _ => false,
    }
}
