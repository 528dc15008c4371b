//! Lenient reading of JSON from outside: a field of an unexpected type counts as absent and does not fail the whole document.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};
use serde_json::value::RawValue;

/// For `#[serde(default, deserialize_with = "lenient::field")]`: the value when it has the right type.
pub(crate) fn field<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A finite number, written as a number or as decimal text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Number {
    /// The number in `text`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Self)
    }

    /// The whole part, saturating.
    #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, which is what is wanted")]
    pub(crate) fn whole(self) -> i64 {
        self.0 as i64
    }

    /// The whole part; `None` below zero.
    pub(crate) fn count(self) -> Option<u64> {
        u64::try_from(self.whole()).ok()
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number or its text")
    }

    #[expect(clippy::cast_precision_loss, reason = "shares, seconds and token counts are far below 2^53")]
    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "shares, seconds and token counts are far below 2^53")]
    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number(number as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Number, E> {
        if number.is_finite() { Ok(Number(number)) } else { Err(E::custom("not finite")) }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
        Number::read(text).ok_or_else(|| E::custom("not a number"))
    }
}
