//! An account that follows a Codex auth.json, which is Codex's own. Row S3.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use offline::{FakeAccount, NewAccount, Plan, Rule};
use pool::{AccountId, Secret};
use serde_json::{Value, json};
use upstream::Timeouts;
use upstream::oauth::RefreshReason;

use crate::bench::{Bench, PATIENCE, Setup, chat, upstream};

/// A bench with one linked account, and the file that it follows.
struct Linked {
    bench: Bench,
    login: FakeAccount,
    file: PathBuf,
    id: AccountId,
}

impl Linked {
    async fn new(expires_in: i64, may_refresh: bool) -> Self {
        let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
        let login = bench.backend.add_account(NewAccount { expires_in, ..NewAccount::default() });
        let file = bench.home.path().join("auth.json");
        std::fs::write(&file, login.auth_json()).expect("the file");
        let view = bench.engine.logins().link(&file, may_refresh).await.expect("it is linked");
        assert!(view.linked.is_some());
        Self { bench, login, file, id: AccountId(view.id) }
    }

    fn posts(&self) -> usize {
        self.bench.backend.record().token_posts().count()
    }

    fn token(&self, name: &str) -> String {
        let text = std::fs::read(&self.file).expect("the file");
        let file: Value = serde_json::from_slice(&text).expect("the file is whole");
        file["tokens"][name].as_str().expect("a token").to_owned()
    }

    async fn stored(&self) -> pool::Tokens {
        self.bench.store.tokens(&self.id).await.expect("tokens").expect("the account")
    }

    fn why(&self) -> String {
        self.bench.engine.accounts().get(&self.id.0).and_then(|view| view.why).unwrap_or_default()
    }
}

#[tokio::test]
async fn the_store_never_has_its_refresh_token() {
    let linked = Linked::new(864_000, true).await;
    linked.bench.ask(chat("hello")).await.expect("a reply");
    assert_eq!((linked.stored().await.refresh, linked.posts()), (None, 0));
    let refused =
        linked.bench.engine.accounts().refresh(&linked.id.0).await.expect_err("a good token is not refreshed");
    assert!(refused.to_string().contains("still good"), "{refused}");
    assert_eq!((linked.posts(), linked.bench.status_of(&linked.id)), (0, "active"));
    linked.bench.ask(chat("hello")).await.expect("it serves as before");
}

/// A file that holds its account's login again ends what its absence began.
#[tokio::test]
async fn a_file_that_is_back_heals() {
    let linked = Linked::new(864_000, false).await;
    let other = linked.bench.backend.add_account(NewAccount::default());
    std::fs::write(&linked.file, other.auth_json()).expect("the file");
    assert!(linked.bench.engine.accounts().refresh(&linked.id.0).await.is_err());
    assert_eq!(linked.bench.status_of(&linked.id), "needs_login");
    std::fs::write(&linked.file, linked.login.auth_json()).expect("the file");
    linked.bench.until("the login is back", |bench| bench.status_of(&linked.id) == "active").await;
    linked.bench.ask(chat("hello")).await.expect("a reply");
}

/// New tokens that the file does not take make the login our own.
#[tokio::test]
async fn what_the_file_does_not_take_ends_the_link() {
    let linked = Linked::new(100, true).await;
    let again = |expires_in| NewAccount {
        account_id: Some(linked.login.account_id.clone()),
        user: Some(linked.login.user.clone()),
        expires_in,
        ..NewAccount::default()
    };
    let (granted, codex) = (linked.bench.backend.add_account(again(400)), linked.bench.backend.add_account(again(500)));
    let answer = json!({"access_token": granted.access, "refresh_token": granted.refresh});
    linked.bench.backend.add_rule(Rule::token(Plan::json(200, answer).delay("answer")));
    linked.bench.pass(Duration::from_secs(200));
    let token_call = async {
        linked.bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("a call");
        // Somebody signs in with Codex at this very moment.
        std::fs::write(&linked.file, codex.auth_json()).expect("the file");
        linked.bench.backend.release("answer");
    };
    let (reply, ()) = tokio::join!(linked.bench.ask(chat("hello")), token_call);
    reply.expect("a reply");
    assert_eq!(linked.stored().await.refresh, Some(Secret::from(granted.refresh.as_str())));
    assert_eq!(linked.bench.store.links().await.expect("links"), []);
    assert_eq!(linked.bench.engine.accounts().get(&linked.id.0).and_then(|view| view.linked), None);
    // From here on its own token is used, and the file's never.
    linked.bench.pass(Duration::from_mins(10));
    linked.bench.ask(chat("hello")).await.expect("a reply");
    assert_eq!((linked.posts(), linked.token("refresh_token")), (2, codex.refresh));
    linked.bench.innocent();
}

