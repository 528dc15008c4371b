use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use pool::quota::Quota;
use pool::{Account, AccountId, Status, Tokens};
use rstest::rstest;
use serde_json::json;

use super::*;

const NOW: Millis = Millis(1_900_000_000_000);
/// Far after `NOW`, in seconds.
const LATE: i64 = 2_000_000_000;
const REFRESH: &str = "rt_canary-0123456789";

fn jwt(account: &str, end: i64) -> String {
    let claims = json!({
        "exp": end,
        "https://api.openai.com/auth": { "chatgpt_account_id": account, "chatgpt_user_id": "user-1" },
        "https://api.openai.com/profile": { "email": "a@example.test" },
    });
    format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn one(text: &str) -> LoginEntry {
    let mut file = read(text.as_bytes()).unwrap();
    assert_eq!((file.entries.len(), &file.rejected), (1, &vec![]), "{text}");
    file.entries.remove(0)
}

/// Access, refresh and account of an entry.
fn facts(entry: &LoginEntry) -> (Option<&str>, Option<&str>, Option<&str>) {
    let text = |token: &'_ Option<Secret>| token.as_ref().map(|token| token.expose().to_owned());
    let leak = |text: Option<String>| text.map(|text| &*Box::leak(text.into_boxed_str()));
    (leak(text(&entry.access)), leak(text(&entry.refresh)), entry.account.as_deref())
}

/// The same login in the format of every supported program.
#[rstest]
#[case::codex(json!({"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-11-21T08:24:39.402436058Z",
    "tokens": {"id_token": "ID", "access_token": "AT", "refresh_token": "RT", "account_id": "acct"}}))]
#[case::codex_flat(json!({"access_token": "AT", "refresh_token": "RT", "account_id": "acct"}))]
#[case::chatmock(json!({"OPENAI_API_KEY": "", "tokens": {"id_token": "ID", "access_token": "AT", "refresh_token": "RT",
    "account_id": "acct"}, "last_refresh": "2026-11-21T08:24:39Z"}))]
#[case::s2_credentials(json!({"access_token": "AT", "refresh_token": "RT", "account_id": "acct", "expires_at": 2e9}))]
#[case::codex_lb(json!({"OPENAI_API_KEY": null, "lastRefreshAt": "2026-11-21T08:24:39Z",
    "tokens": {"idToken": "ID", "accessToken": "AT", "refreshToken": "RT", "accountId": "acct"}}))]
#[case::s0_full(json!({"accounts": [{"id": "0f", "token": "AT", "refreshToken": "RT", "accountId": "acct", "userId": "user-1",
    "label": null, "status": "active", "usage": {"request_count": 3}}]}))]
#[case::cockpit(json!([{"access_token": "AT", "refresh_token": "RT", "account_id": "acct", "email": "a@example.test",
    "type": "codex", "expired": "2033-05-18T03:33:20Z"}]))]
#[case::cpa(json!({"id_token": "ID", "access_token": "AT", "refresh_token": "RT", "account_id": "acct", "type": "codex"}))]
#[case::sub2api(json!({"exported_at": "2026-11-21T08:24:39Z", "proxies": [], "type": "sub2api-data", "version": 1,
    "accounts": [{"name": "n", "platform": "openai", "type": "oauth", "concurrency": 0, "priority": 0,
    "credentials": {"access_token": "AT", "refresh_token": "RT", "chatgpt_account_id": "acct"}}]}))]
#[case::sub2api_wrapped(json!({"data": {"accounts": [{"platform": "openai", "type": "oauth",
    "credentials": {"access_token": "Bearer AT", "refresh_token": "RT", "chatgpt_account_id": "acct"}}]}}))]
fn every_program_is_understood(#[case] file: serde_json::Value) {
    let access = jwt("acct", LATE);
    let text = file.to_string().replace("\"RT\"", &format!("{REFRESH:?}")).replace("AT\"", &format!("{access}\""));
    for text in [text.clone(), serde_json::to_string_pretty(&file).unwrap()] {
        let text = text.replace("\"RT\"", &format!("{REFRESH:?}")).replace("AT\"", &format!("{access}\""));
        let entry = one(&text);
        assert_eq!(facts(&entry), (Some(access.as_str()), Some(REFRESH), Some("acct")), "{text}");
        assert!(matches!(entry.readiness(NOW), Ok(Readiness::Ready(login)) if login.claims.account_id == "acct"));
    }
}

