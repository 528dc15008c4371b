//! The recorded streams and captures of `$POLYGATE_SHARED`, read at run time and compared with the matching recordings.
#![expect(clippy::disallowed_methods, reason = "the recordings are not part of the project and are read at run time")]

use std::path::{Path, PathBuf};

use async_openai::types::responses::ResponseStreamEvent;
use bytes::Bytes;
use proto::canon::{Finish, ItemKind, Part};
use proto::dialect::{CodexTarget, Target, Written};
use proto::{Dialect, What, Whole, Wire};
use serde_json::Value;

use crate::recordings;
use crate::support::{bare, data, events, fold, kind, meaning, read, setting, split, write};

fn shared(folder: &str) -> Option<PathBuf> {
    Some(recordings::shared()?.join(folder))
}

fn files(folder: &str, end: &str) -> Vec<(String, String)> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let paths = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no {end}", folder.display());
    paths.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The replies of one recording as streams; a file may hold several turns, and its lines may be damaged.
fn streams(chunks: &str) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    for line in chunks.lines().filter(|line| !line.trim().is_empty()) {
        let name = line.split('"').nth(3).unwrap_or_default();
        if name == "response.created" || streams.is_empty() {
            streams.push(String::new());
        }
        let stream = streams.last_mut().unwrap();
        stream.extend(["event: ", name, "\ndata: ", line, "\n\n"]);
    }
    streams
}

/// Every recorded reply whose lines are all JSON.
fn replies() -> Vec<(String, String)> {
    let mut replies = Vec::new();
    for (name, chunks) in files("corpus/responses", ".chunks.txt") {
        let damaged = chunks.lines().any(|line| !line.is_empty() && serde_json::from_str::<Value>(line).is_err());
        if damaged {
            continue;
        }
        replies.extend(streams(&chunks).into_iter().map(|stream| (name.clone(), stream)));
    }
    replies
}

fn visible(whole: &Whole) -> String {
    let parts = whole
        .items
        .iter()
        .filter_map(|item| if let ItemKind::Message { parts, .. } = &item.kind { Some(parts) } else { None });
    let text = |part: &Part| if let Part::Text { text, .. } = part { text.plain().into_owned() } else { String::new() };
    parts.flatten().map(text).collect()
}

fn calls(whole: &Whole) -> Vec<(String, String)> {
    let call = |item: &proto::Item| match &item.kind {
        ItemKind::Call { name, input, .. } => Some((name.plain().into_owned(), input.plain().into_owned())),
        _ => None,
    };
    whole.items.iter().filter_map(call).collect()
}

#[test]
fn folds_equal_the_terminal_object() {
    for (name, stream) in replies() {
        let whole = fold(&events(Dialect::Responses, stream.as_bytes()));
        let last = data(&stream).pop().unwrap();
        if kind(&last) == "response.failed" {
            assert!(whole.failure.is_some(), "{name}");
            continue;
        }
        let response = &last["response"];
        let output = response["output"].as_array().unwrap();
        let text: String = output
            .iter()
            .filter(|item| item["type"] == "message")
            .flat_map(|item| item["content"].as_array().unwrap())
            .map(|part| part["text"].as_str().unwrap())
            .collect();
        assert_eq!(visible(&whole), text, "{name}");
        let theirs: Vec<(String, String)> = output
            .iter()
            .filter_map(|item| {
                let input =
                    item["arguments"].as_str().or(item["input"].as_str()).filter(|_| item["call_id"].is_string())?;
                Some((item["name"].as_str()?.to_owned(), input.to_owned()))
            })
            .collect();
        assert_eq!(calls(&whole), theirs, "{name}");
        let usage = whole.usage.unwrap();
        assert_eq!(usage.input, response["usage"]["input_tokens"], "{name}");
        assert_eq!(usage.output, response["usage"]["output_tokens"], "{name}");
        assert_eq!(usage.reasoning, response["usage"]["output_tokens_details"]["reasoning_tokens"], "{name}");
        assert_eq!(whole.finish, Some(if theirs.is_empty() { Finish::Stop } else { Finish::ToolCalls }), "{name}");
        let body: Value = serde_json::from_slice(&Dialect::Responses.whole(&whole, &setting())).unwrap();
        assert_eq!(body, *response, "{name}");
    }
}

