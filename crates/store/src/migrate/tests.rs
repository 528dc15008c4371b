use std::path::Path;

use rstest::rstest;
use sqlx::sqlite::SqlitePool;
use tempfile::TempDir;

use super::*;
use crate::sqlite::{DatabaseFile as File, Durability, open};

const fn step(number: i64, sqlite: &'static str) -> Migration {
    Migration { number, name: "test", sqlite, postgres: "", floor: 0 }
}

/// A step that only programs with schema `floor` or later may use.
const fn over(number: i64, floor: i64) -> Migration {
    Migration { number, name: "test", sqlite: THIRD, postgres: "", floor }
}

const THIRD: &str = "CREATE TABLE c (id TEXT)";
const FIRST: &str = "CREATE TABLE a (id TEXT); INSERT INTO a VALUES ('kept')";
const SECOND: &str = "ALTER TABLE a ADD COLUMN more TEXT; CREATE TABLE b (id TEXT)";
const BELOW: &[Migration] = &[step(1, FIRST), over(3, 1)];
const ABOVE: &[Migration] = &[step(1, FIRST), over(3, 3)];
const OLD: &[Migration] = &[step(1, FIRST)];
const NEW: &[Migration] = &[step(1, FIRST), step(3, SECOND)];
const BROKEN: &[Migration] = &[step(1, FIRST), step(3, SECOND), step(4, "CREATE TABLE c (id TEXT); SELECT nonsense")];

async fn migrate(path: &Path, schema: &'static [Migration]) -> Result<(), OpenError> {
    run(path, schema, SchemaPolicy::Migrate).await
}

async fn run(path: &Path, schema: &'static [Migration], upgrade: SchemaPolicy) -> Result<(), OpenError> {
    let file = File { path: path.to_path_buf(), schema, durability: Durability::Durable, schema_policy: upgrade };
    open(&file, 42).await?.close().await;
    Ok(())
}

async fn tables(path: &Path) -> Vec<String> {
    let pool = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let rows = pool.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").await.unwrap();
    let kept: String = pool.fetch_one("SELECT id FROM a").await.unwrap().get(0);
    assert_eq!(kept, "kept");
    pool.close().await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn migrations_run_once_after_a_backup() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("accounts.db");
    migrate(&path, OLD).await.unwrap();
    assert!(!home.path().join("backup").exists(), "a new file needs none");
    for _ in 0..2 {
        migrate(&path, NEW).await.unwrap();
        assert_eq!(tables(&path).await, ["a", "b", "migration"]);
    }
    let backup = home.path().join("backup/accounts-v1-42.db");
    crate::files::check(&backup, crate::files::PathKind::File).unwrap();
    assert_eq!(tables(&backup).await, ["a", "migration"]);
}

#[tokio::test]
async fn a_failed_migration_leaves_the_old_schema() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("accounts.db");
    migrate(&path, OLD).await.unwrap();
    assert!(migrate(&path, BROKEN).await.is_err());
    assert_eq!(tables(&path).await, ["a", "migration"]);
    migrate(&path, OLD).await.unwrap();
}

/// A program works on a newer schema unless the floor of that schema is above the program's own schema.
#[rstest]
#[case::added(NEW, true)]
#[case::floor_below(BELOW, true)]
#[case::floor_above(ABOVE, false)]
#[tokio::test]
async fn an_older_program_works_down_to_the_floor(#[case] newer: &'static [Migration], #[case] works: bool) {
    let home = TempDir::new().unwrap();
    let path = home.path().join("accounts.db");
    migrate(&path, newer).await.unwrap();
    let outcome = migrate(&path, OLD).await;
    let refused = matches!(outcome, Err(OpenError::SchemaTooNew { found: 3, known: 1 }));
    assert_eq!((outcome.is_ok(), refused), (works, !works), "{outcome:?}");
}

/// Files of programs from before the floor have no `floor` column.
#[tokio::test]
async fn a_table_without_floors_gets_them() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("accounts.db");
    migrate(&path, OLD).await.unwrap();
    let pool = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    pool.execute("ALTER TABLE migration DROP COLUMN floor").await.unwrap();
    pool.close().await;
    run(&path, OLD, SchemaPolicy::RequireCurrent).await.unwrap();
    migrate(&path, NEW).await.unwrap();
    assert_eq!(tables(&path).await, ["a", "b", "migration"]);
}

#[tokio::test]
async fn only_the_migrate_policy_changes_an_old_schema() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("accounts.db");
    run(&path, OLD, SchemaPolicy::RequireCurrent).await.expect("a new file is made");
    let refused = run(&path, NEW, SchemaPolicy::RequireCurrent).await.expect_err("it is older");
    assert!(matches!(refused, OpenError::SchemaTooOld { found: 1, known: 3 }), "{refused}");
    assert!(refused.to_string().contains("hint: run `polygate migrate`"), "{refused}");
    assert_eq!(tables(&path).await, ["a", "migration"]);
    migrate(&path, NEW).await.unwrap();
    run(&path, NEW, SchemaPolicy::RequireCurrent).await.unwrap();
}

#[test]
fn numbers_are_unique_and_rise() {
    let mut numbers: Vec<i64> = ACCOUNTS.iter().chain(USAGE).map(|step| step.number).collect();
    for set in [ACCOUNTS, USAGE] {
        assert!(set.is_sorted_by_key(|step| step.number));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
}

/// `migrations/released.txt` grows with each release. A line in this file and the migration that the line names never change.
#[test]
fn released_migrations_are_frozen() {
    let known: Vec<String> = ACCOUNTS
        .iter()
        .chain(USAGE)
        .flat_map(|step| {
            [("sqlite", Engine::Sqlite), ("postgres", Engine::Postgres)]
                .map(|(engine, text)| format!("{} {engine} {}", step.name, step.digest(text)))
        })
        .collect();
    let released = include_str!("../../migrations/released.txt");
    for line in released.lines().filter(|line| !line.starts_with('#')) {
        assert!(
            known.iter().any(|step| step == line),
            "changed after its release: {line}\nknown now:\n{}",
            known.join("\n")
        );
    }
    assert_eq!(released.lines().filter(|line| !line.starts_with('#')).count(), known.len(), "{}", known.join("\n"));
}
