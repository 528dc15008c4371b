//! Logins that are refused: who gets new tokens, who needs a person, and who serves meanwhile.

use std::time::Duration;

use offline::{NewAccount, Plan, Revocation, Rule};
use rstest::rstest;

use super::ten::Rests::{Cooling, NeedsLogin};
use super::ten::Ten;
use super::ten::Who::{Pro1, Pro2};
use crate::bench::import;

const REFUSED: &str = "the upstream refused the account's login: Unauthorized";

#[tokio::test]
async fn one_401_is_healed_by_new_tokens() {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, Plan::unauthorized(None));
    ten.ask().await.served_by(&[Pro1, Pro1]);
    ten.stand(&[]);
    let refreshes = ten.bench.backend.record().refreshes;
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].account.as_deref(), Some(ten.login(Pro1)));
    assert_eq!(refreshes[0].reason.as_deref(), Some("unauthorized_recovery"));
    ten.bench.innocent();
}

#[tokio::test]
async fn a_second_401_needs_a_person_and_the_next_account_serves() {
    let ten = Ten::new().await;
    ten.answer_always(Pro1, Plan::unauthorized(None));
    ten.ask().await.served_by(&[Pro1, Pro1, Pro2]);
    ten.stand(&[(Pro1, NeedsLogin(REFUSED))]);
    ten.pass(86_400);
    ten.stand(&[(Pro1, NeedsLogin(REFUSED))]);
    ten.serves(Pro2).await;
    // Somebody signs in again.
    ten.bench.backend.clear_script();
    let view = ten.view(Pro1);
    let again = NewAccount { account_id: Some(view.account_id), user: Some(view.user), ..NewAccount::default() };
    let login = ten.bench.backend.add_account(NewAccount { plan: "pro".into(), ..again });
    assert_eq!(import(&ten.bench.store, &login).await.0, ten.id(Pro1));
    ten.bench.until("the new login", |_| ten.view(Pro1).status == "active").await;
    ten.stand(&[]);
    ten.serves(Pro1).await;
    ten.bench.innocent();
}

/// A refresh token that somebody else used is no ban: the owner signs in again.
#[rstest]
#[case(
    Plan::refresh_refused("refresh_token_reused"),
    "its refresh token was used elsewhere: by another program with the same login, or by a restored backup"
)]
#[case(Plan::refresh_refused("refresh_token_expired"), "Your refresh token has expired. Please try signing in again.")]
#[case(
    Plan::refresh_refused("refresh_token_invalidated"),
    "Your refresh token has been invalidated. Please try signing in again."
)]
#[case(Plan::invalid_grant(), "The provided grant is invalid.")]
#[tokio::test]
async fn a_dead_refresh_token_needs_a_person(#[case] plan: Plan, #[case] why: &'static str) {
    let ten = Ten::new().await;
    ten.bench.backend.revoke_access(ten.login(Pro1), Revocation::Invalidated);
    ten.bench.backend.add_rule(Rule::token(plan).account(ten.login(Pro1)));
    ten.ask().await.served_by(&[Pro1, Pro2]);
    ten.stand(&[(Pro1, NeedsLogin(why))]);
    ten.serves(Pro2).await;
    assert_eq!(ten.bench.backend.record().token_posts().count(), 1, "used once");
}

/// A moment's trouble of the token endpoint costs a moment.
#[rstest]
#[case::once(1)]
#[case::thrice(3)]
#[tokio::test]
async fn a_token_endpoint_in_trouble_is_asked_again_while_a_request_waits(#[case] times: u32) {
    let ten = Ten::with(|setup| setup.settings.refresh_retries = [Duration::from_millis(1); 3]).await;
    ten.bench.backend.revoke_access(ten.login(Pro1), Revocation::Expired);
    ten.bench.backend.add_rule(Rule::token(Plan::server_error(503)).account(ten.login(Pro1)).times(times));
    ten.ask().await.served_by(&[Pro1, Pro1]);
    ten.stand(&[]);
    assert_eq!(ten.bench.backend.record().token_posts().count(), times as usize + 1);
    ten.bench.innocent();
}

/// A token endpoint that stays in trouble costs a rest and no login.
#[tokio::test]
async fn a_token_endpoint_in_trouble_costs_a_rest() {
    let ten = Ten::with(|setup| setup.settings.refresh_retries = [Duration::from_millis(1); 3]).await;
    ten.bench.backend.revoke_access(ten.login(Pro1), Revocation::Expired);
    ten.bench.backend.add_rule(Rule::token(Plan::server_error(503)).account(ten.login(Pro1)).times(4));
    ten.ask().await.served_by(&[Pro1, Pro2]);
    let why = "its tokens could not be refreshed: \
        The server had an error while processing your request. Sorry about that!";
    ten.stand(&[(Pro1, Cooling(60, why))]);
    ten.serves(Pro2).await;
    ten.pass(90);
    ten.stand(&[]);
    ten.ask().await.served_by(&[Pro1, Pro1]);
    ten.stand(&[]);
    ten.bench.innocent();
}
