//! A statement with its bound values, and the rows that it returns, on either engine.

use std::borrow::Cow;

use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Postgres, Row as _, Sqlite};

/// A bound value.
#[derive(Clone, Debug)]
pub(crate) enum Arg<'a> {
    Text(Cow<'a, str>),
    MaybeText(Option<Cow<'a, str>>),
    Int(i64),
    MaybeInt(Option<i64>),
}

/// A statement and its values.
pub(crate) type BoundStatement<'a> = (&'static str, &'a [Arg<'a>]);

/// A row of a result; columns are read by position.
pub(crate) enum DbRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Binds a statement for SQLite.
pub(crate) fn sqlite_query(sql: &'static str, args: &[Arg<'_>]) -> Query<'static, Sqlite, SqliteArguments> {
    args.iter().fold(sqlx::query(sql), |query, arg| match arg {
        Arg::Text(text) => query.bind(without_nul(text)),
        Arg::MaybeText(text) => query.bind(text.as_deref().map(without_nul)),
        Arg::Int(number) => query.bind(*number),
        Arg::MaybeInt(number) => query.bind(*number),
    })
}

/// Binds a statement for PostgreSQL.
pub(crate) fn postgres_query(sql: &'static str, args: &[Arg<'_>]) -> Query<'static, Postgres, PgArguments> {
    args.iter().fold(sqlx::query(sql), |query, arg| match arg {
        Arg::Text(text) => query.bind(without_nul(text)),
        Arg::MaybeText(text) => query.bind(text.as_deref().map(without_nul)),
        Arg::Int(number) => query.bind(*number),
        Arg::MaybeInt(number) => query.bind(*number),
    })
}

/// Rows as one JSON text: an array of arrays.
pub(crate) fn json_rows(rows: &[Vec<Arg<'_>>]) -> String {
    let value = |arg: &Arg<'_>| match arg {
        Arg::Text(text) => Value::from(without_nul(text)),
        Arg::MaybeText(text) => text.as_deref().map(without_nul).into(),
        Arg::Int(number) => Value::from(*number),
        Arg::MaybeInt(number) => Value::from(*number),
    };
    let rows: Vec<Value> = rows.iter().map(|row| row.iter().map(value).collect()).collect();
    Value::from(rows).to_string()
}

/// Replaces NUL, which PostgreSQL rejects in text; a claim or model name may contain NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

macro_rules! columns {
    ($($name:ident -> $type:ty)*) => {
        $(pub(crate) fn $name(&self, at: usize) -> Result<$type, sqlx::Error> {
            match self {
                Self::Sqlite(row) => row.try_get(at),
                Self::Postgres(row) => row.try_get(at),
            }
        })*
    };
}

impl DbRow {
    columns! {
        text -> String
        maybe_text -> Option<String>
        int -> i64
        maybe_int -> Option<i64>
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Option<String>> for Arg<'_> {
    fn from(text: Option<String>) -> Self {
        Self::MaybeText(text.map(Cow::Owned))
    }
}

impl<'a> From<Option<&'a str>> for Arg<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::MaybeText(text.map(Cow::Borrowed))
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Arg<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl From<pool::Millis> for Arg<'_> {
    fn from(time: pool::Millis) -> Self {
        Self::Int(time.0)
    }
}

impl From<Option<pool::Millis>> for Arg<'_> {
    fn from(time: Option<pool::Millis>) -> Self {
        Self::MaybeInt(time.map(|time| time.0))
    }
}

/// Bound values, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { [$($crate::statement::Arg::from($value)),*] };
}
pub(crate) use args;