#[test]
fn tokens_stand_on_lines_and_in_lists() {
    let access = jwt("acct", LATE);
    let text = format!("# mine\n{REFRESH}\r\n\n Bearer {access}\noaistb_rt_0123456789\n");
    let file = read(text.as_bytes()).unwrap();
    let lines: Vec<usize> = file.entries.iter().map(|entry| entry.line).collect();
    assert_eq!(lines, [2, 4, 5]);
    assert!(file.entries[0].refresh.is_some() && file.entries[1].access.is_some() && file.entries[2].refresh.is_some());
    let quoted = serde_json::to_string(&text).unwrap();
    assert_eq!(read(quoted.as_bytes()).unwrap().entries.len(), 3, "lines in one JSON text");
    let list = json!([REFRESH, access]).to_string();
    assert_eq!(read(list.as_bytes()).unwrap().entries.len(), 2);
    let objects =
        format!("{{\"refreshToken\": {REFRESH:?}, \"label\": \"one\"}}\n\n{{\"token\": {access:?}}}\n{REFRESH}x\n");
    let file = read(objects.as_bytes()).unwrap();
    assert_eq!(file.entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(file.entries[0].label, "one");
}

#[test]
fn entries_say_where_they_stand() {
    let text = format!("{{\"accounts\": [\n  {{\"refreshToken\": {REFRESH:?}}},\n  7,\n\n  {{}},\n  \"short\"]}}");
    let file = read(text.as_bytes()).unwrap();
    assert_eq!(file.entries[0].line, 2);
    assert_eq!(file.rejected.iter().map(|wrong| wrong.line).collect::<Vec<_>>(), [3, 5, 6]);
}

#[rstest]
#[case::nothing("", FileError::Empty)]
#[case::blank(" \n\n", FileError::Empty)]
#[case::comments("# a\n# b", FileError::Empty)]
#[case::cut("{\"accounts\": [\n{\"token\": \"eyJsecret", FileError::Json { line: 2, column: 20 })]
#[case::second_line("{\"refreshToken\": \"rt_0123456789\"}\n{\"refreshToken\": oops}\n", FileError::Json { line: 2, column: 18 })]
#[case::prose("rt_0123456789\nplease import this", FileError::Line { line: 2, why: "this is neither JSON nor an access token nor a refresh token" })]
#[case::settings("host = \"127.0.0.1\"\nport = 8765\n", FileError::Settings)]
#[case::tables("[server]\nport = 1\n", FileError::Json { line: 1, column: 2 })]
#[case::sealed("{\"type\": \"polygate-sealed\", \"text\": \"YWdl\"}", FileError::Sealed)]
fn a_broken_file_is_refused_whole(#[case] text: &str, #[case] expected: FileError) {
    let error = read(text.as_bytes()).unwrap_err();
    assert_eq!(error, expected, "{text:?}");
    assert!(!error.to_string().contains("secret") && !error.to_string().contains("please"), "{error}");
}

#[test]
fn bytes_that_are_no_text_name_their_line() {
    assert_eq!(
        read(b"rt_0123456789\n\xff\xfe").unwrap_err(),
        FileError::Line { line: 2, why: "this is not UTF-8 text" }
    );
}

#[test]
fn other_providers_are_passed_over() {
    let entries = json!({"accounts": [
        {"platform": "anthropic", "type": "oauth", "credentials": {"refresh_token": "rt_0123456789"}},
        {"platform": "openai", "type": "apikey", "credentials": {"access_token": "sk-0123456789"}},
        {"type": "gemini", "refresh_token": "1//0123456789"},
        {"provider": "claude", "refresh_token": "rt_0123456789"},
        {"platform": "OpenAI", "type": "oauth", "credentials": {"refresh_token": "rt_0123456789"}},
    ]});
    let file = read(entries.to_string().as_bytes()).unwrap();
    assert_eq!((file.entries.len(), file.skipped, file.rejected.len()), (1, 4, 0));
}

#[rstest]
#[case(json!({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1", "tokens": {"access_token": "junk-junk"}}), 0)]
#[case(json!({"OPENAI_API_KEY": "sk-1"}), 0)]
#[case(json!({"OPENAI_API_KEY": "sk-1", "tokens": {"refresh_token": "rt_0123456789"}}), 1)]
fn api_keys_are_kept_apart(#[case] file: serde_json::Value, #[case] logins: usize) {
    let file = read(file.to_string().as_bytes()).unwrap();
    assert_eq!((file.entries.len(), file.keys), (logins, vec![Secret::from("sk-1")]));
}

#[test]
fn a_keyring_login_says_so() {
    let file = read(br#"{"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": null}"#).unwrap();
    assert!(file.rejected[0].why.contains("keyring"), "{:?}", file.rejected);
}

fn entry(access: Option<String>, refresh: Option<&str>) -> LoginEntry {
    LoginEntry { access: access.map(Secret::new), refresh: refresh.map(Secret::from), ..LoginEntry::default() }
}

#[rstest]
#[case::good(entry(Some(jwt("a", LATE)), None), "ready")]
#[case::ended_but_refreshable(entry(Some(jwt("a", 1)), Some(REFRESH)), "ready")]
#[case::ended(entry(Some(jwt("a", 1)), None), "its access token has ended")]
#[case::opaque(entry(Some("opaque-opaque".into()), None), "its access token is no JWT")]
#[case::opaque_but_refreshable(entry(Some("opaque-opaque".into()), Some(REFRESH)), "spend")]
#[case::refresh(entry(None, Some(REFRESH)), "spend")]
#[case::nobody(entry(Some(jwt("", LATE)), None), "its tokens name no")]
#[case::nobody_but_refreshable(entry(Some(jwt("", LATE)), Some(REFRESH)), "spend")]
#[case::damaged(entry(None, Some("rt_with a blank")), "its refresh token is damaged")]
#[case::nothing(entry(None, None), "it holds no token")]
#[case::the_file_names_it(LoginEntry { account: Some("b".into()), ..entry(Some(jwt("", LATE)), None) }, "ready")]
fn junk_is_told_from_tokens(#[case] entry: LoginEntry, #[case] expected: &str) {
    let outcome = match entry.readiness(NOW) {
        Ok(Readiness::Ready(_)) => "ready".to_owned(),
        Ok(Readiness::NeedsRefresh(_)) => "spend".to_owned(),
        Err(junk) => junk.to_string(),
    };
    assert!(outcome.starts_with(expected), "{outcome}");
}

fn outgoing(name: &str, refresh: Option<&str>) -> ExportedAccount {
    ExportedAccount {
        account: Account {
            id: AccountId(name.into()),
            label: format!("the {name}"),
            email: "a@example.test".into(),
            plan: "plus".into(),
            upstream_id: format!("acct-{name}"),
            user: "user-1".into(),
            fedramp: false,
            status: Status::Disabled,
            quota: Quota::default(),
            limits: pool::AccountLimits::default(),
            created: NOW,
            version: 1,
            status_rev: 1,
        },
        tokens: Tokens {
            access: Secret::new(jwt(&format!("acct-{name}"), LATE)),
            refresh: refresh.map(Secret::from),
            id: None,
            expires: Some(Millis(LATE * 1000)),
            refreshed: NOW,
        },
        tags: vec!["work".into()],
    }
}

/// Every written format can be read back, with one account or several.
#[rstest]
fn every_form_is_read_back(#[values(1, 2)] count: usize) {
    let accounts = [outgoing("one", Some(REFRESH)), outgoing("two", None)];
    for format in Format::ALL {
        let text = write(format, &accounts[..count], NOW);
        let file = read(text.expose().as_bytes()).unwrap();
        assert_eq!((file.entries.len(), file.rejected.len(), file.skipped), (count, 0, 0), "{}", format.name());
        let entry = &file.entries[0];
        assert_eq!(entry.refresh, Some(Secret::from(REFRESH)));
        assert_eq!(entry.access.is_some(), format != Format::Minimal);
        assert_eq!(Format::named(format.name()), Some(format));
        if format == Format::Full {
            let fields = (entry.label.as_str(), entry.tags.as_slice(), entry.disabled, entry.refreshed);
            assert_eq!(fields, ("the one", ["work".to_owned()].as_slice(), true, Some(NOW)));
        }
    }
}

/// Row S8: a hostile file costs bounded time and memory.
#[test]
fn hostile_files_are_bounded() {
    assert_eq!(read(&vec![b'['; LONGEST + 1]).unwrap_err(), FileError::TooLong);
    let many = format!("[{}1]", "1,".repeat(MOST));
    assert_eq!(read(many.as_bytes()).unwrap_err(), FileError::TooMany);
    assert_eq!(read("rt_0123456789\n".repeat(MOST + 1).as_bytes()).unwrap_err(), FileError::TooMany);
    let deep = "[".repeat(1 << 20);
    assert!(matches!(read(deep.as_bytes()).unwrap_err(), FileError::Json { .. }));
    let nested = format!("[{}{}]", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(read(nested.as_bytes()).unwrap().rejected.len(), 1);
    let long = format!("[{{\"label\": \"{}\"}}]", "x".repeat(1 << 20));
    assert_eq!(read(long.as_bytes()).unwrap().rejected[0].why, "this entry is over 256 KiB");
    let odd = json!({"refreshToken": REFRESH, "label": "\u{202e}<script>\u{0}\u{1b}[2J eyJhbGciOiJSUzI1NiIsInR5cCI6 ".repeat(9)});
    let label = one(&odd.to_string()).label;
    assert!(label.chars().count() <= 64 && !label.chars().any(char::is_control) && !label.contains("eyJ"), "{label}");
}

/// Ten thousand invalid entries: each has its own reason, in order.
#[test]
fn many_wrong_entries_are_told_apart() {
    let text = format!("[\n{}\n7]", "7,\n".repeat(MOST - 1));
    let wrong = read(text.as_bytes()).unwrap().rejected;
    assert_eq!(wrong.len(), MOST);
    assert!(wrong.windows(2).all(|pair| pair[0].line <= pair[1].line));
}
