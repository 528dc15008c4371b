//! `max_tokens` and stop sequences for upstreams that have no such fields: a filter between reader and writer.
//!
//! Only visible text counts: message text and refusals. Reasoning and the arguments of calls are neither counted nor searched. Text passes
//! untouched as long as no limit can be in it; text that may be the beginning of a stop sequence, or of the first token too many, waits in
//! the [`HeldQueue`] with all later events, so that the order does not change.

mod budget;
mod half;
mod held;
mod limit_checker;
mod stops;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::held::HeldQueue;
use self::limit_checker::{Hit, LimitChecker, Ruling};
use crate::canon::{Channel, Event, Finish, Item, ItemKind, Limits, PartKey, Usage, What};
use crate::fold::ItemDraft;
use crate::text::Text;
use crate::tokens;

/// The filter of one reply.
#[derive(Debug)]
pub struct Trim {
    judge: LimitChecker,
    /// Waiting text and events, in their order.
    line: HeldQueue,
    /// The part whose visible text is arriving.
    segment: Option<Segment>,
    /// The delivered content of the open messages.
    open: Vec<(u32, ItemDraft)>,
    /// Bytes of visible text that were delivered.
    shown: u64,
    /// Input tokens to report when the reply is cut.
    input: u64,
    /// Whether the upstream reported its usage.
    metered: bool,
    done: bool,
}

/// One part of a message while its text comes in.
#[derive(Debug)]
struct Segment {
    part: PartKey,
    /// The first half of a character that was cut between two deltas, escaped.
    half: Bytes,
}

/// Whether the reply continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More may come.
    Continue,
    /// A limit was reached: the terminal event is in `out`, the upstream can be cancelled.
    Done,
}

impl Trim {
    /// A filter for these limits; `None` when there are no limits.
    pub fn new(limits: &Limits) -> Option<Self> {
        let judge = LimitChecker::new(limits)?;
        Some(Self {
            judge,
            line: HeldQueue::default(),
            segment: None,
            open: Vec::new(),
            shown: 0,
            input: 0,
            metered: false,
            done: false,
        })
    }

    /// Sets the input tokens to report when the reply is cut; the upstream's own count does not come then.
    #[must_use]
    pub fn with_input(mut self, tokens: u64) -> Self {
        self.input = tokens;
        self
    }

    /// Passes `event` on to `out`, cut or held back where a limit asks for it. After `Done` nothing more passes.
    pub fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Verdict {
        if self.done {
            return Verdict::Done;
        }
        match &event.what {
            What::Delta { at, part, channel: channel @ (Channel::Text | Channel::Refusal), .. } => {
                let part = PartKey { at: *at, part: *part, channel: *channel };
                self.text(event, part, out);
            }
            What::ItemDone { at, item } if self.concerns(*at, item) => self.item(event, out),
            What::End { .. } | What::Fail(_) => {
                self.settle(out);
                if !self.done {
                    self.deliver(event, out);
                }
            }
            // These events are for the engine, not for the client: their order does not matter.
            What::Limits(_) | What::Metadata(_) | What::Usage(_) | What::Note(_) => self.deliver(event, out),
            _ if self.line.is_empty() => self.deliver(event, out),
            _ => self.line.event(event),
        }
        if self.done { Verdict::Done } else { Verdict::Continue }
    }

    /// Whether the end of this item decides about waiting text.
    fn concerns(&self, at: u32, item: &Item) -> bool {
        let speaks = matches!(item.kind, ItemKind::Message { .. });
        speaks || self.segment.as_ref().is_some_and(|segment| segment.part.at == at)
    }

