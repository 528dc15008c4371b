//! Conversion between usage rows and columns.

use std::borrow::Cow;

use pool::{AccountId, Millis};

use super::{Outcome, TokenUsage, UsageRow};
use crate::statement::{Arg, DbRow, args};

/// Protocols whose names need no allocation.
const DIALECTS: [&str; 5] = ["responses", "chat", "messages", "gemini", "ollama"];

/// The values of a row, in the order of the statement.
pub(super) fn write(row: &UsageRow) -> Vec<Arg<'_>> {
    args![
        row.id.to_string(),
        row.at,
        &row.key,
        row.account.as_ref().map(|id| id.0.as_str()),
        row.dialect.as_ref(),
        &row.model,
        i64::from(row.status),
        outcome(row.outcome),
        int(row.tokens.input),
        int(row.tokens.cached),
        int(row.tokens.output),
        int(row.tokens.reasoning),
        row.tokens.estimated,
        i64::from(row.attempts),
        row.ttft_ms.map(|span| Millis(int(span))),
        int(row.duration_ms),
        row.stream,
        &row.notes,
        row.request_id.as_ref(),
    ]
    .to_vec()
}

/// Reads a row in the order of the statement.
pub(super) fn read(row: &DbRow) -> Result<UsageRow, sqlx::Error> {
    let number = |at| row.int(at).map(|value| u64::try_from(value).unwrap_or(0));
    Ok(UsageRow {
        id: row.text(0)?.parse().unwrap_or_default(),
        at: Millis(row.int(1)?),
        key: row.text(2)?,
        account: row.maybe_text(3)?.map(AccountId),
        dialect: dialect(row.text(4)?),
        model: row.text(5)?,
        status: u16::try_from(row.int(6)?).unwrap_or(0),
        outcome: read_outcome(&row.text(7)?),
        tokens: TokenUsage {
            input: number(8)?,
            cached: number(9)?,
            output: number(10)?,
            reasoning: number(11)?,
            estimated: row.int(12)? != 0,
        },
        attempts: u32::try_from(row.int(13)?).unwrap_or(u32::MAX),
        ttft_ms: row.maybe_int(14)?.map(|span| u64::try_from(span).unwrap_or(0)),
        duration_ms: number(15)?,
        stream: row.int(16)? != 0,
        notes: row.text(17)?,
        request_id: row.text(18)?.into(),
    })
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn dialect(name: String) -> Cow<'static, str> {
    DIALECTS.into_iter().find(|known| *known == name).map_or(Cow::Owned(name), Cow::Borrowed)
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::Aborted => "aborted",
    }
}

fn read_outcome(name: &str) -> Outcome {
    match name {
        "completed" => Outcome::Completed,
        "aborted" => Outcome::Aborted,
        _ => Outcome::Failed,
    }
}
