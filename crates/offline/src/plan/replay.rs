//! Recorded streams from files, split into frames without a change of their bytes.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use memchr::memmem;

use crate::plan::shape::Frame;

/// Reads a stream by name: a path, or a file in one of these folders, with or without the ending `.sse` or `.chunks.txt`.
pub(crate) fn load(folders: &[PathBuf], name: &str) -> io::Result<Vec<Frame>> {
    let endings = ["", ".sse", ".chunks.txt"];
    let places = std::iter::once(PathBuf::new()).chain(folders.iter().cloned());
    let mut names = places.flat_map(|folder| endings.map(|ending| folder.join(format!("{name}{ending}"))));
    let path = names.find(|path| path.is_file()).ok_or(io::ErrorKind::NotFound)?;
    let bytes = Bytes::from(std::fs::read(&path)?);
    Ok(if path.extension().is_some_and(|ending| ending == "sse") { frames(&bytes) } else { events(&bytes) })
}

/// Splits an event stream after each blank line.
pub(crate) fn frames(bytes: &Bytes) -> Vec<Frame> {
    let mut blanks: Vec<usize> = ["\n\n", "\r\n\r\n", "\r\r"]
        .iter()
        .flat_map(|end| memmem::find_iter(bytes, end.as_bytes()).map(|at| at + end.len()))
        .chain([bytes.len()])
        .collect();
    blanks.sort_unstable();
    blanks.dedup();
    let starts = std::iter::once(0).chain(blanks.iter().copied());
    let pieces = starts.zip(&blanks).filter(|(from, to)| from < to);
    pieces.map(|(from, to)| Frame::new(bytes.slice(from..*to))).collect()
}

/// Frames a file of one event per line. A line may have any content, because recordings have broken lines too.
fn events(bytes: &Bytes) -> Vec<Frame> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.map(|line| Frame::new(Bytes::from(framed(&String::from_utf8_lossy(line))))).collect()
}

/// An event as its `event:` and `data:` lines.
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
