//! Compares with the format of the backend's event and the fields that the client reads (0.169.0, November 2026).

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    pairs.iter().map(pair).collect()
}

fn events(pairs: &[(&'static str, &'static str)]) -> Vec<Value> {
    rate_limit_events(&headers(pairs))
        .iter()
        .map(|message| serde_json::from_str(message.to_text().unwrap()).unwrap())
        .collect()
}

const OWN: [(&str, &str); 8] = [
    ("x-codex-plan-type", "plus"),
    ("x-codex-primary-used-percent", "12.5"),
    ("x-codex-primary-window-minutes", "300"),
    ("x-codex-primary-reset-after-seconds", "9000"),
    ("x-codex-primary-reset-at", "1781672408"),
    ("x-codex-secondary-used-percent", "34"),
    ("x-codex-credits-has-credits", "False"),
    ("x-codex-credits-unlimited", "False"),
];

#[test]
fn the_event_has_the_backends_shape() {
    let wanted = json!({
        "type": "codex.rate_limits",
        "plan_type": "plus",
        "rate_limits": {
            "allowed": true,
            "limit_reached": false,
            "primary": {"used_percent": 12.5, "window_minutes": 300, "reset_after_seconds": 9000, "reset_at": 1_781_672_408},
            "secondary": {"used_percent": 34.0, "window_minutes": null, "reset_after_seconds": null, "reset_at": null},
        },
        "additional_rate_limits": {},
        "code_review_rate_limits": null,
        "credits": {"has_credits": false, "unlimited": false, "balance": null},
        "promo": null,
    });
    assert_eq!(events(&OWN), [wanted]);
}

#[test]
fn each_metered_limit_has_an_event() {
    let more = [
        ("x-codex-bengalfox-primary-used-percent", "80"),
        ("x-codex-bengalfox-limit-name", "GPT-5.3-Codex-Spark"),
        ("x-codex-other-secondary-used-percent", "100"),
        ("x-code-review-primary-used-percent", "3"),
    ];
    let messages = events(&[&OWN[..], &more].concat());
    let all = &messages[0];
    let names: Vec<&String> = all["additional_rate_limits"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["GPT-5.3-Codex-Spark", "codex_other"]);
    assert_eq!(all["additional_rate_limits"]["GPT-5.3-Codex-Spark"]["primary"]["used_percent"], 80.0);
    assert_eq!(all["additional_rate_limits"]["codex_other"]["limit_reached"], true);
    assert_eq!(all["code_review_rate_limits"]["primary"]["used_percent"], 3.0);
    let ones: Vec<_> = messages[1..].iter().map(|event| (&event["metered_limit_name"], &event["limit_name"])).collect();
    let name = |id: &str, name: Value| (json!(id), name);
    let wanted = [
        name("code_review", Value::Null),
        name("codex_bengalfox", json!("GPT-5.3-Codex-Spark")),
        name("codex_other", Value::Null),
    ];
    assert_eq!(ones, wanted.each_ref().map(|(id, name)| (id, name)));
    let fox = &messages[2];
    assert_eq!(
        (&fox["type"], &fox["rate_limits"]["primary"]["used_percent"]),
        (&json!("codex.rate_limits"), &json!(80.0))
    );
    // Over HTTP the client reads the same headers for the plan and credits of each limit.
    assert_eq!((&fox["plan_type"], &fox["credits"]), (&all["plan_type"], &all["credits"]));
    assert_eq!(messages[3]["rate_limits"]["allowed"], false);
}

#[test]
fn what_is_no_limit_is_not_told() {
    assert_eq!(events(&[]), Vec::<Value>::new());
    for odd in ["nan", "inf", "", "many"] {
        let name = HeaderName::from_static("x-codex-primary-used-percent");
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(odd))]);
        assert_eq!(rate_limit_events(&headers).len(), 0, "{odd}");
    }
    // The limit of one model without the account's own limit.
    let alone = events(&[("x-codex-bengalfox-primary-used-percent", "1")]);
    assert_eq!((alone.len(), &alone[0]["rate_limits"]["primary"]), (2, &Value::Null));
}
