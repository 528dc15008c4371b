//! What brings a used-up account back before or at its time.

use std::time::Duration;

use offline::Quota;
use pool::quota::credits::Redeemed;

use super::ten::Rests::Exhausted;
use super::ten::Ten;
use super::ten::Who::{Pro1, Pro2};

const HOUR: Duration = Duration::from_hours(1);

async fn used_up() -> Ten {
    let ten = Ten::new().await;
    ten.bench.backend.set_quota(ten.login(Pro1), &Quota::exhausted(HOUR));
    ten.ask().await.served_by(&[Pro1, Pro2]);
    ten.stand(&[(Pro1, Exhausted(3600, "primary"))]);
    ten
}

/// The provider resets a window early: the figures say so, and the account serves.
#[tokio::test]
async fn fresh_figures_heal() {
    let ten = used_up().await;
    ten.bench.engine.quotas().measure(ten.id(Pro1)).await.expect("figures");
    ten.stand(&[(Pro1, Exhausted(3600, "primary"))]);
    ten.pass(60);
    ten.bench.backend.set_quota(ten.login(Pro1), &Quota::default());
    ten.bench.engine.quotas().measure(ten.id(Pro1)).await.expect("figures");
    ten.stand(&[]);
    ten.serves(Pro1).await;
}

#[tokio::test]
async fn a_reset_credit_heals_at_once() {
    let ten = used_up().await;
    let consumed = ten.bench.engine.quotas().consume_credit(ten.id(Pro1), None).await.expect("an outcome");
    assert_eq!(consumed.outcome, Redeemed::Reset { windows: 1 });
    ten.stand(&[]);
    ten.serves(Pro1).await;
}

#[tokio::test]
async fn time_heals_to_the_second() {
    let ten = used_up().await;
    let until = ten.view(Pro1).until.expect("a time");
    let left = ten.bench.clock.now().until(until);
    ten.bench.clock.advance(Duration::from_millis(left - 1));
    ten.stand(&[(Pro1, Exhausted(1, "primary"))]);
    ten.bench.clock.advance(Duration::from_millis(1));
    ten.stand(&[]);
    ten.bench.backend.set_quota(ten.login(Pro1), &Quota::default());
    ten.serves(Pro1).await;
}
