//! Tracks a JSON value that passes in pieces, so that it can be closed properly when the rest never comes.

/// The open containers and the state of a value so far.
#[derive(Debug, Default)]
pub(crate) struct Closer {
    /// Open containers, innermost last: whether each is an object.
    stack: Vec<bool>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A value must come.
    #[default]
    Value,
    /// The first member or the end of a container.
    First,
    /// After a comma in an object.
    Key,
    /// After a key.
    Colon,
    /// After a value.
    After,
    /// In a string; `escape` counts the bytes of an unfinished escape.
    String { key: bool, escape: u8 },
    /// In a number.
    Number { digit: bool },
    /// In `true`, `false` or `null`; `left` bytes are missing.
    Word { first: u8, left: u8 },
    /// Not JSON; it cannot be closed.
    Broken,
}

impl Closer {
    /// Reads the next bytes of the value.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let State::String { key, escape: 0 } = self.state {
                let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                rest = &rest[plain..];
                if let Some((&end, after)) = rest.split_first() {
                    self.state = if end == b'\\' { State::String { key, escape: 1 } } else { Self::closed(key) };
                    rest = after;
                }
                continue;
            }
            self.step(byte);
            rest = after;
        }
    }

    /// The bytes that close the value; `None` when it was not JSON.
    pub(crate) fn closing(&self) -> Option<Vec<u8>> {
        let mut out: Vec<u8> = match self.state {
            State::Broken => return None,
            State::Value => b"null".to_vec(),
            State::Key => b"\"\":null".to_vec(),
            State::Colon => b":null".to_vec(),
            State::First | State::After | State::Number { digit: true } => Vec::new(),
            State::Number { digit: false } => b"0".to_vec(),
            State::Word { first, left } => literal(first)[literal(first).len() - usize::from(left)..].to_vec(),
            State::String { key, escape } => string(key, escape),
        };
        out.extend(self.stack.iter().rev().map(|object| if *object { b'}' } else { b']' }));
        Some(out)
    }

    fn step(&mut self, byte: u8) {
        let object = self.stack.last().copied();
        self.state = match (self.state, byte) {
            (State::String { key, escape }, _) => State::String { key, escape: next_escape(escape, byte) },
            (State::Word { first, left }, _) if left > 1 => State::Word { first, left: left - 1 },
            (State::Word { .. }, _) => State::After,
            (State::Number { .. }, b'0'..=b'9') => State::Number { digit: true },
            (State::Number { .. }, b'+' | b'-' | b'.' | b'e' | b'E') => State::Number { digit: false },
            (State::Number { digit: true }, _) => {
                self.state = State::After;
                return self.step(byte);
            }
            (state, b' ' | b'\t' | b'\n' | b'\r') => state,
            (State::Value | State::First | State::After, b'}' | b']') => self.close(byte),
            (State::First, _) if object == Some(true) => key(byte),
            (State::Key, _) => key(byte),
            (State::Colon, b':') => State::Value,
            (State::After, b',') if object.is_some() => {
                if object == Some(true) {
                    State::Key
                } else {
                    State::Value
                }
            }
            (State::Value | State::First, _) => self.value(byte),
            _ => State::Broken,
        };
    }

    fn value(&mut self, byte: u8) -> State {
        match byte {
            b'{' | b'[' => {
                self.stack.push(byte == b'{');
                State::First
            }
            b'"' => State::String { key: false, escape: 0 },
            b'-' => State::Number { digit: false },
            b'0'..=b'9' => State::Number { digit: true },
            b't' | b'n' => State::Word { first: byte, left: 3 },
            b'f' => State::Word { first: byte, left: 4 },
            _ => State::Broken,
        }
    }

    fn close(&mut self, byte: u8) -> State {
        if self.state != State::Value && self.stack.pop() == Some(byte == b'}') { State::After } else { State::Broken }
    }

    fn closed(key: bool) -> State {
        if key { State::Colon } else { State::After }
    }
}

fn key(byte: u8) -> State {
    if byte == b'"' { State::String { key: true, escape: 0 } } else { State::Broken }
}

fn next_escape(escape: u8, byte: u8) -> u8 {
    match (escape, byte) {
        (1, b'u') => 2,
        (1 | 5, _) => 0,
        _ => escape + 1,
    }
}

fn literal(first: u8) -> &'static [u8] {
    match first {
        b't' => b"true",
        b'f' => b"false",
        _ => b"null",
    }
}

fn string(key: bool, escape: u8) -> Vec<u8> {
    let mut out = match escape {
        0 => Vec::new(),
        1 => b"\\".to_vec(),
        read => vec![b'0'; usize::from(6 - read)],
    };
    out.extend_from_slice(if key { b"\":null" } else { b"\"" });
    out
}
