use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);
const LONG_AGO: Millis = Millis(1_700_000_000_000);
const MINUTE: i64 = 60_000;

const PACE: PollPace = PollPace { every: Duration::from_mins(5), accounts: 20, since: LONG_AGO };

fn last_poll(at: Millis, failures: u32, jitter: f64) -> LastPoll {
    LastPoll { at, failures, jitter }
}

fn rests() -> [Status; 2] {
    let until = NOW.plus(60 * MINUTE);
    [Status::Cooling { until, why: String::new() }, Status::Exhausted { until, window: "primary".into() }]
}

#[rstest]
// Five minutes after the last figures, more or less.
#[case(NOW, last_poll(Millis(0), 0, 0.5), Some(5 * MINUTE))]
#[case(NOW, last_poll(Millis(0), 0, 0.0), Some(4 * MINUTE))]
#[case(NOW, last_poll(Millis(0), 0, 1.0), Some(6 * MINUTE))]
// Figures from traffic make a poll needless; a poll without news counts too.
#[case(NOW.plus(2 * MINUTE), last_poll(NOW, 0, 0.5), Some(7 * MINUTE))]
#[case(LONG_AGO, last_poll(NOW, 0, 0.5), Some(5 * MINUTE))]
// Figures of a clock that ran a year ahead are asked for anew.
#[case(NOW.plus(365 * 24 * 60 * MINUTE), last_poll(NOW, 0, 0.5), Some(5 * MINUTE))]
#[case(NOW, last_poll(NOW.plus(365 * 24 * 60 * MINUTE), 0, 0.5), Some(5 * MINUTE))]
// Failures back off from the last try, whatever traffic says.
#[case(NOW, last_poll(NOW, 1, 0.5), Some(5 * MINUTE))]
#[case(NOW, last_poll(NOW, 2, 0.5), Some(10 * MINUTE))]
#[case(NOW, last_poll(NOW, 4, 0.5), Some(40 * MINUTE))]
#[case(NOW, last_poll(NOW, 5, 0.5), Some(60 * MINUTE))]
#[case(NOW, last_poll(NOW, u32::MAX, 1.0), Some(72 * MINUTE))]
fn figures_are_polled_in_time(#[case] updated: Millis, #[case] last_poll: LastPoll, #[case] after: Option<i64>) {
    let expected = after.map(|after| NOW.plus(after));
    assert_eq!(PACE.due(&Status::Active, (updated, NOW), &last_poll), expected);
    // A window may be reset early, so resting accounts are asked too.
    for status in rests() {
        assert_eq!(PACE.due(&status, (updated, NOW), &last_poll), expected);
    }
    let lasting = [Status::NeedsLogin { why: String::new() }, Status::Blocked { why: String::new() }, Status::Disabled];
    for status in lasting {
        assert_eq!(PACE.due(&status, (updated, NOW), &last_poll), None);
    }
    let off = PollPace { every: Duration::ZERO, ..PACE };
    assert_eq!(off.due(&Status::Active, (updated, NOW), &last_poll), None);
}

#[rstest]
// 20 accounts of which nothing is known: within 20 s of the start.
#[case(20, 0.0, 0)]
#[case(20, 0.5, 10_000)]
#[case(20, 1.0, 20_000)]
// Few within 10 s, very many within the interval.
#[case(1, 0.5, 5_000)]
#[case(10_000, 0.5, 150_000)]
fn first_polls_are_spread(#[case] accounts: usize, #[case] jitter: f64, #[case] after: i64) {
    let pace = PollPace { accounts, since: NOW, ..PACE };
    for updated in [Millis(0), LONG_AGO] {
        assert_eq!(pace.due(&Status::Active, (updated, NOW), &last_poll(Millis(0), 0, jitter)), Some(NOW.plus(after)));
    }
    // Fresh figures are kept over a restart.
    let fresh = pace.due(&Status::Active, (NOW.plus(-MINUTE), NOW), &last_poll(Millis(0), 0, 0.5));
    assert_eq!(fresh, Some(NOW.plus(4 * MINUTE)));
}

#[rstest]
#[case(0, 1000)]
#[case(1, 1000)]
#[case(1000, 150)]
#[case(10_000, 15)]
fn many_that_are_due_at_once_are_paced(#[case] accounts: usize, #[case] millis: u64) {
    assert_eq!(PollPace { accounts, ..PACE }.gap(), Duration::from_millis(millis));
}
