use super::write;
use crate::failure::{Failure, Kind};
use crate::upstream_error::from_body;

#[test]
fn bodies_have_openai_shape() {
    let failure = Failure::new(Kind::Invalid, "no \"x\"").at("input[0]").code("invalid_type");
    let (status, body) = write(&failure);
    assert_eq!(status, 400);
    let expected =
        r#"{"error":{"message":"no \"x\"","type":"invalid_request_error","param":"input[0]","code":"invalid_type"}}"#;
    assert_eq!(body, expected);
    let mut failure = Failure::new(Kind::Exhausted, "used up").retry_after(60);
    failure.resets_at = Some(1_777_936_568);
    let (status, body) = write(&failure);
    let expected = r#"{"error":{"message":"used up","type":"usage_limit_reached","param":null,"code":"usage_limit_reached","resets_at":1777936568,"resets_in_seconds":60}}"#;
    assert_eq!((status, &body[..]), (429, expected.as_bytes()));
}

#[test]
fn what_is_written_reads_back() {
    let kinds = [
        Kind::Invalid,
        Kind::ModelNotFound,
        Kind::RateLimited,
        Kind::Exhausted,
        Kind::ContextLength,
        Kind::Filtered,
        Kind::Upstream,
        Kind::Overloaded,
        Kind::Timeout,
        Kind::TooLarge,
    ];
    for kind in kinds {
        let (status, body) = write(&Failure::new(kind, "m"));
        assert_eq!(from_body(status, &body).message, "m");
        assert_eq!(from_body(status, &body).kind, kind);
    }
}
