//! Names on the wire: event types and content block types.

use crate::json::Scan;

/// The meaning of an event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `message_start`
    Start,
    /// `content_block_start`
    BlockStart,
    /// `content_block_delta`
    BlockDelta,
    /// `content_block_stop`
    BlockStop,
    /// `message_delta`: the reason for the reply's end, and the token counts.
    Delta,
    /// `message_stop`
    Stop,
    /// `error`
    Error,
    /// `ping` and everything that we do not know.
    Other,
}

impl Kind {
    /// The meaning of an event type.
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::Start,
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"message_delta" => Self::Delta,
            b"message_stop" => Self::Stop,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// The `type` at the head of `data`, where Anthropic puts it; `None` when it is elsewhere.
pub(super) fn type_of(data: &[u8]) -> Option<&[u8]> {
    let mut scan = Scan::new(data);
    scan.expect(b'{').ok()?;
    let key = scan.string(false).ok()?;
    scan.expect(b':').ok()?;
    let name = scan.string(false).ok()?;
    (&data[key.start..key.end] == b"type" && !name.escaped).then(|| &data[name.start..name.end])
}

/// The kind of the piece in a `content_block_delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// `text_delta`
    Text,
    /// `thinking_delta`
    Thinking,
    /// `input_json_delta`
    Input,
    /// `signature_delta`
    Signature,
}

impl Piece {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Text, Self::Thinking, Self::Input, Self::Signature];

    /// The `type` of the delta.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text_delta",
            Self::Thinking => "thinking_delta",
            Self::Input => "input_json_delta",
            Self::Signature => "signature_delta",
        }
    }

    /// The field of the delta that holds the piece.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Thinking => "thinking",
            Self::Input => "partial_json",
            Self::Signature => "signature",
        }
    }
}
