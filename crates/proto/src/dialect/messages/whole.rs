//! A collected reply as a `message` body: the message that an SDK assembles from the stream. The stream is the upstream's own
//! frames if they came in this dialect, else ours.

mod assemble;

use bytes::{Bytes, BytesMut};

use self::assemble::Assembly;
use super::Writer;
use super::wire::Kind;
use crate::canon::{Event, Head, Open, What};
use crate::dialect::{Dialect, ReplySetting};
use crate::fold::Whole;
use crate::framing::sse::{self, Decoder};
use crate::json;

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let mut assembly = Assembly::default();
    let mut own = whole.frames_in(Dialect::Messages).peekable();
    if own.peek().is_none() {
        let mut frames = Vec::new();
        // The limit is too high for our own frames to exceed.
        let fits = Decoder::new(usize::MAX / 2).push(stream(whole, setting), &mut frames);
        debug_assert!(fits.is_ok());
        for frame in frames {
            read(&mut assembly, frame);
        }
    } else {
        for frame in own.cloned().filter_map(sse::parse) {
            read(&mut assembly, frame);
        }
    }
    assembly.message()
}

fn read(assembly: &mut Assembly, frame: sse::Frame) {
    let name = Kind::of(frame.event());
    if let Some(json) = json::readable(frame.data) {
        assembly.read(name, &json);
    }
}

/// The reply as a stream of this dialect.
fn stream(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let open = Open { id: whole.id.clone(), model: whole.model.clone(), created: whole.created };
    let items = (0..).zip(&whole.items).flat_map(|(at, item)| {
        let open = What::ItemOpen { at, head: Head::of(&item.kind) };
        let pieces = item.kind.pieces(at);
        [open].into_iter().chain(pieces).chain([What::ItemDone { at, item: item.clone() }])
    });
    let usage = whole.usage.map(What::Usage);
    let stop = whole.stop.clone().map(What::Stopped);
    let end = whole.finish.map(|finish| What::End { finish, response: None });
    let events = [What::Open(open)].into_iter().chain(items).chain(usage).chain(stop).chain(end);
    let mut writer = Writer::new(setting.clone());
    let mut out = BytesMut::new();
    events.for_each(|what| writer.push(&Event::new(what), &mut out));
    out.freeze()
}
