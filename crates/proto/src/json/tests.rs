use bytes::Bytes;
use proptest::prelude::*;

use super::{MAX_NODES, Path, Shape, check, valid, walk};
use crate::text::Json;

fn json(text: &str) -> Json {
    assert!(valid(text.as_bytes()), "{text}");
    Json::from_valid(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn malformed_bodies_are_refused() {
    let cases = [
        "", " ", "{", "[]", "1", "\"a\"", "{}x", "{}{}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
        "{\"a\":1 \"b\":2}", "{a:1}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":-}",
        "{\"a\":1e}", "{\"a\":NaN}", "{\"a\":tru}", "{\"a\":[1,]}", "{\"a\":[1}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\n\"}", "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}", "{\"\\ud800\":1}", "{\"a\":\"\u{1}\"}", "{'a':1}", "{\"a\":1}\0",
    ];
    for case in cases {
        assert!(check(case.as_bytes()).is_err(), "{case:?}");
    }
    for bytes in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xc0\xaf\"}", b"{\"a\":\"\xed\xa0\x80\"}", b"\xEF\xBB\xBF{}"] {
        assert!(check(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn sound_bodies_pass() {
    let cases = [
        "{}",
        " { \"a\" : [ ] , \"b\" : { } }\r\n\t",
        "{\"a\":[1,-0,1e400,0.5E-7,123456789012345678901234567890,true,false,null]}",
        "{\"a\":\"\\ud83d\\ude00 \\u0000 \u{2028} \u{202e}\"}",
        "{\"a\":{\"model\":1,\"model\":2}}",
        "{\"a\":1,\"a\":2}",
    ];
    for case in cases {
        assert_eq!(check(case.as_bytes()), Ok(()), "{case}");
    }
}

#[test]
fn security_fields_come_once() {
    for name in ["model", "stream", "tools", "previous_response_id", "messages", "input"] {
        let failure = check(format!("{{\"{name}\":1,\"x\":2,\"{name}\":1}}").as_bytes()).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(name));
    }
    assert!(check(br#"{"model":"a","mod\u0065l":"b"}"#).is_err());
    assert!(check(br#"{"mod\u0065l":"a","x":1}"#).is_ok());
}

#[test]
fn nesting_and_size_have_limits() {
    let nested =
        |depth: usize, open: &str, close: &str| format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
        assert!(check(nested(126, open, close).as_bytes()).is_ok());
        assert!(check(nested(127, open, close).as_bytes()).is_ok(), "128 levels with the body");
        assert!(check(nested(128, open, close).as_bytes()).is_err());
        assert!(check(nested(10_000, open, close).as_bytes()).is_err());
        assert!(check(nested(1_000_000, open, close).as_bytes()).is_err());
        assert!(check(open.repeat(1_000_000).as_bytes()).is_err());
    }
    let wide = |count: usize| format!("{{\"a\":[{}]}}", vec!["0"; count].join(","));
    assert!(check(wide(MAX_NODES as usize - 2).as_bytes()).is_ok());
    assert!(check(wide(MAX_NODES as usize - 1).as_bytes()).is_err());
}

#[test]
fn walks_find_values() {
    let body = json(r#" {"a" : [1, "x,]}\"", {"b":null}, []] ,"c":{},"\u0064":"e","a":2}"#);
    assert_eq!(body.shape(), Shape::Object);
    let fields: Vec<String> = body.fields().map(|(key, value)| format!("{}={}", key.plain(), value.as_str())).collect();
    assert_eq!(fields, [r#"a=[1, "x,]}\"", {"b":null}, []]"#, "c={}", "d=\"e\"", "a=2"]);
    let elements: Vec<String> = body.fields().next().unwrap().1.elements().map(|e| e.as_str().to_owned()).collect();
    assert_eq!(elements, ["1", r#""x,]}\"""#, r#"{"b":null}"#, "[]"]);
    assert_eq!(body.get("a").and_then(|a| a.as_u64()), Some(2), "the last of two wins");
    assert_eq!(body.text("d").unwrap().plain(), "e");
    assert!(body.get("none").is_none());
    assert_eq!(json("7.0").as_u64(), Some(7));
    for not in ["-1", "7.5", "1e400", "18446744073709551616", "\"7\"", "null"] {
        assert_eq!(json(not).as_u64(), None, "{not}");
    }
}

#[test]
fn paths_print_like_code() {
    let (input, item) = (Path::ROOT.field("input"), 3);
    let element = input.index(item);
    let content = element.field("content");
    let failure = content.index(0).field("type").missing();
    assert_eq!(failure.param.as_deref(), Some("input[3].content[0].type"));
    assert_eq!(failure.message, "Missing required parameter: 'input[3].content[0].type'.");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn agrees_with_serde(text in "[\\[\\]{}:,\"\\\\ua0-9.e+\\- tfnrlse\\x00é]{0,24}") {
        let ours = valid(text.as_bytes());
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{:?}", text);
    }

    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes);
        let json = Json::from_valid(Bytes::from(bytes));
        json.fields().count();
        json.elements().count();
    }
}

#[test]
fn cut_values_can_be_closed() {
    let whole = r#" {"a":"x\"y\\\u00e9","b":[1,-2.5e+7,true,false,null,{"c":{}},[]],"d" : 0 } "#;
    for cut in 1..whole.len() {
        for split in [cut, cut / 2] {
            let mut closer = super::closer::Closer::default();
            closer.feed(&whole.as_bytes()[..split]);
            closer.feed(&whole.as_bytes()[split..cut]);
            let mut text = whole.as_bytes()[..cut].to_vec();
            text.extend(closer.closing().unwrap());
            assert!(valid(&text), "{}", String::from_utf8_lossy(&text));
        }
    }
    for broken in ["{]", "[}", "{1", "{\"a\" 1", "nope", "{\"a\":1 2", "{,", "1}"] {
        let mut closer = super::closer::Closer::default();
        closer.feed(broken.as_bytes());
        assert!(closer.closing().is_none() || broken == "nope", "{broken}");
    }
}

#[test]
fn one_line() {
    let cases = [
        ("{\"a\":1}", "{\"a\":1}"),
        ("{\r\n  \"a\": [\n1,\n2]\n}", "{    \"a\": [ 1, 2] }"),
        ("{\"a\":\"x\\n\"}\n", "{\"a\":\"x\\n\"} "),
        // Not JSON: a line end inside a string.
        ("{\"a\":\"x\ny\"}", "{\"a\":\"x\ny\"}"),
    ];
    for (value, expected) in cases {
        assert_eq!(super::line(Bytes::from_static(value.as_bytes())), expected);
    }
}

#[test]
fn a_list_of_its_own_elements() {
    let own = |text: &'static str| {
        let list = Json::from_valid(Bytes::from_static(text.as_bytes()));
        let elements: Vec<Json> = list.elements().collect();
        (list, elements)
    };
    for text in ["[]", " [ ] ", "[1]", " [ 1 ,\n{\"a\":[2]}, \"x\" ] "] {
        let (list, elements) = own(text);
        assert!(walk::is_list_of(&list, &elements), "{text}");
    }
    let (list, elements) = own("[1, 1,2]");
    let [first, second, third] = &elements[..] else { panic!("three elements") };
    let cases: [&[&Json]; 6] =
        [&[], &[first], &[first, second], &[second, first, third], &[first, first, third], &[first, third, third]];
    for case in cases {
        let values: Vec<Json> = case.iter().copied().cloned().collect();
        assert!(!walk::is_list_of(&list, &values), "{values:?}");
    }
    let same = Json::from_valid(Bytes::copy_from_slice(second.bytes()));
    assert!(!walk::is_list_of(&list, &[first.clone(), same, third.clone()]));
    assert!(!walk::is_list_of(&own("{\"a\":1}").0, &[]));
}

#[test]
fn strings_end_where_they_end() {
    for special in [b'"', b'\\', 0x1F, 0] {
        for at in 0..200 {
            let mut bytes = vec![0xFF; 220];
            bytes[0] = b'"';
            bytes[1 + at] = special;
            let mut scan = super::Scan::new(&bytes);
            let found = scan.string(false);
            assert_eq!(found.is_ok(), special == b'"', "{special} at {at}");
            assert!(found.is_err() || scan.at() == at + 2, "{special} at {at}");
            assert!(found.is_ok() || scan.at() <= at + 2, "{special} at {at}");
        }
    }
}
