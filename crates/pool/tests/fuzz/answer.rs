//! An upstream's answer as an input: a line with the status, header lines, an empty line, the body.

use pool::{Millis, limits};

/// When everything happens.
pub(crate) const NOW: Millis = Millis(1_800_000_000_000);

/// The parts of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an input; what is missing is empty.
    pub(crate) fn of(input: &[u8]) -> Self {
        let end = input.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((input, &[][..]), |end| (&input[..end], &input[end + 2..]));
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(429);
        // Names are tokens: no HTTP library gives us any other.
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let named = lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.chars().all(token));
        let headers = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { status, headers: headers.collect(), body: body.to_vec() }
    }

    /// The headers, borrowed.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The furthest instant that is believed.
pub(crate) fn latest() -> Millis {
    NOW.plus(i64::try_from(limits::RESET_MAX.as_millis()).expect("31 days are few milliseconds"))
}

/// A text for clients, logs and tables: short, and no control characters.
pub(crate) fn clean(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes, {most} allowed", text.len());
    assert!(!text.chars().any(char::is_control), "control characters in {text:?}");
}
