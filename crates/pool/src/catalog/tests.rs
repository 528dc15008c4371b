use std::fmt::Write as _;

use proptest::prelude::*;
use proto::failure::Kind;
use rstest::rstest;

use super::*;

fn list(slugs: &[&str]) -> Vec<Model> {
    let mut body = String::from("{\"models\":[");
    for (priority, slug) in slugs.iter().enumerate() {
        let comma = if priority == 0 { "" } else { "," };
        write!(body, "{comma}{{\"slug\":\"{slug}\",\"priority\":{priority},\"visibility\":\"list\"}}").unwrap();
    }
    parse_models((body + "]}").as_bytes()).unwrap()
}

fn names() -> Names {
    let alias = |name: &str, target: &str| (name.to_owned(), target.to_owned());
    Names {
        aliases: vec![
            alias("work", "gpt-6-sol"),
            alias("quick", "gpt-6-luna-low"),
            alias("quicker", "quick-fast"),
            alias("old", "gpt-5.4"),
            alias("old-luna", "gpt-5.4-mini-high"),
            alias("ring", "gnir"),
            alias("gnir", "ring"),
            alias("gpt-6-astra", "gpt-6-luna"),
            alias("lost", "nowhere"),
            alias("gpt-5.1", "gpt-6-astra"),
        ],
        ..Names::default()
    }
}

#[rstest]
// The catalogue as it stands, hidden models too.
#[case("gpt-6-sol", "gpt-6-sol", None, None, None)]
#[case("codex-auto-review", "codex-auto-review", None, None, None)]
// Live names win over aliases.
#[case("gpt-6-astra", "gpt-6-astra", None, None, None)]
// Aliases, chained, with suffixes on either side; what the client wrote counts over what the target says.
#[case("work", "gpt-6-sol", None, None, None)]
#[case("work-high", "gpt-6-sol", Some("high"), None, None)]
#[case("quick", "gpt-6-luna", Some("low"), None, None)]
#[case("quick-xhigh", "gpt-6-luna", Some("xhigh"), None, None)]
#[case("quicker", "gpt-6-luna", Some("low"), Some("fast"), None)]
#[case("openai/work", "gpt-6-sol", None, None, None)]
// Suffixes, each and in both orders.
#[case("gpt-5.5-fast", "gpt-5.5", None, Some("fast"), None)]
#[case("gpt-5.5-flex", "gpt-5.5", None, Some("flex"), None)]
#[case("gpt-5.5-none", "gpt-5.5", Some("none"), None, None)]
#[case("gpt-5.5-minimal", "gpt-5.5", Some("minimal"), None, None)]
#[case("gpt-5.5-low", "gpt-5.5", Some("low"), None, None)]
#[case("gpt-5.5-medium", "gpt-5.5", Some("medium"), None, None)]
#[case("gpt-5.5-high", "gpt-5.5", Some("high"), None, None)]
#[case("gpt-5.5-xhigh", "gpt-5.5", Some("xhigh"), None, None)]
#[case("gpt-6-sol-max", "gpt-6-sol", Some("max"), None, None)]
#[case("gpt-6-sol-ultra", "gpt-6-sol", Some("ultra"), None, None)]
#[case("gpt-6.1-sol-high-fast", "gpt-6.1-sol", Some("high"), Some("fast"), None)]
#[case("gpt-6.1-sol-flex-low", "gpt-6.1-sol", Some("low"), Some("flex"), None)]
// The case of letters does not matter.
#[case("GPT-6-Sol", "gpt-6-sol", None, None, None)]
#[case("OpenAI/GPT-5.5-High", "gpt-5.5", Some("high"), None, None)]
#[case("Work", "gpt-6-sol", None, None, None)]
// Vendor prefixes.
#[case("openai/gpt-5.5", "gpt-5.5", None, None, None)]
#[case("anthropic/gpt-5.5-high", "gpt-5.5", Some("high"), None, None)]
#[case("google/gpt-6-luna", "gpt-6-luna", None, None, None)]
// The retirement table.
#[case("gpt-5.4", "gpt-6-sol", None, None, Some("gpt-5.4"))]
#[case("gpt-5.3-codex", "gpt-6-sol", None, None, Some("gpt-5.3-codex"))]
#[case("gpt-5.2", "gpt-6-sol", None, None, Some("gpt-5.2"))]
#[case("gpt-5.2-codex", "gpt-6-sol", None, None, Some("gpt-5.2-codex"))]
#[case("gpt-5.1-codex", "gpt-6-sol", None, None, Some("gpt-5.1-codex"))]
#[case("gpt-5-codex", "gpt-6-sol", None, None, Some("gpt-5-codex"))]
#[case("gpt-5.4-mini", "gpt-6-luna", None, None, Some("gpt-5.4-mini"))]
#[case("gpt-5.1-codex-mini", "gpt-6-luna", None, None, Some("gpt-5.1-codex-mini"))]
#[case("gpt-5.4-high", "gpt-6-sol", Some("high"), None, Some("gpt-5.4"))]
#[case("gpt-5.2-xhigh-fast", "gpt-6-sol", Some("xhigh"), Some("fast"), Some("gpt-5.2"))]
#[case("gpt-5.4-mini-flex-low", "gpt-6-luna", Some("low"), Some("flex"), Some("gpt-5.4-mini"))]
#[case("openai/gpt-5.4-high", "gpt-6-sol", Some("high"), None, Some("gpt-5.4"))]
// Here `max` is a part of the name, and then it is not.
#[case("gpt-5.1-codex-max", "gpt-6-sol", None, None, Some("gpt-5.1-codex-max"))]
#[case("gpt-5.1-codex-max-high", "gpt-6-sol", Some("high"), None, Some("gpt-5.1-codex-max"))]
#[case("gpt-5.2-codex-max", "gpt-6-sol", Some("max"), None, Some("gpt-5.2-codex"))]
// Aliases of retired names, and an alias that overrides the table.
#[case("old", "gpt-6-sol", None, None, Some("gpt-5.4"))]
#[case("old-luna", "gpt-6-luna", Some("high"), None, Some("gpt-5.4-mini"))]
#[case("gpt-5.1", "gpt-6-astra", None, None, None)]
#[case("gpt-5.1-high", "gpt-6-astra", Some("high"), None, None)]
fn a_name_means(
    #[case] name: &str,
    #[case] slug: &str,
    #[case] effort: Option<&str>,
    #[case] tier: Option<&str>,
    #[case] retired: Option<&str>,
) {
    let resolved = Catalog::bundled().resolve(Some(name), &names()).unwrap();
    let got = (resolved.model.slug.as_str(), resolved.effort.as_deref(), resolved.tier.as_deref());
    assert_eq!(got, (slug, effort, tier));
    assert_eq!(resolved.retired_from.as_deref(), retired);
}

