//! Files and tokens that users import: claims are bounded, and neither an error nor a debug print shows a token.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use pool::Secret;
use serde_json::Value;
use upstream::authfile::{self, ImportError, Imported};
use upstream::jwt::Claims;

/// Checks the input as a file, as a token, and as the payload of a token.
pub fn check(input: &[u8]) {
    let shown = match authfile::parse(input) {
        Ok(Imported::Login(login)) => {
            assert!(!login.claims.account_id.is_empty() && !login.access.is_empty());
            bounded(&login.claims);
            format!("{login:?}")
        }
        Ok(Imported::ApiKey(key)) => {
            assert!(!key.is_empty());
            format!("{key:?}")
        }
        Err(ImportError::Mode(mode)) => {
            assert!(mode.len() <= 160, "{mode}");
            String::new()
        }
        Err(error) => format!("{error} {error:?}"),
    };
    let file = serde_json::from_slice(input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input)).unwrap_or(Value::Null);
    for token in tokens(&file) {
        assert!(!shown.contains(token) || claimed(&file, token), "{token} is shown: {shown}");
    }
    let text = Secret::new(String::from_utf8_lossy(input));
    let forged = Secret::new(format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(input)));
    for token in [&text, &forged] {
        Claims::read(token).iter().for_each(bounded);
        bounded(&Claims::from_tokens(&text, Some(token)));
        if let Ok(login) = authfile::from_tokens(token.clone(), None, Some(forged.clone())) {
            bounded(&login.claims);
        }
    }
}

fn bounded(claims: &Claims) {
    for text in [&claims.account_id, &claims.user, &claims.email, &claims.plan] {
        assert!(text.len() <= 512 && !text.chars().any(char::is_control), "{claims:?}");
    }
    assert!(claims.expires.is_none_or(|expires| expires.0 > 0 && expires.0 <= 253_402_300_799_000), "{claims:?}");
}

/// The file's tokens that are too long to be ordinary words.
fn tokens(file: &Value) -> impl Iterator<Item = &str> {
    let tokens = &file["tokens"];
    let all = [&tokens["access_token"], &tokens["refresh_token"], &tokens["id_token"], &file["OPENAI_API_KEY"]];
    all.into_iter().filter_map(Value::as_str).filter(|token| token.len() >= 24)
}

/// Whether the same text is also in a field that is not secret.
fn claimed(file: &Value, token: &str) -> bool {
    let public = [&file["auth_mode"], &file["tokens"]["account_id"]];
    public.into_iter().filter_map(Value::as_str).any(|text| text.contains(token))
}
