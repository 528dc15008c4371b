//! Opaque reasoning state that passes through a protocol other than its maker's.
//!
//! Every upstream that hides its reasoning returns an opaque text to send back: `encrypted_content` (Responses), `signature` (Messages),
//! `thoughtSignature` (Gemini). A client of another protocol stores this text in the field that its own protocol has. So that the text
//! returns to its maker on the next turn, it is put into an envelope that names the maker: `pg1.<wire>.<item id>.<data>`. State in its
//! maker's own protocol has no envelope.

use crate::protocol::Wire;

/// The prefix of every envelope.
const MARK: &str = "pg1.";

/// Opaque state and its maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// The protocol of its maker.
    pub wire: Wire,
    /// The maker's id of the reasoning item; `[A-Za-z0-9_-]+`, empty when it has none.
    pub id: &'a str,
    /// The state itself, as its maker wrote it.
    pub data: &'a str,
}

impl<'a> State<'a> {
    /// The envelope's text. An id with other characters is left out: it names an item, the state does not depend on it.
    pub fn seal(&self) -> String {
        let letter = match self.wire {
            Wire::Responses => 'r',
            Wire::Chat => 'c',
            Wire::Messages => 'm',
            Wire::Gemini => 'g',
        };
        let plain = self.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        let id = if plain { self.id } else { "" };
        format!("{MARK}{letter}.{id}.{}", self.data)
    }

    /// Opens an envelope; `None` for other texts, which are state of the protocol that they came in.
    pub fn open(text: &'a str) -> Option<Self> {
        let (letter, rest) = text.strip_prefix(MARK)?.split_once('.')?;
        let (id, data) = rest.split_once('.')?;
        let wire = match letter {
            "r" => Wire::Responses,
            "c" => Wire::Chat,
            "m" => Wire::Messages,
            "g" => Wire::Gemini,
            _ => return None,
        };
        Some(Self { wire, id, data })
    }
}

#[cfg(test)]
mod tests;
