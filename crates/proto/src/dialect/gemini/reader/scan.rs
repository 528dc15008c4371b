//! The fast path for the most common frame: one part of plain text, and counts that the next frame repeats.
//!
//! The frame is walked token by token. Any frame that differs from this shape takes the full parse.

use std::ops::Range;

use bytes::Bytes;

use crate::json::{self, Scan};
use crate::text::{Json, Text};

/// The content of such a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextDelta {
    /// The text; not empty.
    pub(super) text: Text,
    /// Whether the text is a summary of thoughts.
    pub(super) thought: bool,
    /// The counts so far.
    pub(super) usage: Option<Json>,
}

/// Reads a frame with one text part of the first candidate and no finish reason; `None` for every other frame.
pub(super) fn text(data: &Bytes) -> Option<TextDelta> {
    let mut walk = Walk { scan: Scan::new(data), text: None, thought: false, usage: None };
    walk.reply()?;
    if walk.scan.next_token().is_some() {
        return None;
    }
    let text = data.slice(walk.text.filter(|text| !text.is_empty())?);
    std::str::from_utf8(data).ok()?;
    let usage = walk.usage.map(|range| Json::from_valid(data.slice(range)));
    Some(TextDelta { text: Text::from_escaped(text), thought: walk.thought, usage })
}

struct Walk<'a> {
    scan: Scan<'a>,
    text: Option<Range<usize>>,
    thought: bool,
    usage: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    /// Walks an object; `member` reads each member.
    fn object(&mut self, member: impl Fn(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.scan.expect(b'{').ok()?;
        loop {
            self.scan.next_token()?;
            let key = self.scan.string(false).ok()?;
            let key = self.scan.part(key.start, key.end);
            self.scan.expect(b':').ok()?;
            member(self, key)?;
            match self.scan.next_token()? {
                b',' => self.scan.bump(),
                b'}' => break,
                _ => return None,
            }
        }
        self.scan.bump();
        Some(())
    }

    /// Walks an array of one object.
    fn only(&mut self, element: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        self.scan.expect(b'[').ok()?;
        element(self)?;
        self.scan.expect(b']').ok()
    }

    fn string(&mut self) -> Option<Range<usize>> {
        self.scan.next_token()?;
        self.scan.string(false).ok().map(|body| body.start..body.end)
    }

    fn reply(&mut self) -> Option<()> {
        self.object(|walk, key| match key {
            b"candidates" => walk.only(Self::candidate),
            b"usageMetadata" => {
                walk.scan.next_token()?;
                let start = walk.scan.at();
                walk.scan.skip()?;
                walk.usage = Some(start..walk.scan.at());
                // Skipping is lenient; everything else here is walked token by token.
                json::valid(walk.scan.part(start, walk.scan.at())).then_some(())
            }
            b"modelVersion" | b"responseId" | b"createTime" => walk.string().map(drop),
            _ => None,
        })
    }

    fn candidate(&mut self) -> Option<()> {
        self.object(|walk, key| match key {
            b"content" => walk.content(),
            b"index" => {
                walk.scan.next_token()?;
                (walk.scan.small()? == 0).then_some(())
            }
            _ => None,
        })
    }

    fn content(&mut self) -> Option<()> {
        self.object(|walk, key| match key {
            b"parts" => walk.only(Self::part),
            b"role" => walk.string().map(drop),
            _ => None,
        })
    }

    fn part(&mut self) -> Option<()> {
        self.object(|walk, key| match key {
            b"text" if walk.text.is_none() => {
                walk.text = Some(walk.string()?);
                Some(())
            }
            b"thought" => {
                walk.scan.next_token()?;
                walk.thought = walk.scan.peek() == Some(b't');
                walk.scan.scalar().ok()
            }
            _ => None,
        })
    }
}
