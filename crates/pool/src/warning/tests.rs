use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);
const HOUR: i64 = 3_600_000;

/// One step of a story.
#[derive(Clone, Copy)]
enum Step {
    /// The first window is at this share and resets so many hours from [`NOW`].
    At(f64, i64),
    /// The second window is.
    Week(f64, i64),
    /// So many hours pass.
    Pass(i64),
    /// The process is restarted.
    Restart,
    /// The account's state.
    Login,
    Block,
    Good,
    Off,
}
use Step::{At, Block, Good, Login, Off, Pass, Restart, Week};

fn account() -> Account {
    Account {
        id: AccountId("a".into()),
        label: "me".into(),
        email: String::new(),
        plan: String::new(),
        upstream_id: String::new(),
        user: String::new(),
        fedramp: false,
        status: Status::Active,
        quota: Quota::default(),
        limits: crate::AccountLimits::default(),
        created: Millis(0),
        version: 1,
        status_rev: 1,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which an account has it")]
fn window(used_percent: f64, resets: i64, minutes: u32) -> Option<Window> {
    Some(Window { used_percent, minutes: Some(minutes), resets_at: Some(NOW.plus(resets * HOUR)) })
}

/// Plays a story; what was warned of in each step.
fn play(story: &[Step]) -> Vec<String> {
    let (mut account, mut issued, mut now) = (account(), Issued::default(), NOW);
    let word = |warning: Warning| match warning.what {
        What::Quota { window, threshold, .. } => format!("{} {threshold}", window.as_str()),
        What::NeedsLogin { .. } => "login".into(),
        What::Blocked { .. } => "blocked".into(),
    };
    let mut warnings = Vec::new();
    for step in story {
        match *step {
            At(used, resets) => account.quota.primary = window(used, resets, 300),
            Week(used, resets) => account.quota.secondary = window(used, resets, 10_080),
            Pass(hours) => now = now.plus(hours * HOUR),
            Restart => issued = serde_json::from_str(&serde_json::to_string(&issued).unwrap()).unwrap(),
            Login => account.status = Status::NeedsLogin { why: "revoked".into() },
            Block => account.status = Status::Blocked { why: "banned".into() },
            Good => account.status = Status::Active,
            Off => account.status = Status::Disabled,
        }
        // Each step has newer figures, as each answer of the provider does.
        now = now.plus(1);
        account.quota.updated = now;
        warnings.extend(newly_due(&mut issued, &account, &Thresholds::default(), now).into_iter().map(word));
    }
    warnings
}

#[rstest]
#[case(&[At(79.9, 5)], &[])]
#[case(&[At(80.0, 5), At(81.0, 5), At(94.9, 5)], &["primary 80"])]
#[case(&[At(80.0, 5), At(95.0, 5), At(100.0, 5)], &["primary 80", "primary 95"])]
// The highest only.
#[case(&[At(97.0, 5), At(98.0, 5)], &["primary 95"])]
// Each window for itself.
#[case(&[At(85.0, 5), Week(96.0, 100), At(86.0, 5)], &["primary 80", "secondary 95"])]
// A restart does not warn again, and does not forget.
#[case(&[At(85.0, 5), Restart, At(86.0, 5), At(96.0, 5)], &["primary 80", "primary 95"])]
// Again after a reset by time, seen or unseen.
#[case(&[At(85.0, 5), Pass(6), At(2.0, 11), At(85.0, 11)], &["primary 80", "primary 80"])]
#[case(&[At(96.0, 5), Pass(6), At(85.0, 11)], &["primary 95", "primary 80"])]
#[case(&[At(85.0, 5), Pass(6)], &["primary 80"])]
// Again after an early reset, by a credit or the provider.
#[case(&[At(96.0, 5), At(0.0, 5), At(82.0, 5)], &["primary 95", "primary 80"])]
// A reset instant that wanders with each answer is no reset, and neither is rounding.
#[case(&[At(85.0, 5), At(86.0, 6), At(87.0, 5)], &["primary 80"])]
#[case(&[At(80.0, 5), At(79.6, 5), At(80.1, 5), At(76.0, 5), At(80.0, 5)], &["primary 80"])]
#[case(&[At(80.0, 5), At(74.0, 5), At(80.0, 5)], &["primary 80", "primary 80"])]
// States, once each time they are entered.
#[case(&[Login, Restart, Login], &["login"])]
#[case(&[Login, Good, Login], &["login", "login"])]
#[case(&[Login, Block, Block], &["login", "blocked"])]
#[case(&[At(85.0, 5), Block], &["primary 80", "blocked"])]
// Nobody wants to hear of what is switched off.
#[case(&[Off, At(99.0, 5)], &[])]
fn warnings_come_once(#[case] story: &[Step], #[case] expected: &[&str]) {
    assert_eq!(play(story), expected);
}

#[test]
fn thresholds_are_the_owners() {
    let mut account = account();
    account.quota.primary = window(60.0, 5, 300);
    account.quota.secondary = window(60.0, 5, 300);
    let own = Thresholds { primary: vec![50], secondary: Vec::new() };
    let standing = standing(&account, &own, NOW);
    assert_eq!(standing.len(), 1);
    assert!(matches!(standing[0].what, What::Quota { window: WindowKind::Primary, threshold: 50, .. }));
    assert!(!standing[0].urgent());
}

#[test]
fn warnings_have_words() {
    let mut account = account();
    account.quota.primary = window(96.4, 2, 300);
    let warning = standing(&account, &Thresholds::default(), NOW).remove(0);
    assert_eq!(warning.title(), "me: primary quota 96 % used");
    assert_eq!(warning.describe(), "me: primary quota (5 h 0 min window) is 96 % used, resets in 2 h 0 min");
    assert!(warning.urgent());
    let json = serde_json::to_value(&warning).unwrap();
    assert_eq!((&json["kind"], &json["window"], &json["threshold"]), (&"quota".into(), &"primary".into(), &95.into()));
    account.status = Status::NeedsLogin { why: "revoked".into() };
    let login = standing(&account, &Thresholds::default(), NOW).remove(1);
    assert_eq!(login.describe(), "me: needs a new login: revoked; run `polygate login`");
}

/// The end that was told wanders by seconds: until the later one is over, nothing was reset.
#[test]
fn a_reset_that_wanders_warns_once() {
    let (mut account, mut issued) = (account(), Issued::default());
    let mut judge = |seconds: i64, now: i64| {
        let resets_at = Some(NOW.plus(seconds * 1000));
        account.quota.primary = Some(Window { used_percent: 85.0, minutes: Some(300), resets_at });
        newly_due(&mut issued, &account, &Thresholds::default(), NOW.plus(now * 1000)).len()
    };
    assert_eq!((judge(300, 0), judge(340, 10), judge(340, 310)), (1, 0, 0));
    assert_eq!(judge(18_340, 341), 1, "the next window");
}

/// Two nodes share what was issued. A node that still has older figures neither warns again nor takes the newer warning back.
#[rstest]
#[case::older(-1000)]
#[case::of_the_same_moment(0)]
fn figures_that_are_not_newer_are_no_reset(#[case] after: i64) {
    let (mut account, mut issued) = (account(), Issued::default());
    let mut judge = |used: f64, updated: Millis| {
        account.quota = Quota { primary: window(used, 5, 300), updated, ..Quota::default() };
        newly_due(&mut issued, &account, &Thresholds::default(), NOW).len()
    };
    assert_eq!(judge(97.0, NOW), 1);
    assert_eq!((judge(85.0, NOW.plus(after)), judge(97.0, NOW)), (0, 0));
    assert_eq!((judge(60.0, NOW.plus(1)), judge(85.0, NOW.plus(2))), (0, 1), "newer figures show a reset");
}