#[rstest]
#[case("gpt-7", "gpt-7")]
#[case("", "Models that can be used: ")]
#[case("gpt-5", "Models that can be used: gpt-6.1-sol, gpt-6-astra")]
#[case("gpt-5.20", "does not exist")]
#[case("claude-opus-5-5", "does not exist")]
#[case("anthropic/claude-opus-5-5", "does not exist")]
#[case("ministral-mini", "does not exist")]
#[case("openai/", "does not exist")]
#[case("-high", "does not exist")]
#[case("gpt-6-sol-high-low", "does not exist")]
#[case("gpt-6-sol-fast-flex", "does not exist")]
#[case("ring", "does not exist")]
#[case("lost", "an alias of `nowhere`")]
#[case("gpt-5.3-codex-spark", "preview")]
#[case("gpt-5.3-codex-spark-high", "preview")]
#[case("gpt-oss-120b", "open-weight")]
#[case("openai/gpt-oss-20b", "open-weight")]
#[case("gpt-image-2", "image_generation")]
#[case("gpt-image-1-mini", "image_generation")]
#[case("gpt-image-2-high", "image_generation")]
fn an_unknown_name_is_a_404_with_a_hint(#[case] name: &str, #[case] expected: &str) {
    let failure = Catalog::bundled().resolve(Some(name), &names()).unwrap_err();
    assert_eq!(failure.kind, Kind::ModelNotFound);
    assert_eq!((failure.code.as_deref(), failure.param.as_deref()), (Some("model_not_found"), Some("model")));
    assert!(failure.message.contains(expected), "{}", failure.message);
}

