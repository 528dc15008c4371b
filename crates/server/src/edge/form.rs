//! Finds the field `model` in a multipart form while it arrives.

mod parts;
#[cfg(test)]
mod tests;

use std::ops::Range;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;
use proto::{Failure, Kind};

pub(crate) use parts::parts;

/// Longest head of a part, bytes.
const HEAD: usize = 16 << 10;
/// Longest model name, bytes.
const NAME: usize = 256;
/// Most blanks behind a boundary.
const BLANKS: usize = 64;
/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY: usize = 70;

/// A form as far as it was looked at.
pub(crate) struct Scan {
    /// Line end, two hyphens, boundary.
    delimiter: Vec<u8>,
    place: Place,
    /// Where in the body the model's name is.
    model: Option<Range<usize>>,
}

/// What begins at an offset of the body.
#[derive(Clone, Copy)]
enum Place {
    /// Whatever stands before the first part; searched up to here.
    Before(usize),
    /// A part's head.
    Head(usize),
    /// A part's content; whether it is the model's name.
    Content(usize, bool),
    /// Nothing that matters.
    Over,
}

/// The boundary of a form; `None` when it is none.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next()?.to_str().ok().filter(|_| values.next().is_none())?;
    let mut pieces = value.split(';').map(str::trim);
    if !pieces.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=BOUNDARY).contains(&boundary.len()).then_some(boundary).filter(|text| text.bytes().all(plain))
}

impl Scan {
    /// A form that has not begun.
    pub(crate) fn new(boundary: &str) -> Self {
        Self { delimiter: format!("\r\n--{boundary}").into_bytes(), place: Place::Before(0), model: None }
    }

    /// Where the model's name is, once that is known.
    pub(crate) fn model(&self) -> Option<Range<usize>> {
        self.model.clone()
    }

    /// Looks at the body so far, of which an earlier call may have seen a part; `true` when nothing more is to be found out.
    ///
    /// # Errors
    /// A part's head or the model's name is too long.
    pub(crate) fn look(&mut self, body: &[u8]) -> Result<bool, Failure> {
        while let Some(next) = self.step(body)? {
            self.place = next;
        }
        Ok(matches!(self.place, Place::Over))
    }

    /// The next place, or `None` until more has come.
    fn step(&mut self, body: &[u8]) -> Result<Option<Place>, Failure> {
        match self.place {
            Place::Before(seen) => Ok(self.first(body, seen)),
            Place::Head(at) => head(body, at),
            Place::Content(at, model) => self.content(body, at, model),
            Place::Over => Ok(None),
        }
    }

    fn first(&mut self, body: &[u8], seen: usize) -> Option<Place> {
        let bare = &self.delimiter[2..];
        if body.len() < bare.len() {
            return None;
        }
        if body.starts_with(bare) {
            return after_delimiter(body, bare.len());
        }
        let Some(at) = memmem::find(&body[seen..], &self.delimiter) else {
            self.place = Place::Before(seen.max(body.len().saturating_sub(self.delimiter.len())));
            return None;
        };
        after_delimiter(body, seen + at + self.delimiter.len())
    }

    fn content(&mut self, body: &[u8], at: usize, model: bool) -> Result<Option<Place>, Failure> {
        // An empty part ends with the line end that ends its head.
        let from = at - 2;
        let Some(end) = memmem::find(&body[from..], &self.delimiter) else {
            let long = model && body.len() - at > NAME + self.delimiter.len();
            if !long {
                // What was searched is not searched again.
                let seen = body.len().saturating_sub(self.delimiter.len());
                self.place = Place::Content(if model { at } else { at.max(seen) }, model);
            }
            return if long { Err(wrong("the model's name is too long")) } else { Ok(None) };
        };
        let end = from + end;
        if model {
            self.model = Some(at..end.max(at));
            let long = end > at + NAME;
            return if long { Err(wrong("the model's name is too long")) } else { Ok(Some(Place::Over)) };
        }
        Ok(after_delimiter(body, end + self.delimiter.len()))
    }
}

/// A part's head, once it is whole.
fn head(body: &[u8], at: usize) -> Result<Option<Place>, Failure> {
    // A part without headers begins with the empty line: its first half is the delimiter's line end.
    let Some(end) = memmem::find(&body[at - 2..], b"\r\n\r\n") else {
        let long = body.len() - at > HEAD;
        return if long { Err(wrong("a part's headers are too long")) } else { Ok(None) };
    };
    if end >= HEAD {
        return Err(wrong("a part's headers are too long"));
    }
    let content = at + end + 2;
    let head = body.get(at..at + end).unwrap_or_default();
    Ok(Some(Place::Content(content, names_model(head))))
}

/// What follows a delimiter that ends at `at`; `None` until that has come.
fn after_delimiter(body: &[u8], at: usize) -> Option<Place> {
    let rest = body.get(at..)?;
    if rest.starts_with(b"--") {
        return Some(Place::Over);
    }
    if rest.len() < 2 {
        return None;
    }
    // Only blanks may stand between a delimiter and its line end.
    let blanks = rest.iter().take_while(|byte| b" \t".contains(byte)).count();
    match rest[blanks..] {
        _ if blanks > BLANKS => Some(Place::Over),
        [] | [b'\r'] => None,
        [b'\r', b'\n', ..] => Some(Place::Head(at + blanks + 2)),
        _ => Some(Place::Over),
    }
}

/// Whether a part's head says that it is the field `model`, and no file.
fn names_model(head: &[u8]) -> bool {
    matches!(field(head), Some((name, false)) if name == "model")
}

/// The field that a part's head names, and whether it is a file.
fn field(head: &[u8]) -> Option<(String, bool)> {
    let text = String::from_utf8_lossy(head);
    let disposition = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let pieces = disposition.unwrap_or_default().split(';').skip(1).filter_map(|piece| piece.split_once('='));
    let (mut named, mut file) = (None, false);
    for (name, value) in pieces {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "name" => named = Some(value.to_owned()),
            "filename" | "filename*" => file = true,
            _ => {}
        }
    }
    named.map(|named| (named, file))
}

fn wrong(why: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("The form cannot be read: {why}"))
}
