//! Recorded streams from files, cut into frames with their bytes kept.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use memchr::memmem;

use crate::shape::Frame;

/// Reads a stream by name: a path, or a file of one of these folders, with or without its `.sse` or `.chunks.txt`.
pub(crate) fn load(folders: &[PathBuf], name: &str) -> io::Result<Vec<Frame>> {
    let endings = ["", ".sse", ".chunks.txt"];
    let places = std::iter::once(PathBuf::new()).chain(folders.iter().cloned());
    let mut names = places.flat_map(|folder| endings.map(|ending| folder.join(format!("{name}{ending}"))));
    let path = names.find(|path| path.is_file()).ok_or(io::ErrorKind::NotFound)?;
    let bytes = Bytes::from(std::fs::read(&path)?);
    Ok(if path.extension().is_some_and(|ending| ending == "sse") { frames(&bytes) } else { events(&bytes) })
}

/// Cuts an event stream after each blank line.
pub(crate) fn frames(bytes: &Bytes) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        let blank = ["\n\n", "\r\n\r\n", "\r\r"]
            .iter()
            .filter_map(|end| memmem::find(&bytes[from..], end.as_bytes()).map(|at| from + at + end.len()))
            .min();
        let to = blank.unwrap_or(bytes.len());
        frames.push(Frame::new(bytes.slice(from..to)));
        from = to;
    }
    frames
}

/// Frames a file of one JSON event per line.
fn events(bytes: &[u8]) -> Vec<Frame> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| Frame::new(Bytes::from(framed(line)))).collect()
}

/// `event:` and `data:` lines of one event.
pub(crate) fn framed(event: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    match serde_json::from_str::<Kind>(event) {
        Ok(Kind { kind }) => format!("event: {kind}\ndata: {event}\n\n"),
        Err(_) => format!("data: {event}\n\n"),
    }
}
