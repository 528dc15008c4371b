//! Device codes: login from a machine without a browser.

use serde::Deserialize;
use serde_json::json;

use super::{challenge, person};
use crate::answer::Answer;
use crate::call::Call;
use crate::errors;
use crate::state::PendingDevice;
use crate::state::Shared;
use crate::token;

/// A code is valid for fifteen minutes.
const LIFETIME: i64 = 900;

#[derive(Deserialize)]
struct Asking {
    client_id: String,
}

#[derive(Deserialize)]
struct Polling {
    device_auth_id: String,
    user_code: String,
}

/// Step 1: issues a code that the client shows to the user.
pub(crate) fn device_code(shared: &Shared, call: &Call) -> Answer {
    let client = serde_json::from_slice::<Asking>(&call.body).map(|asking| asking.client_id);
    if client.ok().as_deref() != Some(shared.options.client_id.as_str()) {
        return Answer::json(400, &errors::oauth("invalid_client", "Unknown client."));
    }
    let device = PendingDevice {
        id: format!("deviceauth_{}", token::random(18)),
        user_code: user_code(),
        expires: token::now() + LIFETIME,
        polls: 0,
        approved: false,
    };
    let body = json!({
        "device_auth_id": device.id,
        "user_code": device.user_code,
        "interval": shared.options.device_interval.to_string(),
        "expires_at": token::iso(device.expires),
    });
    shared.pending_logins.lock().devices.push(device);
    Answer::json(200, &body)
}

/// `ABCD-EFGHJ`, without characters that look alike.
fn user_code() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let bits = rand::random::<u64>();
    let letter = |at: u32| char::from(LETTERS[((bits >> (5 * at)) & 31) as usize]);
    format!("{}-{}", (0..4).map(letter).collect::<String>(), (4..9).map(letter).collect::<String>())
}

/// Step 3: 403 until the code is approved, then an authorization code with its verifier.
pub(crate) fn device_token(shared: &Shared, call: &Call) -> Answer {
    let Ok(polling) = serde_json::from_slice::<Polling>(&call.body) else {
        return Answer::json(400, &errors::oauth("invalid_request", "device_auth_id and user_code are required."));
    };
    let approved = {
        let mut logins = shared.pending_logins.lock();
        let same =
            |device: &&mut PendingDevice| device.id == polling.device_auth_id && device.user_code == polling.user_code;
        match logins.devices.iter_mut().find(same) {
            Some(device) if device.expires > token::now() => {
                device.polls += 1;
                device.approved || shared.options.device_polls.is_some_and(|polls| device.polls > polls)
            }
            _ => return Answer::json(404, &errors::error("Unknown device code.", "invalid_request_error", None, None)),
        }
    };
    if !approved {
        let code = Some("deviceauth_authorization_pending");
        return Answer::json(403, &errors::error("Authorization is pending.", "invalid_request_error", None, code));
    }
    let verifier = token::random(64);
    let who = person(shared);
    let mut logins = shared.pending_logins.lock();
    logins.devices.retain(|device| device.id != polling.device_auth_id);
    let code = logins.issue(who, &challenge(&verifier), "/deviceauth/callback");
    let body = json!({
        "authorization_code": code,
        "code_challenge": challenge(&verifier),
        "code_verifier": verifier,
    });
    Answer::json(200, &body)
}

/// Step 2: the page where the user enters the code.
pub(crate) fn device_page(shared: &Shared, call: &Call) -> Answer {
    let entered = url::form_urlencoded::parse(&call.body).find(|(key, _)| key == "user_code");
    let note = match entered {
        None => "Enter the code shown on your device.",
        Some((_, code)) if shared.pending_logins.lock().approve(&code) => "Done. Go back to your device.",
        Some(_) => "Nobody asked for this code.",
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Device login</title><h1>{note}</h1>\
         <form method=\"post\"><label>Code <input name=\"user_code\" autofocus></label><button>Continue</button></form></html>"
    );
    Answer::typed(200, "text/html; charset=utf-8", page)
}
