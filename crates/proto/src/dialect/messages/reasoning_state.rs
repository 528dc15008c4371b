//! Opaque reasoning state in the fields that Anthropic has for it: `signature` of a thinking block, `data` of a redacted one.
//! The envelope is described in [`crate::state`].

use crate::dialect::Wire;
use crate::state::State;
use crate::text::Text;

/// Replaces the id in envelopes of state that came as `redacted_thinking`, which has no readable text.
const REDACTED: &str = "redacted";

/// Opaque state as a client of this dialect gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// The `signature` of a thinking block.
    Signature(Text),
    /// The `data` of a redacted thinking block.
    Redacted(Text),
}

/// Canonical state for a client: Anthropic's state goes without an envelope, all other state in an envelope.
pub(super) fn seal(id: Option<&Text>, encrypted: &Text) -> Sealed {
    match State::open(encrypted.as_str()) {
        Some(State { wire: Wire::Messages, id, data }) => wrap(id, encrypted, data),
        Some(_) => Sealed::Signature(encrypted.clone()),
        None => Sealed::Signature(envelope(Wire::Responses, id.map_or("", Text::as_str), encrypted)),
    }
}

/// Canonical state for an upstream of this dialect; `None` for state that Anthropic did not make and would refuse.
pub(super) fn bare(encrypted: &Text) -> Option<Sealed> {
    match State::open(encrypted.as_str())? {
        State { wire: Wire::Messages, id, data } => Some(wrap(id, encrypted, data)),
        _ => None,
    }
}

/// Id and canonical state from a signature; an empty signature has no state.
pub(super) fn from_signature(text: &Text) -> (Option<Text>, Option<Text>) {
    open(text, "")
}

/// Id and canonical state from the data of a redacted block.
pub(super) fn from_redacted(text: &Text) -> (Option<Text>, Option<Text>) {
    open(text, REDACTED)
}

/// Whether a signature or redacted data is state that Anthropic did not make.
pub(super) fn foreign(text: &Text) -> bool {
    State::open(text.as_str()).is_some_and(|state| state.wire != Wire::Messages)
}

fn open(text: &Text, own: &str) -> (Option<Text>, Option<Text>) {
    match State::open(text.as_str()) {
        _ if text.is_empty() => (None, None),
        Some(State { wire: Wire::Responses, id, data }) => {
            ((!id.is_empty()).then(|| Text::from_plain(id)), Some(part(text, data)))
        }
        Some(_) => (None, Some(text.clone())),
        None => (None, Some(envelope(Wire::Messages, own, text))),
    }
}

fn wrap(id: &str, encrypted: &Text, data: &str) -> Sealed {
    let data = part(encrypted, data);
    if id == REDACTED { Sealed::Redacted(data) } else { Sealed::Signature(data) }
}

/// The envelope of a text that is still escaped; the envelope is then escaped too.
fn envelope(wire: Wire, id: &str, data: &Text) -> Text {
    Text::from_escaped(State { wire, id, data: data.as_str() }.seal().into())
}

fn part(whole: &Text, part: &str) -> Text {
    Text::from_escaped(whole.escaped().slice_ref(part.as_bytes()))
}
