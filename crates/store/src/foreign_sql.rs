//! Writes to the store's file as another program would, for tests of crates that may not use SQL.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::Error;

/// Runs one statement on the SQLite file in `home`, over a separate connection. Errors: the file does not exist, or SQLite refuses the
/// statement.
pub async fn execute_foreign_sql(home: &Path, sql: String) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(home.join("accounts.db")).create_if_missing(false);
    let mut connection = options.connect().await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await?;
    Ok(())
}
