use super::*;

fn token(payload: &str) -> Secret {
    Secret::new(format!("eyJhbGciOiJub25lIn0.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(payload)))
}

const FULL: &str = r#"{"exp":1795249535,"https://api.openai.com/profile":{"email":"a@example.test"},
    "https://api.openai.com/auth":{"chatgpt_account_id":"acct","chatgpt_plan_type":"plus","chatgpt_user_id":"user",
    "chatgpt_account_is_fedramp":true}}"#;

#[test]
fn every_claim_is_read() {
    let claims = Claims::read(&token(FULL)).unwrap();
    let wanted = Claims {
        account_id: "acct".into(),
        user: "user".into(),
        email: "a@example.test".into(),
        plan: "plus".into(),
        fedramp: true,
        expires: Some(Millis(1_795_249_535_000)),
    };
    assert_eq!(claims, wanted);
}

#[test]
fn odd_fields_read_as_absent() {
    let odd = r#"{"exp":"soon","email":"top@example.test","https://api.openai.com/auth":{"chatgpt_account_id":5,
        "chatgpt_plan_type":null,"user_id":"u","chatgpt_account_is_fedramp":"yes"},"https://api.openai.com/profile":[]}"#;
    let claims = Claims::read(&token(odd)).unwrap();
    let wanted = Claims { user: "u".into(), email: "top@example.test".into(), ..Claims::default() };
    assert_eq!(claims, wanted);
    let control = r#"{"https://api.openai.com/auth":{"chatgpt_account_id":"a\r\nb"}}"#;
    assert_eq!(Claims::read(&token(control)), Some(Claims::default()));
}

#[test]
fn expiry_must_be_a_date() {
    let read = |exp: &str| Claims::read(&token(&format!("{{\"exp\":{exp}}}"))).unwrap().expires;
    assert_eq!(read("1795249535.9"), Some(Millis(1_795_249_535_000)));
    for odd in ["0", "-5", "1e300", "9223372036854775807", "null", "[]"] {
        assert_eq!(read(odd), None, "{odd}");
    }
}

#[test]
fn what_is_no_jwt_is_none() {
    let long = "x".repeat(LONGEST + 1);
    for text in ["", "a.b", "a.!!!.c", "rt_opaque", "..", "a.W10.c", &long] {
        assert_eq!(Claims::read(&Secret::from(text)), None, "{}", &text[..text.len().min(20)]);
    }
}

#[test]
fn identity_comes_from_the_id_token_and_expiry_from_the_access_token() {
    let access = token(FULL);
    let id = token(r#"{"exp":1,"https://api.openai.com/auth":{"chatgpt_plan_type":"pro"}}"#);
    let claims = Claims::from_tokens(&access, Some(&id));
    assert_eq!((claims.plan.as_str(), claims.account_id.as_str()), ("pro", "acct"));
    assert_eq!(claims.expires, Some(Millis(1_795_249_535_000)));
    assert_eq!(Claims::from_tokens(&access, Some(&Secret::from("junk"))), Claims::read(&access).unwrap());
    assert_eq!(Claims::from_tokens(&Secret::from("opaque"), None), Claims::default());
}