#[rstest]
// The newest listed model for large ones, the newest small one for small ones, whatever the version.
#[case("claude-opus-5-5", "gpt-6.1-sol", None)]
#[case("claude-3-opus-20240229", "gpt-6.1-sol", None)]
#[case("claude-sonnet-4-5-20250929", "gpt-6.1-sol", None)]
#[case("claude-3-7-sonnet-latest", "gpt-6.1-sol", None)]
#[case("claude-haiku-4-5", "gpt-6-luna", None)]
#[case("claude-3-5-haiku-20241022", "gpt-6-luna", None)]
#[case("gemini-3.1-pro-preview", "gpt-6.1-sol", None)]
#[case("gemini-2.5-pro", "gpt-6.1-sol", None)]
#[case("gemini-3.8-flash", "gpt-6-luna", None)]
#[case("gemini-3.5-flash-lite", "gpt-6-luna", None)]
// With a vendor prefix, and with suffixes that are no part of the pattern.
#[case("anthropic/claude-opus-5-5", "gpt-6.1-sol", None)]
#[case("google/gemini-2.5-flash", "gpt-6-luna", None)]
#[case("claude-opus-5-5-high", "gpt-6.1-sol", Some("high"))]
#[case("anthropic/claude-haiku-4-5-low", "gpt-6-luna", Some("low"))]
// The owner's own names come first.
#[case("claude-opus-mine", "gpt-5.5", None)]
#[case("claude-sonnet-old-1", "gpt-5.6-luna", Some("xhigh"))]
#[case("best", "gpt-6.1-sol", None)]
#[case("tiny-high", "gpt-6-luna", Some("high"))]
fn names_of_other_vendors_mean(#[case] name: &str, #[case] slug: &str, #[case] effort: Option<&str>) {
    let own = [
        ("claude-opus-mine", "gpt-5.5"),
        ("claude-sonnet-old*", "gpt-5.6-luna-xhigh"),
        ("best", "@first"),
        ("tiny", "@smallest"),
    ];
    let aliases = own.map(|(name, target)| (name.to_owned(), target.to_owned())).to_vec();
    let names = Names { aliases, ..Names::default() }.with_shipped();
    let resolved = Catalog::bundled().resolve(Some(name), &names).unwrap();
    assert_eq!((resolved.model.slug.as_str(), resolved.effort.as_deref()), (slug, effort));
    assert_eq!(resolved.retired_from, None);
}

#[rstest]
#[case("claude-2.1")]
#[case("claude-instant")]
#[case("opus")]
#[case("gemini-pro")]
#[case("gemini-embedding-001")]
#[case("my-claude-opus")]
#[case("claude-haiku-4-5")]
fn other_names_of_other_vendors_are_unknown(#[case] name: &str) {
    let off = vec![("claude-*haiku*".to_owned(), String::new())];
    let names = Names { aliases: off, ..Names::default() }.with_shipped();
    assert_eq!(Catalog::bundled().resolve(Some(name), &names).unwrap_err().kind, Kind::ModelNotFound);
}

#[test]
fn a_live_name_beats_a_pattern_and_small_falls_back_to_the_first() {
    let catalog = Catalog::live([list(&["gpt-9", "claude-opus-5-5"]).as_slice()]);
    let names = Names::default().with_shipped();
    let slug = |name: &str| catalog.resolve(Some(name), &names).unwrap().model.slug;
    assert_eq!(slug("claude-opus-5-5"), "claude-opus-5-5");
    assert_eq!(slug("claude-opus-5-5-high"), "claude-opus-5-5");
    assert_eq!(slug("claude-opus-4"), "gpt-9");
    assert_eq!(slug("claude-haiku-4"), "gpt-9");
    assert!(Catalog::live([]).resolve(Some("claude-opus-4"), &names).is_err());
}

/// `/v1beta/models/A/models/A:generateContent` asks for a model that nobody has.
#[test]
fn an_alias_pattern_does_not_reach_over_a_slash() {
    let listed = list(&["gpt-9"]);
    let catalog = Catalog::live([listed.as_slice()]);
    let mut names = Names::default().with_shipped();
    let knows = |names: &Names, name: &str| catalog.resolve(Some(name), names).is_ok();
    assert!(knows(&names, "gemini-2.5-pro") && knows(&names, "google/gemini-2.5-pro"));
    assert!(!knows(&names, "gemini-2.5-pro/models/gemini-2.5-pro") && !knows(&names, "claude-3/x-opus"));
    names.aliases.push(("far/*".into(), "gpt-9".into()));
    assert!(knows(&names, "far/away") && !knows(&names, "near/away"));
    names.aliases.push(("*".into(), "gpt-9".into()));
    assert!(knows(&names, "near/away"));
}

