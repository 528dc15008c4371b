//! Follows a JSON value that is passing by in pieces, so that it can be closed properly when the rest never comes.

/// What is open in a value so far.
#[derive(Debug, Default)]
pub(crate) struct Closer {
    /// Open containers, innermost last: whether each is an object.
    stack: Vec<bool>,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
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
    /// In `true`, `false` or `null`, with so many bytes to come.
    Word { first: u8, left: u8 },
    /// Not JSON; nobody can close it.
    Broken,
}

impl Closer {
    /// The next bytes of the value.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let Place::String { key, escape: 0 } = self.place {
                let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                rest = &rest[plain..];
                if let Some((&end, after)) = rest.split_first() {
                    self.place = if end == b'\\' { Place::String { key, escape: 1 } } else { Self::closed(key) };
                    rest = after;
                }
                continue;
            }
            self.step(byte);
            rest = after;
        }
    }

    /// The bytes that close the value; `None` when it was no JSON.
    pub(crate) fn closing(&self) -> Option<Vec<u8>> {
        let mut out: Vec<u8> = match self.place {
            Place::Broken => return None,
            Place::Value => b"null".to_vec(),
            Place::Key => b"\"\":null".to_vec(),
            Place::Colon => b":null".to_vec(),
            Place::First | Place::After | Place::Number { digit: true } => Vec::new(),
            Place::Number { digit: false } => b"0".to_vec(),
            Place::Word { first, left } => word(first)[word(first).len() - usize::from(left)..].to_vec(),
            Place::String { key, escape } => string(key, escape),
        };
        out.extend(self.stack.iter().rev().map(|object| if *object { b'}' } else { b']' }));
        Some(out)
    }

    fn step(&mut self, byte: u8) {
        let object = self.stack.last().copied();
        self.place = match (self.place, byte) {
            (Place::String { key, escape }, _) => Place::String { key, escape: next_escape(escape, byte) },
            (Place::Word { first, left }, _) if left > 1 => Place::Word { first, left: left - 1 },
            (Place::Word { .. }, _) => Place::After,
            (Place::Number { .. }, b'0'..=b'9') => Place::Number { digit: true },
            (Place::Number { .. }, b'+' | b'-' | b'.' | b'e' | b'E') => Place::Number { digit: false },
            (Place::Number { digit: true }, _) => {
                self.place = Place::After;
                return self.step(byte);
            }
            (place, b' ' | b'\t' | b'\n' | b'\r') => place,
            (Place::Value | Place::First | Place::After, b'}' | b']') => self.close(byte),
            (Place::First, _) if object == Some(true) => key(byte),
            (Place::Key, _) => key(byte),
            (Place::Colon, b':') => Place::Value,
            (Place::After, b',') if object.is_some() => {
                if object == Some(true) {
                    Place::Key
                } else {
                    Place::Value
                }
            }
            (Place::Value | Place::First, _) => self.value(byte),
            _ => Place::Broken,
        };
    }

    fn value(&mut self, byte: u8) -> Place {
        match byte {
            b'{' | b'[' => {
                self.stack.push(byte == b'{');
                Place::First
            }
            b'"' => Place::String { key: false, escape: 0 },
            b'-' => Place::Number { digit: false },
            b'0'..=b'9' => Place::Number { digit: true },
            b't' | b'n' => Place::Word { first: byte, left: 3 },
            b'f' => Place::Word { first: byte, left: 4 },
            _ => Place::Broken,
        }
    }

    fn close(&mut self, byte: u8) -> Place {
        if self.place != Place::Value && self.stack.pop() == Some(byte == b'}') { Place::After } else { Place::Broken }
    }

    fn closed(key: bool) -> Place {
        if key { Place::Colon } else { Place::After }
    }
}

fn key(byte: u8) -> Place {
    if byte == b'"' { Place::String { key: true, escape: 0 } } else { Place::Broken }
}

fn next_escape(escape: u8, byte: u8) -> u8 {
    match (escape, byte) {
        (1, b'u') => 2,
        (1 | 5, _) => 0,
        _ => escape + 1,
    }
}

fn word(first: u8) -> &'static [u8] {
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
