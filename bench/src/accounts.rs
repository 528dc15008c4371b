//! The cost of ten thousand accounts: the start of an engine with all of them in its store, and the choice of one.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use engine::{Clock, Engine, LimitsChange, Parts, RoutingQuery, Settings};
use pool::pick::Strategy;
use pool::{Millis, Secret, Tokens};
use store::{NewAccount, Options, Store, StoredModels, TokenOrigin};
use upstream::{Config, Upstream};

/// The number of measured choices per strategy.
const CHOICES: usize = 2000;
/// The maximum times of a choice and of a start.
const BARS: (Duration, Duration) = (Duration::from_micros(100), Duration::from_secs(2));

#[derive(Args)]
pub(crate) struct Accounts {
    /// The number of accounts.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// Fail if a limit is exceeded.
    #[arg(long)]
    strict: bool,
}

impl Accounts {
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let home = tempfile::tempdir()?;
        let options = Options { home: home.path().to_owned(), ..Options::default() };
        let store = Store::open(options.clone()).await?;
        fill(&store, self.count).await?;
        store.close().await;
        println!("{} accounts stored", self.count);
        let mut missed = false;
        for (name, strategy) in Strategy::ALL {
            let begun = Instant::now();
            let store = Store::open(options.clone()).await?;
            let engine = start(store.clone(), strategy).await?;
            let started = begun.elapsed();
            let (median, last) = choose(&engine).await?;
            println!("{name}: start {started:?}, choice p50 {median:?}, p99 {last:?}");
            missed |= last > BARS.0 || started > BARS.1;
            engine.stop().await;
            store.close().await;
        }
        if missed && self.strict {
            bail!("a bar is missed: choice p99 {:?}, start {:?}", BARS.0, BARS.1);
        }
        Ok(())
    }
}

/// Stores accounts of three plans, each with tokens valid for a day and one of two model lists.
async fn fill(store: &Store, count: usize) -> anyhow::Result<()> {
    let now = Clock::System.now();
    for n in 0..count {
        let tokens = Tokens {
            access: Secret::new(format!("access-{n:06}-{}", "x".repeat(1500))),
            refresh: Some(Secret::new(format!("refresh-{n:06}"))),
            id: None,
            expires: Some(now.plus(86_400_000)),
            refreshed: now,
        };
        let new = NewAccount {
            label: format!("account {n}"),
            email: format!("{n}@example.com"),
            plan: ["plus", "pro", "team"][n % 3].into(),
            upstream_id: format!("account-{n}"),
            user: format!("user-{n}"),
            fedramp: false,
            tokens,
            origin: TokenOrigin::Login,
            egress: None,
            status: pool::Status::Active,
        };
        let id = store.put_account(new, now).await?.id;
        store.set_models(&id, &models(n % 2, now)).await?;
    }
    Ok(())
}

fn models(kind: usize, fetched: Millis) -> StoredModels {
    let model = |n| format!(r#"{{"slug":"model-{n}","visibility":"list","priority":{n}}}"#);
    let list: Vec<_> = (0..8 + kind).map(model).collect();
    let body = format!(r#"{{"models":[{}]}}"#, list.join(",")).into();
    let client_version = Config::default().profile.version;
    StoredModels { etag: Some(format!("list-{kind}")), client_version, body, fetched }
}

/// An engine whose upstream URL has no listener.
async fn start(store: Store, strategy: Strategy) -> anyhow::Result<Engine> {
    let nowhere: url::Url = "http://127.0.0.1:9/".parse()?;
    let upstream = Upstream::new(Config { base_url: nowhere.clone(), auth_url: nowhere, ..Config::default() })?;
    let settings = Settings { strategy, max_concurrent: 3, tiers: vec!["pro".into()], ..Settings::default() };
    Ok(Engine::start(Parts { store, upstream, settings, clock: Clock::System }).await?)
}

/// Median and 99th percentile of a choice. Before every tenth choice an account changes, as it does with every answer.
async fn choose(engine: &Engine) -> anyhow::Result<(Duration, Duration)> {
    let ids: Vec<_> = engine.accounts().list().into_iter().map(|account| account.id).collect();
    let mut times = Vec::with_capacity(CHOICES);
    for n in 0..CHOICES {
        if n % 10 == 0 {
            let change = LimitsChange { max_concurrent: Some(Some(5)), priority: None };
            engine.accounts().set_limits(&ids[n * 7919 % ids.len()], change).await?;
        }
        let begun = Instant::now();
        let inquiry = RoutingQuery { model: Some("model-8"), ..RoutingQuery::default() };
        engine.routing().chosen(inquiry).map_err(|failure| anyhow::anyhow!(failure.message))?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().context("no choice");
    Ok((at(50)?, at(99)?))
}