#[rstest]
#[case("a*", "a", true)]
#[case("a*", "abc", true)]
#[case("*", "", true)]
#[case("a*b*c", "a-b-c", true)]
#[case("a*b*c", "abc", true)]
#[case("a*bc*c", "abc", false)]
#[case("a*a", "a", false)]
#[case("*b*", "abc", true)]
#[case("a*c", "ab", false)]
#[case("a", "ab", false)]
fn a_star_stands_for_anything(#[case] pattern: &str, #[case] name: &str, #[case] fits: bool) {
    assert_eq!(names::fits(pattern, name), fits);
}

#[test]
fn a_live_name_is_never_retired_nor_cut() {
    let live = list(&["gpt-6-sol", "gpt-5.4", "gpt-5.3-codex-spark", "gpt-image-2", "x-high", "openai/own"]);
    let catalog = Catalog::live([live.as_slice()]);
    for name in ["gpt-5.4", "gpt-5.3-codex-spark", "gpt-image-2", "x-high", "openai/own"] {
        let resolved = catalog.resolve(Some(name), &Names::default()).unwrap();
        assert_eq!((resolved.model.slug.as_str(), resolved.retired_from, resolved.effort), (name, None, None));
    }
    let suffixed = catalog.resolve(Some("openai/gpt-5.4-high"), &Names::default()).unwrap();
    assert_eq!((suffixed.model.slug.as_str(), suffixed.retired_from), ("gpt-5.4", None));
    // No suffixes on image models, not even on a listed one.
    assert!(catalog.resolve(Some("gpt-image-2-high"), &Names::default()).is_err());
}

#[test]
fn a_retired_name_needs_a_listed_successor() {
    let catalog = Catalog::live([list(&["gpt-6-luna"]).as_slice()]);
    assert!(catalog.resolve(Some("gpt-5.4"), &Names::default()).is_err());
    assert!(catalog.resolve(Some("gpt-5.4-mini"), &Names::default()).is_ok());
}

#[test]
fn no_name_asks_for_the_default() {
    let catalog = Catalog::bundled();
    let slug = |name: Option<&str>, names: &Names| catalog.resolve(name, names).map(|resolved| resolved.model.slug);
    assert_eq!(slug(None, &Names::default()).unwrap(), "gpt-6.1-sol");
    let chosen = Names { default: Some("gpt-5.5-high".into()), ..Names::default() };
    assert_eq!(slug(None, &chosen).unwrap(), "gpt-5.5");
    assert_eq!(slug(Some("gpt-6-sol"), &chosen).unwrap(), "gpt-6-sol");
    // A wrong setting is said, and not covered up with another model.
    let wrong = Names { default: Some("gpt-7".into()), ..Names::default() };
    assert!(slug(None, &wrong).unwrap_err().message.contains("gpt-7"));
    assert_eq!(Catalog::live([]).resolve(None, &Names::default()).unwrap_err().kind, Kind::ModelNotFound);
}

#[test]
fn live_lists_join_and_replace_the_bundled_one() {
    let (a, b) = (list(&["m-1", "m-2"]), list(&["m-0", "m-2", "m-3"]));
    let catalog = Catalog::live([a.as_slice(), &b]);
    let slugs: Vec<_> = catalog.models().iter().map(|model| model.slug.as_str()).collect();
    assert_eq!(slugs, ["m-0", "m-1", "m-2", "m-3"]);
    assert!(catalog.is_live() && !Catalog::bundled().is_live());
    assert!(catalog.get("gpt-6-sol").is_none());
}

