use rstest::rstest;

use super::*;
use crate::Secret;

fn tokens(refresh: bool, expires: Option<i64>) -> Tokens {
    Tokens {
        access: Secret::from("a"),
        refresh: refresh.then(|| Secret::from("r")),
        id: None,
        expires: expires.map(Millis),
        refreshed: Millis(1000),
    }
}

#[rstest]
#[case(true, Some(1_000_000), 0.0, Some(700_000))]
#[case(true, Some(1_000_000), 1.0, Some(655_000))]
#[case(true, Some(1_000_000), 7.0, Some(655_000))]
#[case(true, Some(i64::MIN), 0.5, Some(301_000))]
#[case(true, Some(500_000), 0.0, Some(301_000))]
#[case(true, None, 0.5, Some(8 * 86_400_000 + 1000))]
#[case(false, Some(1_000_000), 0.0, None)]
fn tokens_are_due(#[case] refresh: bool, #[case] expires: Option<i64>, #[case] jitter: f64, #[case] at: Option<i64>) {
    assert_eq!(due(&tokens(refresh, expires), jitter), at.map(Millis));
}

#[rstest]
#[case(0, 0.0, 60)]
#[case(1, 0.0, 60)]
#[case(2, 0.0, 120)]
#[case(3, 0.0, 240)]
#[case(6, 0.0, 1920)]
#[case(7, 0.0, 3600)]
#[case(u32::MAX, 0.0, 3600)]
#[case(1, 1.0, 69)]
#[case(7, 1.0, 4140)]
#[case(1, f64::NAN, 60)]
fn the_pause_doubles_up_to_an_hour(#[case] failures: u32, #[case] jitter: f64, #[case] seconds: u64) {
    assert_eq!(backoff(failures, jitter), Duration::from_secs(seconds));
}

#[rstest]
#[case(0, 1, 0)]
#[case(0, 2, 0)]
#[case(1, 2, 15_000)]
#[case(1, 4, 5_000)]
#[case(49, 50, 15_000)]
#[case(9_999, 10_000, 15_000)]
#[case(5, 2, 15_000)]
#[case(0, 0, 0)]
fn overdue_accounts_begin_one_after_the_other(#[case] nth: usize, #[case] of: usize, #[case] millis: u64) {
    assert_eq!(stagger(nth, of), Duration::from_millis(millis));
}

#[rstest]
#[case(1_000_000, 1_000_000, 0)]
#[case(1_000_000, 1_009_999, 0)]
#[case(1_010_000, 1_000_000, 0)]
#[case(1_000_000, 1_010_001, -10_001)]
#[case(87_400_000, 1_000_000, 86_400_000)]
#[case(i64::MAX, i64::MIN, i64::MAX)]
#[case(i64::MIN, i64::MAX, i64::MIN)]
fn the_backend_s_clock_is_ahead(#[case] date: i64, #[case] now: i64, #[case] skew_is: i64) {
    assert_eq!(skew(Millis(date), (Millis(now), Millis(now)), 0), skew_is);
}

/// A clock that was set right.
#[test]
fn a_quick_answer_ends_what_was_held() {
    assert_eq!(skew(Millis(9_000_000), (Millis(9_000_000), Millis(9_000_300)), 7_200_000), 0);
}

/// Two hours, as held so far; an hour between question and answer.
#[rstest]
#[case::at_the_request(7_200_000, 7_200_000)]
#[case::at_the_answer(10_800_000, 7_200_000)]
#[case::between(9_000_000, 7_200_000)]
#[case::rounded(7_195_000, 7_200_000)]
#[case::too_early(7_100_000, 3_500_000)]
#[case::too_late(10_900_000, 7_300_000)]
fn a_slow_answer_bounds_the_skew(#[case] date: i64, #[case] skew_is: i64) {
    assert_eq!(skew(Millis(date), (Millis(0), Millis(3_600_000)), 7_200_000), skew_is);
}
