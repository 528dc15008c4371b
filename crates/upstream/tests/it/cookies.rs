//! Which cookies are sent back, and to which account.

use pool::Secret;
use upstream::{ModelCall, Upstream};

use crate::recorder::{Recorder, Reply, full};
use crate::setup::{account, config, facts};

const SET_COOKIES: &str = "set-cookie: __cf_bm=one; path=/; HttpOnly; Secure; SameSite=None\r\n\
    set-cookie: _cfuvid=two; path=/; Secure\r\n\
    set-cookie: cf_chl_rc_i=three; path=/\r\n\
    set-cookie: oai-did=tracked; path=/\r\n\
    set-cookie: __Secure-next-auth.session-token=session; path=/; Secure\r\n\
    set-cookie: cf_other=x; path=/\r\n\
    set-cookie: __oailb=elsewhere; path=/; domain=example.com\r\n\
    set-cookie: __cflb=old; path=/; max-age=0\r\n";

async fn send(upstream: &Upstream, name: &str) -> http::HeaderMap {
    let (account, access) = (account(name), Secret::from("t"));
    let model_call = ModelCall { account: &account, access: &access, body: "{}".into(), facts: facts(), socket: None };
    let answer = upstream.responses(model_call).await.unwrap();
    answer.body.collect(10).await.unwrap();
    answer.headers
}

fn pairs(header: Option<&str>) -> Vec<&str> {
    let mut pairs: Vec<_> = header.map(|header| header.split("; ").collect()).unwrap_or_default();
    pairs.sort_unstable();
    pairs
}

#[tokio::test]
async fn only_listed_cookies_come_back_and_only_for_their_account() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", SET_COOKIES, ""))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let headers = send(&upstream, "one").await;
    assert!(!headers.contains_key("set-cookie"));
    assert!(server.request().await.header("cookie").is_none());

    send(&upstream, "one").await;
    let request = server.request().await;
    assert_eq!(pairs(request.header("cookie")), ["__cf_bm=one", "_cfuvid=two", "cf_chl_rc_i=three"]);
    let names = request.names();
    let position = names.iter().position(|name| *name == "cookie").unwrap();
    assert_eq!(names[position - 1], "user-agent");

    send(&upstream, "two").await;
    assert!(server.request().await.header("cookie").is_none());
}

#[tokio::test]
async fn a_jar_survives_a_restart_and_can_be_forgotten() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", SET_COOKIES, ""))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let id = account("one").id;
    assert!(upstream.cookies(&id).is_none());
    send(&upstream, "one").await;
    server.request().await;
    let saved = upstream.cookies(&id).unwrap();
    assert!(!saved.expose().contains("session-token") && !format!("{saved:?}").contains("one"));

    let upstream = Upstream::new(config(&server)).unwrap();
    upstream.set_cookies(&id, &saved);
    send(&upstream, "one").await;
    assert_eq!(pairs(server.request().await.header("cookie")).len(), 3);
    upstream.forget(&id);
    send(&upstream, "one").await;
    assert!(server.request().await.header("cookie").is_none());
    upstream.set_cookies(&id, &Secret::from("not json"));
}

#[tokio::test]
async fn a_flood_of_cookies_is_bounded() {
    let flood: String = (0..200).map(|n| format!("set-cookie: cf_chl_{n}={n}; path=/\r\n")).take(90).collect();
    let long = format!("set-cookie: __cf_bm={}; path=/\r\n", "x".repeat(5000));
    let mut server = Recorder::always(Reply::Keep(full("200 OK", &format!("{flood}{long}"), ""))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    send(&upstream, "one").await;
    send(&upstream, "one").await;
    server.request().await;
    let request = server.request().await;
    assert_eq!(pairs(request.header("cookie")).len(), 32);
    assert!(!request.header("cookie").unwrap().contains("__cf_bm"));
}
