//! API keys: their header or parameter at each provider, and the refusals of a missing or wrong key.

use http::header::AUTHORIZATION;
use serde_json::json;

use crate::call::{Call, header};
use crate::errors::{self, Reject};
use crate::plan::api::Api;

/// The prefix of valid keys.
const GOOD: &str = "sk-offline";

/// The key of a request, valid or not.
pub(crate) fn presented(api: Api, call: &Call) -> Option<&str> {
    let bearer = || header(&call.headers, AUTHORIZATION.as_str())?.strip_prefix("Bearer ");
    match api {
        Api::Messages => header(&call.headers, "x-api-key").or_else(bearer),
        Api::Gemini => header(&call.headers, "x-goog-api-key").or_else(|| query(call)),
        Api::Backend | Api::Chat | Api::Responses => bearer(),
    }
}

fn query(call: &Call) -> Option<&str> {
    call.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="))
}

/// Refuses a request without a valid key, and an Anthropic request without its version.
pub(super) fn check(api: Api, call: &Call) -> Result<(), Reject> {
    let key = presented(api, call);
    if !key.is_some_and(|key| key.starts_with(GOOD)) {
        return Err(refused(api, key));
    }
    if api == Api::Messages && header(&call.headers, "anthropic-version").is_none() {
        return Err(api.refusal(400, "anthropic-version: header is required"));
    }
    Ok(())
}

fn refused(api: Api, key: Option<&str>) -> Reject {
    match api {
        Api::Messages => anthropic(key),
        Api::Gemini => google(key),
        Api::Backend | Api::Chat | Api::Responses => openai(key),
    }
}

/// The refusal of an unknown key.
pub(crate) fn wrong(api: Api) -> Reject {
    refused(api, Some("sk-offline-no-longer-good"))
}

fn openai(key: Option<&str>) -> Reject {
    let (message, code) = match key {
        None => (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys.".to_owned(),
            None,
        ),
        Some(key) => (
            format!(
                "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
                masked(key)
            ),
            Some("invalid_api_key"),
        ),
    };
    Reject { status: 401, body: errors::error(&message, "invalid_request_error", None, code) }
}

/// A key with its middle masked.
fn masked(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    if letters.len() < 12 {
        return "*".repeat(letters.len());
    }
    let (head, tail) = (&letters[..3], &letters[letters.len() - 4..]);
    head.iter().copied().chain(std::iter::repeat_n('*', letters.len() - 7)).chain(tail.iter().copied()).collect()
}

fn anthropic(key: Option<&str>) -> Reject {
    Api::Messages.refusal(401, if key.is_some() { "invalid x-api-key" } else { "x-api-key header is required" })
}

/// Google answers a wrong key with 400 and a missing one with 403.
fn google(key: Option<&str>) -> Reject {
    if key.is_none() {
        let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
        return Api::Gemini.refusal(403, message);
    }
    let message = "API key not valid. Please pass a valid API key.";
    let mut reject = Api::Gemini.refusal(400, message);
    reject.body["error"]["details"] = json!([
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        },
        { "@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message },
    ]);
    reject
}
