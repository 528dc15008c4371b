use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rstest::rstest;

use super::*;

fn jwt(account: &str) -> String {
    let payload = format!(r#"{{"exp":2000000000,"https://api.openai.com/auth":{{"chatgpt_account_id":"{account}"}}}}"#);
    format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

fn file(tokens: &str) -> String {
    format!(
        r#"{{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{tokens},"last_refresh":"2026-11-21T08:24:39.402436058Z"}}"#
    )
}

fn parse_login(text: &str) -> Login {
    match parse(text.as_bytes()).unwrap() {
        Imported::Login(login) => login,
        Imported::ApiKey(_) => panic!("taken for an API key"),
    }
}

#[test]
fn the_official_shape() {
    let tokens = format!(
        r#"{{"id_token":"{}","access_token":"{}","refresh_token":"rt_1","account_id":"acct-file",
            "oauth_provenance":{{"issuer":"https://auth.openai.com","client_id":"app"}},"login_owner_id":"x"}}"#,
        jwt("acct-id"),
        jwt("acct-access")
    );
    let login = parse_login(&file(&tokens));
    assert_eq!(login.claims.account_id, "acct-file");
    assert_eq!(login.refresh, Some(Secret::from("rt_1")));
    assert_eq!(login.claims.expires, Some(Millis(2_000_000_000_000)));
    assert_eq!(login.refreshed, Some(Millis(1_795_249_479_402)));
}

#[test]
fn a_missing_account_id_comes_from_the_claims() {
    let tokens = format!(r#"{{"id_token":"{}","access_token":"opaque","refresh_token":""}}"#, jwt("acct-id"));
    let login = parse_login(&file(&tokens));
    assert_eq!((login.claims.account_id.as_str(), login.refresh), ("acct-id", None));
    let parsed = format!(r#"{{"id_token":{{"raw_jwt":"{}","email":"x"}},"access_token":"opaque"}}"#, jwt("acct-raw"));
    assert_eq!(parse_login(&file(&parsed)).claims.account_id, "acct-raw");
    let none = parse(file(r#"{"access_token":"opaque"}"#).as_bytes()).unwrap_err();
    assert!(matches!(none, ImportError::NoAccount), "{none}");
}

#[test]
fn old_files_have_no_mode_and_may_start_with_a_mark() {
    let text = format!("\u{feff}{{\"tokens\":{{\"access_token\":\"{}\"}}}}", jwt("acct"));
    assert_eq!(parse_login(&text).claims.account_id, "acct");
}

#[rstest]
#[case(r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1"}"#)]
#[case(r#"{"OPENAI_API_KEY":"sk-1"}"#)]
#[case(r#"{"auth_mode":"ApiKey","OPENAI_API_KEY":"sk-1","tokens":{"access_token":"a"}}"#)]
#[case(r#"{"OPENAI_API_KEY":"sk-1","tokens":{}}"#)]
fn api_keys(#[case] text: &str) {
    assert_eq!(parse(text.as_bytes()).unwrap(), Imported::ApiKey(Secret::from("sk-1")));
}

/// A browser login also stores the API key that it was exchanged for; the login takes precedence.
#[test]
fn a_login_with_a_key_beside_it_is_a_login() {
    let text = format!(r#"{{"OPENAI_API_KEY":"sk-1","tokens":{{"access_token":"{}"}}}}"#, jwt("acct"));
    assert_eq!(parse_login(&text).claims.account_id, "acct");
}

#[rstest]
#[case("{}")]
#[case(r#"{"auth_mode":"chatgpt","tokens":null}"#)]
#[case(r#"{"auth_mode":"chatgpt","tokens":{"account_id":"a"}}"#)]
fn files_of_the_keyring_mode_say_so(#[case] text: &str) {
    let error = parse(text.as_bytes()).unwrap_err();
    assert!(matches!(error, ImportError::Keyring) && error.to_string().contains("keyring"), "{error}");
}

#[test]
fn other_modes_and_junk_are_refused_without_quoting() {
    let mode = parse(br#"{"auth_mode":"agentIdentity"}"#).unwrap_err();
    assert!(matches!(&mode, ImportError::Mode(mode) if mode == "agentIdentity"), "{mode}");
    for text in ["", "[]", "null", "not json at_canary", r#"{"tokens":"at_canary"}"#] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, ImportError::Malformed { .. }), "{text}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[test]
fn tokens_alone_need_an_account() {
    assert_eq!(from_tokens(Secret::new(jwt("acct")), None, None).unwrap().claims.account_id, "acct");
    assert!(matches!(from_tokens(Secret::from("opaque"), None, None), Err(ImportError::NoAccount)));
}

#[tokio::test]
async fn a_file_is_read_once_it_is_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{\"tokens\":").unwrap();
    tokio::time::pause();
    assert!(matches!(load(file.path()).await.unwrap_err(), ImportError::Malformed { .. }));
    std::fs::write(file.path(), r#"{"OPENAI_API_KEY":"sk-1"}"#).unwrap();
    assert_eq!(load(file.path()).await.unwrap(), Imported::ApiKey(Secret::from("sk-1")));
    let missing = load(Path::new("/nonexistent/auth.json")).await.unwrap_err();
    assert!(missing.to_string().contains("hint:"), "{missing}");
    std::fs::write(file.path(), vec![b' '; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(load(file.path()).await.unwrap_err(), ImportError::TooLarge { .. }));
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_states_no_size_is_bounded_too() {
    assert!(matches!(load(Path::new("/dev/zero")).await.unwrap_err(), ImportError::TooLarge { .. }));
}
