//! What a reload takes over, and what it must leave alone.

use pool::quota::Window;
use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_000_000);

fn account(id: &str) -> Account {
    Account {
        id: AccountId(id.into()),
        label: id.into(),
        email: String::new(),
        plan: "plus".into(),
        upstream_id: id.into(),
        user: String::new(),
        fedramp: false,
        status: Status::Active,
        quota: Quota::default(),
        limits: pool::AccountLimits::default(),
        created: Millis(0),
        version: 1,
        status_rev: 1,
    }
}

fn tokens(access: &str, refreshed: i64) -> Tokens {
    Tokens { access: access.into(), refresh: Some("rt".into()), id: None, expires: None, refreshed: Millis(refreshed) }
}

fn one(access: &str, refreshed: i64) -> Vec<StoredAccount> {
    vec![StoredAccount::Read(Box::new(account("a")), Some(tokens(access, refreshed)))]
}

fn access(accounts: &Accounts) -> String {
    let entry = accounts.get(&AccountId("a".into())).expect("the account");
    entry.tokens.as_ref().expect("its tokens").access.expose().to_owned()
}

fn status(accounts: &Accounts) -> Status {
    accounts.get(&AccountId("a".into())).expect("the account").account.status.clone()
}

#[test]
fn a_reload_finds_what_came_and_went() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    assert_eq!(accounts.adopt(one("t1", 1)).added, std::slice::from_ref(&id));
    let same = accounts.adopt(one("t1", 1));
    assert!(same.added.is_empty() && same.signed_in.is_empty() && same.removed.is_empty());
    assert_eq!(accounts.adopt(one("t2", 2)).signed_in, std::slice::from_ref(&id));
    assert_eq!(accounts.adopt(Vec::new()).removed, [id]);
}

#[test]
fn tokens_refreshed_here_outlive_an_older_row() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    accounts.adopt(one("t1", 1));
    accounts.set_tokens(&AccountId("a".into()), Arc::new(tokens("t2", 2)));
    accounts.adopt(one("t1", 1));
    assert_eq!(access(&accounts), "t2");
    accounts.adopt(one("t3", 3));
    assert_eq!(access(&accounts), "t3");
}

#[test]
fn an_unsaved_status_outlives_a_reload_but_not_a_login() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    accounts.adopt(one("t1", 1));
    assert!(accounts.signal(&id, &Signal::NeedsLogin { why: "reused".into() }, NOW), "it served before");
    accounts.adopt(one("t1", 1));
    assert!(matches!(status(&accounts), Status::NeedsLogin { .. }));
    accounts.adopt(one("t2", 2));
    assert_eq!(status(&accounts), Status::Active);
}

/// Somebody wrote a status since ours was read: what was learned here is applied to that one.
#[rstest]
#[case::a_rest(Status::Cooling { until: NOW.plus(1), why: "busy".into() }, "exhausted")]
#[case::needs_a_person(Status::NeedsLogin { why: "reused".into() }, "needs_login")]
#[case::switched_off(Status::Disabled, "disabled")]
fn what_was_learned_is_applied_to_what_others_wrote(#[case] stored: Status, #[case] word: &str) {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    accounts.adopt(one("t1", 1));
    accounts.signal(&id, &Signal::Exhaust { until: NOW.plus(60_000), window: "primary".into() }, NOW);
    let unsaved = accounts.take_unsaved().remove(&id).expect("its status");
    accounts.restore_unsaved(id, unsaved);
    let stored = Account { status: stored, status_rev: 2, ..account("a") };
    accounts.adopt(vec![StoredAccount::Read(Box::new(stored), Some(tokens("t1", 1)))]);
    assert_eq!(status(&accounts).as_str(), word);
}

#[test]
fn signals_of_a_store_that_is_away_do_not_pile_up() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    accounts.adopt(one("t1", 1));
    for _ in 0..100 {
        accounts.signal(&id, &Signal::Cool { until: NOW.plus(9), why: "busy".into() }, NOW);
        accounts.signal(&id, &Signal::Served, NOW.plus(10));
    }
    assert_eq!(accounts.take_unsaved()[&id].signals.len(), SIGNALS);
}

#[test]
fn what_is_saved_is_the_stores_again() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    accounts.adopt(one("t1", 1));
    accounts.signal(&id, &Signal::Block { why: "banned".into() }, NOW);
    let dirty = accounts.take_unsaved();
    assert!(dirty[&id].status() && !dirty[&id].quota);
    assert!(accounts.take_unsaved().is_empty());
    accounts.adopt(one("t1", 1));
    assert_eq!(status(&accounts), Status::Active, "somebody wrote the row after us");
}

