//! Rows S5 and S6: kill -9 of a gateway that refreshes, at every failpoint of a refresh and at random instants, many times in one home,
//! with commands beside the gateway that end, are interrupted and are killed. No login is lost: each stored refresh token is valid, or its
//! account says that a login is needed because the kill came between the backend's rotation and the gateway's commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use offline::NewAccount;
use pool::{Account, AccountId, Millis, Secret, Status, Tokens};
use store::{Store, TokenOrigin};

use crate::beside::{self, Fate, FinishedCommand, Hits, RandomSequence};
use crate::common::{Gateway, Home};
use crate::fleet::{Fleet, size, soaking};

/// Later than every lease.
const LATER: Millis = Millis(4_000_000_000_000);
/// The longest life of a gateway that a failpoint kills.
const LIFE: Duration = Duration::from_secs(20);

/// How the commands beside one life of a gateway are to end.
const FATES: [Fate; 4] = [Fate::Ends, Fate::Interrupted, Fate::Terminated, Fate::Killed];
/// Latest kill of a gateway that no failpoint kills.
const LATEST: u64 = 512;

/// Exit codes of a command whose account could not be refreshed, for now or for good.
const FAILED: i32 = 1;
const LOGIN: i32 = 4;

/// Results of the kills.
#[derive(Default)]
struct Tally {
    starts: Vec<Duration>,
    /// Failpoints that the gateway did not pass.
    missed: Vec<&'static str>,
    /// Logins that ended because the successor of their token was never received.
    ended: usize,
    /// Uses of a token that had been used before.
    extra: usize,
    commands: usize,
    hits: Hits,
    /// Like `extra`, for each login and only while the gateway surely lived: a gateway that dies at a failpoint is dead before the test
    /// knows.
    during: HashMap<String, usize>,
    /// Number of killed processes, except the gateway of this life, that may have used an account's token without a record.
    doubtful: HashMap<AccountId, usize>,
    served: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_refreshes() {
    let (accounts, kills) = (size("POLYGATE_SOAK_ACCOUNTS", 4), size("POLYGATE_SOAK_KILLS", 24));
    let (fleet, home) = Fleet::new(accounts, None).await;
    let (home, begun) = (Arc::new(home), Instant::now());
    let (points, mut tally, mut dice) = (points(), Tally::default(), RandomSequence::new());
    let ids = beside::accounts(&home);
    for kill in 0..kills {
        // Every second kill comes at a random instant.
        let point = (kill % 2 == 0).then(|| points[kill / 2 % points.len()]);
        fleet.expire();
        let commands = beside::start(&home, &ids, &FATES, &mut dice);
        life(&fleet, &home, (point, dice.instant(LATEST)), &mut tally).await;
        tally.end(beside::ended(commands).await);
        let store = fleet.store(&home).await;
        judge(&fleet, &store, &mut tally).await;
        store.close().await;
    }
    assert_eq!(tally.missed, Vec::<&str>::new(), "never passed");
    assert!(tally.served.load(Ordering::Relaxed) > 0, "no request was ever served");
    report(&fleet, &mut tally, (kills, begun.elapsed()));
}

/// The failpoints that every refresh passes.
fn points() -> Vec<&'static str> {
    let stored = store::FAILPOINTS.iter().copied().filter(|point| {
        let step = point.trim_start_matches("store::").split_once('_').map(|(_, step)| step);
        matches!(step, Some("lease" | "intent" | "commit"))
    });
    engine::FAILPOINTS.into_iter().chain(stored).collect()
}

impl Tally {
    /// Records the results of the commands. A killed command may have left a token in doubt. A command may fail because its account's login
    /// has ended.
    fn end(&mut self, commands: Vec<FinishedCommand>) {
        for ran in commands {
            self.commands += 1;
            self.hits.add(&ran);
            if ran.fate == Fate::Killed && ran.code.is_none() {
                *self.doubtful.entry(AccountId(ran.account)).or_default() += 1;
            } else if !matches!(ran.code, Some(FAILED | LOGIN)) {
                assert_eq!(ran.wrong, None);
            }
        }
    }
}

