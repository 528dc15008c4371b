//! Live model lists, accounts that come and go, and keys.

use engine::{AuthError, NewKey};
use pool::keys::{KeyKind, Scope};
use proto::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bench::{Bench, MODEL, Setup, chat, import, refused};

fn slugs(bench: &Bench) -> Vec<String> {
    bench.engine.models().catalog().into_iter().map(|model| model.slug).collect()
}

#[tokio::test]
async fn the_live_list_replaces_the_bundled_one() {
    let bench = Bench::new().await;
    bench.until("the live list", |bench| bench.engine.accounts().list()[0].models > 0).await;
    assert!(slugs(&bench).contains(&MODEL.to_owned()));
    bench.backend.set_models(&bench.logins[0].account_id, &[MODEL]);
    bench.ask(chat("hello")).await.expect("a reply, which names the new list");
    bench.until("the new list", |bench| slugs(bench) == [MODEL]).await;
    let mut client_call = chat("hello");
    client_call.request.model = Some("gpt-6-sol".into());
    let refusal = refused(bench.ask(client_call).await);
    assert_eq!(refusal.failure.kind, Kind::ModelNotFound);
    let rows = bench.rows(2).await;
    assert_eq!((rows[0].status, rows[0].attempts), (404, 0));
    bench.innocent();
}

#[tokio::test]
async fn an_account_that_lists_the_model_is_chosen() {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.backend.set_models(&bench.logins[0].account_id, &[MODEL]);
    bench.ask(chat("hello")).await.expect("a reply");
    bench.ask(chat("good day")).await.expect("a reply");
    bench
        .until("both lists", |bench| {
            let models: Vec<_> = bench.engine.accounts().list().iter().map(|view| view.models).collect();
            models.iter().all(|count| *count > 0) && models.contains(&1)
        })
        .await;
    let mut client_call = chat("Reply with exactly: sol");
    client_call.request.model = Some("gpt-6-sol".into());
    let answer = bench.ask(client_call).await.expect("served by the account that lists it");
    assert_eq!(answer.head.account.as_ref(), Some(&bench.ids[1]));
    assert_eq!(answer.head.attempts, 1);
}

/// `login --import` and `accounts remove` of another process are seen by a running engine.
#[tokio::test]
async fn accounts_come_and_go_while_it_runs() {
    let bench = Bench::with(Setup::accounts(0)).await;
    assert!(!bench.engine.ready().ok);
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(refusal.failure.kind, Kind::NoAccount);
    assert!(refusal.failure.message.contains("polygate login"));
    let login = bench.backend.account("plus");
    let id = import(&bench.store, &login).await;
    bench.until("the account", |bench| bench.engine.ready().ok).await;
    bench.ask(chat("hello")).await.expect("a reply");
    bench.until("its models", |bench| bench.engine.accounts().list()[0].models > 0).await;
    bench.store.remove_accounts(std::slice::from_ref(&id)).await.expect("removed");
    bench.until("its end", |bench| bench.engine.accounts().list().is_empty()).await;
}

#[tokio::test]
async fn keys_let_in_whom_they_should() {
    let bench =
        Bench::with(Setup::default().settings(|settings| settings.api_key = Some("my own key of 24 chars".into())))
            .await;
    let new = |kind, scopes: &[Scope]| NewKey {
        name: "test".into(),
        kind,
        scopes: scopes.iter().copied().collect(),
        expires: None,
        tools: None,
    };
    let client = bench.engine.keys().create(new(KeyKind::Client, &[])).await.expect("a key");
    let admin = bench.engine.keys().create(new(KeyKind::Admin, &[Scope::Read])).await.expect("a token");
    assert_eq!(bench.engine.authenticate(client.text.expose()).await.expect("a client").0, client.id);
    assert!(bench.engine.authenticate("my own key of 24 chars").await.expect("the fixed key").0.starts_with("fixed-"));
    let token = bench.engine.authenticate_admin(admin.text.expose()).await.expect("an admin");
    assert!(token.scopes.has(Scope::Read) && !token.scopes.has(Scope::Write));
    assert_eq!(bench.engine.authenticate(admin.text.expose()).await, Err(AuthError::NotClient));
    assert_eq!(bench.engine.authenticate_admin(client.text.expose()).await, Err(AuthError::NotAdmin));
    assert_eq!(bench.engine.authenticate("sk-unknown").await, Err(AuthError::Unknown));
    assert_eq!(bench.engine.authenticate(&"x".repeat(100_000)).await, Err(AuthError::Unknown));
    let mut damaged = client.text.expose().to_owned();
    damaged.pop();
    assert_eq!(bench.engine.authenticate(&damaged).await, Err(AuthError::Damaged));
    assert!(bench.engine.keys().revoke(&client.id).await.expect("revoked"));
    assert_eq!(bench.engine.authenticate(client.text.expose()).await, Err(AuthError::Revoked));
    assert_eq!(bench.engine.keys().list().len(), 2);
}

/// Others read the keys all the time; what they read before a key was taken back is not put in place after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_taken_back_stays_so() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let new = || NewKey {
        name: "test".into(),
        kind: KeyKind::Client,
        scopes: std::iter::empty().collect(),
        expires: None,
        tools: None,
    };
    let busy = bench.engine.keys().create(new()).await.expect("a key").id;
    let stop = Arc::new(AtomicBool::new(false));
    let (engine, done) = (bench.engine.clone(), Arc::clone(&stop));
    let others = tokio::spawn(async move {
        while !done.load(Ordering::Relaxed) {
            let (one, two) =
                tokio::join!(engine.keys().set_tools(&busy, None), engine.keys().set_tools(&busy, Some(&[])));
            assert!(one.expect("equipped") && two.expect("equipped"));
        }
    });
    for _ in 0..200 {
        let key = bench.engine.keys().create(new()).await.expect("a key");
        assert!(bench.engine.keys().revoke(&key.id).await.expect("revoked"));
        for _ in 0..50 {
            assert_eq!(bench.engine.authenticate(key.text.expose()).await, Err(AuthError::Revoked));
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    others.await.expect("no panic");
}
