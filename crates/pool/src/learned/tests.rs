//! What refusals teach, and for how long.

use proto::upstream_error::bounds::Bounds;
use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

/// A model of the accounts.
fn of(model: &str) -> ModelKey {
    ModelKey { relay: None, model: model.to_owned() }
}

fn window(window: u64) -> Bounds {
    Bounds { window: Some(window), ..Bounds::default() }
}

fn output(output: u64) -> Bounds {
    Bounds { output: Some(output), ..Bounds::default() }
}

fn request(bytes: u64, output: Option<u64>) -> RefusedRequest {
    RefusedRequest { bytes, output, listed: None }
}

/// A request that no limit is too large for.
const HUGE: RefusedRequest = RefusedRequest { bytes: 1 << 40, output: None, listed: None };

/// The same, of a model that is listed with this window.
fn listed(window: u64) -> RefusedRequest {
    RefusedRequest { listed: Some(window), ..HUGE }
}

fn words(tokens: u64) -> Words {
    Words { tokens, all: true }
}

/// After a refusal with this window.
fn learned(bounds: &Bounds) -> Learned {
    let mut learned = Learned::default();
    assert!(learned.note(&of("m"), bounds, HUGE, NOW));
    learned
}

fn known(learned: &Learned) -> (Option<u64>, Option<u64>) {
    let LearnedLimits { window, output } = learned.known(&of("m"), NOW);
    (window, output)
}

#[rstest]
#[case::window(window(200_000), HUGE, (Some(200_000), None))]
#[case::output(output(8192), request(100, Some(9000)), (None, Some(8192)))]
#[case::both(Bounds { output: Some(4096), ..window(32_768) }, HUGE, (Some(32_768), Some(4096)))]
#[case::nothing_named(Bounds::default(), HUGE, (None, None))]
#[case::prompt_alone(Bounds { prompt: Some(9), ..Bounds::default() }, HUGE, (None, None))]
#[case::hostile_window(window(1), HUGE, (None, None))]
#[case::least_window(window(1024), HUGE, (Some(1024), None))]
#[case::below_it(window(1023), HUGE, (None, None))]
#[case::absurd_window(window(1 << 40), HUGE, (None, None))]
#[case::hostile_output(output(1), HUGE, (None, None))]
#[case::least_output(output(256), HUGE, (None, Some(256)))]
#[case::absurd_output(output(u64::MAX), HUGE, (None, None))]
#[case::a_short_prompt_is_not_over_it(window(32_768), request(5000, None), (None, None))]
#[case::but_with_its_output_it_is(window(32_768), request(5000, Some(40_000)), (Some(32_768), None))]
#[case::the_named_prompt_fits(Bounds { prompt: Some(30_000), ..window(32_768) }, HUGE, (None, None))]
#[case::not_with_its_output(Bounds { prompt: Some(30_000), ..window(32_768) }, request(100_000, Some(4096)), (Some(32_768), None))]
#[case::the_request_was_within_it(output(8192), request(100, Some(8192)), (None, None))]
#[case::a_default_was(output(8192), request(100, None), (None, Some(8192)))]
#[case::half_of_the_list(window(100_000), listed(200_000), (Some(100_000), None))]
#[case::far_below_it(window(99_999), listed(200_000), (None, None))]
#[case::with_the_output_that_the_refusal_names(Bounds { prompt: Some(30_000), requested_output: Some(4096), ..window(32_768) }, request(100_000, None), (Some(32_768), None))]
#[case::with_a_code(Bounds { has_code: true, ..window(99_999) }, listed(200_000), (Some(99_999), None))]
#[case::with_the_prompts_count(Bounds { prompt: Some(201_000), ..window(99_999) }, listed(200_000), (Some(99_999), None))]
#[case::its_output_stands(Bounds { output: Some(4096), ..window(99_999) }, listed(200_000), (None, Some(4096)))]
fn what_can_be_true_is_learned(
    #[case] bounds: Bounds,
    #[case] request: RefusedRequest,
    #[case] expected: (Option<u64>, Option<u64>),
) {
    let mut learned = Learned::default();
    let news = learned.note(&of("m"), &bounds, request, NOW);
    assert_eq!((known(&learned), news), (expected, expected != (None, None)));
}

#[test]
fn the_last_word_counts_and_is_news_once() {
    let mut learned = learned(&window(200_000));
    for (tokens, news) in [(200_000, false), (400_000, true), (100_000, true), (100_000, false)] {
        assert_eq!(learned.note(&of("m"), &window(tokens), HUGE, NOW), news, "{tokens}");
        assert_eq!(known(&learned), (Some(tokens), None));
    }
    assert!(learned.note(&of("m"), &output(4096), HUGE, NOW));
    assert_eq!(known(&learned), (Some(100_000), Some(4096)), "each limit stands for itself");
}