#[test]
fn an_entry_is_read_leniently_and_stored_whole() {
    let body = br#"{"etag":1,"models":[
        {"slug":"m","display_name":"M","use_responses_lite":true,"default_reasoning_level":"low","visibility":"hide",
         "supported_reasoning_levels":[{"effort":"low","description":"d"},{"effort":"ultra"}],"priority":3,
         "service_tiers":[{"id":"priority","name":"Fast"}],"context_window":272000,"max_context_window":872000,
         "input_modalities":["text","image"],"from_the_future":{"a":[1]}},
        {"slug":"bare"},
        {"slug":"odd","display_name":7,"use_responses_lite":"yes","priority":null,"service_tiers":{},"context_window":-1},
        {"slug":"auto"},{"slug":""},{"slug":"has space"},{"slug":7},{"name":"none"},"text",null]}"#;
    let models = parse_models(body).unwrap();
    let slugs: Vec<_> = models.iter().map(|model| model.slug.as_str()).collect();
    assert_eq!(slugs, ["m", "bare", "odd"]);
    let m = &models[0];
    assert!(m.lite && !m.listed && m.raw.as_str().contains("\"from_the_future\":{\"a\":[1]}"));
    assert_eq!((m.display.as_str(), m.default_effort.as_deref(), m.priority), ("M", Some("low"), 3));
    assert_eq!((m.context, m.max_context), (Some(272_000), Some(872_000)));
    assert_eq!((&m.efforts, &m.tiers), (&vec!["low".to_owned(), "ultra".into()], &vec!["priority".to_owned()]));
    // An absent flag is classic; a bare entry is listed, last.
    for bare in &models[1..] {
        assert!(!bare.lite && bare.listed && bare.efforts.is_empty());
        assert_eq!((bare.display.as_str(), bare.priority, bare.context), (bare.slug.as_str(), i64::MAX, None));
    }
}

#[test]
fn a_body_that_is_no_list_is_an_error() {
    assert_eq!(parse_models(br#"{"models":[]}"#), Err(ListError::Empty));
    assert_eq!(parse_models(br#"{"models":[{"slug":"auto"}]}"#), Err(ListError::Empty));
    for body in [&b""[..], b"[]", b"{}", b"<html>", br#"{"models":{}}"#, b"\xff"] {
        assert!(matches!(parse_models(body), Err(ListError::Shape(_))), "{body:?}");
    }
}

#[test]
fn the_bundled_list_holds_the_facts() {
    let models = bundled();
    assert_eq!(models.len(), 12);
    let classic: Vec<_> = models.iter().filter(|model| !model.lite).map(|model| model.slug.as_str()).collect();
    assert_eq!(classic, ["gpt-5.5"]);
    let hidden = models.iter().filter(|model| !model.listed).count();
    assert_eq!(hidden, 3);
    assert!(models.iter().all(|model| model.modalities == ["text", "image"] && model.max_context >= model.context));
    assert_eq!(names::successor("gpt-5.2"), Some("gpt-6-sol"));
}

/// The built-in facts against the official client's list, where that is at hand.
#[test]
#[expect(clippy::disallowed_methods, reason = "this test reads the shared captures, which are no part of the project")]
fn the_bundled_list_agrees_with_the_official_one() {
    let Some(shared) = crate::recordings::shared() else { return };
    let official = parse_models(&std::fs::read(shared.join("data/models-bundled.json")).unwrap()).unwrap();
    let facts = |model: Model| Model { raw: Json::of(&()), ..model };
    let mut official: Vec<_> = official.into_iter().map(facts).collect();
    official.sort_by_key(|model| model.priority);
    assert_eq!(bundled().into_iter().map(facts).collect::<Vec<_>>(), official);
}

proptest! {
    #[test]
    fn resolving_never_panics_and_never_invents(name in "[a-z0-9./ -]{0,40}|.{0,20}") {
        let catalog = Catalog::bundled();
        if let Ok(resolved) = catalog.resolve(Some(&name), &names()) {
            prop_assert!(catalog.get(&resolved.model.slug).is_some());
        }
    }

    #[test]
    fn parsing_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_models(&body);
    }
}

#[rstest]
#[case(Some("fast"), Some("gpt-5.5"), &["by alias"])]
#[case(Some("quick"), Some("gpt-5.5"), &["by model"])]
#[case(Some("gpt-5.5"), None, &["by model"])]
#[case(Some("gpt-6-sol-high"), Some("gpt-6-sol"), &["by pattern", "and another"])]
#[case(Some("x"), Some("gpt-6-luna"), &["by pattern", "and another"])]
#[case(Some("gpt-4"), Some("gpt-4"), &[])]
#[case(None, Some("gpt-5.5"), &["by model"])]
#[case(None, None, &[])]
fn the_most_exact_chain_counts(#[case] requested: Option<&str>, #[case] model: Option<&str>, #[case] chain: &[&str]) {
    let entry = |from: &str, to: &[&str]| (from.to_owned(), to.iter().map(|name| (*name).to_owned()).collect());
    let chains = Chains(vec![
        entry("gpt-6-*", &["by pattern", "and another"]),
        entry("gpt-5.5", &["by model"]),
        entry("fast", &["by alias"]),
    ]);
    assert_eq!(chains.of(requested, model), chain);
}