#[test]
fn figures_that_are_newer_here_stay() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    accounts.adopt(one("t1", 1));
    let window = Window { used_percent: 100.0, minutes: Some(300), resets_at: Some(NOW.plus(60_000)) };
    let full = Quota { primary: Some(window), updated: NOW, ..Quota::default() };
    assert!(accounts.merge_quota(&id, full, NOW), "a full window ends its service");
    assert!(matches!(status(&accounts), Status::Exhausted { .. }));
    accounts.adopt(one("t1", 1));
    let entry = accounts.get(&id).expect("the account");
    assert_eq!(entry.account.quota.primary, Some(window));
}

#[test]
fn a_refused_model_is_not_listed_until_a_new_list_comes() {
    let accounts = Accounts::new(Vec::new(), Names::default());
    let id = AccountId("a".into());
    accounts.adopt(one("t1", 1));
    let bundled = Catalog::bundled();
    let slug = bundled.models()[0].slug.clone();
    let lists = || accounts.get(&id).expect("the account").can_serve_model((&slug, false), &bundled, NOW);
    assert!(lists());
    assert!(accounts.note_missing_model(&id, &slug, NOW) && !accounts.note_missing_model(&id, &slug, NOW));
    assert!(!lists());
    accounts.set_model_list(
        &id,
        Arc::new(ModelList { etag: None, version: String::new(), models: bundled.models().to_vec() }),
    );
    assert!(lists() && accounts.catalog().is_live());
}

fn relay_entry(key: &str, models: &[&str], status: Status) -> RelayEntry {
    let relay = pool::relay::Relay {
        id: AccountId("r".into()),
        name: "far".into(),
        base_url: "https://relay.example/v1".into(),
        wire: Wire::Chat,
        models: models.iter().map(|name| (*name).to_owned()).collect(),
        prefix: String::new(),
        capabilities: pool::relay::Capabilities::ALL,
        allow_private: false,
        enabled: true,
        weight: 1,
        status,
        created: Millis(0),
        version: 1,
    };
    RelayEntry { relay, key: key.into(), origin: crate::registry::relays::RelayOrigin::Store }
}

/// A relay that can take any model, with the names that it listed.
fn relay(models: &[&str]) -> (Accounts, AccountId) {
    let accounts = Accounts::new(Vec::new(), Names::default());
    accounts.adopt_relays(vec![relay_entry("k", models, Status::Active)]);
    (accounts, AccountId("r".into()))
}

#[test]
fn a_relay_is_asked_again_for_a_model_that_it_refused_a_while_ago() {
    let (accounts, id) = relay(&["llama3.2"]);
    let bundled = Catalog::bundled();
    let lists = |now| accounts.get(&id).expect("the relay").can_serve_model(("llama3.2", false), &bundled, now);
    let rest = i64::try_from(limits::MODEL_REST.as_millis()).expect("a short time");
    assert!(
        accounts.note_missing_model(&id, "llama3.2", NOW) && !accounts.note_missing_model(&id, "llama3.2", NOW.plus(1))
    );
    assert!(!lists(NOW) && !lists(NOW.plus(rest - 1)) && lists(NOW.plus(rest)));
    assert!(lists(NOW.plus(-1)), "a clock that was set back");
    assert!(accounts.note_missing_model(&id, "llama3.2", NOW.plus(rest)), "and refused once more");
    assert_eq!(accounts.get(&id).expect("the relay").refused_models.len(), 1);
}

#[test]
fn names_that_only_a_client_knows_are_not_kept() {
    let (accounts, id) = relay(&[]);
    accounts.set_model_list(
        &id,
        Arc::new(ModelList { etag: None, version: String::new(), models: vec![Model::bare("m")] }),
    );
    for number in 0..100 {
        assert!(!accounts.note_missing_model(&id, &format!("m{number}"), NOW));
    }
    assert!(accounts.note_missing_model(&id, "m", NOW));
    assert_eq!(accounts.get(&id).expect("the relay").refused_models.len(), 1);
}

#[test]
fn what_an_old_key_came_to_says_nothing_of_the_new_one() {
    let (accounts, id) = relay(&["m"]);
    let refused = Signal::NeedsLogin { why: "refused".into() };
    let old = relay_entry("k", &["m"], Status::Active);
    accounts.adopt_relays(vec![relay_entry("new", &["m"], Status::Active)]);
    let status = || accounts.get(&id).expect("the relay").account.status.clone();
    assert!(!accounts.signal_relay(&old, &refused, NOW));
    assert_eq!(status(), Status::Active);
    assert!(accounts.signal_relay(&relay_entry("new", &["m"], Status::Active), &refused, NOW));
    assert!(status().needs_person());
}

#[test]
fn a_relay_that_somebody_tested_is_listed_again() {
    let (accounts, id) = relay(&[]);
    let refused = Status::NeedsLogin { why: "refused".into() };
    assert!(accounts.adopt_relays(vec![relay_entry("k", &[], refused.clone())]).signed_in.is_empty());
    assert!(accounts.adopt_relays(vec![relay_entry("k", &[], refused)]).signed_in.is_empty());
    assert_eq!(accounts.adopt_relays(vec![relay_entry("k", &[], Status::Active)]).signed_in, [id]);
}
