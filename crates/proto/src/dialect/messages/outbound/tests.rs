use super::blocks::decode;
use super::id;

#[test]
fn base64_of_every_length_is_read() {
    let cases =
        [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("YWJjZA", "abcd"), ("YWJj\r\nZGU=", "abcde")];
    for (text, plain) in cases {
        assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
    }
    assert_eq!(decode("-_8="), Some(vec![0xFB, 0xFF]));
    assert_eq!(decode("no base64"), None);
}

#[test]
fn ids_have_the_characters_that_anthropic_takes() {
    for (original, expected) in [("call_A-1", "call_A-1"), ("call:1/2", "call_1_2"), ("fc\\n", "fc_n")] {
        assert_eq!(id(&crate::Text::from_escaped(original.as_bytes().to_vec().into())).as_str(), expected);
    }
}
