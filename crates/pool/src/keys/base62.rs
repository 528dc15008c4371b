//! Base 62 of fixed width: digits, upper case, lower case.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Encodes `bytes` as one big-endian number in `width` characters. Digits that do not fit are dropped at the top. A large enough
/// width keeps all of the randomness: 43 characters for 32 bytes, 6 for 4.
pub(super) fn encode(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits: Vec<u8> = (0..width).map(|_| ALPHABET[usize::from(divide(&mut number))]).collect();
    digits.reverse();
    String::from_utf8(digits).expect("invariant: the alphabet is ASCII")
}

/// Whether `text` holds only characters of the alphabet.
pub(super) fn is(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Divides by 62 in place and returns the remainder.
fn divide(number: &mut [u8]) -> u8 {
    number.iter_mut().fold(0, |rest, byte| {
        let value = u16::from(rest) * 256 + u16::from(*byte);
        *byte = u8::try_from(value / 62).expect("invariant: the remainder is below 62, so the quotient is below 256");
        u8::try_from(value % 62).expect("invariant: a remainder below 62")
    })
}