#[test]
fn each_model_of_each_relay_has_its_own() {
    let at = |relay: &str, model: &str| ModelKey { relay: Some(AccountId(relay.into())), model: model.into() };
    let mut learned = learned(&window(200_000));
    learned.note(&at("1", "m"), &window(8192), HUGE, NOW);
    let window = |learned: &Learned, of: &ModelKey| learned.known(of, NOW).window;
    assert_eq!(window(&learned, &of("m")), Some(200_000));
    assert_eq!(window(&learned, &at("1", "m")), Some(8192));
    for other in [at("1", "n"), at("2", "m"), of("n")] {
        assert_eq!(window(&learned, &other), None);
    }
    learned.forget(&AccountId("1".into()));
    assert_eq!((window(&learned, &at("1", "m")), known(&learned).0), (None, Some(200_000)));
}

#[test]
fn a_day_later_it_is_forgotten() {
    let day = i64::try_from(limits::LEARNED.as_millis()).unwrap();
    let mut learned = learned(&window(200_000));
    learned.note(&of("m"), &output(8192), HUGE, NOW.plus(1000));
    assert!(!learned.sweep(NOW.plus(day - 1)));
    let at = |learned: &Learned, now| learned.known(&of("m"), now);
    assert_eq!(at(&learned, NOW.plus(day - 1)).window, Some(200_000));
    let later = NOW.plus(day);
    assert_eq!(at(&learned, later), LearnedLimits { window: None, output: Some(8192) });
    assert_eq!(learned.over_window(&of("m"), words(u64::MAX), later), None);
    assert!(learned.sweep(later) && !learned.sweep(later));
    assert!(learned.sweep(later.plus(1000)));
    assert!(learned.0.is_empty());
}

/// A clock that ran ahead and was set back does not make it last for years.
#[test]
fn limits_from_the_future_are_ignored() {
    let learned = learned(&window(200_000));
    assert_eq!(learned.known(&of("m"), NOW.plus(-86_400_000)), LearnedLimits::default());
}

#[test]
fn a_larger_request_that_is_served_ends_it() {
    let mut learned = learned(&Bounds { output: Some(4096), ..window(200_000) });
    let steps = [
        ((200_000, 4096), false, (Some(200_000), Some(4096))),
        ((200_001, 10), true, (None, Some(4096))),
        ((1, 4097), true, (None, None)),
        ((u64::MAX, u64::MAX), false, (None, None)),
    ];
    for (usage, news, expected) in steps {
        assert_eq!(learned.served(&of("m"), usage), news, "{usage:?}");
        assert_eq!(known(&learned), expected, "{usage:?}");
    }
}

/// Window, the prompt's tokens as the upstream said, ours of the same; ours of the next prompt, and what it is told to have.
#[rstest]
#[case::unknown_scale(None, 250_000, None)]
#[case::beyond_doubt(None, 250_001, Some(250_001))]
#[case::same_count(Some((220_000, 220_000)), 210_000, None)]
#[case::a_twentieth_over(Some((220_000, 220_000)), 210_001, Some(210_001))]
#[case::it_counts_more(Some((220_000, 200_000)), 190_910, Some(210_001))]
#[case::not_yet(Some((220_000, 200_000)), 190_900, None)]
#[case::it_counts_less(Some((201_000, 268_000)), 250_001, None)]
#[case::nonsense_is_no_scale(Some((201_000, 1000)), 210_001, None)]
fn only_what_is_sure_to_be_refused_is_over(
    #[case] scale: Option<(u64, u64)>,
    #[case] ours: u64,
    #[case] expected: Option<u64>,
) {
    let bounds = Bounds { prompt: scale.map(|(theirs, _)| theirs), ..window(200_000) };
    let mut learned = learned(&bounds);
    if let Some((_, ours)) = scale {
        learned.scale(&of("m"), &bounds, words(ours));
    }
    assert_eq!(learned.over_window(&of("m"), words(ours), NOW), expected);
    assert_eq!(learned.over_window(&of("n"), words(u64::MAX), NOW), None);
}

/// A prompt with pictures says nothing of how words are counted.
#[test]
fn guesses_are_no_scale() {
    let bounds = Bounds { prompt: Some(220_000), ..window(200_000) };
    let mut learned = learned(&bounds);
    learned.scale(&of("m"), &bounds, Words { tokens: 200_000, all: false });
    assert_eq!(learned.over_window(&of("m"), words(210_001), NOW), None);
}

#[test]
fn the_oldest_give_way() {
    let mut learned = Learned::default();
    let most = i64::try_from(limits::LEARNED_MODELS).unwrap();
    for n in 0..=most {
        learned.note(&of(&n.to_string()), &window(8192), HUGE, NOW.plus(n));
    }
    let has = |n: i64| learned.known(&of(&n.to_string()), NOW.plus(most)).window.is_some();
    assert_eq!(learned.0.len(), limits::LEARNED_MODELS);
    assert!(!has(0) && has(1) && has(most));
}
