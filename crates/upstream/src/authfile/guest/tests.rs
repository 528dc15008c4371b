//! The generated login, read back like any other auth.json.

use super::super::{Imported, parse};
use super::*;

const ACCOUNT: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

fn login(expires: Option<Millis>) -> super::super::Login {
    let minted = pool::keys::mint(pool::keys::KeyKind::Client, &[7; pool::keys::RANDOM], &[1; 32]);
    let guest = KeyLogin { key: &minted.text, name: "laptop", account: ACCOUNT, expires };
    let Imported::Login(login) = parse(write(&guest, Millis(1_700_000_000_000)).expose().as_bytes()).unwrap() else {
        panic!("no login")
    };
    assert_eq!(pool::keys::bare(login.access.expose()), minted.text.expose());
    login
}

#[test]
fn it_is_a_login_that_holds_the_key() {
    let login = login(Some(Millis(1_800_000_000_000)));
    let claims = &login.claims;
    assert_eq!(
        (claims.account_id.as_str(), claims.plan.as_str(), claims.email.as_str()),
        (ACCOUNT, "pro", "laptop@polygate")
    );
    assert_eq!(claims.expires, Some(Millis(1_800_000_000_000)));
    assert_eq!(login.refreshed, Some(Millis(1_700_000_000_000)));
}

/// A client would renew the login at an issuer that does not know it, so the login must not expire before the key.
#[test]
fn a_key_without_an_end_makes_a_long_login() {
    assert!(login(None).claims.expires.unwrap() > Millis(2_000_000_000_000));
}
