//! Nobody can serve: what a client is told then is about all ten.

use offline::Plan;
use proto::{Dialect, Failure, Kind};

use super::ten::Rests::{Blocked, Disabled, Exhausted, NeedsLogin};
use super::ten::Who::{Free2, Plus3, Pro1, Pro2, Team1, Team2};
use super::ten::{ALL, Rests, Ten, Who};

/// Each account is refused when it is asked.
fn refuse_all(ten: &Ten, plan: impl Fn(Who) -> Plan) {
    for who in ALL {
        ten.answer_always(who, plan(who));
    }
}

fn status(failure: &Failure) -> u16 {
    Dialect::Chat.error(failure).0
}

/// The earliest reset is that of an account in the middle.
#[tokio::test]
async fn all_used_up_is_429_with_the_earliest_reset() {
    let ten = Ten::new().await;
    let wait = |who: Who| if who == Plus3 { 600_u32 } else { 7200 };
    refuse_all(&ten, |who| Plan::usage_limit(wait(who).into()));
    // Two calls are the most for a request; while another account is free, the client may come again at once.
    for pair in ALL.chunks(2) {
        let retry = if pair[1] == Free2 { 600 } else { 1 };
        let kind = if retry == 1 { Kind::RateLimited } else { Kind::Exhausted };
        let failure = ten.ask().await.refused(pair, kind, Some(retry));
        assert_eq!(status(&failure), 429);
    }
    ten.stand(&ALL.map(|who| (who, Exhausted(wait(who).into(), "primary"))));
    assert_eq!(ten.next(), None);
    let failure = ten.ask().await.refused(&[], Kind::Exhausted, Some(600));
    assert_eq!(failure.message, "primary quota used up, resets in 10 min 0 s (10 accounts)");
    assert_eq!(failure.code.as_deref(), Some("usage_limit_reached"));
    let reset = u64::try_from(ten.bench.clock.now().seconds()).expect("a time") + 600;
    assert!(failure.resets_at.expect("a reset").abs_diff(reset) <= 2);
    // It is true.
    ten.bench.backend.clear_script();
    ten.pass(602);
    ten.serves(Plus3).await;
}

#[tokio::test]
async fn all_logins_over_is_503_with_what_to_do() {
    const WHY: &str = "the upstream refused the account's login: Unauthorized";
    let ten = Ten::new().await;
    refuse_all(&ten, |_| Plan::unauthorized(None));
    let twice = |some: &[Who]| some.iter().flat_map(|who| [*who, *who]).collect::<Vec<_>>();
    // One request walks past eight dead logins, so that an outage does not end all of them at once.
    let failure = ten.ask().await.refused(&twice(&ALL[..8]), Kind::Upstream, None);
    assert_eq!((status(&failure), failure.message.as_str()), (502, WHY));
    let words = format!("no account can serve: needs a new login: {WHY} (10 accounts); run `polygate login`");
    let failure = ten.ask().await.refused(&twice(&ALL[8..]), Kind::NoAccount, None);
    assert_eq!((status(&failure), &failure.message), (503, &words));
    ten.stand(&ALL.map(|who| (who, NeedsLogin(WHY))));
    let failure = ten.ask().await.refused(&[], Kind::NoAccount, None);
    assert_eq!((status(&failure), &failure.message), (503, &words));
}

/// Whatever else is wrong with the others: time heals one, and the client is told when.
#[tokio::test]
async fn one_that_time_heals_makes_it_429() {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, Plan::deactivated_workspace());
    ten.ask().await.served_by(&[Pro1, Pro2]);
    ten.answer_always(Pro2, Plan::unauthorized(None));
    ten.answer_next(Team1, Plan::usage_limit(1200));
    ten.ask().await.served_by(&[Pro2, Pro2, Team1, Team2]);
    let off: Vec<_> = ALL[3..].iter().map(|who| ten.id(*who).to_owned()).collect();
    ten.bench.engine.accounts().switch(&off, false).await.expect("switched off");
    let mut rests: Vec<(Who, Rests)> = ALL[3..].iter().map(|who| (*who, Disabled)).collect();
    rests.push((Pro1, Blocked("the upstream answered 402: deactivated_workspace")));
    rests.push((Pro2, NeedsLogin("the upstream refused the account's login: Unauthorized")));
    rests.push((Team1, Exhausted(1200, "primary")));
    ten.stand(&rests);
    let failure = ten.ask().await.refused(&[], Kind::Exhausted, Some(1200));
    assert_eq!(status(&failure), 429);
    let parts = [
        "blocked by the provider: the upstream answered 402: deactivated_workspace (1 account)",
        "needs a new login: the upstream refused the account's login: Unauthorized (1 account)",
        "primary quota used up, resets in 20 min 0 s (1 account)",
        "switched off (7 accounts)",
    ];
    assert_eq!(failure.message, parts.join("; "));
    ten.pass(1202);
    ten.serves(Team1).await;
}
