//! Which versions are believed.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

#[rstest]
#[case("0.169.0", "0.170.0", Ok("0.170.0"))]
#[case("0.169.0", "0.169.0", Ok("0.169.0"))]
#[case("0.169.0", "1.0.0", Ok("1.0.0"))]
#[case("26.908.40834", "26.1231.50000", Ok("26.1231.50000"))]
#[case("26.908.40834", "27.105.1", Ok("27.105.1"))]
#[case("0.169.0", "0.168.9", Err(Refused::Older))]
#[case("0.169.0", "0.9999.0", Err(Refused::Absurd))]
#[case("0.169.0", "2.0.0", Err(Refused::Absurd))]
#[case("0.169.0", "1.1301.0", Err(Refused::Absurd))]
#[case("0.169.0", "1.9999999.0", Err(Refused::Absurd))]
#[case("26.908.40834", "2026.9.1", Err(Refused::Absurd))]
#[case("0.169.0", "0.170.0-alpha.1", Err(Refused::Junk))]
#[case("0.169.0", "0.170", Err(Refused::Junk))]
#[case("0.169.0", "0.170.0.1", Err(Refused::Junk))]
#[case("0.169.0", "v0.170.0", Err(Refused::Junk))]
#[case("0.169.0", "0.+170.0", Err(Refused::Junk))]
#[case("0.169.0", "0.0170.0", Err(Refused::Junk))]
#[case("0.169.0", "0.170.99999999", Err(Refused::Junk))]
#[case("0.169.0", "0.170.0\r\nx: 1", Err(Refused::Junk))]
#[case("0.169.0", "", Err(Refused::Junk))]
fn what_is_published_is_believed_or_not(
    #[case] known: &str,
    #[case] published: &str,
    #[case] next: Result<&str, Refused>,
) {
    let known = Release::read(known).unwrap();
    assert_eq!(known.next(known, published).map(|release| release.to_string()), next.map(str::to_owned));
}

/// What was published by mistake is withdrawn, and the next look believes that.
#[rstest]
#[case("1.5.0", "0.171.0", Ok("0.171.0"))]
#[case("0.171.0", "0.169.0", Ok("0.169.0"))]
#[case("1.5.0", "0.168.9", Err(Refused::Older))]
#[case("1.5.0", "0.9999.0", Err(Refused::Absurd))]
#[case("2.0.0", "1.2.0", Ok("1.2.0"))]
#[case("2.0.0", "1.9999.0", Err(Refused::Absurd))]
fn a_version_goes_back_to_the_built_in_one_at_most(
    #[case] known: &str,
    #[case] published: &str,
    #[case] next: Result<&str, Refused>,
) {
    let (known, built) = (Release::read(known).unwrap(), Release([0, 169, 0]));
    assert_eq!(known.next(built, published).map(|release| release.to_string()), next.map(str::to_owned));
}

#[rstest]
#[case(Feed::Codex, r#"{"tag_name":"rust-v0.170.0","name":"0.170.0","assets":[]}"#, Some("0.170.0"))]
#[case(Feed::Codex, r#"{"tag_name":"sdk-v0.170.0","version":"0.170.0"}"#, None)]
#[case(Feed::Codex, r#"{"tag_name":7}"#, None)]
#[case(Feed::Codex, "{}", None)]
#[case(Feed::Codex, r#"{"name":"@openai/codex","version":"0.170.0","dist":{}}"#, Some("0.170.0"))]
#[case(Feed::Codex, r#"{"version":170}"#, None)]
#[case(Feed::Codex, "<html>", None)]
#[case(Feed::Appcast, r#"<rss><channel><item><enclosure sparkle:version="7" sparkle:shortVersionString="26.1.2"/></item><item><enclosure sparkle:shortVersionString="26.0.1"/></item></channel></rss>"#, Some("26.1.2"))]
#[case(Feed::Appcast, "<item><sparkle:shortVersionString> 26.1.2 </sparkle:shortVersionString></item>", Some("26.1.2"))]
#[case(Feed::Appcast, "<item sparkle:shortVersionString = '26.1.2'>", Some("26.1.2"))]
#[case(Feed::Appcast, "<item sparkle:shortVersionString=26.1.2>", None)]
#[case(Feed::Appcast, "<item>", None)]
fn feeds_are_read(#[case] feed: Feed, #[case] body: &str, #[case] version: Option<&str>) {
    assert_eq!(feed.read(body.as_bytes()).as_deref(), version);
}

proptest! {
    #[test]
    fn no_feed_lowers_the_version_below_the_built_in_one(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[0-9.]{0,12}",
        ahead in 0..2000_u32,
    ) {
        let (built, known) = (Release([0, 169, 0]), Release([0, 169 + ahead, 0]));
        for feed in [Feed::Codex, Feed::Appcast] {
            let published = feed.read(&body).unwrap_or_default();
            prop_assert!(known.next(built, &published).map_or(true, |next| next >= built));
        }
        if let Ok(next) = known.next(built, &text) {
            prop_assert!(next >= built && next.to_string() == text);
        }
    }
}
