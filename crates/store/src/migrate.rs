//! Schema migrations. sqlx's runner takes no lock on SQLite, and two processes may open a store at once; this runner applies all
//! missing steps in one transaction, so that a kill leaves the old schema or the new one.

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
use crate::statement::{args, postgres_query, sqlite_query};

/// One step of the schema. Released steps never change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
    /// The lowest schema number whose programs may still use the store after this step. 0 for a step that only adds what older
    /// statements do not use; the step's own number for a step that removes something.
    pub(crate) floor: i64,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
            floor: 0,
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
    migration!(11, "0011_credit_use"),
];
/// Steps of `usage.db`, in order.
pub(crate) const USAGE: &[Migration] = &[migration!(2, "0002_usage"), migration!(9, "0009_request_id")];

/// The steps that a database lacks.
pub(crate) struct PendingMigrations<'a> {
    /// The missing steps, in order.
    pub(crate) missing: Vec<&'a Migration>,
    /// The highest applied number; 0 for an empty database.
    pub(crate) found: i64,
    /// The highest number that this program knows.
    latest: i64,
}

/// How opening treats a schema older than this program's. A new store is created under either policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaPolicy {
    /// Migrates the schema.
    #[default]
    Migrate,
    /// Refuses to open, and names the command that migrates: an older program may be using the store.
    RequireCurrent,
}

impl PendingMigrations<'_> {
    /// Whether to run the missing steps now. Errors: [`OpenError::Older`] when the policy forbids a migration.
    pub(crate) fn must_migrate(&self, schema: SchemaPolicy) -> Result<bool, OpenError> {
        match schema {
            _ if self.missing.is_empty() => Ok(false),
            SchemaPolicy::Migrate => Ok(true),
            SchemaPolicy::RequireCurrent => Err(OpenError::SchemaTooOld { found: self.found, known: self.latest }),
        }
    }
}

/// The engine whose migration text applies.
#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Migration {
    fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    fn digest(&self, engine: Engine) -> String {
        hex(&Sha256::digest(self.text(engine)))
    }
}

/// The steps that a SQLite file lacks; refuses a file that is too new or foreign.
pub(crate) async fn sqlite_plan<'a>(
    connection: &mut SqliteConnection,
    known: &'a [Migration],
) -> Result<PendingMigrations<'a>, OpenError> {
    let rows = connection.fetch_all(sql::MIGRATIONS).await?;
    let applied: Result<_, sqlx::Error> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    let applied = AppliedMigrations { steps: applied?, floor: sqlite_floor(connection).await? };
    pending_migrations(&applied, known, Engine::Sqlite)
}

/// The floor of a SQLite file. No newer program wrote a file without the column, so its floor is 0.
async fn sqlite_floor(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    if has_floor(connection).await? { connection.fetch_one(sql::FLOOR).await?.try_get(0) } else { Ok(0) }
}

async fn has_floor(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let has = "SELECT 1 FROM pragma_table_info('migration') WHERE name = 'floor'";
    Ok(connection.fetch_optional(has).await?.is_some())
}

/// Adds the `floor` column to the migration table of a SQLite file that an earlier program made.
async fn add_floor_column(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if !has_floor(connection).await? {
        connection.execute("ALTER TABLE migration ADD COLUMN floor BIGINT NOT NULL DEFAULT 0").await?;
    }
    Ok(())
}

/// Brings a SQLite file up to date in one transaction.
pub(crate) async fn sqlite(connection: &mut SqliteConnection, known: &[Migration], now: i64) -> Result<(), OpenError> {
    use sqlx::Connection;
    hit(failpoint::MIGRATE).map_err(sqlx::Error::Io)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    transaction.execute(sql::MIGRATION_TABLE).await?;
    add_floor_column(&mut transaction).await?;
    let plan = sqlite_plan(&mut transaction, known).await?;
    for step in plan.missing {
        transaction.execute(sqlx::raw_sql(step.sqlite)).await?;
        let digest = step.digest(Engine::Sqlite);
        transaction
            .execute(sqlite_query(sql::MIGRATED, &args![step.number, step.name, digest, now, step.floor]))
            .await?;
    }
    hit(failpoint::MIGRATE_COMMIT).map_err(sqlx::Error::Io)?;
    transaction.commit().await?;
    hit(failpoint::MIGRATE_DONE).map_err(|error| sqlx::Error::Io(error).into())
}

/// Brings a PostgreSQL database up to date in one transaction, one node at a time.
pub(crate) async fn postgres(connection: &mut PgConnection, known: &[Migration], now: i64) -> Result<(), OpenError> {
    use sqlx::Connection;
    let mut transaction = connection.begin().await?;
    // The number is arbitrary, but every node must use the same one.
    transaction.execute("SELECT pg_advisory_xact_lock(7230159436471841537)").await?;
    transaction.execute(sql::MIGRATION_TABLE).await?;
    transaction.execute("ALTER TABLE migration ADD COLUMN IF NOT EXISTS floor BIGINT NOT NULL DEFAULT 0").await?;
    for step in postgres_plan(&mut transaction, known).await?.missing {
        transaction.execute(sqlx::raw_sql(step.postgres)).await?;
        let digest = step.digest(Engine::Postgres);
        transaction
            .execute(postgres_query(sql::MIGRATED, &args![step.number, step.name, digest, now, step.floor]))
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The steps that a PostgreSQL database lacks; refuses a database that is too new or foreign.
pub(crate) async fn postgres_plan<'a>(
    connection: &mut PgConnection,
    known: &'a [Migration],
) -> Result<PendingMigrations<'a>, OpenError> {
    let has = "SELECT COUNT(*) FROM pg_attribute WHERE attrelid = to_regclass('migration') \
        AND attname IN ('digest', 'floor') AND NOT attisdropped";
    let columns: i64 = connection.fetch_one(has).await?.try_get(0)?;
    let rows = if columns > 0 { connection.fetch_all(sql::MIGRATIONS).await? } else { Vec::new() };
    let steps: Result<_, sqlx::Error> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    let floor = if columns > 1 { connection.fetch_one(sql::FLOOR).await?.try_get(0)? } else { 0 };
    pending_migrations(&AppliedMigrations { steps: steps?, floor }, known, Engine::Postgres)
}

/// The migrations that a database records as applied.
struct AppliedMigrations {
    /// Number and digest of each step.
    steps: BTreeMap<i64, String>,
    /// The lowest schema number whose programs may use the database.
    floor: i64,
}

fn pending_migrations<'a>(
    applied: &AppliedMigrations,
    known: &'a [Migration],
    engine: Engine,
) -> Result<PendingMigrations<'a>, OpenError> {
    let latest = known.last().map_or(0, |step| step.number);
    let found = applied.steps.keys().next_back().copied().unwrap_or(0);
    let has = |step: &Migration| applied.steps.contains_key(&step.number);
    // A newer schema is usable only when its floor allows this program and it has all steps that this program knows.
    if found > latest && (applied.floor > latest || !known.iter().all(has)) {
        return Err(OpenError::SchemaTooNew { found, known: latest });
    }
    let other = |step: &&Migration| applied.steps.get(&step.number).is_some_and(|old| *old != step.digest(engine));
    if let Some(step) = known.iter().find(other) {
        return Err(OpenError::MigrationChanged { number: step.number });
    }
    Ok(PendingMigrations { missing: known.iter().filter(|step| !has(step)).collect(), found, latest })
}
