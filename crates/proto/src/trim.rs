//! `max_tokens` and stop sequences for upstreams that have no such fields: a filter between reader and writer.
//!
//! What counts is the visible text: message text and refusals. Reasoning and the arguments of calls are not counted and not
//! searched. Text passes untouched as long as no limit can be in it; what may turn out to be the beginning of a stop
//! sequence, or of the first token too many, waits in the [`HeldQueue`] with whatever comes behind it, so that the order
//! stays.

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
use crate::canon::{Channel, Event, Finish, Item, ItemKind, Limits, Part, Usage, What};
use crate::fold::ItemDraft;
use crate::text::Text;
use crate::tokens;

/// The filter of one reply.
#[derive(Debug)]
pub struct Trim {
    judge: LimitChecker,
    /// Text and events that wait, in their order.
    line: HeldQueue,
    /// The part that visible text is coming in for.
    segment: Option<Segment>,
    /// The open messages as far as they were delivered.
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
    place: PartKey,
    /// The first half of a character that was cut between two deltas, escaped.
    half: Bytes,
}

/// Output index, part index, channel.
type PartKey = (u32, u32, Channel);

/// Whether the reply goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More may come.
    Continue,
    /// A limit was reached: the terminal event is in `out`, the upstream can be cancelled.
    Done,
}

impl Trim {
    /// A filter for these limits; `None` when there is nothing to watch.
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

    /// Sets the input tokens to report when the reply is cut; nobody else will tell.
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
                let place = (*at, *part, *channel);
                self.text(event, place, out);
            }
            What::ItemDone { at, item } if self.concerns(*at, item) => self.item(event, out),
            What::End { .. } | What::Fail(_) => {
                self.settle(out);
                if !self.done {
                    self.deliver(event, out);
                }
            }
            // These are for the engine, not for the client: they have no place in the order.
            What::Limits(_) | What::Metadata(_) | What::Usage(_) | What::Note(_) => self.deliver(event, out),
            _ if self.line.is_empty() => self.deliver(event, out),
            _ => self.line.event(event),
        }
        if self.done { Verdict::Done } else { Verdict::Continue }
    }

    /// Whether the end of this item decides about text.
    fn concerns(&self, at: u32, item: &Item) -> bool {
        let speaks = matches!(item.kind, ItemKind::Message { .. });
        speaks || self.segment.as_ref().is_some_and(|segment| segment.place.0 == at)
    }

    /// A piece of visible text.
    fn text(&mut self, event: Event, place: PartKey, out: &mut Vec<Event>) {
        if self.segment.as_ref().is_some_and(|segment| segment.place != place) {
            self.settle(out);
        }
        if self.done {
            return;
        }
        let What::Delta { data, .. } = &event.what else { return };
        let segment = self.segment.get_or_insert_with(|| Segment { place, half: Bytes::new() });
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

    /// The text of the segment is complete: all that waits is decided now.
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

    /// Delivers what a ruling grants, and the end when it says so.
    fn rule(&mut self, ruling: &Ruling, out: &mut Vec<Event>) {
        let Some((at, part, channel)) = self.segment.as_ref().map(|segment| segment.place) else { return };
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

    /// An item is whole. Text of it that no delta brought is judged here.
    fn item(&mut self, event: Event, out: &mut Vec<Event>) {
        self.settle(out);
        let What::ItemDone { at, item } = &event.what else { return };
        if self.done {
            return;
        }
        let slot = self.take_open(*at);
        let Some((item, hit)) = self.shorten(item, slot.as_ref()) else {
            return self.deliver(event, out);
        };
        out.push(Event::new(What::ItemDone { at: *at, item }));
        self.end(&hit, out);
    }

    /// The item cut at the limit that its undelivered text reaches; `None` when it reaches none.
    fn shorten(&mut self, item: &Item, slot: Option<&ItemDraft>) -> Option<(Item, Hit)> {
        let ItemKind::Message { id, role, parts, phase } = &item.kind else { return None };
        let heard = |part, channel| slot.is_some_and(|slot| slot.has_text(part, channel));
        for (index, part) in parts.iter().enumerate() {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let text = match part {
                Part::Text { text, .. } if !heard(number, Channel::Text) => text,
                Part::Refusal(text) if !heard(number, Channel::Refusal) => text,
                _ => continue,
            };
            let plain = text.plain();
            let (kept, end) = self.judge.whole(&plain);
            self.shown += kept as u64;
            let Some(hit) = end else { continue };
            let mut parts = parts[..=index].to_vec();
            parts[index] = shortened(part, &plain[..kept]);
            let kind = ItemKind::Message { id: id.clone(), role: role.clone(), parts, phase: phase.clone() };
            return Some((Item { kind, raw: None }, hit));
        }
        None
    }

    /// The reply ends here: usage by our own count, and the terminal event.
    fn end(&mut self, hit: &Hit, out: &mut Vec<Event>) {
        self.done = true;
        self.line.clear();
        if !self.metered {
            let output = self.judge.counted().unwrap_or_else(|| tokens::estimate(self.shown));
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
            What::ItemOpen { at, head } => self.slot(*at).open(head),
            What::Delta { at, part, channel: channel @ (Channel::Text | Channel::Refusal), data } => {
                self.shown += data.plain().len() as u64;
                self.slot(*at).delta(*part, *channel, data);
            }
            What::Annotation { at, part, data } => self.slot(*at).annotation(*part, data),
            What::ItemDone { at, .. } => drop(self.take_open(*at)),
            What::Usage(_) => self.metered = true,
            _ => {}
        }
        out.push(event);
    }

    fn slot(&mut self, at: u32) -> &mut ItemDraft {
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

/// The part with another text. Citations would point behind its end, so they go.
fn shortened(part: &Part, plain: &str) -> Part {
    let text = Text::from_plain(plain);
    if matches!(part, Part::Refusal(_)) { Part::Refusal(text) } else { Part::Text { text, annotations: None } }
}
