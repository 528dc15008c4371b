//! Which account serves new conversations: the settings' strategy and tiers.

use std::collections::HashSet;

use pool::AccountId;
use pool::pick::Strategy;
use proto::Dialect;
use rstest::rstest;

use crate::bench::{Bench, Setup, call};

/// The accounts that serve `count` conversations, in turn.
async fn served(bench: &Bench, count: usize) -> Vec<AccountId> {
    let mut accounts = Vec::new();
    for n in 0..count {
        let answer = bench.ask(call(Dialect::Chat, &format!("conversation {n}"), true)).await.expect("a reply");
        accounts.push(answer.head.account.expect("an account"));
    }
    accounts
}

#[rstest]
#[case(Strategy::LeastUsed, 3)]
#[case(Strategy::RoundRobin, 3)]
#[case(Strategy::QuotaAware, 3)]
#[case(Strategy::Sticky, 1)]
#[tokio::test]
async fn the_strategy_decides(#[case] strategy: Strategy, #[case] accounts: usize) {
    let bench = Bench::with(Setup::accounts(3).settings(|settings| settings.strategy = strategy)).await;
    let served: HashSet<_> = served(&bench, 3).await.into_iter().collect();
    assert_eq!(served.len(), accounts);
}

#[tokio::test]
async fn an_earlier_tier_serves_alone() {
    let mut setup = Setup::accounts(3).settings(|settings| settings.tiers = vec!["pro".into()]);
    for (account, plan) in setup.accounts.iter_mut().zip(["plus", "pro", "free"]) {
        account.plan = plan.into();
    }
    let bench = Bench::with(setup).await;
    let served = served(&bench, 3).await;
    let plan =
        |id: &AccountId| bench.engine.accounts().list().into_iter().find(|view| view.id == id.0).map(|view| view.plan);
    assert!(served.iter().all(|id| plan(id).as_deref() == Some("pro")));
}