/// One life of a gateway: every token has expired, clients send requests, and the gateway is killed at the failpoint or at the instant.
async fn life(fleet: &Fleet, home: &Home, (point, instant): (Option<&'static str>, Duration), tally: &mut Tally) {
    tally.during = HashMap::new();
    let begun = Instant::now();
    let env: Vec<_> = point.iter().map(|point| ("POLYGATE_KILL_AT", *point)).collect();
    // A gateway that repeats an interrupted refresh may die before it listens.
    let Ok(mut gateway) = home.try_serve(&env) else { return };
    tally.starts.push(begun.elapsed());
    let life = if point.is_some() { LIFE } else { instant };
    let died = tokio::time::timeout(life, clients(fleet, &gateway, &tally.served)).await.is_ok();
    match point {
        Some(point) if !died => tally.missed.push(point),
        Some(_) => {
            gateway.wait(LIFE);
        }
        None => tally.during = extra(fleet),
    }
    // Dropping the gateway kills it.
}

/// A client for each account sends requests until the gateway has ended.
async fn clients(fleet: &Fleet, gateway: &Gateway, served: &AtomicUsize) {
    let client = async || {
        while let Ok(answer) = fleet.question(gateway).await {
            served.fetch_add(usize::from(answer.status == 200), Ordering::Relaxed);
        }
    };
    join_all(fleet.logins.iter().map(|_| client())).await;
}

/// Checks the state after any kill. An account whose login has ended is signed in again, as by its owner.
async fn judge(fleet: &Fleet, store: &Store, tally: &mut Tally) {
    let accounts = store.accounts().await.unwrap();
    assert_eq!(accounts.len(), fleet.logins.len(), "accounts");
    let doubtful = store.interrupted_refreshes(LATER).await.unwrap();
    let all = extra(fleet);
    for account in accounts {
        let refresh = store.tokens(&account.id).await.unwrap().unwrap().refresh.unwrap();
        let good = fleet.backend.current_refresh(&account.upstream_id).iter().any(|token| token == refresh.expose());
        // Each killed process may leave a used token without a record of its use, and that token is then tried once more. While the gateway
        // lives, the killed processes are those of earlier lives and commands; afterwards the gateway is one of them.
        let (during, all) = (of(&tally.during, &account), of(&all, &account));
        let dead = tally.doubtful.get(&account.id).copied().unwrap_or_default();
        assert!(
            during <= dead && all <= dead + 1,
            "a used token was tried {during} + {} times, {dead} killed",
            all - during
        );
        tally.extra += all;
        if let Status::NeedsLogin { why } | Status::Expiring { why, .. } = &account.status {
            assert!(!good, "a login whose token is good was given up: {why}");
            assert!(!why.is_empty());
            tally.ended += 1;
            sign_in(fleet, store, &account).await;
        } else {
            assert_eq!(account.status, Status::Active);
            assert!(good || doubtful.contains(&account.id), "a spent token, and nobody knows");
        }
    }
    tally.doubtful = doubtful.into_iter().map(|id| (id, 1)).collect();
    fleet.backend.reset();
}

/// Number of uses of a token that had been used before, for each login.
fn extra(fleet: &Fleet) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    for refresh in fleet.backend.record().refreshes.into_iter().filter(|refresh| refresh.reused) {
        *uses.entry(refresh.account.unwrap_or_default()).or_default() += 1;
    }
    uses
}

fn of(uses: &HashMap<String, usize>, account: &Account) -> usize {
    uses.get(&account.upstream_id).copied().unwrap_or_default()
}

async fn sign_in(fleet: &Fleet, store: &Store, account: &Account) {
    let (account_id, user) = (Some(account.upstream_id.clone()), Some(account.user.clone()));
    let login = fleet.backend.add_account(NewAccount { account_id, user, ..NewAccount::default() });
    let now = engine::Clock::System.now();
    let tokens = Tokens {
        access: Secret::new(login.access),
        refresh: Some(Secret::new(login.refresh)),
        id: Some(Secret::new(login.id)),
        expires: None,
        refreshed: now,
    };
    let new = store::NewAccount {
        label: String::new(),
        email: account.email.clone(),
        plan: account.plan.clone(),
        upstream_id: account.upstream_id.clone(),
        user: account.user.clone(),
        fedramp: false,
        tokens,
        origin: TokenOrigin::Login,
        egress: None,
        status: pool::Status::Active,
    };
    store.put_account(new, now).await.unwrap();
}

fn report(fleet: &Fleet, tally: &mut Tally, (kills, time): (usize, Duration)) {
    tally.starts.sort_unstable();
    let at = |percent: usize| tally.starts[(tally.starts.len() - 1) * percent / 100];
    println!(
        "{} accounts, {kills} kills, 0 logins lost, {} ended between rotation and commit, {} extra uses of an old token, \
         {} requests served, {} commands, {}; start p50 {:.0?}, p99 {:.0?}, longest {:.0?}; {time:.0?}",
        fleet.logins.len(),
        tally.ended,
        tally.extra,
        tally.served.load(Ordering::Relaxed),
        tally.commands,
        tally.hits,
        at(50),
        at(99),
        at(100),
    );
    if soaking() {
        assert!(at(99) <= Duration::from_secs(2), "starts take too long");
    }
}
