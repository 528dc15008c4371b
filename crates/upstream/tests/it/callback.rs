//! The login's loopback listener against a browser that sends anything (row A10).

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use upstream::oauth::{Callback, CallbackError, code_from_pasted, state};

use crate::recorder::with_timeout;

/// The raw answer to one request.
async fn get(port: u16, target: &str) -> String {
    send(port, &format!("GET {target} HTTP/1.1\r\nhost: evil.example\r\n\r\n")).await
}

async fn send(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    with_timeout(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

async fn listening(state: &str) -> (u16, tokio::task::JoinHandle<Result<pool::Secret, CallbackError>>) {
    let callback = Callback::bind_on(&[0], state).await.unwrap();
    let redirect = callback.redirect();
    let port = redirect.strip_prefix("http://127.0.0.1:").unwrap().strip_suffix("/auth/callback").unwrap();
    (port.parse().unwrap(), tokio::spawn(callback.code()))
}

fn is_safe(answer: &str) {
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("content-security-policy: default-src 'none'"), "{answer}");
    for banned in ["<script", "location:", "evil", "canary", "set-cookie"] {
        assert!(!lower.contains(banned), "{banned} in {answer}");
    }
}

#[tokio::test]
async fn the_right_state_gives_the_code_once() {
    let state = state();
    let (port, code) = listening(&state).await;
    let answer = get(port, &format!("/auth/callback?code=ac_canary&scope=openid&state={state}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    is_safe(&answer);
    assert_eq!(with_timeout(code).await.unwrap().unwrap().expose(), "ac_canary");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "still listening");
}

#[rstest]
#[case::no_state("/auth/callback?code=ac_canary", "400")]
#[case::wrong_state("/auth/callback?code=ac_canary&state=wrong", "400")]
#[case::state_twice("/auth/callback?code=ac_canary&state=STATE&state=STATE", "400")]
#[case::error_with_wrong_state("/auth/callback?error=access_denied&state=wrong", "400")]
#[case::error_without_state("/auth/callback?error=access_denied", "400")]
#[case::no_code("/auth/callback?state=STATE", "400")]
#[case::code_twice("/auth/callback?state=STATE&code=a&code=b", "400")]
#[case::code_with_newline("/auth/callback?state=STATE&code=a%0d%0ab", "400")]
#[case::other_path("/?code=ac_canary&state=STATE", "404")]
#[case::icon("/favicon.ico", "404")]
#[case::markup("/auth/callback?state=%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E&error_description=evil", "400")]
#[tokio::test]
async fn anything_else_leaves_the_login_waiting(#[case] target: &str, #[case] status: &str) {
    let state = state();
    let (port, code) = listening(&state).await;
    let answer = get(port, &target.replace("STATE", &state)).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    is_safe(&answer);
    get(port, &format!("/auth/callback?code=good&state={state}")).await;
    assert_eq!(with_timeout(code).await.unwrap().unwrap().expose(), "good");
}

#[tokio::test]
async fn only_get_is_served() {
    let state = state();
    let (port, code) = listening(&state).await;
    let post = format!("POST /auth/callback?code=c&state={state} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert!(send(port, &post).await.starts_with("HTTP/1.1 405 "));
    assert!(send(port, "\u{16}\u{3}\u{1}junk\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    code.abort();
}

#[tokio::test]
async fn the_providers_error_ends_the_login_and_is_not_shown() {
    let state = state();
    let (port, code) = listening(&state).await;
    let target = format!("/auth/callback?error=access_denied&error_description=%3C/script%3Eevil&state={state}");
    let answer = get(port, &target).await;
    is_safe(&answer);
    match with_timeout(code).await.unwrap().unwrap_err() {
        CallbackError::Denied(why) => assert_eq!(why, "access_denied </script>evil"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_taken_port_means_the_next_and_then_a_hint() {
    let (one, two) = (Callback::bind_on(&[0], "a").await.unwrap(), Callback::bind_on(&[0], "b").await.unwrap());
    let port = |callback: &Callback| -> u16 { url::Url::parse(&callback.redirect()).unwrap().port().unwrap() };
    let third = Callback::bind_on(&[port(&one), 0], "c").await.unwrap();
    assert_ne!(port(&third), port(&one));
    let error = Callback::bind_on(&[port(&one), port(&two)], "d").await.unwrap_err();
    assert!(matches!(error, CallbackError::PortsInUse) && error.to_string().contains("--device"), "{error}");
}

#[tokio::test]
async fn a_silent_browser_does_not_block_another() {
    let state = state();
    let (port, code) = listening(&state).await;
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    get(port, &format!("/auth/callback?code=good&state={state}")).await;
    assert_eq!(with_timeout(code).await.unwrap().unwrap().expose(), "good");
}

#[tokio::test(start_paused = true)]
async fn nobody_coming_ends_the_wait() {
    let callback = Callback::bind_on(&[0], "a").await.unwrap();
    assert!(matches!(callback.code().await.unwrap_err(), CallbackError::Expired));
}

#[test]
fn a_pasted_address_is_judged_alike() {
    let state = state();
    let whole = format!("  http://127.0.0.1:1455/auth/callback?code=ac&scope=x&state={state}#frag \n");
    assert_eq!(code_from_pasted(&whole, &state).unwrap().expose(), "ac");
    assert_eq!(code_from_pasted(&format!("code=ac&state={state}"), &state).unwrap().expose(), "ac");
    assert!(matches!(
        code_from_pasted("http://127.0.0.1/auth/callback?code=ac&state=x", &state),
        Err(CallbackError::WrongState)
    ));
    assert!(matches!(code_from_pasted("ac", &state), Err(CallbackError::WrongState)));
    assert!(matches!(code_from_pasted(&format!("?state={state}"), &state), Err(CallbackError::NoCode)));
    assert!(matches!(code_from_pasted(&format!("?error=no&state={state}"), &state), Err(CallbackError::Denied(_))));
}
