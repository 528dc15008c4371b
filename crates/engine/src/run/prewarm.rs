//! A request that only announces its conversation (`generate: false`): answered here, at once and with nothing. What it said stays
//! known to its connection, so that the request proper need not say it again.

use std::sync::Arc;

use bytes::BytesMut;
use proto::canon::{Finish, Open, Usage};
use proto::dialect::Setting;
use proto::{Event, Failure, Fold, Json, Text, What, Writer};
use uuid::Uuid;

use super::attempt::instead;
use crate::call::Call;
use crate::conversation::Conversation;
use crate::core::Core;
use crate::reply::{Head, Refusal, Reply, Whole};
use crate::stored::{Keep, recall};
use crate::stream::Stream;

/// Answers.
pub(super) fn run(core: &Arc<Core>, mut call: Call) -> Result<Reply, Refusal> {
    match prepare(core, &mut call) {
        Ok((setting, keep)) => Ok(reply(call, &setting, keep)),
        Err(failure) => {
            let head = Head { notes: call.notes, ..Head::default() };
            Err(Refusal { failure, head: Box::new(head) })
        }
    }
}

fn prepare(core: &Arc<Core>, call: &mut Call) -> Result<(Setting, Option<Box<Keep>>), Failure> {
    let mut keep = recall(core, call)?;
    let asked = call.request.model.as_deref();
    let resolved = core.accounts.catalog().resolve(asked, &core.settings.names);
    let model = resolved.or_else(|failure| instead(core, asked).ok_or(failure))?.model.slug;
    if let Some(keep) = &mut keep {
        keep.belongs(Conversation::of(call, &model).id);
    }
    let setting = Setting {
        id: format!("resp_{}", Uuid::new_v4().simple()),
        model,
        created: u64::try_from(core.now().seconds()).unwrap_or(0),
        reply: call.request.reply.clone(),
        codex: call.client.codex,
        stored: keep.as_ref().map(|keep| keep.marks()).unwrap_or_default(),
    };
    Ok((setting, keep))
}

fn reply(call: Call, setting: &Setting, keep: Option<Box<Keep>>) -> Reply {
    let head = Head { model: setting.model.clone(), notes: call.notes, ..Head::default() };
    let open = Open { id: Text::from(setting.id.as_str()), model: None, created: setting.created };
    let end = What::End { finish: Finish::Stop, response: None };
    let events = [What::Open(open), What::Usage(Usage::default()), end].map(Event::new);
    if !call.request.reply.stream {
        let mut fold = Fold::new();
        for event in &events {
            fold.push(event);
        }
        let body = call.dialect.whole(&fold.finish(), setting);
        over(keep, setting.stored.keep(&Json::from_valid(body.clone())).as_ref());
        return Reply::Whole(Whole { head, body });
    }
    let (mut writer, mut out) = (Writer::new(call.dialect, setting.clone()), BytesMut::new());
    for event in &events {
        writer.push(event, &mut out);
    }
    over(keep, writer.response());
    writer.end(&mut out);
    Reply::Stream(Stream::said(head, out.freeze()))
}

fn over(keep: Option<Box<Keep>>, response: Option<&Json>) {
    if let Some(keep) = keep {
        keep.over(response);
    }
}
