//! Lease, intent, commit, fence.

use pool::{AccountId, Millis, Status};

use super::{NOW, Site, account, add, tokens};
use crate::{CommitError, Error, LeaseOutcome, RefreshLease, Store, TokenOrigin};

/// Takes the lease, which must be free.
pub(super) async fn lease(store: &Store, id: &AccountId, now: Millis) -> RefreshLease {
    match store.begin_refresh(id, "test", now).await.unwrap() {
        LeaseOutcome::Granted(ticket) => ticket,
        other => panic!("not granted: {other:?}"),
    }
}

async fn held(store: &Store, id: &AccountId, now: Millis) -> bool {
    matches!(store.begin_refresh(id, "test", now).await.unwrap(), LeaseOutcome::Held { .. })
}

pub(super) async fn a_refresh_replaces_the_tokens(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    assert_eq!((&ticket.tokens, ticket.interrupted), (&tokens("one", 0), false));
    store.write_intent(&ticket, NOW).await.unwrap();
    store.commit_refresh(ticket, &tokens("two", 5)).await.unwrap();
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("two", 5)));
    let next = lease(&store, &id, NOW).await;
    assert_eq!((&next.tokens, next.interrupted), (&tokens("two", 5), false));
}

pub(super) async fn a_lease_keeps_others_away(site: &Site) {
    let (store, other) = (site.open().await, site.open().await);
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    let LeaseOutcome::Held { until } = other.begin_refresh(&id, "other", NOW.plus(59_999)).await.unwrap() else {
        panic!("granted twice");
    };
    assert_eq!(until, NOW.plus(60_000));
    store.end_refresh(ticket, None).await.unwrap();
    lease(&other, &id, NOW.plus(59_999)).await;
    let gone = other.begin_refresh(&AccountId("none".into()), "other", NOW).await.unwrap();
    assert!(matches!(gone, LeaseOutcome::Gone));
}

pub(super) async fn a_dead_holder_is_taken_over(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let before = lease(&store, &id, NOW).await;
    assert_eq!(store.interrupted_refreshes(NOW.plus(60_000)).await.unwrap(), [], "no intent yet");
    drop(before);
    let later = NOW.plus(60_000);
    let ticket = lease(&store, &id, later).await;
    assert!(!ticket.interrupted, "the first holder never announced a POST");
    store.write_intent(&ticket, later).await.unwrap();
    drop(ticket);
    store.close().await;

    let store = site.open().await;
    assert_eq!(store.interrupted_refreshes(later).await.unwrap(), [], "the holder may still live");
    assert!(held(&store, &id, later.plus(59_999)).await);
    let later = later.plus(60_000);
    assert_eq!(store.interrupted_refreshes(later).await.unwrap(), std::slice::from_ref(&id));
    let ticket = lease(&store, &id, later).await;
    assert!(ticket.interrupted);
    assert!(store.end_refresh(ticket, None).await.unwrap());
    assert_eq!(
        store.interrupted_refreshes(later).await.unwrap(),
        std::slice::from_ref(&id),
        "the outcome is still unknown"
    );
    let ticket = lease(&store, &id, later).await;
    assert!(ticket.interrupted);
    store.commit_refresh(ticket, &tokens("two", 5)).await.unwrap();
    assert!(!lease(&store, &id, later).await.interrupted);
}

pub(super) async fn a_late_commit_is_fenced_out(site: &Site) {
    let (slow, quick) = (site.open().await, site.open().await);
    let id = add(&slow, "one").await;
    let old = lease(&slow, &id, NOW).await;
    slow.write_intent(&old, NOW).await.unwrap();
    let new = lease(&quick, &id, NOW.plus(60_000)).await;
    assert!(matches!(slow.write_intent(&old, NOW).await, Err(Error::LeaseLost)));
    quick.commit_refresh(new, &tokens("new", 2)).await.unwrap();
    let late = slow.commit_refresh(old, &tokens("late", 1)).await;
    assert!(matches!(late, Err(CommitError::LeaseLost)));
    assert_eq!(slow.tokens(&id).await.unwrap(), Some(tokens("new", 2)));

    let old = lease(&slow, &id, NOW).await;
    let new = lease(&quick, &id, NOW.plus(60_000)).await;
    slow.end_refresh(old, Some(&Status::NeedsLogin { why: "late".into() })).await.unwrap();
    assert_eq!(slow.accounts().await.unwrap()[0].status, Status::Active, "a late failure is fenced out too");
    assert!(held(&slow, &id, NOW.plus(60_001)).await, "and leaves the lease alone");
    quick.end_refresh(new, None).await.unwrap();
}

pub(super) async fn a_late_commit_without_successor_counts(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    // Other writes to the row in between do not matter.
    store.set_owner_status(std::slice::from_ref(&id), &Status::Disabled).await.unwrap();
    store.commit_refresh(ticket, &tokens("late", 90_000)).await.unwrap();
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("late", 90_000)));
    assert_eq!(store.accounts().await.unwrap()[0].status, Status::Disabled);
}

pub(super) async fn a_commit_may_be_repeated(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    let again = RefreshLease {
        id: id.clone(),
        version: ticket.version,
        tokens: ticket.tokens.clone(),
        interrupted: false,
        needs_login: false,
    };
    let other = RefreshLease {
        id: id.clone(),
        version: ticket.version,
        tokens: ticket.tokens.clone(),
        interrupted: false,
        needs_login: false,
    };
    store.commit_refresh(ticket, &tokens("two", 5)).await.unwrap();
    store.commit_refresh(again, &tokens("two", 5)).await.unwrap();
    assert!(matches!(store.commit_refresh(other, &tokens("three", 6)).await, Err(CommitError::LeaseLost)));
}

