//! Cookies of the backend: one jar per account, with only the cookies that the backend's load balancers and Cloudflare need.
//!
//! The official client keeps the same names and drops all others (measured 2026-11-21). A jar belongs to the host of the base URL,
//! and to the host that the backend assigns instead; cookies never go to the auth server or to another account.

use std::collections::HashMap;

use cookie_store::{Cookie, CookieStore, RawCookie};
use http::{HeaderMap, header};
use parking_lot::Mutex;
use pool::{AccountId, Secret};
use url::Url;

use crate::config::is_loopback_url;

const NAMES: [&str; 10] = [
    "__cf_bm", "__cflb", "__cfruid", "__cfseq", "__cfwaitingroom", "_cfuvid", "cf_clearance", "cf_ob_info",
    "cf_use_ob", "__oailb",
];
const PREFIX: &str = "cf_chl_";

/// Bounds of one jar: browsers allow 4 KiB per cookie; the list above leaves room for a few `cf_chl_*`.
const LONGEST: usize = 4096;
const MOST: usize = 32;

/// Every account's jar.
pub(crate) struct Jars {
    host: Url,
    jars: Mutex<HashMap<AccountId, CookieStore>>,
}

impl Jars {
    /// Jars for the base URL's host.
    pub(crate) fn new(base: &Url) -> Self {
        Self { host: secure(base), jars: Mutex::default() }
    }

    /// The `cookie` header's value for a call of `url`.
    pub(crate) fn header(&self, id: &AccountId, url: &Url) -> Option<Secret> {
        let jars = self.jars.lock();
        let jar = jars.get(id)?;
        let pairs: Vec<_> = jar.get_request_values(&secure(url)).map(|(k, v)| format!("{k}={v}")).collect();
        (!pairs.is_empty()).then(|| Secret::new(pairs.join("; ")))
    }

    /// Moves the cookies of an answer from `url` out of the answer's headers into the jar.
    pub(crate) fn absorb(&self, id: &AccountId, url: &Url, headers: &mut HeaderMap) {
        let values: Vec<_> =
            headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
        let accepted: Vec<_> = values.iter().filter_map(|text| parse_allowed(text)).collect();
        if !accepted.is_empty() {
            let (mut jars, url) = (self.jars.lock(), secure(url));
            let jar = jars.entry(id.clone()).or_default();
            for cookie in accepted {
                if jar.iter_any().count() < MOST || jar.iter_any().any(|old| old.name() == cookie.name()) {
                    // The jar refuses a cookie of another domain or path, and an expired one.
                    let _ = jar.insert_raw(&cookie, &url);
                }
            }
        }
        headers.remove(header::SET_COOKIE);
    }

    /// The jar as JSON, session cookies included.
    pub(crate) fn save(&self, id: &AccountId) -> Option<Secret> {
        let jars = self.jars.lock();
        let live: Vec<_> = jars.get(id)?.iter_unexpired().collect();
        if live.is_empty() {
            return None;
        }
        serde_json::to_string(&live).ok().map(Secret::new)
    }

    /// Restores the result of [`Jars::save`], under the same allow-list.
    pub(crate) fn restore(&self, id: &AccountId, saved: &Secret) {
        let Ok(cookies) = serde_json::from_str::<Vec<Cookie<'static>>>(saved.expose()) else { return };
        let cookies = cookies.into_iter().filter(|cookie| is_allowed_name(cookie.name())).take(MOST);
        let jar = CookieStore::from_cookies(cookies.map(Ok::<_, std::convert::Infallible>), false);
        let Ok(jar) = jar;
        self.jars.lock().insert(id.clone(), jar);
    }

    /// Replaces the account's jar by these cookies; returns the number of stored cookies.
    pub(crate) fn put(&self, id: &AccountId, pairs: &[(String, Secret)]) -> usize {
        let mut jar = CookieStore::default();
        for (name, value) in pairs.iter().take(MOST) {
            let text = format!("{name}={}; Path=/; Secure", value.expose());
            if let Some(cookie) = parse_allowed(&text) {
                let _ = jar.insert_raw(&cookie, &self.host);
            }
        }
        let count = jar.iter_any().count();
        self.jars.lock().insert(id.clone(), jar);
        count
    }

    pub(crate) fn forget(&self, id: &AccountId) {
        self.jars.lock().remove(id);
    }
}

/// The URL for cookie matching. Loopback counts as secure, as in browsers, so that `Secure` cookies of the offline backend are sent back.
fn secure(url: &Url) -> Url {
    let mut url = url.clone();
    if is_loopback_url(&url) {
        let _ = url.set_scheme("https");
    }
    url
}

fn is_allowed_name(name: &str) -> bool {
    NAMES.contains(&name) || name.starts_with(PREFIX)
}

fn parse_allowed(text: &str) -> Option<RawCookie<'static>> {
    let cookie = RawCookie::parse(text.to_owned()).ok()?;
    (text.len() <= LONGEST && is_allowed_name(cookie.name())).then_some(cookie)
}
