//! The small calls of an account.

use pool::Secret;
use upstream::{Config, Profile, Upstream};

use super::{Capture, How, as_sent_by, of, orders, profiles};
use crate::recorder::{RecordedRequest, Recorder, Reply, full};
use crate::setup::{account, config};

async fn send(of: &Capture, profile: Profile) -> RecordedRequest {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let (account, access) = (account(of.header("chatgpt-account-id").unwrap()), Secret::from("<JWT>"));
    match of.number() {
        1 | 2 => drop(upstream.accounts_check(&account, &access).await.unwrap()),
        3 | 4 => drop(upstream.models(&account, &access, (None, None)).await.unwrap()),
        25 => drop(upstream.usage(&account, &access).await.unwrap()),
        26 => drop(upstream.reset_credits(&account, &access).await.unwrap()),
        27 => {
            let id = of.value["body"]["redeem_request_id"].as_str().unwrap();
            drop(upstream.consume_credit(&account, &access, id).await.unwrap());
        }
        other => panic!("nobody knows what call {other} is"),
    }
    server.request().await
}

#[tokio::test]
async fn side_calls_equal_the_recorded_ones() {
    for capture in of(How::Side) {
        let order = match capture.number() {
            3 | 4 => orders::MODELS,
            27 => orders::ORDER,
            _ => orders::SIDE,
        };
        orders::assert_in(order, capture.pairs().map(|(name, _)| name).filter(|name| !name.starts_with(':')));
        for profile in [vec![capture.profile()], profiles().into()].concat() {
            let request = send(&capture, profile.clone()).await;
            assert_eq!(request.line, capture.line(), "{}", capture.name);
            assert_eq!(capture.sent(&request), as_sent_by(&profile, capture.headers()), "{}", capture.name);
            assert_eq!(String::from_utf8(request.body).unwrap(), capture.body(), "{}", capture.name);
        }
        assert_eq!(capture.sent(&send(&capture, capture.profile()).await), capture.headers(), "{}", capture.name);
    }
}
