//! What an answer of the backend does to its account and to the request: the table of spec/upstream's errors, whole.

use offline::{Plan, Termination};
use proto::Kind;
use rstest::rstest;
use serde_json::json;

use super::ten::Rests::{Blocked, Cooling, Exhausted};
use super::ten::Who::{Pro1, Pro2};
use super::ten::{Rests, Ten};

const FORBIDDEN: &str = "Forbidden";
const COUNTRY: &str = "Country, region, or territory not supported";
const STOPPED_403: &str = "Cloudflare stopped the request before the upstream (403)";
const STOPPED_404: &str = "Cloudflare stopped the request before the upstream (404)";

fn early(code: &str) -> Plan {
    Plan::auto().cut_event(1, Termination::Failed { code: code.into(), message: "it is over".into() })
}

fn error_plan(status: u16, code: &str, message: &str) -> Plan {
    Plan::json(status, json!({"error": {"message": message, "type": "invalid_request_error", "code": code}}))
}

/// The first account gives this answer, the second of its tier serves; the first stands as the row says, rests as long as it
/// says, and serves again.
#[rstest]
#[case::window_used_up(Plan::usage_limit(3600), Exhausted(3600, "primary"))]
#[case::window_of_days(Plan::usage_limit(3 * 86_400 + 7200), Exhausted(3 * 86_400 + 7200, "primary"))]
#[case::window_in_the_body_only(
    Plan::json(429, json!({"error": {"type": "usage_limit_reached", "message": "over", "resets_in_seconds": 900}})),
    Exhausted(900, "usage")
)]
#[case::window_without_a_reset(error_plan(429, "usage_limit_reached", "over"), Exhausted(60, "usage"))]
#[case::plan_without_codex(Plan::usage_not_included(), Exhausted(3600, "plan"))]
#[case::too_many(Plan::too_many(), Cooling(60, "Too Many Requests"))]
#[case::rate_limit(Plan::rate_limit(None), Cooling(60, "Rate limit reached. Please try again later."))]
#[case::rate_limit_with_a_time(Plan::rate_limit(Some(7)), Cooling(7, "Rate limit reached. Please try again later."))]
#[case::early_window(early("usage_limit_reached"), Exhausted(60, "usage"))]
#[case::early_rate_limit(early("rate_limit_exceeded"), Cooling(60, "it is over"))]
#[case::payment(Plan::json(402, json!({"detail": "Payment required"})), Exhausted(3600, "credits"))]
#[case::forbidden(Plan::forbidden(), Cooling(300, FORBIDDEN))]
#[case::country(Plan::unsupported_country(), Cooling(300, COUNTRY))]
#[case::challenge(Plan::challenge(), Cooling(30, STOPPED_403))]
#[case::path_block(Plan::path_block(), Cooling(30, STOPPED_404))]
#[tokio::test]
async fn a_refused_account_rests_and_comes_back(#[case] plan: Plan, #[case] rests: Rests) {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, plan);
    ten.ask().await.served_by(&[Pro1, Pro2]);
    ten.stand(&[(Pro1, rests)]);
    ten.serves(Pro2).await;
    ten.pass(rests.ends().expect("a rest that ends") - 3);
    ten.serves(Pro2).await;
    ten.pass(6);
    ten.stand(&[]);
    ten.serves(Pro1).await;
    ten.bench.innocent();
}

/// As above, but time does not help.
#[rstest]
#[case::workspace(Plan::deactivated_workspace(), "the upstream answered 402: deactivated_workspace")]
#[case::banned(error_plan(403, "account_banned", "You are banned."), "You are banned.")]
#[case::deactivated(error_plan(401, "account_deactivated", "Deactivated."), "Deactivated.")]
#[tokio::test]
async fn a_banned_account_never_comes_back_by_itself(#[case] plan: Plan, #[case] why: &'static str) {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, plan);
    ten.ask().await.served_by(&[Pro1, Pro2]);
    ten.stand(&[(Pro1, Blocked(why))]);
    ten.pass(2 * 86_400);
    ten.stand(&[(Pro1, Blocked(why))]);
    ten.serves(Pro2).await;
}

/// The backend's own trouble is nobody's fault: another account serves, and the first stays what it was.
#[rstest]
#[case::internal(Plan::server_error(500))]
#[case::bad_gateway(Plan::html(502, 400))]
#[case::unavailable(Plan::server_error(503))]
#[case::gateway_timeout(Plan::text(504, ""))]
#[case::overloaded(Plan::overloaded())]
#[case::early_overload(early("server_is_overloaded"))]
#[case::early_error(early("server_error"))]
#[tokio::test]
async fn the_backends_trouble_is_no_accounts_fault(#[case] plan: Plan) {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, plan);
    ten.ask().await.served_by(&[Pro1, Pro2]);
    ten.stand(&[]);
    ten.pass(1);
    ten.serves(Pro1).await;
    ten.bench.innocent();
}

/// What is wrong with the request is told its client, and costs one call and nobody's standing.
#[rstest]
#[case::not_found(Plan::json(404, json!({"detail": "Not Found"})), Kind::NotFound, "Not Found")]
#[case::parameter(Plan::json(400, json!({"detail": "Unsupported parameter: seed"})), Kind::Invalid, "Unsupported parameter: seed")]
#[case::context(Plan::bad_request("context_length_exceeded", "too long"), Kind::ContextLength, "too long")]
#[case::policy(Plan::bad_request("cyber_policy", "no"), Kind::Filtered, "no")]
#[case::early_context(early("context_length_exceeded"), Kind::ContextLength, "it is over")]
#[tokio::test]
async fn the_clients_fault_is_told_the_client(#[case] plan: Plan, #[case] kind: Kind, #[case] message: &str) {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, plan);
    let failure = ten.ask().await.refused(&[Pro1], kind, None);
    assert_eq!(failure.message, message);
    ten.stand(&[]);
}
