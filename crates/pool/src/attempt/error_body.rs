//! What the error body of an account's backend says. `proto` knows the shapes and words; the texts are cleaned here.

use bytes::Bytes;
use proto::json::Shape;
use proto::upstream_error::{self, Cause};

use super::refusal::Class;
use crate::lenient::Number;
use crate::{limits, sanitize};

/// An error body, read. Texts are short and clean.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    pub(super) code: Option<String>,
    /// `type`, which carries the code on usage limits.
    pub(super) kind: Option<String>,
    pub(super) message: Option<String>,
    pub(super) param: Option<String>,
    /// Seconds.
    pub(super) resets_in: Option<u64>,
    /// Unix seconds.
    pub(super) resets_at: Option<i64>,
}

impl ErrorBody {
    /// Reads a body; never fails.
    pub(super) fn read(body: &Bytes) -> Self {
        let Some(error) = upstream_error::error_object(body) else {
            return Self::text(String::from_utf8_lossy(body).trim());
        };
        if let Some(text) = error.as_text() {
            return Self::text(&text.plain());
        }
        if error.shape() != Shape::Object {
            return Self::text(error.as_str().trim());
        }
        let word = |name| error.text(name).map(|text| text.plain().into_owned());
        let number = |name| error.get(name)?.parse::<Number>().ok();
        Self {
            message: word("message").map(|text| clean(&text)).filter(|text| !text.is_empty()),
            code: sanitized_code(word("code").as_deref()),
            kind: sanitized_code(word("type").as_deref()),
            param: sanitized_code(word("param").as_deref()),
            resets_in: number("resets_in_seconds").and_then(Number::count),
            resets_at: number("resets_at").map(Number::whole),
        }
    }

    fn text(text: &str) -> Self {
        Self { message: (!text.is_empty()).then(|| clean(text)), ..Self::default() }
    }

    /// The machine-readable code for a client: `code`, else a `type` that is one.
    pub(super) fn code(&self) -> Option<String> {
        let kind = self.kind.as_ref().filter(|kind| class_of_code(kind).is_some());
        self.code.as_ref().or(kind).cloned()
    }

    /// The class by code, type or wording.
    pub(super) fn class(&self) -> Option<Class> {
        let words = [self.code.as_deref(), self.kind.as_deref()];
        let by_wording = || Class::of(Cause::of_message(self.message.as_deref()?)?);
        words.into_iter().flatten().find_map(class_of_code).or_else(by_wording)
    }
}

fn class_of_code(code: &str) -> Option<Class> {
    Class::of(Cause::of_code(code)?)
}

/// A code of the upstream, sanitised for clients; `None` when it is empty.
pub(super) fn sanitized_code(word: Option<&str>) -> Option<String> {
    word.map(|word| sanitize::short(word, 128)).filter(|word| !word.is_empty())
}

/// `text` for clients and logs.
pub(super) fn clean(text: &str) -> String {
    sanitize::clean(text, limits::MESSAGE)
}
