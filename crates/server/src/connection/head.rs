//! Checks an HTTP/1 request head before hyper parses it: refuses every shape that two HTTP parsers could read differently. The check
//! decides nothing else; hyper stays the only parser. The code is pure, so that a fuzz corpus can run through it.

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// A shape that parsers disagree about, or bytes that are not HTTP (400).
    Malformed,
    /// Too many bytes or headers (431).
    TooLarge,
}

/// How the body that follows a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes, 0 without a body.
    Length(u64),
    /// Chunked.
    Chunked,
}

/// Whether `held` cannot begin a request: TLS on a plain port, a binary protocol, a stray body.
pub(crate) fn is_not_http(held: &[u8]) -> bool {
    held.first().is_some_and(|byte| !is_token_byte(*byte) && *byte != b'\r')
}

/// The end of the head in `held`, if it is complete. An earlier call has searched the bytes before `from`. Errors: `Malformed` at the first
/// line end that is not CRLF, so that such a head is answered at once.
pub(crate) fn end(held: &[u8], from: usize) -> Result<Option<usize>, HeadError> {
    for at in from..held.len() {
        if held[at] != b'\n' {
            continue;
        }
        if at == 0 || held[at - 1] != b'\r' {
            return Err(HeadError::Malformed);
        }
        if at >= 3 && held[at - 3..].starts_with(b"\r\n") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

/// Checks a complete head, including its closing empty line.
pub(crate) fn check(head: &[u8], most: usize) -> Result<Framing, HeadError> {
    let mut lines = head.strip_suffix(b"\r\n\r\n").ok_or(HeadError::Malformed)?.split(|byte| *byte == b'\n');
    let newer = request_line(trim_cr(lines.next().unwrap_or_default()))?;
    let mut seen = HeaderScan::default();
    for (count, line) in lines.enumerate() {
        if count >= most {
            return Err(HeadError::TooLarge);
        }
        seen.take(trim_cr(line))?;
    }
    seen.framing(newer)
}

/// Removes the CR that every line but the last still has.
fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Checks a request line; true if the version is HTTP/1.1.
fn request_line(line: &[u8]) -> Result<bool, HeadError> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, to, version] = words[..] else { return Err(HeadError::Malformed) };
    let sound = !method.is_empty() && method.iter().all(|byte| is_token_byte(*byte)) && target(method, to);
    match version {
        b"HTTP/1.1" if sound => Ok(true),
        b"HTTP/1.0" if sound => Ok(false),
        _ => Err(HeadError::Malformed),
    }
}

/// Whether the target has one of the four forms of RFC 9112 3.2.
fn target(method: &[u8], target: &[u8]) -> bool {
    let form = match target {
        [b'/', ..] | b"*" => true,
        _ => method == b"CONNECT" || target.starts_with(b"http://") || target.starts_with(b"https://"),
    };
    form && target.iter().all(u8::is_ascii_graphic) && http::Uri::try_from(target).is_ok()
}

#[derive(Default)]
struct HeaderScan {
    length: Option<u64>,
    chunked: bool,
}

impl HeaderScan {
    fn take(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadError::Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let named = !name.is_empty() && name.iter().all(|byte| is_token_byte(*byte));
        let clean = value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
        if !named || !clean || is_disguised(name) {
            return Err(HeadError::Malformed);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = length(value).filter(|_| self.length.is_none());
            self.length = Some(length.ok_or(HeadError::Malformed)?);
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::Malformed);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn framing(&self, newer: bool) -> Result<Framing, HeadError> {
        match (self.chunked, self.length) {
            (true, None) if newer => Ok(Framing::Chunked),
            (true, _) => Err(HeadError::Malformed),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn length(value: &[u8]) -> Option<u64> {
    let plain = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    plain.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Whether the name is a disguised spelling of a header that decides a message's framing, target or sender. A proxy in front may read
/// `Content_Length` as `Content-Length`; other names with underscores (`session_id` of older Codex clients) are harmless and pass.
fn is_disguised(name: &[u8]) -> bool {
    const FRAMING: [&str; 9] = [
        "content-length", "transfer-encoding", "host", "connection", "upgrade", "expect", "authorization", "x-api-key",
        "x-goog-api-key",
    ];
    name.contains(&b'_')
        && FRAMING.iter().any(|framing| {
            framing.len() == name.len()
                && framing
                    .bytes()
                    .zip(name)
                    .all(|(plain, byte)| plain == byte.to_ascii_lowercase() || (plain == b'-' && *byte == b'_'))
        })
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
