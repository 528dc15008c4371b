use std::path::Path;

use super::*;

fn layers(file: &str) -> Layers {
    Layers::parse(file, Path::new("config.toml"), []).unwrap()
}

#[test]
fn full_and_minimal_tables_are_parsed() {
    let relays = layers(
        "[[relays]]\nname = \"a\"\nbase_url = \"http://127.0.0.1:11434\"\n\
         [[relays]]\nname = \"b-2\"\nbase_url = \"https://x.test/v1\"\napi_key = \"sk-1\"\nformat = \"anthropic\"\n\
         models = [\"m-1\", \"m-2\"]\nprefix = \"b/\"\ncapabilities = [\"chat\", \"audio\"]\nallow_private = false\n\
         weight = 3\nenabled = false\n\
         [[relays]]\nname = \"c\"\nbase_url = \"x\"\napi_key_file = \"c.key\"\nmodels = \"m-1, m-2\"\nformat = \"auto\"\n",
    )
    .relays()
    .unwrap();
    let [a, b, c] = relays.as_slice() else { panic!("{relays:?}") };
    assert_eq!((&a.key, a.format, a.allow_private, a.weight, a.enabled), (&Key::None, None, None, 1, true));
    assert_eq!((b.format, b.models.len(), b.prefix.as_str()), (Some(Wire::Messages), 2, "b/"));
    assert_eq!((b.allow_private, b.weight, b.enabled), (Some(false), 3, false));
    assert_eq!(b.capabilities.map(|all| all.to_string()).as_deref(), Some("chat,audio"));
    assert_eq!((&c.key, c.models.len(), c.format), (&Key::File("c.key".into()), 2, None));
    assert!(!format!("{relays:?}").contains("sk-1"));
}

#[test]
fn a_wrong_field_is_named_and_no_value_shown() {
    let good = "name = \"a\"\nbase_url = \"https://x.test\"\n";
    let rows = [
        ("base_url = \"https://x.test\"\n", "name"),
        ("name = \"No\"\nbase_url = \"x\"\n", "name"),
        ("name = \"codex\"\nbase_url = \"x\"\n", "name"),
        ("name = \"a\"\n", "base_url"),
        (&format!("{good}api_key = [\"canary\"]\n"), "api_key"),
        (&format!("{good}api_key = \"canary\"\napi_key_file = \"canary\"\n"), "api_key"),
        (&format!("{good}format = \"canary\"\n"), "format"),
        (&format!("{good}models = [1]\n"), "models"),
        (&format!("{good}prefix = \"can ary\"\n"), "prefix"),
        (&format!("{good}capabilities = [\"canary\"]\n"), "capabilities"),
        (&format!("{good}allow_private = \"canary\"\n"), "allow_private"),
        (&format!("{good}weight = 0\n"), "weight"),
        (&format!("{good}enabled = 1\n"), "enabled"),
        (&format!("{good}[[relays]]\n{good}"), "name"),
    ];
    for (table, field) in rows {
        let error = layers(&format!("[[relays]]\n{table}")).relays().unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(field) && !text.contains("canary"), "{table}: {text}");
    }
    assert!(layers("relays = 7\n").relays().is_err());
}

#[test]
fn a_wrong_relay_is_named_and_the_others_are_read() {
    let layers = layers(
        "[[relays]]\nname = \"a\"\nbase_url = \"x\"\n[[relays]]\nname = \"b\"\n[[relays]]\nbase_url = \"x\"\n\
         [[relays]]\nname = \"c\"\nbase_url = \"x\"\n",
    );
    let (relays, wrong) = layers.valid_relays();
    assert_eq!(relays.iter().map(|relay| relay.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert!(wrong[0].starts_with("relay 2 (b) of the file: base_url is not there"), "{wrong:?}");
    assert!(wrong[1].starts_with("relay 3 of the file: name is not a name"), "{wrong:?}");
    assert_eq!(wrong.len(), 2);
}

#[test]
fn unknown_relay_fields_are_named() {
    let layers = layers("[[relays]]\nname = \"a\"\nbase_url = \"x\"\nkey = \"canary\"\n[server]\nport = 1\n");
    assert_eq!(layers.unknown(), ["relays[0].key"]);
    assert!(layers.relays().is_ok());
}
