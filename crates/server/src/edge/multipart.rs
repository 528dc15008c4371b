//! Reads forms in `multipart/form-data` (RFC 7578) while they arrive.

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
/// The most blanks after a boundary.
const BLANKS: usize = 64;
/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY: usize = 70;

/// The boundary of a form; `None` if the content type is not a form.
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

/// Reads the parts of a form. Each call gets the whole body so far, from its first byte.
struct Reader {
    /// Line end, two hyphens, boundary.
    delimiter: Vec<u8>,
    state: State,
}

/// The reader's position: what begins at an offset of the body.
enum State {
    /// The text before the first delimiter; no delimiter begins before `seen`.
    Preamble { seen: usize },
    /// The bytes after a delimiter.
    Delimiter { end: usize },
    /// A part's head.
    Head { start: usize },
    /// A part's content; no delimiter begins before `seen`.
    Content { field: Option<Field>, start: usize, seen: usize },
    /// The end of the form, or bytes that are not a form.
    End,
}

/// The field that a part's head names.
struct Field {
    name: String,
    /// Whether the field is a file.
    file: bool,
}

impl Field {
    fn is_model(&self) -> bool {
        self.name == "model" && !self.file
    }
}

/// A step of a [`Reader`].
enum Step {
    /// A part: its field, if its head names one, and the range of its content.
    Part(Option<Field>, Range<usize>),
    /// More of the body is needed.
    More,
    /// There are no more parts.
    End,
}

impl Reader {
    fn new(boundary: &str) -> Self {
        Self { delimiter: format!("\r\n--{boundary}").into_bytes(), state: State::Preamble { seen: 0 } }
    }

    /// The next part. Errors: a part's head is too long.
    fn next(&mut self, body: &[u8]) -> Result<Step, Failure> {
        loop {
            let next = match &mut self.state {
                State::Preamble { seen } => first_delimiter(&self.delimiter, body, seen),
                State::Delimiter { end } => after_delimiter(body, *end),
                State::Head { start } => read_head(body, *start)?,
                State::Content { field, start, seen } => match find_from(&self.delimiter, body, seen) {
                    Some(end) => {
                        let part = Step::Part(field.take(), *start..end.max(*start));
                        self.state = State::Delimiter { end: end + self.delimiter.len() };
                        return Ok(part);
                    }
                    None => None,
                },
                State::End => return Ok(Step::End),
            };
            match next {
                Some(next) => self.state = next,
                None => return Ok(Step::More),
            }
        }
    }
}

/// Finds the field `model` in a form.
pub(crate) struct ModelFinder {
    reader: Reader,
    /// The range of the model's name in the body.
    model: Option<Range<usize>>,
}

impl ModelFinder {
    /// A form that has not begun.
    pub(crate) fn new(boundary: &str) -> Self {
        Self { reader: Reader::new(boundary), model: None }
    }

    /// The range of the model's name in the body, once it is found.
    pub(crate) fn model(&self) -> Option<Range<usize>> {
        self.model.clone()
    }

    /// Reads the body so far; `true` when the model's name is found, or the form has ended without one. Errors: a part's head or the
    /// model's name is too long.
    pub(crate) fn read(&mut self, body: &[u8]) -> Result<bool, Failure> {
        while self.model.is_none() {
            match self.reader.next(body)? {
                Step::Part(Some(field), content) if field.is_model() => self.model = Some(named(content)?),
                Step::Part(..) => {}
                Step::More => return if self.is_too_long(body) { Err(long_name()) } else { Ok(false) },
                Step::End => return Ok(true),
            }
        }
        Ok(true)
    }

    /// Whether the model's name is already too long before its end has arrived.
    fn is_too_long(&self, body: &[u8]) -> bool {
        match &self.reader.state {
            State::Content { field: Some(field), start, .. } if field.is_model() => {
                body.len() - start > NAME + self.reader.delimiter.len()
            }
            _ => false,
        }
    }
}

fn named(name: Range<usize>) -> Result<Range<usize>, Failure> {
    if name.len() > NAME { Err(long_name()) } else { Ok(name) }
}

fn long_name() -> Failure {
    malformed_form("the model's name is too long")
}

/// The state after the first delimiter, which may lack the line end before it.
fn first_delimiter(delimiter: &[u8], body: &[u8], seen: &mut usize) -> Option<State> {
    let bare = &delimiter[2..];
    if body.len() < bare.len() {
        return None;
    }
    if body.starts_with(bare) {
        return Some(State::Delimiter { end: bare.len() });
    }
    find_from(delimiter, body, seen).map(|at| State::Delimiter { end: at + delimiter.len() })
}

/// Where the delimiter begins. Bytes that were searched before are not searched again.
fn find_from(delimiter: &[u8], body: &[u8], seen: &mut usize) -> Option<usize> {
    let found = memmem::find(&body[*seen..], delimiter).map(|at| *seen + at);
    if found.is_none() {
        *seen = (*seen).max(body.len().saturating_sub(delimiter.len()));
    }
    found
}

/// The state after a delimiter; `None` until the bytes that decide it have arrived.
fn after_delimiter(body: &[u8], end: usize) -> Option<State> {
    let rest = body.get(end..)?;
    if rest.starts_with(b"--") {
        return Some(State::End);
    }
    if rest.len() < 2 {
        return None;
    }
    // Only blanks are allowed between a delimiter and its line end.
    let blanks = rest.iter().take_while(|byte| b" \t".contains(byte)).count();
    match rest[blanks..] {
        _ if blanks > BLANKS => Some(State::End),
        [] | [b'\r'] => None,
        [b'\r', b'\n', ..] => Some(State::Head { start: end + blanks + 2 }),
        _ => Some(State::End),
    }
}

/// The state after a part's head, once the head is complete.
fn read_head(body: &[u8], start: usize) -> Result<Option<State>, Failure> {
    // A part without headers begins with the empty line: its first half is the delimiter's line end.
    let end = memmem::find(&body[start - 2..], b"\r\n\r\n");
    if end.map_or(body.len() - start > HEAD, |end| end >= HEAD) {
        return Err(malformed_form("a part's headers are too long"));
    }
    let Some(end) = end else { return Ok(None) };
    let field = field(body.get(start..start + end).unwrap_or_default());
    let content = start + end + 2;
    // An empty part ends with the line end that ends its head.
    Ok(Some(State::Content { field, start: content, seen: content - 2 }))
}

fn field(head: &[u8]) -> Option<Field> {
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
    named.map(|name| Field { name, file })
}

fn malformed_form(why: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("The form cannot be read: {why}"))
}
