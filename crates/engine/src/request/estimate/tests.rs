use proto::Dialect;

use super::*;

fn request(parts: &str) -> Request {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    Dialect::Chat.read_request(body.into()).expect("a request").0
}

#[test]
fn text_is_four_bytes_a_token() {
    assert_eq!(input(&request(r#"{"type":"text","text":"hello"}"#), 4001), 1001);
}

#[test]
fn a_picture_is_not_counted_by_its_length() {
    let data = "A".repeat(1 << 20);
    let picture = format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#);
    let estimate = input(&request(&picture), (1 << 20) + 400);
    assert!((1000..1200).contains(&estimate), "{estimate}");
    let linked = r#"{"type":"image_url","image_url":{"url":"https://example.com/cat.png"}}"#;
    assert_eq!(input(&request(linked), 400), 100);
}
