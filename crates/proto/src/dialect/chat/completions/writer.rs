//! Turns events into streamed `text_completion` objects.

use bytes::{BufMut, BytesMut};

use super::{choice, head};
use crate::canon::{Channel, Event, Finish, Usage, What};
use crate::dialect::ReplySetting;
use crate::dialect::chat::encode;
use crate::json::emit;
use crate::text::Text;

/// Turns events into bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    model: Option<Text>,
    created: u64,
    usage: Option<Usage>,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        let created = setting.created;
        Self { setting, model: None, created, usage: None }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match &event.what {
            What::Open(open) => {
                self.model.clone_from(&open.model);
                self.created = self.setting.shown_time(open.created);
            }
            What::Delta { channel: Channel::Text | Channel::Refusal, data, .. } => {
                self.piece(data.escaped(), None, out);
            }
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => encode::failure(out, failure),
            _ => {}
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

    fn finish(&self, finish: Finish, out: &mut BytesMut) {
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
    }
}
