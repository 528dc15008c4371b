//! Addresses that users paste at the end of a login: a code is accepted only with this login's state, and no error text can break a
//! terminal.

use upstream::oauth::{CallbackError, code_from_pasted};

const STATE: &str = "c2VjcmV0LXN0YXRl";

/// Checks one pasted text.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match code_from_pasted(&text, STATE) {
        Ok(code) => {
            let code = code.expose();
            assert!(!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_graphic()), "{code:?}");
            assert!(knows(&text), "a code without the state: {text}");
        }
        Err(CallbackError::Denied(why)) => {
            assert!(knows(&text) && why.len() <= 1024 && !why.chars().any(char::is_control), "{why:?}");
        }
        Err(error) => assert!(!error.to_string().contains(STATE)),
    }
    assert!(code_from_pasted(&text, "another").is_err() || text.contains("another") || text.contains('%'));
}

/// Whether the text may contain the state, escaped or not.
fn knows(text: &str) -> bool {
    text.contains(STATE) || text.contains('%')
}
