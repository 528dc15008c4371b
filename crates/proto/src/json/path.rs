//! The path of a value in a body, for error messages: a chain of borrowed steps that costs nothing until it is printed.

use std::fmt;

use super::walk::Shape;
use crate::failure::{Failure, Kind};
use crate::text::Json;

/// A path in a request body; prints as `input[3].content[0].type`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The body itself.
    pub const ROOT: Self = Self { parent: None, step: Step::Root };

    /// The field `name` of this object.
    #[must_use]
    pub fn field(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    /// The element `index` of this array.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    /// A failure: the value here is not an `expected` (`a string`, `an array of objects`).
    pub fn wrong(&self, expected: &str, found: &Json) -> Failure {
        let found = match found.shape() {
            Shape::Null => "null",
            Shape::Bool => "a boolean",
            Shape::Number => "a number",
            Shape::String => "a string",
            Shape::Array => "an array",
            Shape::Object => "an object",
        };
        let message = format!("Invalid type for '{self}': expected {expected}, but got {found} instead.");
        Failure::new(Kind::Invalid, message).at(self.to_string()).code("invalid_type")
    }

    /// A failure: the required value is missing here.
    pub fn missing(&self) -> Failure {
        let message = format!("Missing required parameter: '{self}'.");
        Failure::new(Kind::Invalid, message).at(self.to_string()).code("missing_required_parameter")
    }

    /// A failure: the gateway cannot serve the value here; `why` is a whole sentence.
    pub fn bad(&self, why: &str) -> Failure {
        Failure::new(Kind::Invalid, format!("Invalid value for '{self}': {why}"))
            .at(self.to_string())
            .code("invalid_value")
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let first = self.parent.is_none_or(|parent| matches!(parent.step, Step::Root));
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if first => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
