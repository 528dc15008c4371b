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
