//! One interface to both database engines: bound statements in, rows out.

use std::time::Duration;

use sqlx::Executor;
use sqlx::sqlite::SqlitePool;

use crate::failpoint::{self, hit};
use crate::remote::{MANY, ONE, Operation, PostgresPool};
use crate::statement::{Arg, BoundStatement, DbRow, json_rows, sqlite_query};
use crate::watch::FileWatch;

/// An open database. SQLite is a local file and waits for other writers up to its busy timeout. PostgreSQL is remote, and every wait
/// for it has a timeout.
#[derive(Clone)]
pub(crate) enum Db {
    /// A SQLite file.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that only read.
        readers: SqlitePool,
        /// Detects writes by other connections.
        watch: FileWatch,
    },
    /// A PostgreSQL database.
    Postgres(PostgresPool),
}

/// A statement that adds the rows of one JSON text, in the syntax of each database.
pub(crate) struct BulkInsert {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Db {
    /// The rows of a query.
    pub(crate) async fn read(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<DbRow>, sqlx::Error> {
        self.query((sql, args), MANY).await
    }

    /// The first row of a query.
    pub(crate) async fn read_one(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Option<DbRow>, sqlx::Error> {
        Ok(self.query((sql, args), ONE).await?.into_iter().next())
    }

    async fn query(&self, line: BoundStatement<'_>, bound: Duration) -> Result<Vec<DbRow>, sqlx::Error> {
        hit(failpoint::READ)?;
        match self {
            Self::Sqlite { readers, .. } => sqlite_rows(readers, line.0, line.1).await,
            Self::Postgres(remote) => remote.rows(line, bound).await,
        }
    }

    /// Runs and commits a statement that changes rows and returns some.
    pub(crate) async fn write_returning(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<DbRow>, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => sqlite_rows(writer, sql, args).await,
            Self::Postgres(remote) => remote.rows((sql, args), ONE).await,
        }
    }

    /// Runs and commits a statement that changes rows; returns how many rows changed.
    pub(crate) async fn write(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        Ok(match self {
            Self::Sqlite { writer, .. } => writer.execute(sqlite_query(sql, args)).await?.rows_affected(),
            Self::Postgres(remote) => remote.counts(Operation::Change((sql, args)), ONE).await?.iter().sum(),
        })
    }

    /// Runs one statement for many rows in one transaction: all or nothing.
    pub(crate) async fn write_all(&self, sql: &'static str, rows: &[Vec<Arg<'_>>]) -> Result<Vec<u64>, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => {
                let mut done = Vec::with_capacity(rows.len());
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                for row in rows {
                    done.push(transaction.execute(sqlite_query(sql, row)).await?.rows_affected());
                }
                hit(failpoint::USAGE_COMMIT)?;
                transaction.commit().await?;
                Ok(done)
            }
            Self::Postgres(remote) => remote.counts(Operation::All(sql, rows), MANY).await,
        }
    }

    /// Adds rows, all or nothing, from one JSON text: an array of arrays.
    pub(crate) async fn write_bulk(&self, statement: &BulkInsert, rows: &[Vec<Arg<'_>>]) -> Result<(), sqlx::Error> {
        let text = [Arg::from(json_rows(rows))];
        match self {
            Self::Sqlite { .. } => self.write_all(statement.sqlite, &[text.to_vec()]).await.map(|_| ()),
            Self::Postgres(remote) => {
                hit(failpoint::STATEMENT)?;
                remote.counts(Operation::Change((statement.postgres, &text)), MANY).await.map(|_| ())
            }
        }
    }

    /// Runs two statements in one transaction, the second only when the first changed a row; returns how many rows the first changed.
    pub(crate) async fn write_two(
        &self,
        first: BoundStatement<'_>,
        then: BoundStatement<'_>,
    ) -> Result<u64, sqlx::Error> {
        hit(failpoint::STATEMENT)?;
        match self {
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                let done = transaction.execute(sqlite_query(first.0, first.1)).await?.rows_affected();
                if done > 0 {
                    transaction.execute(sqlite_query(then.0, then.1)).await?;
                }
                transaction.commit().await?;
                Ok(done)
            }
            Self::Postgres(remote) => Ok(remote.counts(Operation::Two(first, then), ONE).await?.iter().sum()),
        }
    }

    /// A number that changes with each commit. With SQLite only commits of other connections count.
    pub(crate) async fn generation(&self) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite { watch, .. } => watch.version().await,
            Self::Postgres(remote) => {
                let rows = remote.rows(("SELECT number FROM generation WHERE only_row = 1", &[]), ONE).await?;
                rows.first().ok_or(sqlx::Error::RowNotFound)?.int(0)
            }
        }
    }

    /// Waits for running statements and closes the connections. The writer closes last, so that it can checkpoint the WAL into the file.
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

async fn sqlite_rows(pool: &SqlitePool, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<DbRow>, sqlx::Error> {
    Ok(pool.fetch_all(sqlite_query(sql, args)).await?.into_iter().map(DbRow::Sqlite).collect())
}