pub(super) async fn a_login_fences_out_a_refresh(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    store.write_intent(&ticket, NOW).await.unwrap();
    let mut login = account("one", tokens("login", 3));
    login.origin = TokenOrigin::Login;
    store.put_account(login, NOW).await.unwrap();
    assert!(matches!(store.commit_refresh(ticket, &tokens("two", 5)).await, Err(CommitError::LeaseLost)));
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("login", 3)));
    assert!(!lease(&store, &id, NOW).await.interrupted, "the doubtful token is gone");
}

pub(super) async fn an_ended_refresh_leaves_no_trace(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    store.write_intent(&ticket, NOW).await.unwrap();
    let why = Status::NeedsLogin { why: "refresh_token_reused".into() };
    store.end_refresh(ticket, Some(&why)).await.unwrap();
    assert_eq!(store.accounts().await.unwrap()[0].status, why);
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("one", 0)));
    assert!(!lease(&store, &id, NOW).await.interrupted);

    let gone = lease(&store, &id, NOW.plus(60_000)).await;
    store.remove_accounts(std::slice::from_ref(&id)).await.unwrap();
    assert!(matches!(store.write_intent(&gone, NOW).await, Err(Error::LeaseLost)));
    assert!(matches!(store.commit_refresh(gone, &tokens("two", 5)).await, Err(CommitError::LeaseLost)));
}

pub(super) async fn a_wrong_clock_does_not_hold_a_lease(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    lease(&store, &id, NOW.plus(864_000_000)).await;
    lease(&store, &id, NOW).await;
    assert!(held(&store, &id, NOW.plus(-30_000)).await, "a clock that is a little behind believes the lease");
}

/// A command refreshes while a gateway starts: the process that holds the lease is alive.
pub(super) async fn a_living_holder_keeps_its_lease(site: &Site) {
    let (command, gateway) = (site.open().await, site.open().await);
    let id = add(&command, "one").await;
    let holder = command.holder().unwrap().to_owned();
    assert_eq!(holder, command.holder().unwrap());
    assert_ne!(holder, gateway.holder().unwrap());
    let LeaseOutcome::Granted(ticket) = command.begin_refresh(&id, &holder, NOW).await.unwrap() else { panic!("held") };
    command.write_intent(&ticket, NOW).await.unwrap();
    assert_eq!(gateway.release_dead_leases().await.unwrap(), 0);
    assert!(held(&gateway, &id, NOW).await && gateway.interrupted_refreshes(NOW).await.unwrap().is_empty());
    command.commit_refresh(ticket, &tokens("two", 5)).await.unwrap();
    let LeaseOutcome::Granted(_) = command.begin_refresh(&id, &holder, NOW).await.unwrap() else { panic!("held") };
    drop(command);
    // In a store that other machines use, no process can know that the holder has ended.
    let freed = u64::from(site.options().postgres.is_none());
    assert_eq!(gateway.release_dead_leases().await.unwrap(), freed);
}

/// New tokens are stored without the lease, as long as the stored refresh token is the one that was spent for them.
pub(super) async fn a_successor_is_stored_without_the_lease(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let late = lease(&store, &id, NOW).await;
    store.write_intent(&late, NOW).await.unwrap();
    let taker = lease(&store, &id, NOW.plus(60_000)).await;
    let why = Status::NeedsLogin { why: "refresh_token_reused".into() };
    assert!(store.end_refresh(taker, Some(&why)).await.unwrap());
    store.commit_refresh(late, &tokens("two", 5)).await.unwrap();
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("two", 5)));
    assert_eq!(store.accounts().await.unwrap()[0].status, Status::Active, "the successor is a login");
    // The holder of an older lease cannot set a status that asks for a login.
    let late = lease(&store, &id, NOW.plus(60_000)).await;
    lease(&store, &id, NOW.plus(120_000)).await;
    assert!(!store.end_refresh(late, Some(&why)).await.unwrap());
    assert_eq!(store.accounts().await.unwrap()[0].status, Status::Active);
    // An account that its owner has switched off stays off.
    let late = lease(&store, &id, NOW.plus(180_000)).await;
    store.set_owner_status(std::slice::from_ref(&id), &Status::Disabled).await.unwrap();
    lease(&store, &id, NOW.plus(240_000)).await;
    store.commit_refresh(late, &tokens("three", 6)).await.unwrap();
    assert_eq!(store.accounts().await.unwrap()[0].status, Status::Disabled);
}

pub(super) async fn leases_of_dead_processes_are_released(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let dead = lease(&store, &id, NOW).await;
    store.write_intent(&dead, NOW).await.unwrap();
    let local = site.options().postgres.is_none();
    assert_eq!(store.release_dead_leases().await.unwrap(), u64::from(local));
    let ticket = lease(&store, &id, if local { NOW } else { NOW.plus(60_000) }).await;
    assert!(ticket.interrupted, "the intent of the dead holder is still there");
    store.commit_refresh(ticket, &tokens("two", 5)).await.unwrap();
    assert!(store.commit_refresh(dead, &tokens("late", 6)).await.is_err(), "what it follows is gone");
    assert_eq!(store.release_dead_leases().await.unwrap(), 0);
}