#[tokio::test]
async fn what_codex_writes_is_followed() {
    let linked = Linked::new(864_000, false).await;
    let newer = linked.bench.backend.add_account(NewAccount {
        account_id: Some(linked.login.account_id.clone()),
        user: Some(linked.login.user.clone()),
        expires_in: 900_000,
        ..NewAccount::default()
    });
    std::fs::write(&linked.file, newer.auth_json()).expect("the file");
    linked.bench.backend.expire_access(&linked.login.account_id);
    let before = linked.stored().await.access;
    for _ in 0..2000 {
        if linked.stored().await.access != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(linked.stored().await.access, Secret::from(newer.access.as_str()));
    assert_eq!(linked.posts(), 0);
}

#[tokio::test]
async fn an_ended_login_is_left_alone_without_leave() {
    let linked = Linked::new(100, false).await;
    linked.bench.pass(Duration::from_secs(200));
    assert!(linked.bench.ask(chat("hello")).await.is_err());
    assert_eq!((linked.posts(), linked.bench.status_of(&linked.id)), (0, "needs_login"));
    assert!(linked.why().contains("--may-refresh"), "{}", linked.why());
    // Codex refreshes it: the account serves again.
    let newer = linked.bench.backend.add_account(NewAccount {
        account_id: Some(linked.login.account_id.clone()),
        user: Some(linked.login.user.clone()),
        ..NewAccount::default()
    });
    std::fs::write(&linked.file, newer.auth_json()).expect("the file");
    linked.bench.until("the new login", |bench| bench.status_of(&linked.id) == "active").await;
    linked.bench.ask(chat("hello")).await.expect("a reply");
    assert_eq!(linked.posts(), 0);
}

#[tokio::test]
async fn an_ended_login_is_refreshed_with_leave_and_written_back() {
    let linked = Linked::new(100, true).await;
    linked.bench.pass(Duration::from_secs(200));
    linked.bench.ask(chat("hello")).await.expect("a reply");
    assert_eq!(linked.posts(), 1);
    let living = linked.bench.backend.current_refresh(&linked.login.account_id);
    assert_eq!(living, [linked.token("refresh_token")], "the file has the only good one");
    let stored = linked.stored().await;
    assert_eq!((stored.refresh, stored.access.expose()), (None, linked.token("access_token").as_str()));
    linked.bench.innocent();
}

#[tokio::test]
async fn a_file_that_was_just_written_is_codex_s_to_refresh() {
    let linked = Linked::new(10, true).await;
    linked.bench.pass(Duration::from_secs(40));
    assert!(linked.bench.ask(chat("hello")).await.is_err());
    assert_eq!((linked.posts(), linked.bench.status_of(&linked.id)), (0, "cooling"));
}

#[tokio::test]
async fn another_account_s_file_causes_no_call() {
    let linked = Linked::new(100, true).await;
    let other = linked.bench.backend.add_account(NewAccount { expires_in: -60, ..NewAccount::default() });
    std::fs::write(&linked.file, other.auth_json()).expect("the file");
    linked.bench.pass(Duration::from_secs(200));
    assert!(linked.bench.ask(chat("hello")).await.is_err());
    assert_eq!(linked.posts(), 0);
    assert!(linked.why().contains("another account"), "{}", linked.why());
    assert_eq!(linked.token("refresh_token"), other.refresh, "the file is as it was");
}

/// A login of our own is not given up for a link, and a file without tokens says where they are.
#[tokio::test]
async fn what_cannot_be_linked_says_why() {
    let bench = Bench::new().await;
    let file = bench.home.path().join("auth.json");
    std::fs::write(&file, bench.logins[0].auth_json()).expect("the file");
    let own = bench.engine.logins().link(&file, false).await.expect_err("it is signed in here").to_string();
    assert!(own.contains("login of its own"), "{own}");
    std::fs::write(&file, r#"{"auth_mode": "chatgpt", "tokens": null}"#).expect("the file");
    let keyring = bench.engine.logins().link(&file, false).await.expect_err("no tokens").to_string();
    assert!(keyring.contains("keyring"), "{keyring}");
    assert_eq!(bench.store.links().await.expect("links"), []);
}

/// Row S3, scaled; `POLYGATE_SOAK_ROUNDS=1000` is its size. Codex truncates and writes the file again and again, with refreshes of
/// its own, while requests run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_and_the_gateway_share_a_file() {
    let linked = Linked::new(864_000, true).await;
    let (stop, own) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let codex = tokio::spawn(codex(
        upstream(&linked.bench.backend, Timeouts::default()),
        (linked.file.clone(), linked.login.clone()),
        (Arc::clone(&stop), Arc::clone(&own)),
    ));
    let rounds = std::env::var("POLYGATE_SOAK_ROUNDS").map_or(60, |rounds| rounds.parse().expect("a number"));
    let mut count = 0;
    while count < rounds || own.load(Ordering::Relaxed) < rounds {
        linked.bench.ask(chat("hello")).await.expect("a reply");
        count += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let last = codex.await.expect("no panic");
    assert!(own.load(Ordering::Relaxed) > 0);
    assert_eq!(linked.posts(), own.load(Ordering::Relaxed), "only Codex has refreshed");
    assert_eq!(linked.token("refresh_token"), last, "and the file is as Codex wrote it");
    linked.bench.innocent();
}

/// A Codex that refreshes, truncates, and writes in two steps; gives its last refresh token.
async fn codex(
    upstream: upstream::Upstream,
    (file, login): (PathBuf, FakeAccount),
    (stop, own): (Arc<AtomicBool>, Arc<AtomicUsize>),
) -> String {
    use std::io::Write as _;
    let mut auth: Value = serde_json::from_str(&login.auth_json()).expect("JSON");
    let mut refresh = login.refresh;
    while !stop.load(Ordering::Relaxed) {
        let grant =
            upstream.refresh(&Secret::from(refresh.as_str()), RefreshReason::ProactiveExpiry).await.expect("a refresh");
        own.fetch_add(1, Ordering::Relaxed);
        grant.refresh.expect("it rotates").expose().clone_into(&mut refresh);
        auth["tokens"]["refresh_token"] = refresh.clone().into();
        auth["tokens"]["access_token"] = grant.access.expose().into();
        let text = auth.to_string();
        let mut open = std::fs::File::create(&file).expect("the file");
        open.write_all(&text.as_bytes()[..text.len() / 2]).expect("the first half");
        tokio::time::sleep(Duration::from_millis(3)).await;
        open.write_all(&text.as_bytes()[text.len() / 2..]).expect("the second half");
    }
    refresh
}
