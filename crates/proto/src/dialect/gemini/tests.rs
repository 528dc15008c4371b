use super::reasoning_state;
use crate::dialect::Wire;
use crate::state::State;
use crate::text::Text;

#[test]
fn state_of_others_travels_in_base64_and_comes_home() {
    let id = Text::from("rs_1");
    let sent = reasoning_state::write(Some(&id), &Text::from("gAAA/+=?"));
    assert!(sent.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)));
    assert_eq!(reasoning_state::read(&sent), (Some(id), Text::from("gAAA/+=?")));
    // Python's SDK writes the other alphabet, and some clients omit the padding.
    let url = sent.plain().replace('+', "-").replace('/', "_");
    assert_eq!(reasoning_state::read(&Text::from(url.trim_end_matches('='))).1, Text::from("gAAA/+=?"));
    assert_eq!(reasoning_state::unwrap_own(&Text::from("gAAA/+=?")), None);
}

#[test]
fn geminis_own_state_stays_as_it_is() {
    for own in ["RXhhbXBsZQ==", "skip_thought_signature_validator", "not base64 at all \u{e9}", "cGcxL"] {
        let (id, state) = reasoning_state::read(&Text::from(own));
        assert_eq!(id, None);
        assert_eq!(State::open(&state.plain()), Some(State { wire: Wire::Gemini, id: "", data: own }));
        assert_eq!(reasoning_state::unwrap_own(&state), Some(Text::from(own)));
        assert_eq!(reasoning_state::write(None, &state), Text::from(own));
    }
}

#[test]
fn state_of_a_third_protocol_keeps_its_envelope() {
    let envelope = Text::from("pg1.m..ErUB");
    let sent = reasoning_state::write(None, &envelope);
    assert_eq!(reasoning_state::read(&sent), (None, envelope.clone()));
    assert_eq!(reasoning_state::unwrap_own(&envelope), None);
    // An envelope that claims to be Gemini's and contains another one is invalid.
    assert_eq!(reasoning_state::unwrap_own(&Text::from(format!("pg1.g..{}", sent.plain()).as_str())), None);
}
