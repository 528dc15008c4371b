use pool::{Millis, Secret};

use super::*;

fn tokens(name: &str, expires: Option<i64>, refreshed: i64) -> Tokens {
    Tokens {
        access: Secret::from(name),
        refresh: Some(Secret::from(name)),
        id: None,
        expires: expires.map(Millis),
        refreshed: Millis(refreshed),
    }
}

fn new(tokens: Tokens, origin: TokenOrigin) -> NewAccount {
    NewAccount {
        label: String::new(),
        email: String::new(),
        plan: String::new(),
        upstream_id: String::new(),
        user: String::new(),
        fedramp: false,
        tokens,
        origin,
        egress: None,
        status: pool::Status::Active,
    }
}

#[test]
fn only_newer_tokens_replace_stored_ones() {
    let dead = Status::NeedsLogin { why: "reused".into() };
    let bare = |name, expires| Tokens { refresh: None, ..tokens(name, expires, 9) };
    let stored = tokens("stored", Some(100), 5);
    let cases = [
        ("a login, though it ends sooner", tokens("new", Some(50), 6), TokenOrigin::Login, Status::Active, true),
        ("ends later", tokens("new", Some(101), 1), TokenOrigin::Import, Status::Active, true),
        ("ends sooner", tokens("new", Some(99), 9), TokenOrigin::Import, Status::Active, false),
        ("ends with it, refreshed later", tokens("new", Some(100), 6), TokenOrigin::Import, Status::Active, true),
        ("ends with it, refreshed with it", tokens("new", Some(100), 5), TokenOrigin::Import, Status::Active, false),
        ("end unknown, refreshed later", tokens("new", None, 6), TokenOrigin::Import, Status::Active, true),
        ("end unknown, refreshed before", tokens("new", None, 4), TokenOrigin::Import, Status::Active, false),
        ("the same once more", stored.clone(), TokenOrigin::Import, dead.clone(), false),
        ("an older family for a dead one", tokens("new", Some(50), 1), TokenOrigin::Import, dead.clone(), true),
        ("no refresh token", bare("new", Some(200)), TokenOrigin::Import, Status::Active, false),
        ("no refresh token for a dead one", bare("new", Some(50)), TokenOrigin::Import, dead, true),
    ];
    for (name, given, origin, status, expected) in cases {
        assert_eq!(replaces(&new(given, origin), &stored, &status), expected, "{name}");
    }
    let without = Tokens { refresh: None, ..tokens("stored", Some(100), 5) };
    assert!(replaces(&new(bare("new", Some(200)), TokenOrigin::Import), &without, &Status::Active));
}