    /// A piece of visible text.
    fn text(&mut self, event: Event, part: PartKey, out: &mut Vec<Event>) {
        if self.segment.as_ref().is_some_and(|segment| segment.part != part) {
            self.settle(out);
        }
        if self.done {
            return;
        }
        let What::Delta { data, .. } = &event.what else { return };
        let segment = self.segment.get_or_insert_with(|| Segment { part, half: Bytes::new() });
        let whole = segment.half.is_empty();
        let data = half::join(&mut segment.half, data);
        let whole = whole && segment.half.is_empty();
        let plain = data.plain();
        let ruling = self.judge.feed(&plain);
        if whole && self.line.is_empty() && ruling.grant == plain.len() && ruling.end.is_none() {
            return self.deliver(event, out);
        }
        self.line.text(&plain);
        self.rule(&ruling, out);
    }

    /// The text of the segment is complete: decides about all waiting text.
    fn settle(&mut self, out: &mut Vec<Event>) {
        let Some(segment) = &mut self.segment else { return };
        let rest = Text::from_escaped(std::mem::take(&mut segment.half));
        if !rest.is_empty() {
            let plain = rest.plain();
            let ruling = self.judge.feed(&plain);
            self.line.text(&plain);
            self.rule(&ruling, out);
        }
        if !self.done {
            let ruling = self.judge.close();
            self.rule(&ruling, out);
            self.segment = None;
        }
    }

    /// Delivers the granted text, and the end if the ruling has one.
    fn rule(&mut self, ruling: &Ruling, out: &mut Vec<Event>) {
        let Some(PartKey { at, part, channel }) = self.segment.as_ref().map(|segment| segment.part) else { return };
        for what in self.line.release(ruling.grant) {
            let event = match what {
                held::Held::Event(event) => *event,
                held::Held::Text(plain) => {
                    Event::new(What::Delta { at, part, channel, data: Text::from_plain(&plain) })
                }
            };
            self.deliver(event, out);
        }
        if let Some(hit) = &ruling.end {
            let item = self.take_open(at).and_then(ItemDraft::item);
            if let Some(item) = item {
                out.push(Event::new(What::ItemDone { at, item }));
            }
            self.end(hit, out);
        }
    }

    /// Completes an item: decides about its waiting text.
    fn item(&mut self, event: Event, out: &mut Vec<Event>) {
        self.settle(out);
        if !self.done {
            self.deliver(event, out);
        }
    }

    /// Ends the reply here: the gateway's own usage count, and the terminal event.
    fn end(&mut self, hit: &Hit, out: &mut Vec<Event>) {
        self.done = true;
        self.line.clear();
        if !self.metered {
            let output = self.judge.delivered_tokens().unwrap_or_else(|| tokens::estimate(self.shown));
            let usage = Usage { input: self.input, output, estimated: true, ..Usage::default() };
            out.push(Event::new(What::Usage(usage)));
        }
        let finish = match hit {
            Hit::Length => Finish::Length,
            Hit::Stop(sequence) => {
                out.push(Event::new(What::Stopped(Text::from_plain(sequence))));
                Finish::Stop
            }
        };
        out.push(Event::new(What::End { finish, response: None }));
    }

    fn deliver(&mut self, event: Event, out: &mut Vec<Event>) {
        match &event.what {
            What::ItemOpen { at, head } => self.draft(*at).open(head),
            What::Delta { at, part, channel: channel @ (Channel::Text | Channel::Refusal), data } => {
                self.shown += data.plain().len() as u64;
                self.draft(*at).delta(*part, *channel, data);
            }
            What::Annotation { at, part, data } => self.draft(*at).annotation(*part, data),
            What::ItemDone { at, .. } => drop(self.take_open(*at)),
            What::Usage(_) => self.metered = true,
            _ => {}
        }
        out.push(event);
    }

    fn draft(&mut self, at: u32) -> &mut ItemDraft {
        let index = self.open.iter().position(|(open, _)| *open == at).unwrap_or_else(|| {
            self.open.push((at, ItemDraft::brief()));
            self.open.len() - 1
        });
        &mut self.open[index].1
    }

    fn take_open(&mut self, at: u32) -> Option<ItemDraft> {
        let index = self.open.iter().position(|(open, _)| *open == at)?;
        Some(self.open.swap_remove(index).1)
    }
}