#[test]
fn recorded_bodies_are_read_like_streams() {
    for (name, body) in files("corpus/responses", ".json") {
        let Ok(body) = serde_json::from_str::<Value>(&body) else { continue };
        let events = events(Dialect::Responses, body.to_string().as_bytes());
        let whole = fold(&events);
        if body.get("error").is_some_and(|error| !error.is_null()) {
            assert!(whole.failure.is_some(), "{name}");
            continue;
        }
        assert_eq!(whole.items.len(), body["output"].as_array().map_or(0, Vec::len), "{name}");
        let text: String = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Delta { channel: proto::canon::Channel::Text, data, .. } => Some(data.plain().into_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(text, visible(&whole), "{name}");
    }
}

#[test]
fn recorded_streams_pass_untouched_in_any_chunking() {
    for (name, stream) in replies() {
        let whole = events(Dialect::Responses, stream.as_bytes());
        if !stream.contains("event: error") {
            assert_eq!(write(Dialect::Responses, setting(), &whole), stream, "{name}");
        }
        for size in [1, 2, 3, 7, 61, 997] {
            let cuts: Vec<usize> = (0..stream.len()).step_by(size).collect();
            assert_eq!(read(Dialect::Responses, split(stream.as_bytes(), &cuts)), whole, "{name} in pieces of {size}");
        }
        let crlf = events(Dialect::Responses, stream.replace('\n', "\r\n").as_bytes());
        assert_eq!(meaning(&crlf), meaning(&whole), "{name}");
    }
}

#[test]
fn deltas_are_cut_out_whole() {
    for (name, stream) in replies() {
        let ours = events(Dialect::Responses, stream.as_bytes()).into_iter().filter_map(|event| match event.what {
            What::Delta { data, .. } if event.carrier.frame().is_some() => Some(data.plain().into_owned()),
            _ => None,
        });
        let known = ["output_text.delta", "arguments.delta", "input.delta", "summary_text.delta", "partial_image"];
        let theirs = data(&stream)
            .into_iter()
            .filter(|event| known.iter().any(|end| kind(event).ends_with(end)))
            .filter_map(|event| {
                let piece = event["delta"].as_str().or(event["partial_image_b64"].as_str())?;
                Some(piece.to_owned()).filter(|piece| !piece.is_empty())
            });
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn damaged_recordings_end_cleanly() {
    for (name, chunks) in files("corpus/responses", ".chunks.txt") {
        for stream in streams(&chunks) {
            let events = events(Dialect::Responses, stream.as_bytes());
            let terminals =
                events.iter().filter(|event| matches!(event.what, What::End { .. } | What::Fail(_))).count();
            assert_eq!(terminals, 1, "{name}");
        }
    }
}

#[test]
fn what_we_write_fits_the_published_types() {
    let own = crate::support::STREAMS.iter().map(|(name, stream)| ((*name).to_owned(), (*stream).to_owned()));
    for (name, stream) in own.chain(replies()) {
        let written = write(Dialect::Responses, setting(), &bare(&events(Dialect::Responses, stream.as_bytes())));
        for event in data(&written) {
            let parsed = serde_json::from_value::<ResponseStreamEvent>(event.clone());
            assert!(parsed.is_ok(), "{name}: {} in {event}", parsed.unwrap_err());
        }
    }
}

fn body(capture: &str) -> Value {
    let capture: Value = serde_json::from_str(capture).unwrap();
    capture["body"].clone()
}

#[test]
fn the_official_clients_requests_pass_unchanged() {
    for (name, capture) in files("captures", ".json") {
        let body = body(&capture);
        let posts = ["13-", "14-", "15-", "16-", "17-", "18-", "20-", "21-", "22-", "43-"];
        if !posts.iter().any(|post| Path::new(&name).file_name().unwrap().to_string_lossy().starts_with(post)) {
            continue;
        }
        let (request, _) = Dialect::Responses.read_request(Bytes::from(body.to_string())).unwrap();
        let target = CodexTarget {
            model: body["model"].as_str().unwrap().to_owned(),
            lite: body.get("tools").is_none(),
            priority_tier: true,
            ..CodexTarget::default()
        };
        let Written { body: written, notes, .. } =
            Wire::Responses.write_request(&request, &Target::Codex(target)).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), body, "{name}");
        assert_eq!(written, body.to_string(), "{name}");
        assert!(notes.is_empty(), "{name}: {notes:?}");
        for step in 1..200 {
            let text = body.to_string();
            let cut = Bytes::copy_from_slice(&text.as_bytes()[..text.len() * step / 200]);
            assert!(Dialect::Responses.read_request(cut).is_err(), "{name}");
        }
    }
}
