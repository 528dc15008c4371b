//! The fields and values that a translation dropped or approximated. Notes go to the request log and, joined, to the `x-polygate-notes`
//! header.

use crate::json::node::Fields;

#[cfg(test)]
mod tests;

/// Most notes of one list; dropped fields may have any number of names that the client chose.
const MOST: usize = 64;

/// The last entry of a full list.
const MORE: &str = "and more";

/// An ordered list of notes without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(Vec<String>);

impl Notes {
    /// Adds a note such as `dropped temperature`: printable ASCII, no comma or semicolon, at most 120 characters. The last
    /// entry of a full list only reports that there were more.
    pub fn add(&mut self, note: impl Into<String>) {
        if self.0.len() > MOST {
            return;
        }
        let note = note.into();
        if self.0.contains(&note) {
            return;
        }
        self.0.push(if self.0.len() == MOST { MORE.to_owned() } else { note });
    }

    /// Notes a field of the object at `path` that is not sent on; the body's path is empty. The note leaves out names that are long or have
    /// unusual characters.
    pub(crate) fn dropped_field(&mut self, path: &str, name: &str) {
        self.add(match path {
            "" if is_plain(name) => format!("dropped {name}"),
            "" => "dropped unknown fields of the body".to_owned(),
            path if is_plain(name) => format!("dropped {path}.{name}"),
            path => format!("dropped unknown fields of {path}"),
        });
    }

    /// Notes the fields of the object at `path` that no reader took.
    pub(crate) fn unread(&mut self, path: &str, fields: Fields<'_>) {
        for (name, _) in fields.rest().filter(|(_, json)| !json.is_null()) {
            self.dropped_field(path, &name.plain());
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Notes) {
        other.0.into_iter().for_each(|note| self.add(note));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The notes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// All notes as one header value, `"; "` between them, cut at 1,024 bytes.
    pub fn header(&self) -> String {
        let mut joined = self.0.join("; ");
        joined.retain(|c| (' '..='~').contains(&c));
        joined.truncate(1024);
        joined
    }
}

/// A word from outside for use in a note or message: letters, digits, `_`, `-` and `.`, at most 60 of them.
pub(crate) fn sanitized(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).take(60).collect()
}

/// Whether a field's name may be part of a note unchanged.
pub(crate) fn is_plain(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}
