use proptest::prelude::*;
use rstest::rstest;

use super::*;

const PEPPER: [u8; 32] = [7; 32];

fn minted(kind: KeyKind) -> Minted {
    mint(kind, &[0xA5; RANDOM], &PEPPER)
}

#[rstest]
#[case(KeyKind::Client, "pgk_")]
#[case(KeyKind::Admin, "pga_")]
fn a_key_has_its_form(#[case] kind: KeyKind, #[case] prefix: &str) {
    let key = minted(kind);
    let text = key.text.expose();
    assert_eq!(text.len(), 62);
    assert!(text.starts_with(prefix) && text[4..12] == key.id && &text[12..13] == "_");
    assert_eq!(parse(text), Ok(Parsed { kind, id: &key.id }));
    assert_eq!(key.digest, digest(text, &PEPPER));
}

#[rstest]
#[case("", ParseError::Foreign)]
#[case("sk-tmp", ParseError::Foreign)]
#[case("pgx_", ParseError::Foreign)]
#[case("pgk_", ParseError::Damaged)]
#[case("pgk_abcdefgh_", ParseError::Damaged)]
#[case("pgk_ééééééééééééééééééééééééééééé", ParseError::Damaged)]
fn other_texts_are_no_keys(#[case] text: &str, #[case] error: ParseError) {
    assert_eq!(parse(text), Err(error));
}

#[test]
fn a_login_that_holds_a_key_is_that_key() {
    let client = minted(KeyKind::Client);
    let key = client.text.expose();
    assert_eq!(bare(&format!("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.{key}")), key);
    assert_eq!(bare(key), key);
    let admin = format!("a.b.{}", minted(KeyKind::Admin).text.expose());
    for other in [admin.as_str(), "a.b.c", "", "..", "a.b.", &format!("b.{key}"), &format!("a.b.c.{key}"), "a.b.c.d"] {
        assert_eq!(bare(other), other);
    }
}

#[test]
fn a_client_key_never_passes_for_an_admin_one() {
    let swapped = minted(KeyKind::Client).text.expose().replacen("pgk_", "pga_", 1);
    assert_eq!(parse(&swapped), Err(ParseError::Damaged));
    assert_ne!(minted(KeyKind::Client).digest, minted(KeyKind::Admin).digest);
}

#[test]
fn digests_follow_the_published_vector() {
    // RFC 4231, test case 2, its key padded with zeros to the pepper's length as HMAC itself pads it.
    let mut pepper = [0; 32];
    pepper[..4].copy_from_slice(b"Jefe");
    let expected: Vec<_> =
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843".as_bytes().chunks(2).collect();
    let expected = expected.iter().map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap());
    assert!(digest("what do ya want for nothing?", &pepper).0.into_iter().eq(expected));
}

#[rstest]
#[case("your-api-key", Strength::Known)]
#[case("your-api-key-1", Strength::Known)]
#[case("Your-API-Key-that-is-really-quite-long", Strength::Known)]
#[case("codex-proxy", Strength::Known)]
#[case("sk-tmp", Strength::Known)]
#[case("changeme", Strength::Known)]
#[case(" pwd ", Strength::Known)]
#[case("", Strength::Weak)]
#[case("k9#fV2!q", Strength::Weak)]
#[case("01234567890123456789abc", Strength::Weak)]
#[case("01234567890123456789abcd", Strength::Strong)]
fn chosen_keys_are_judged(#[case] text: &str, #[case] strength: Strength) {
    assert_eq!(fixed(text, &PEPPER).strength, strength);
}

#[test]
fn a_chosen_key_has_a_stable_id_that_is_not_itself() {
    let (key, again) = (fixed("my-own-key", &PEPPER), fixed("my-own-key", &PEPPER));
    assert_eq!((key.id.len(), &key.id, key.digest), (14, &again.id, again.digest));
    assert!(key.digest.matches(&digest("my-own-key", &PEPPER)));
    assert!(!key.digest.matches(&digest("my-own-kez", &PEPPER)));
    assert_ne!(key.digest, fixed("my-own-key", &[8; 32]).digest);
}

#[test]
fn nothing_prints_a_secret() {
    let key = minted(KeyKind::Client);
    let shown = format!("{key:?} {:?}", fixed("my-own-key", &PEPPER));
    assert!(!shown.contains(key.text.expose()) && !shown.contains("my-own-key"));
}

#[rstest]
#[case(None, None, Ok(()))]
#[case(Some(10), None, Ok(()))]
#[case(Some(9), None, Err(KeyEnded::Expired))]
#[case(Some(10), Some(1), Err(KeyEnded::Revoked))]
#[case(None, Some(1), Err(KeyEnded::Revoked))]
fn a_key_ends(#[case] expires: Option<i64>, #[case] revoked: Option<i64>, #[case] live: Result<(), KeyEnded>) {
    let Minted { id, digest, .. } = minted(KeyKind::Admin);
    let key = Key {
        id,
        kind: KeyKind::Admin,
        name: "laptop".into(),
        digest,
        scopes: Scopes::default(),
        created: Millis(0),
        expires: expires.map(Millis),
        revoked: revoked.map(Millis),
        tools: None,
    };
    assert_eq!(key.live(Millis(9)), live);
}

#[test]
fn scopes_have_a_text_form() {
    let scopes: Scopes = " write,read ".parse().unwrap();
    assert!(scopes.has(Scope::Read) && scopes.has(Scope::Write) && !scopes.has(Scope::Export));
    assert_eq!(scopes.to_string(), "read,write");
    assert_eq!("".parse::<Scopes>().unwrap(), Scopes::default());
    assert_eq!("root".parse::<Scopes>(), Err(UnknownScope("root".into())));
    assert_eq!(Scope::ALL.into_iter().collect::<Scopes>().to_string(), "read,write,export");
}

proptest! {
    #[test]
    fn keys_round_trip_and_typos_are_found(random in any::<[u8; RANDOM]>(), at in 0_usize..62, to in "[0-9A-Za-z]") {
        let key = mint(KeyKind::Client, &random, &PEPPER);
        let text = key.text.expose().to_owned();
        prop_assert_eq!(parse(&text).unwrap().id, &key.id);
        let mut typo = text.clone();
        typo.replace_range(at..=at, &to);
        prop_assert!(typo == text || parse(&typo).is_err());
    }

    #[test]
    fn parsing_never_panics(text in "(pg[ka]_)?.{0,70}") {
        let _ = parse(&text);
    }

    #[test]
    fn different_randomness_gives_different_keys(a in any::<[u8; RANDOM]>(), b in any::<[u8; RANDOM]>()) {
        prop_assume!(a[8..] != b[8..]);
        prop_assert_ne!(mint(KeyKind::Client, &a, &PEPPER).text, mint(KeyKind::Client, &b, &PEPPER).text);
    }
}
