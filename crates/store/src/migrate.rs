//! Schema versions. Our own runner, because two processes may open a store at once and sqlx's has no lock on SQLite: all
//! that is missing runs in one transaction, so that a kill leaves the old schema or the new one.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};

use crate::OpenError;
use crate::failpoint::{self, hit};
use crate::seal::hex;
use crate::sql;
use crate::statement::{args, lite, post};

/// One step of the schema. Released ones never change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// Steps of `accounts.db`, in order. Numbers are shared with [`USAGE`]: PostgreSQL runs both sets.
pub(crate) const ACCOUNTS: &[Migration] = &[
    migration!(1, "0001_accounts"),
    migration!(3, "0003_relays"),
    migration!(4, "0004_logins"),
    migration!(5, "0005_proxies"),
    migration!(6, "0006_terms"),
    migration!(7, "0007_generation"),
    migration!(8, "0008_tools"),
    migration!(10, "0010_status_rev"),
];
/// Steps of `usage.db`, in order.
pub(crate) const USAGE: &[Migration] = &[migration!(2, "0002_usage"), migration!(9, "0009_request_id")];

/// What a database has against what we know.
pub(crate) struct Plan<'a> {
    /// What is missing, in order.
    pub(crate) missing: Vec<&'a Migration>,
    /// The highest number that it has; 0 for none.
    pub(crate) found: i64,
}

/// Which engine's text counts.
#[derive(Clone, Copy)]
enum Text {
    Sqlite,
    Postgres,
}

impl Migration {
    fn text(&self, engine: Text) -> &'static str {
        match engine {
            Text::Sqlite => self.sqlite,
            Text::Postgres => self.postgres,
        }
    }

    fn digest(&self, engine: Text) -> String {
        hex(&Sha256::digest(self.text(engine)))
    }
}

/// What a SQLite file is missing; refuses a newer or foreign one.
pub(crate) async fn plan<'a>(connection: &mut SqliteConnection, known: &'a [Migration]) -> Result<Plan<'a>, OpenError> {
    let rows = connection.fetch_all(sql::MIGRATIONS).await?;
    let applied: Result<_, sqlx::Error> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    compare(&applied?, known, Text::Sqlite)
}

/// Brings a SQLite file up to date in one transaction.
pub(crate) async fn sqlite(connection: &mut SqliteConnection, known: &[Migration], now: i64) -> Result<(), OpenError> {
    use sqlx::Connection;
    hit(failpoint::MIGRATE).map_err(sqlx::Error::Io)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    transaction.execute(sql::MIGRATION_TABLE).await?;
    let plan = plan(&mut transaction, known).await?;
    for step in plan.missing {
        transaction.execute(sqlx::raw_sql(step.sqlite)).await?;
        let digest = step.digest(Text::Sqlite);
        transaction.execute(lite(sql::MIGRATED, &args![step.number, step.name, digest, now])).await?;
    }
    hit(failpoint::MIGRATE_COMMIT).map_err(sqlx::Error::Io)?;
    transaction.commit().await?;
    hit(failpoint::MIGRATE_DONE).map_err(|error| sqlx::Error::Io(error).into())
}

/// Brings a PostgreSQL database up to date in one transaction, one node at a time.
pub(crate) async fn postgres(connection: &mut PgConnection, known: &[Migration], now: i64) -> Result<(), OpenError> {
    use sqlx::Connection;
    let mut transaction = connection.begin().await?;
    // Any number will do, as long as every node takes the same.
    transaction.execute("SELECT pg_advisory_xact_lock(7230159436471841537)").await?;
    transaction.execute(sql::MIGRATION_TABLE).await?;
    let rows = transaction.fetch_all(sql::MIGRATIONS).await?;
    let applied: Result<_, sqlx::Error> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    for step in compare(&applied?, known, Text::Postgres)?.missing {
        transaction.execute(sqlx::raw_sql(step.postgres)).await?;
        let digest = step.digest(Text::Postgres);
        transaction.execute(post(sql::MIGRATED, &args![step.number, step.name, digest, now])).await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn compare<'a>(applied: &BTreeMap<i64, String>, known: &'a [Migration], engine: Text) -> Result<Plan<'a>, OpenError> {
    let latest = known.last().map_or(0, |step| step.number);
    let found = applied.keys().next_back().copied().unwrap_or(0);
    if found > latest {
        return Err(OpenError::Newer { found, known: latest });
    }
    let changed = known.iter().find(|step| applied.get(&step.number).is_some_and(|old| *old != step.digest(engine)));
    if let Some(step) = changed {
        return Err(OpenError::Changed { number: step.number });
    }
    let missing = known.iter().filter(|step| !applied.contains_key(&step.number)).collect();
    Ok(Plan { missing, found })
}
