use rstest::rstest;

use super::*;
use Hosted::{ImageGeneration, WebSearch};

#[rstest]
#[case("", &[])]
#[case("none", &[])]
#[case(" web_search , image_generation ", &[WebSearch, ImageGeneration])]
#[case("web_search_preview,web_search", &[WebSearch])]
fn lists_are_read(#[case] written: &str, #[case] tools: &[Hosted]) {
    let read = list(written).unwrap();
    assert_eq!(read, tools);
    assert_eq!(list(&text(&read)).unwrap(), tools, "and written back");
}

#[rstest]
#[case("web_search,none", "none")]
#[case("code_interpreter", "code_interpreter")]
#[case("image_generations", "image_generations")]
fn unknown_words_are_named(#[case] written: &str, #[case] word: &str) {
    assert_eq!(list(written), Err(UnknownHosted(word.to_owned())));
    assert_eq!(known(&format!("image_generation,{word}")), [ImageGeneration], "of another program's it is left out");
}
