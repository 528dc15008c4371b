//! The innermost loops: strings, numbers and literals. Every step checks the bytes that it reads, so the same code serves bytes from
//! outside and bytes that were checked before; two functions for the latter say so in their names.

use memchr::memchr2;

/// A cursor over bytes that may not be JSON.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snag {
    /// The bytes end inside a value.
    End,
    /// A byte that is not allowed here.
    Byte,
    /// A raw control character inside a string.
    Control,
    /// An escape that does not exist.
    Escape,
    /// Half of a surrogate pair alone.
    Surrogate,
}

/// The position of a string in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// First byte after the opening quote.
    pub(crate) start: usize,
    /// The closing quote.
    pub(crate) end: usize,
    /// Whether the string has a backslash.
    pub(crate) escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A cursor that starts at `at`.
    pub(crate) fn from(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The bytes from `start` to `end`, which were already read.
    pub(crate) fn part(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn bump(&mut self) {
        self.at += 1;
    }

    /// Skips whitespace and returns the next byte.
    pub(crate) fn next_token(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Skips whitespace and reads `byte`.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Snag> {
        match self.next_token() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Snag::Byte),
            None => Err(Snag::End),
        }
    }

    /// Reads exactly these bytes.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        rest.starts_with(bytes).then(|| self.at += bytes.len())
    }

    /// Reads a string that starts here. `strict` refuses lone surrogates.
    #[inline]
    pub(crate) fn string(&mut self, strict: bool) -> Result<Body, Snag> {
        self.string_by(strict, far_end)
    }

    /// Reads a string of a document that was checked before: a long one is only searched for its end.
    #[inline]
    pub(crate) fn checked_string(&mut self) -> Result<Body, Snag> {
        self.string_by(false, |bytes| memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len()))
    }

    /// `far` finds the end of a long plain stretch from its start.
    #[inline]
    fn string_by(&mut self, strict: bool, far: impl Fn(&[u8]) -> usize) -> Result<Body, Snag> {
        if self.peek() == Some(b'"') {
            self.at += 1;
        } else {
            self.expect(b'"')?;
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_end(self.bytes, self.at, &far);
            match self.peek() {
                None => return Err(Snag::End),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Body { start, end: self.at - 1, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape(strict)?;
                }
                Some(_) => return Err(Snag::Control),
            }
        }
    }

    fn escape(&mut self, strict: bool) -> Result<(), Snag> {
        self.at += 1;
        match self.peek().ok_or(Snag::End)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => self.unicode(strict),
            _ => Err(Snag::Escape),
        }
    }

    fn unicode(&mut self, strict: bool) -> Result<(), Snag> {
        let unit = self.unit()?;
        match unit {
            0xD800..=0xDBFF if strict => {
                if self.peek() != Some(b'\\') {
                    return Err(if self.peek().is_none() { Snag::End } else { Snag::Surrogate });
                }
                self.at += 1;
                match self.peek() {
                    None => Err(Snag::End),
                    Some(b'u') if matches!(self.unit()?, 0xDC00..=0xDFFF) => Ok(()),
                    Some(_) => Err(Snag::Surrogate),
                }
            }
            0xDC00..=0xDFFF if strict => Err(Snag::Surrogate),
            _ => Ok(()),
        }
    }

    /// Reads `uXXXX`.
    fn unit(&mut self) -> Result<u32, Snag> {
        let digits = self.bytes.get(self.at + 1..self.at + 5).ok_or(Snag::End)?;
        let unit = digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?));
        self.at += 5;
        unit.ok_or(Snag::Escape)
    }

    /// Reads a number, `true`, `false` or `null`.
    pub(crate) fn scalar(&mut self) -> Result<(), Snag> {
        match self.peek().ok_or(Snag::End)? {
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Snag::Byte),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Snag> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { Snag::End } else { Snag::Byte })
    }

    fn number(&mut self) -> Result<(), Snag> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Snag> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start {
            return Ok(());
        }
        Err(if self.peek().is_none() { Snag::End } else { Snag::Byte })
    }

    /// Reads a plain whole number that fits; `None` for any other spelling.
    pub(crate) fn small(&mut self) -> Option<u32> {
        let (start, mut number) = (self.at, 0u32);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
            self.at += 1;
        }
        let padded = self.at - start > 1 && self.bytes[start] == b'0';
        let more = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        (self.at > start && !padded && !more).then_some(number)
    }

    /// Skips one whole value; stops at the end of the bytes at the latest.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_by(|scan| scan.string(false))
    }

    /// The same in a document that was checked before.
    pub(crate) fn skip_checked(&mut self) -> Option<()> {
        self.skip_by(Self::checked_string)
    }

    #[inline]
    fn skip_by(&mut self, string: impl Fn(&mut Self) -> Result<Body, Snag>) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.next_token()? {
                b'"' => {
                    string(self).ok()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                _ => self.scalar().ok()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// Index of the first quote, backslash or control character at or after `at`, else the length. Reads eight bytes per step: strings are most
/// of every body, and a byte loop is three times slower. `far` continues where a string is long.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize, far: impl Fn(&[u8]) -> usize) -> usize {
    /// Most strings are short and end within this many steps.
    const NEAR: usize = 4;
    let mut rest = bytes.get(at..).unwrap_or_default();
    for _ in 0..NEAR {
        let Some((eight, after)) = rest.split_first_chunk() else { break };
        let hits = specials(*eight);
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
        rest = after;
    }
    at + far(rest)
}

/// The same from the start of `bytes`, for long strings, in blocks of four words. Words, because the compiler does not use wide registers for
/// a loop over bytes in every profile: with fat LTO it took ten times the instructions (rustc 1.95).
#[inline(never)]
fn far_end(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let plain = |block: &&[u8; 32]| block.as_chunks::<8>().0.iter().fold(0, |hits, word| hits | specials(*word)) == 0;
    let mut at = 32 * blocks.iter().take_while(plain).count();
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let hits = specials(*eight);
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// The high bits of the bytes that end a plain stretch, and perhaps of some bytes behind the first of them.
#[inline]
fn specials(eight: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(eight);
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
    let slash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    // All three kinds are ASCII, so one `!word` excludes the bytes over 0x7F. Borrows make false hits only above a true one, so
    // the lowest hit is always true.
    (control | quote | slash) & !word & HIGHS
}
