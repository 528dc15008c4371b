//! Events to streamed `text_completion` objects.

use bytes::{BufMut, BytesMut};

use super::{choice, head};
use crate::canon::{Channel, Event, Finish, Usage, What};
use crate::dialect::chat::encode;
use crate::dialect::{ReplySetting, openai_error};
use crate::failure::{Failure, Kind};
use crate::json::emit;
use crate::text::Text;

/// Events to bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    model: Option<Text>,
    created: u64,
    usage: Option<Usage>,
    done: bool,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        let created = setting.created;
        Self { setting, model: None, created, usage: None, done: false }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if self.done {
            return;
        }
        match &event.what {
            What::Open(open) => {
                self.model.clone_from(&open.model);
                self.created = if open.created > 0 { open.created } else { self.created };
            }
            What::Delta { channel: Channel::Text | Channel::Refusal, data, .. } => {
                self.piece(data.escaped(), None, out);
            }
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => self.fail(failure, out),
            _ => {}
        }
    }

    #[expect(clippy::unused_self, reason = "the verb is the same in every dialect")]
    pub(in crate::dialect) fn heartbeat(&self, out: &mut BytesMut) {
        out.put_slice(b": keepalive\n\n");
    }

    pub(in crate::dialect) fn end(mut self, out: &mut BytesMut) {
        if !self.done {
            let failure = Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut");
            self.fail(&failure, out);
        }
    }

    fn piece(&self, text: &[u8], finish: Option<&str>, out: &mut BytesMut) {
        out.put_slice(b"data: ");
        emit::object(out, |writer| {
            head(writer, &self.setting, (self.model.as_ref(), self.created));
            writer.array("choices", [()], |out, ()| emit::object(out, |writer| choice(writer, text, finish)));
            if self.setting.reply.include_usage {
                writer.literal("usage", "null");
            }
        });
        out.put_slice(b"\n\n");
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.piece(b"", Some(encode::reason(finish, false, false)), out);
        if let Some(usage) = self.usage.filter(|_| self.setting.reply.include_usage) {
            out.put_slice(b"data: ");
            emit::object(out, |writer| {
                head(writer, &self.setting, (self.model.as_ref(), self.created));
                writer.literal("choices", "[]");
                writer.object("usage", |writer| encode::usage(writer, &usage));
            });
            out.put_slice(b"\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
        self.done = true;
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        let (_, body) = openai_error::write(failure);
        out.put_slice(b"data: ");
        out.put_slice(&body);
        out.put_slice(b"\n\n");
        self.done = true;
    }
}
