use std::path::Path;

use rstest::rstest;

use super::*;

fn layers(file: &str) -> Layers {
    Layers::parse(file, Path::new("config.toml"), []).unwrap()
}

#[test]
fn routes_are_names_and_providers() {
    let expected = |routes: &[(&str, Provider)]| {
        routes.iter().map(|(name, provider)| ((*name).to_owned(), provider.clone())).collect::<Vec<_>>()
    };
    let far = || Provider::Relay("far".into());
    let read = routes(&layers("[model.routing]\n\"gpt-*\" = \"far\"\n\"gpt-6.1\" = \" codex \"\n")).unwrap();
    assert_eq!(read, expected(&[("gpt-*", far()), ("gpt-6.1", Provider::Accounts)]));
    let other = layers("[model_routing]\n\"a.b\" = \"far\"\n");
    assert_eq!((routes(&other).unwrap(), other.unknown()), (expected(&[("a.b", far())]), Vec::new()));
    assert_eq!(routes(&layers("")).unwrap(), []);
}

#[rstest]
#[case("model_routing = 1", "model_routing")]
#[case("[model_routing]\na = \"far\"\n[model.routing]\na = \"far\"", "model_routing")]
#[case("[model.routing]\na = 1", "model.routing.a")]
#[case("[model.routing]\na = \"Far Away\"", "model.routing.a")]
#[case("[model.routing]\n\"\" = \"far\"", "model.routing.")]
#[case("[model.routing]\n\"gpt\" = { far = 1 }", "model.routing.gpt")]
fn a_wrong_route_is_named(#[case] file: &str, #[case] place: &str) {
    let error = routes(&layers(file)).unwrap_err().to_string();
    assert!(error.starts_with(place), "{error}");
}

/// The first matching pattern counts, so the file's order must stay.
#[test]
fn routes_stay_in_order() {
    let file = "[model.routing]\n\"gpt-6-*\" = \"codex\"\n\"gpt-*\" = \"far\"\n\"*\" = \"near\"\n";
    let names: Vec<_> = routes(&layers(file)).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gpt-6-*", "gpt-*", "*"]);
}

#[test]
fn rows_are_read_by_either_name() {
    let file = "[model]\ncustom_models = [\"gpt-preview\", { id = \"local:qwen3:8b\", display_name = \"Qwen\", \
        supported_reasoning_efforts = [\"low\"], default_reasoning_effort = \"low\", input_modalities = [\"text\"], \
        context_window = 32768, max_output_tokens = 4096, supports_personality = true }]\n";
    let layers = layers(file);
    let rows = custom(&layers).unwrap();
    let bare = CustomModel { slug: "gpt-preview".into(), ..CustomModel::default() };
    let full = CustomModel {
        relay: Some("local".into()),
        slug: "qwen3:8b".into(),
        display: Some("Qwen".into()),
        efforts: Some(vec!["low".into()]),
        default_effort: Some("low".into()),
        modalities: Some(vec!["text".into()]),
        context: Some(32_768),
        max_output: Some(4_096),
        ..CustomModel::default()
    };
    assert_eq!((rows, layers.unknown()), (vec![bare, full], Vec::new()));
}

#[rstest]
#[case("id = \"gpt-x\"", None, "gpt-x")]
#[case("id = \"codex:gpt-x\"", None, "gpt-x")]
#[case("id = \"far:gpt-x\"", Some("far"), "gpt-x")]
#[case("id = \"No Relay:x\"", None, "")]
#[case("id = \"Upper:x\"", None, "Upper:x")]
fn a_row_is_of_the_accounts_or_of_a_relay(#[case] row: &str, #[case] relay: Option<&str>, #[case] slug: &str) {
    let rows = custom(&layers(&format!("[[model.custom]]\n{row}\n")));
    match rows {
        Ok(rows) => assert_eq!((rows[0].relay.as_deref(), rows[0].slug.as_str()), (relay, slug)),
        Err(error) => assert!(slug.is_empty(), "{error}"),
    }
}

#[rstest]
#[case("display_name = \"x\"", "model.custom[0].id")]
#[case("id = 3", "model.custom[0].id")]
#[case("id = \"far:\"", "model.custom[0].id")]
#[case("id = \"gpt-*\"", "model.custom[0].id")]
#[case("id = \"a\"\ncontext_window = 0", "model.custom[0].context_window")]
#[case("id = \"a\"\ncontext_window = \"much\"", "model.custom[0].context_window")]
#[case("id = \"a\"\nlite = 1", "model.custom[0].lite")]
#[case("id = \"far:a\"\nlite = true", "model.custom[0].lite")]
#[case("id = \"a\"\nefforts = \"low\"", "model.custom[0].efforts")]
#[case("id = \"a\"\nmodalities = [1]", "model.custom[0].modalities")]
#[case("id = \"a\"\ndisplay_name = \"\"", "model.custom[0].display_name")]
#[case("id = \"a\"\n[[model.custom]]\nid = \"codex:a\"", "model.custom[1].id")]
fn a_wrong_row_is_named(#[case] row: &str, #[case] place: &str) {
    let error = custom(&layers(&format!("[[model.custom]]\n{row}\n"))).unwrap_err().to_string();
    assert!(error.starts_with(place), "{error}");
}

#[test]
fn unknown_fields_are_named() {
    let file = "[[model.custom]]\nid = \"a\"\ncontext = 5\n";
    assert_eq!(layers(file).unknown(), ["model.custom[0].context"]);
    assert!(custom(&layers("[model]\ncustom = \"a\"\n")).is_err());
}
