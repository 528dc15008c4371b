//! One database behind one face: bound statements in, rows out, on either engine.

use std::time::Duration;

use sqlx::Executor;
use sqlx::sqlite::SqlitePool;

use crate::failpoint::{self, hit};
use crate::remote::{MANY, ONE, Remote, Work};
use crate::statement::{Arg, Line, Row, json, lite};
use crate::watch::Watch;

/// An open database. A SQLite file is on a disk of ours, and waits for other writers as long as its busy timeout; PostgreSQL is
/// elsewhere, and every wait for it has a bound.
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
    Postgres(Remote),
}

/// A statement that adds the rows of one JSON text, which the two databases read differently.
pub(crate) struct Bulk {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Db {
    /// The rows of a question.
    pub(crate) async fn read(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        self.ask((sql, args), MANY).await
    }

    /// The one row of a question at most.
    pub(crate) async fn find(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.ask((sql, args), ONE).await?.into_iter().next())
    }

    async fn ask(&self, line: Line<'_>, bound: Duration) -> Result<Vec<Row>, sqlx::Error> {
        hit(failpoint::READ)?;
        match self {
            Self::Sqlite { readers, .. } => lite_rows(readers, line.0, line.1).await,
            Self::Postgres(remote) => remote.rows(line, bound).await,
        }
    }

    /// A statement that changes rows and returns some, committed when this returns.
    pub(crate) async fn change(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => lite_rows(writer, sql, args).await,
            Self::Postgres(remote) => remote.rows((sql, args), ONE).await,
        }
    }

    /// A statement that changes rows, committed when this returns; how many.
    pub(crate) async fn write(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        Ok(match self {
            Self::Sqlite { writer, .. } => writer.execute(lite(sql, args)).await?.rows_affected(),
            Self::Postgres(remote) => remote.counts(Work::Change((sql, args)), ONE).await?.iter().sum(),
        })
    }

    /// One statement for many rows in one transaction: all or nothing.
    pub(crate) async fn write_all(&self, sql: &'static str, rows: &[Vec<Arg<'_>>]) -> Result<Vec<u64>, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => {
                let mut done = Vec::with_capacity(rows.len());
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                for row in rows {
                    done.push(transaction.execute(lite(sql, row)).await?.rows_affected());
                }
                hit(failpoint::USAGE_COMMIT)?;
                transaction.commit().await?;
                Ok(done)
            }
            Self::Postgres(remote) => remote.counts(Work::All(sql, rows), MANY).await,
        }
    }

    /// Rows that are added, all or nothing, as one JSON text: an array of arrays.
    pub(crate) async fn write_bulk(&self, statement: &Bulk, rows: &[Vec<Arg<'_>>]) -> Result<(), sqlx::Error> {
        let text = [Arg::from(json(rows))];
        match self {
            Self::Sqlite { .. } => self.write_all(statement.sqlite, &[text.to_vec()]).await.map(|_| ()),
            Self::Postgres(remote) => {
                hit(failpoint::STATEMENT)?;
                remote.counts(Work::Change((statement.postgres, &text)), MANY).await.map(|_| ())
            }
        }
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
            Self::Postgres(remote) => Ok(remote.counts(Work::Two(first, then), ONE).await?.iter().sum()),
        }
    }

    /// A number that differs from the last call's when something was committed since; with SQLite by another connection than ours.
    pub(crate) async fn generation(&self) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite { watch, .. } => watch.version().await,
            Self::Postgres(remote) => {
                let rows = remote.rows(("SELECT number FROM generation WHERE only_row = 1", &[]), ONE).await?;
                rows.first().ok_or(sqlx::Error::RowNotFound)?.int(0)
            }
        }
    }

    /// Waits for what runs and closes. The writer goes last, so that it can fold the WAL into the file.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(remote) => remote.close().await,
        }
    }
}

async fn lite_rows(pool: &SqlitePool, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
    Ok(pool.fetch_all(lite(sql, args)).await?.into_iter().map(Row::Sqlite).collect())
}
