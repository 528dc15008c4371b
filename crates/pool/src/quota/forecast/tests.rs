use rstest::rstest;

use super::*;
use crate::quota::Quota;

const NOW: Millis = Millis(1_800_000_000_000);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn at(minutes: i64) -> Millis {
    NOW.plus(minutes * MINUTE)
}

/// An account whose five-hour window resets in `reset` minutes from [`NOW`] and was seen at these shares: (minutes, percent).
fn quota_with(reset: Option<i64>, figures: &[(i64, f64)]) -> Quota {
    let mut quota = Quota::default();
    for (when, used_percent) in figures {
        let window = Window { used_percent: *used_percent, minutes: Some(300), resets_at: reset.map(at) };
        quota.merge(Quota { primary: Some(window), updated: at(*when), ..Quota::default() });
    }
    quota
}

fn out(minutes: i64, reset: Option<i64>) -> Forecast {
    Forecast::RunsOut { at: at(minutes), resets_at: reset.map(at) }
}

const FEW: Forecast = Forecast::Unknown { why: NoForecast::Figures };
const OLD: Forecast = Forecast::Unknown { why: NoForecast::Stale };

#[rstest]
// One figure, or figures of a moment, tell no pace.
#[case(Some(60), &[(0, 50.0)], FEW)]
#[case(Some(60), &[(-4, 40.0), (0, 50.0)], FEW)]
// 1 % a minute.
#[case(Some(60), &[(-10, 40.0), (0, 50.0)], out(50, Some(60)))]
#[case(Some(50), &[(-10, 40.0), (0, 50.0)], Forecast::Lasts { resets_at: Some(at(50)) })]
#[case(Some(40), &[(-10, 40.0), (0, 50.0)], Forecast::Lasts { resets_at: Some(at(40)) })]
#[case(None, &[(-10, 40.0), (0, 50.0)], out(50, None))]
// A pause counts as time: half the pace.
#[case(Some(200), &[(-20, 40.0), (-10, 50.0)], out(100, Some(200)))]
// No use, and rounding downwards.
#[case(Some(60), &[(-20, 40.0), (0, 40.0)], Forecast::Lasts { resets_at: Some(at(60)) })]
#[case(Some(60), &[(-20, 40.0), (0, 39.5)], Forecast::Lasts { resets_at: Some(at(60)) })]
#[case(None, &[(-20, 40.0), (0, 40.0)], Forecast::Lasts { resets_at: None })]
// Used up.
#[case(Some(60), &[(0, 100.0)], Forecast::Spent { resets_at: Some(at(60)) })]
#[case(None, &[(-10, 90.0), (0, 100.0)], Forecast::Spent { resets_at: None })]
// Old figures say nothing: the tenth part of five hours.
#[case(Some(60), &[(-60, 10.0), (-30, 40.0)], out(90, None))]
#[case(Some(60), &[(-60, 10.0), (-31, 40.0)], OLD)]
// Reset by its time, whatever the figures were.
#[case(Some(-1), &[(-20, 90.0), (-2, 100.0)], OLD)]
// A share that fell was reset: what came before does not count.
#[case(Some(60), &[(-20, 90.0), (-10, 0.0), (0, 10.0)], out(90, None))]
fn a_pace_gives_the_end_of_a_window(
    #[case] reset: Option<i64>,
    #[case] figures: &[(i64, f64)],
    #[case] expected: Forecast,
) {
    let forecast = quota_with(reset, figures).forecast(NOW);
    let expected = match expected {
        // Short for a reset that comes first.
        Forecast::RunsOut { at: when, resets_at: None } if reset.is_some_and(|reset| when >= at(reset)) => {
            Forecast::Lasts { resets_at: reset.map(at) }
        }
        other => other,
    };
    assert_eq!(forecast.primary, Some(expected));
    assert_eq!(forecast.secondary, None);
}

#[test]
fn a_window_of_another_length_begins_anew() {
    let mut quota = quota_with(Some(60), &[(-10, 40.0)]);
    let week = Window { used_percent: 50.0, minutes: Some(10_080), resets_at: Some(at(600)) };
    quota.merge(Quota { primary: Some(week), updated: NOW, ..Quota::default() });
    assert_eq!(quota.forecast(NOW).primary, Some(FEW));
    assert_eq!(quota.trail.primary.figures, [(NOW, 50.0)]);
}

#[test]
fn a_window_that_reset_unseen_begins_anew() {
    let mut quota = quota_with(Some(-5), &[(-30, 40.0), (-10, 45.0)]);
    let next = Window { used_percent: 46.0, minutes: Some(300), resets_at: Some(at(295)) };
    quota.merge(Quota { primary: Some(next), updated: NOW, ..Quota::default() });
    assert_eq!(quota.trail.primary.figures, [(NOW, 46.0)]);
}

/// However often figures come, few are kept, the newest always, and they span hours.
#[test]
fn the_trail_is_bounded_and_reaches_back() {
    let figures: Vec<(i64, f64)> =
        (0..=280).map(|minute| (minute - 280, 0.125 * f64::from(i32::try_from(minute).unwrap()))).collect();
    let quota = quota_with(Some(20), &figures);
    let stored = &quota.trail.primary.figures;
    assert!(stored.len() <= 32, "{}", stored.len());
    assert_eq!(stored.last(), Some(&(NOW, figures[280].1)));
    assert!(NOW.0 - stored[0].0.0 >= 3 * HOUR, "{stored:?}");
    assert!(stored.is_sorted_by_key(|(at, _)| *at));
    let text = serde_json::to_string(&quota).unwrap();
    assert_eq!(serde_json::from_str::<Quota>(&text).unwrap(), quota);
    assert!(!serde_json::to_string(&quota.now_only()).unwrap().contains("trail"));
}

#[rstest]
#[case(FEW, "pace not known yet")]
#[case(OLD, "pace not known, the figures are old")]
#[case(Forecast::Spent { resets_at: Some(at(61)) }, "used up until it resets")]
#[case(Forecast::Lasts { resets_at: Some(at(61)) }, "lasts until it resets at this pace")]
#[case(out(130, Some(300)), "runs out in 2 h 10 min at this pace, 2 h 50 min before it resets")]
#[case(out(130, None), "runs out in 2 h 10 min at this pace")]
fn forecasts_have_words(#[case] forecast: Forecast, #[case] words: &str) {
    assert_eq!(forecast.describe(NOW), words);
}
