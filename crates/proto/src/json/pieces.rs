//! An object that arrives in pieces, one in each frame of a stream.

use super::Shape;
use super::emit::ObjectWriter;
use crate::text::{Json, Text};

#[cfg(test)]
mod tests;

/// Collects the members of all pieces. Elements of the lists that are named at the start are appended; of every other member the newest
/// value counts. The work is linear in the size of the pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    lists: &'static [&'static str],
    members: Vec<(Text, Member)>,
}

#[derive(Debug)]
enum Member {
    Value(Json),
    List(Vec<Json>),
}

impl Pieces {
    /// An empty collection; `lists` names the lists that continue from one piece to the next.
    pub(crate) fn new(lists: &'static [&'static str]) -> Self {
        Self { lists, members: Vec::new() }
    }

    /// Adds the members of `object` that are not in `known`. A null replaces nothing.
    pub(crate) fn add(&mut self, object: &Json, known: &[&str]) {
        object
            .fields()
            .filter(|(key, _)| !known.contains(&key.as_str()))
            .for_each(|(key, value)| self.set(key, &value));
    }

    /// Adds one member.
    pub(crate) fn set(&mut self, key: Text, value: &Json) {
        let list = value.shape() == Shape::Array && self.lists.contains(&key.as_str());
        let member = || if list { Member::List(value.elements().collect()) } else { Member::Value(value.clone()) };
        match self.members.iter_mut().find(|(name, _)| *name == key) {
            None => {
                let member = member();
                self.members.push((key, member));
            }
            Some(_) if value.is_null() => {}
            Some((_, Member::List(elements))) if list => elements.extend(value.elements()),
            Some((_, old)) => *old = member(),
        }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Writes all members that are not null.
    pub(crate) fn write(&self, writer: &mut ObjectWriter<'_>) {
        let null = |member: &Member| matches!(member, Member::Value(value) if value.is_null());
        self.members.iter().filter(|(_, member)| !null(member)).for_each(|(key, member)| member.write(key, writer));
    }

    /// Writes all members.
    pub(crate) fn write_all(&self, writer: &mut ObjectWriter<'_>) {
        self.members.iter().for_each(|(key, member)| member.write(key, writer));
    }
}

impl Member {
    fn write(&self, key: &Text, writer: &mut ObjectWriter<'_>) {
        match self {
            Self::Value(value) => writer.member(key, value),
            Self::List(elements) => writer.list(&key.plain(), elements),
        }
    }
}
