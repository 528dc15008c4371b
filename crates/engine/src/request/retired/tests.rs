use pool::catalog::{Catalog, Names};

use super::*;

const NOW: Millis = Millis(1_790_000_000_000);

fn resolved(name: &str) -> Resolved {
    Catalog::bundled().resolve(Some(name), &Names::default()).unwrap()
}

#[test]
fn names_are_counted_with_who_asked() {
    let retired = RetiredModels::default();
    for key in ["one", "two", "one"] {
        retired.note(&resolved("gpt-5.4"), &KeyId(key.to_owned()), NOW);
    }
    retired.note(&resolved("gpt-5.4-mini-high"), &KeyId("one".to_owned()), NOW.plus(5));
    retired.note(&resolved("gpt-6-sol"), &KeyId("one".to_owned()), NOW.plus(6));
    let retired_model = |name: &str, successor: &str, requests, last, keys: &[&str]| RetiredModel {
        name: name.to_owned(),
        successor: successor.to_owned(),
        requests,
        last,
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let expected = [
        retired_model("gpt-5.4-mini", "gpt-6-luna", 1, NOW.plus(5), &["one"]),
        retired_model("gpt-5.4", "gpt-6-sol", 3, NOW, &["one", "two"]),
    ];
    assert_eq!(*retired.0.lock(), expected);
}

#[test]
fn the_list_is_bounded() {
    let retired = RetiredModels::default();
    for at in 0..200 {
        let name = format!("gpt-5.1-{at}");
        (0..2).for_each(|turn| retired.note(&resolved(&name), &KeyId(format!("{at}-{turn}")), NOW));
        retired.note(&resolved("gpt-5.1-0"), &KeyId(at.to_string()), NOW);
    }
    let all = retired.0.lock();
    assert_eq!((all.len(), all[0].keys.len()), (NAMES, KEYS));
    assert_eq!((all[0].name.as_str(), all[0].requests), ("gpt-5.1-0", 202), "what is asked for often stays");
}
