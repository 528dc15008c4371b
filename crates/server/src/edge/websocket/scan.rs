//! Tracks the frames in a client's bytes (RFC 6455, section 5.2) without reading their payload: where the next frame begins, and whether a
//! message is incomplete. Protocol errors are left to the frame reader.

#[cfg(test)]
mod tests;

/// Longest head of a frame: two bytes, eight of a long length, four of a mask.
const HEAD: usize = 14;
/// The FIN bit, which ends a message, and the opcode bit of control frames, which belong to no message.
const FIN: u8 = 0x80;
const CONTROL: u8 = 0x08;
/// The longest payload of a control frame.
const CONTROL_MOST: u64 = 125;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct FrameScanner {
    position: Position,
    message: MessageState,
}

/// The current incomplete message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MessageState {
    #[default]
    None,
    /// The message is in one frame.
    Frame,
    /// The message is in several frames, which are copied into one.
    Fragmented,
}

/// The scanner's position in the stream.
#[derive(Debug)]
enum Position {
    /// In a head, of which `length` bytes have arrived.
    Head { bytes: [u8; HEAD], length: usize },
    /// In the payload of a frame; `left` bytes are missing.
    Payload { of: FrameKind, left: u64 },
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    /// A part of a message.
    Part,
    /// The last part of a message.
    Last,
    /// A ping, a pong or a close.
    Control,
}

/// The result of scanning some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Bytes that are payload of messages.
    pub(super) payload: usize,
    /// Whether a message began in these bytes.
    pub(super) began: bool,
    /// Whether the bytes announce a control frame that is too long or fragmented, which the frame reader would read completely before
    /// refusing it.
    pub(super) breach: bool,
}

impl Default for Position {
    fn default() -> Self {
        Self::Head { bytes: [0; HEAD], length: 0 }
    }
}

impl FrameScanner {
    /// Whether a message is incomplete.
    pub(super) fn is_open(&self) -> bool {
        self.message != MessageState::None
    }

    /// How many copies of the message's bytes the frame reader may hold.
    pub(super) fn copies(&self) -> usize {
        if self.message == MessageState::Fragmented { 2 } else { 1 }
    }

    /// How many bytes can be read without crossing the end of the current frame; never 0.
    pub(super) fn ahead(&self) -> usize {
        match &self.position {
            Position::Head { bytes, length } => head_len(&bytes[..*length]) - length,
            Position::Payload { left, .. } => usize::try_from(*left).unwrap_or(usize::MAX),
        }
    }

    /// Advances over bytes, at most [`Self::ahead`] of them.
    pub(super) fn pass(&mut self, given: &[u8]) -> Scanned {
        match &mut self.position {
            Position::Head { bytes, length } => {
                let end = *length + given.len();
                bytes[*length..end].copy_from_slice(given);
                *length = end;
                if end < head_len(&bytes[..end]) {
                    return Scanned::default();
                }
                let (of, left) = frame(&bytes[..end]);
                let invalid_control = of == FrameKind::Control && (left > CONTROL_MOST || bytes[0] & FIN == 0);
                Scanned { breach: invalid_control, ..self.begin(of, left) }
            }
            Position::Payload { of, left } => {
                let of = *of;
                *left = left.saturating_sub(given.len() as u64);
                if *left == 0 {
                    self.end(of);
                }
                Scanned { payload: if of == FrameKind::Control { 0 } else { given.len() }, ..Scanned::default() }
            }
        }
    }

    fn begin(&mut self, of: FrameKind, left: u64) -> Scanned {
        let began = of != FrameKind::Control && !self.is_open();
        if began {
            self.message = if of == FrameKind::Part { MessageState::Fragmented } else { MessageState::Frame };
        }
        self.position = Position::Payload { of, left };
        if left == 0 {
            self.end(of);
        }
        Scanned { began, ..Scanned::default() }
    }

    fn end(&mut self, of: FrameKind) {
        self.position = Position::default();
        if of == FrameKind::Last {
            self.message = MessageState::None;
        }
    }
}

/// The length of a head that begins with these bytes.
fn head_len(bytes: &[u8]) -> usize {
    let Some(second) = bytes.get(1) else { return 2 };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    2 + mask + extended(*second)
}

/// The number of extra bytes for the payload length.
fn extended(second: u8) -> usize {
    match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// The kind of a frame with this complete head, and the length of its payload.
fn frame(head: &[u8]) -> (FrameKind, u64) {
    let (first, second) = (head[0], head[1]);
    let of = match (first & CONTROL, first & FIN) {
        (0, 0) => FrameKind::Part,
        (0, _) => FrameKind::Last,
        _ => FrameKind::Control,
    };
    let length = match extended(second) {
        0 => u64::from(second & 0x7f),
        more => head[2..2 + more].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    (of, length)
}
