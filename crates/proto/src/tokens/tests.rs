use super::{count, estimate, pieces, prefix, size};

#[test]
fn counts_are_those_of_the_pieces() {
    let text = "It's 2026; 12345 naïve cafés don't care. 日本語のテキスト 👩‍👩‍👧\n\n  end";
    let sizes: u64 = pieces(text).map(size).sum();
    assert_eq!(count(text), sizes);
    assert_eq!(pieces(text).collect::<String>(), text);
}

#[test]
fn a_prefix_never_cuts_a_character() {
    for text in ["👩‍👩‍👧", "日本語", "abc"] {
        for tokens in 0..=count(text) {
            assert!(text.is_char_boundary(prefix(text, tokens)));
        }
        assert_eq!(prefix(text, u64::MAX), text.len());
        assert_eq!(prefix(text, 0), 0);
    }
}

#[test]
fn an_estimate_rounds_up() {
    assert_eq!([0, 1, 4, 5].map(estimate), [0, 1, 1, 2]);
}
