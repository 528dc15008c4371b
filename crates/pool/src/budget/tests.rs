use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

/// How many second calls are allowed at `now`.
fn left(budget: &mut Budget, now: Millis) -> usize {
    (0..100_000).take_while(|_| budget.try_spend(now)).count()
}

#[rstest]
#[case(0, 30)]
#[case(1, 30)]
#[case(299, 30)]
#[case(300, 30)]
#[case(1000, 100)]
#[case(10_009, 1000)]
fn a_tenth_of_the_requests_or_three_a_second(#[case] requests: u32, #[case] allowed: usize) {
    let mut budget = Budget::default();
    for n in 0..requests {
        budget.record_request(NOW.plus(i64::from(n % 10) * 1000));
    }
    assert_eq!(left(&mut budget, NOW.plus(9999)), allowed);
}

#[test]
fn retries_come_back_after_ten_seconds() {
    let mut budget = Budget::default();
    assert_eq!(left(&mut budget, NOW), 30);
    assert_eq!(left(&mut budget, NOW.plus(9999)), 0);
    assert_eq!(left(&mut budget, NOW.plus(10_000)), 30);
}

#[test]
fn requests_of_long_ago_buy_nothing() {
    let mut budget = Budget::default();
    for _ in 0..1000 {
        budget.record_request(NOW);
    }
    assert_eq!(left(&mut budget, NOW.plus(10_000)), 30);
    assert_eq!(left(&mut budget, NOW.plus(-60_000)), 30, "a clock that was set back");
}
