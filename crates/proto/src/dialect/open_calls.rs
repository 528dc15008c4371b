//! Calls in progress, for protocols that send each call as a whole.

use crate::canon::{CallKind, Channel, Finish, Head, Item, ItemKind};
use crate::fold::{ItemDraft, Whole};
use crate::json::{self, Shape};
use crate::text::Text;

/// The calls of a reply that are not written yet because their arguments are incomplete or not an object.
#[derive(Debug, Default)]
pub(super) struct OpenCalls(Vec<(u32, ItemDraft)>);

impl OpenCalls {
    /// A call begins.
    pub(super) fn open(&mut self, at: u32, head: &Head) {
        self.draft(at).open(head);
    }

    /// A piece of arguments.
    pub(super) fn delta(&mut self, at: u32, part: u32, data: &Text) {
        self.draft(at).delta(part, Channel::Arguments, data);
    }

    /// A call is complete. `true` if it is to be written now; otherwise it waits for the end of the reply.
    pub(super) fn done(&mut self, at: u32, item: &Item) -> bool {
        let ready = is_complete(&item.kind);
        if ready {
            self.0.retain(|(open, _)| *open != at);
        } else {
            self.draft(at).done(item);
        }
        ready
    }

    /// The calls that remain when the reply ends, without those whose arguments were cut off: such a call must not run.
    pub(super) fn rest(&mut self, finish: Finish) -> Vec<ItemKind> {
        let items = std::mem::take(&mut self.0).into_iter().filter_map(|(_, draft)| draft.item());
        items.map(|item| item.kind).filter(|kind| finish.is_whole() || is_complete(kind)).collect()
    }

    fn draft(&mut self, at: u32) -> &mut ItemDraft {
        let found = self.0.iter().position(|(open, _)| *open == at);
        let index = found.unwrap_or_else(|| {
            self.0.push((at, ItemDraft::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}

/// The items of a collected reply, without calls whose arguments were cut off.
pub(super) fn complete(whole: &Whole) -> impl Iterator<Item = &Item> {
    let all = whole.finish.is_none_or(Finish::is_whole);
    whole.items.iter().filter(move |item| all || is_complete(&item.kind))
}

/// `false` for a function call whose arguments are not an object; `true` for every other item.
fn is_complete(kind: &ItemKind) -> bool {
    let ItemKind::Call { kind: CallKind::Function, input, .. } = kind else { return true };
    let object = || json::readable(input.plain().into_owned().into()).filter(|json| json.shape() == Shape::Object);
    input.is_empty() || object().is_some()
}
