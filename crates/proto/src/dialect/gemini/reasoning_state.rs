//! `thoughtSignature`: base64 in JSON, which SDKs decode and encode again, some of them with the other alphabet.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::dialect::Wire;
use crate::state::State;
use crate::text::Text;

/// The first characters of every envelope's base64.
const MARK: &str = "cGcxL";

/// Reads base64 with or without padding; writes padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The signature that carries this state to the client.
pub(super) fn write(id: Option<&Text>, encrypted: &Text) -> Text {
    let plain = encrypted.plain();
    match State::open(&plain) {
        Some(State { wire: Wire::Gemini, data, .. }) => Text::from_plain(data),
        Some(_) => Text::from_plain(&BASE64.encode(plain.as_bytes())),
        None => {
            let id = id.map(Text::plain).unwrap_or_default();
            let envelope = State { wire: Wire::Responses, id: &id, data: &plain }.seal();
            Text::from_plain(&BASE64.encode(envelope))
        }
    }
}

/// The id and state in a signature.
pub(super) fn read(signature: &Text) -> (Option<Text>, Text) {
    let plain = signature.plain();
    if let Some(envelope) = opened(&plain)
        && let Some(state) = State::open(&envelope)
    {
        if state.wire != Wire::Responses {
            return (None, Text::from_plain(&envelope));
        }
        let id = (!state.id.is_empty()).then(|| Text::from_plain(state.id));
        return (id, Text::from_plain(state.data));
    }
    (None, Text::from_plain(&State { wire: Wire::Gemini, id: "", data: &plain }.seal()))
}

/// The signature for a Gemini upstream: the state's own signature, or none.
pub(super) fn unwrap_own(encrypted: &Text) -> Option<Text> {
    let plain = encrypted.plain();
    let state = State::open(&plain).filter(|state| state.wire == Wire::Gemini)?;
    opened(state.data).is_none().then(|| Text::from_plain(state.data))
}

/// The decoded text if the signature is one of the gateway's envelopes.
fn opened(signature: &str) -> Option<String> {
    if !signature.starts_with(MARK) {
        return None;
    }
    let standard = signature.replace('-', "+").replace('_', "/");
    String::from_utf8(BASE64.decode(standard).ok()?).ok()
}
