//! One database behind one face: bound statements in, rows out, on either engine.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Executor, Postgres, Row as _, Sqlite};

use crate::failpoint::{self, hit};
use crate::watch::Watch;

/// An open database.
#[derive(Clone)]
pub(crate) enum Db {
    /// A SQLite file.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that only read.
        readers: SqlitePool,
        /// Says whether anybody wrote.
        watch: Watch,
    },
    /// A PostgreSQL database.
    Postgres(PgPool),
}

/// A bound value.
#[derive(Clone, Debug)]
pub(crate) enum Arg<'a> {
    Text(Cow<'a, str>),
    MaybeText(Option<Cow<'a, str>>),
    Int(i64),
    MaybeInt(Option<i64>),
}

/// A statement and its values.
pub(crate) type Line<'a> = (&'static str, &'a [Arg<'a>]);

/// A row of an answer; columns are read by position.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Db {
    /// The rows of a question.
    pub(crate) async fn read(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        hit(failpoint::READ)?;
        match self {
            Self::Sqlite { readers, .. } => lite_rows(readers, sql, args).await,
            Self::Postgres(pool) => post_rows(pool, sql, args).await,
        }
    }

    /// A statement that changes rows and returns some, committed when this returns.
    pub(crate) async fn change(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => lite_rows(writer, sql, args).await,
            Self::Postgres(pool) => post_rows(pool, sql, args).await,
        }
    }

    /// A statement that changes rows, committed when this returns; how many.
    pub(crate) async fn write(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        Ok(match self {
            Self::Sqlite { writer, .. } => writer.execute(lite(sql, args)).await?.rows_affected(),
            Self::Postgres(pool) => pool.execute(post(sql, args)).await?.rows_affected(),
        })
    }

    /// One statement for many rows in one transaction: all or nothing.
    pub(crate) async fn write_all(&self, sql: &'static str, rows: &[Vec<Arg<'_>>]) -> Result<Vec<u64>, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        let mut done = Vec::with_capacity(rows.len());
        match self {
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                for row in rows {
                    done.push(transaction.execute(lite(sql, row)).await?.rows_affected());
                }
                hit(failpoint::USAGE_COMMIT)?;
                transaction.commit().await?;
            }
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                for row in rows {
                    done.push(transaction.execute(post(sql, row)).await?.rows_affected());
                }
                hit(failpoint::USAGE_COMMIT)?;
                transaction.commit().await?;
            }
        }
        Ok(done)
    }

    /// Two statements in one transaction, the second only where the first changed a row; how many the first did.
    pub(crate) async fn write_two(&self, first: Line<'_>, then: Line<'_>) -> Result<u64, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                let done = transaction.execute(lite(first.0, first.1)).await?.rows_affected();
                if done > 0 {
                    transaction.execute(lite(then.0, then.1)).await?;
                }
                transaction.commit().await?;
                Ok(done)
            }
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                let done = transaction.execute(post(first.0, first.1)).await?.rows_affected();
                if done > 0 {
                    transaction.execute(post(then.0, then.1)).await?;
                }
                transaction.commit().await?;
                Ok(done)
            }
        }
    }

    /// A number that differs from the last call's when something was committed since.
    pub(crate) async fn generation(&self) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite { watch, .. } => watch.version().await,
            Self::Postgres(pool) => {
                pool.fetch_one("SELECT number FROM generation WHERE only_row = 1").await?.try_get(0)
            }
        }
    }

    /// Waits for what runs and closes. The writer goes last, so that it can fold the WAL into the file.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, watch } => {
                readers.close().await;
                watch.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

async fn lite_rows(pool: &SqlitePool, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
    Ok(pool.fetch_all(lite(sql, args)).await?.into_iter().map(Row::Sqlite).collect())
}

async fn post_rows(pool: &PgPool, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
    Ok(pool.fetch_all(post(sql, args)).await?.into_iter().map(Row::Postgres).collect())
}

/// A statement bound for SQLite.
pub(crate) fn lite(sql: &'static str, args: &[Arg<'_>]) -> Query<'static, Sqlite, SqliteArguments> {
    args.iter().fold(sqlx::query(sql), |query, arg| match arg {
        Arg::Text(text) => query.bind(clean(text)),
        Arg::MaybeText(text) => query.bind(text.as_deref().map(clean)),
        Arg::Int(number) => query.bind(*number),
        Arg::MaybeInt(number) => query.bind(*number),
    })
}

/// A statement bound for PostgreSQL.
pub(crate) fn post(sql: &'static str, args: &[Arg<'_>]) -> Query<'static, Postgres, PgArguments> {
    args.iter().fold(sqlx::query(sql), |query, arg| match arg {
        Arg::Text(text) => query.bind(clean(text)),
        Arg::MaybeText(text) => query.bind(text.as_deref().map(clean)),
        Arg::Int(number) => query.bind(*number),
        Arg::MaybeInt(number) => query.bind(*number),
    })
}

/// PostgreSQL takes no NUL in text, and a claim or model name may hold one.
fn clean(text: &str) -> String {
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

impl Row {
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
    ($($value:expr),* $(,)?) => { [$($crate::db::Arg::from($value)),*] };
}
pub(crate) use args;
