//! Builds the conversation: pieces of one text are joined, thoughts and their state become one item, and calls get ids that match them to
//! their results.

use std::collections::HashSet;

use bytes::{BufMut, Bytes, BytesMut};

use super::super::reasoning_state;
use crate::canon::{CallKind, Item, ItemKind, Part, Role};
use crate::text::Text;

/// The items so far.
#[derive(Debug, Default)]
pub(super) struct History {
    items: Vec<Item>,
    open: Option<(TextKind, BytesMut)>,
    calls: Vec<Call>,
    /// Index of the first call that may still wait for its result.
    waiting: usize,
    /// Ids in use.
    ids: HashSet<Bytes>,
}

/// The kind of the open text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextKind {
    Speech,
    Thought,
}

/// A call and whether it has a result.
#[derive(Debug)]
struct Call {
    /// The client's id for the call.
    client_id: Option<Text>,
    id: Text,
    name: Text,
    answered: bool,
}

impl History {
    /// The items.
    pub(super) fn finish(mut self) -> Vec<Item> {
        self.close();
        self.items
    }

    /// A message of the user.
    pub(super) fn user(&mut self, parts: Vec<Part>) {
        self.close();
        if !parts.is_empty() {
            self.push(ItemKind::message(Role::User, parts));
        }
    }

    /// Text of the model. Clients often send streamed text back in pieces.
    pub(super) fn speech(&mut self, text: &Text) {
        self.add(TextKind::Speech, text);
    }

    /// A summary of the model's thoughts.
    pub(super) fn thought(&mut self, text: &Text) {
        self.add(TextKind::Thought, text);
    }

    /// An image or file from the model.
    pub(super) fn shown(&mut self, part: Part) {
        self.close();
        match self.items.last_mut().map(|item| &mut item.kind) {
            Some(ItemKind::Message { role: Role::Assistant, parts, .. }) => parts.push(part),
            _ => self.push(ItemKind::message(Role::Assistant, vec![part])),
        }
    }

    /// The state of the preceding thoughts. A signature is on the first call or at the end, so the text directly before it came after the
    /// thoughts.
    pub(super) fn signature(&mut self, text: &Text) {
        self.close();
        let (made, state) = reasoning_state::read(text);
        let index = self.thought_index();
        match index.checked_sub(1).map(|at| &mut self.items[at].kind) {
            Some(ItemKind::Reasoning { encrypted: Some(known), .. }) if *known == state => {}
            Some(ItemKind::Reasoning { id, encrypted: encrypted @ None, .. }) => {
                *encrypted = Some(state);
                *id = made;
            }
            _ => {
                let (summary, text) = (Vec::new(), Vec::new());
                let kind = ItemKind::Reasoning { id: made, summary, text, encrypted: Some(state) };
                self.items.insert(index, Item::from(kind));
            }
        }
    }

    /// The index for a thought whose state arrives now: before the model's last message, unless a thought with other state is already
    /// there.
    fn thought_index(&self) -> usize {
        let end = self.items.len();
        let is_message = |item: &Item| matches!(item.kind, ItemKind::Message { role: Role::Assistant, .. });
        let signed = |item: &Item| matches!(item.kind, ItemKind::Reasoning { encrypted: Some(_), .. });
        match &self.items[..] {
            [.., before, last] if is_message(last) && signed(before) => end,
            [.., last] if is_message(last) => end - 1,
            _ => end,
        }
    }

    /// A call. A call without an id gets the same id each time this conversation is sent.
    pub(super) fn call(&mut self, client_id: Option<Text>, name: Text, input: Text) {
        self.close();
        let own = client_id.clone().filter(|id| !self.ids.contains(id.escaped()));
        let id = own.unwrap_or_else(|| self.made());
        self.ids.insert(id.escaped().clone());
        self.calls.push(Call { client_id, id: id.clone(), name: name.clone(), answered: false });
        self.push(ItemKind::Call { kind: CallKind::Function, id: None, call_id: id, name, namespace: None, input });
    }

    /// The result of a call: the call with this id, else the first open call with this name.
    pub(super) fn result(
        &mut self,
        (client_id, name): (Option<Text>, Option<Text>),
        (parts, failed): (Vec<Part>, bool),
    ) {
        self.close();
        // The writers repair a result without its call.
        let call_id = self.waiting(client_id.as_ref(), name.as_ref()).or(client_id).unwrap_or_else(|| {
            let made = self.made();
            self.ids.insert(made.escaped().clone());
            made
        });
        self.push(ItemKind::Output { kind: CallKind::Function, call_id, parts, failed });
    }

    fn waiting(&mut self, client_id: Option<&Text>, name: Option<&Text>) -> Option<Text> {
        while self.calls.get(self.waiting).is_some_and(|call| call.answered) {
            self.waiting += 1;
        }
        let open = self.calls.get_mut(self.waiting..).unwrap_or_default();
        let by_id =
            open.iter().position(|call| !call.answered && client_id.is_some() && call.client_id.as_ref() == client_id);
        let at = by_id.or_else(|| open.iter().position(|call| !call.answered && Some(&call.name) == name))?;
        open[at].answered = true;
        Some(open[at].id.clone())
    }

    fn made(&self) -> Text {
        let first = self.calls.len();
        let ids = (first..=first + self.ids.len()).map(|number| Text::from_plain(&format!("call_{number}")));
        let mut free = ids.filter(|id| !self.ids.contains(id.escaped()));
        free.next().expect("invariant: there are more candidates than ids in use")
    }

    fn add(&mut self, voice: TextKind, text: &Text) {
        if self.open.as_ref().is_some_and(|(open, _)| *open != voice) {
            self.close();
        }
        if !text.is_empty() {
            self.open.get_or_insert_with(|| (voice, BytesMut::new())).1.put_slice(text.escaped());
        }
    }

    /// Ends the open text.
    fn close(&mut self) {
        let Some((voice, text)) = self.open.take() else { return };
        let text = Text::from_escaped(text.freeze());
        if voice == TextKind::Thought {
            return self.push(ItemKind::Reasoning { id: None, summary: vec![text], text: Vec::new(), encrypted: None });
        }
        self.shown(Part::from(text));
    }

    fn push(&mut self, kind: ItemKind) {
        self.items.push(Item::from(kind));
    }
}
