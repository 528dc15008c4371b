//! The handle of the store, and how the store opens.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use pool::Secret;

use crate::db::Db;
use crate::failpoint::{self, WritePoint};
use crate::home::Home;
use crate::liveness::{self, LivenessFile};
use crate::migrate::SchemaPolicy;
use crate::reserve::DiskReserve;
use crate::seal::{FieldId, Sealer, random};
use crate::sqlite::{self, Durability};
use crate::statement::{Arg, BoundStatement, DbRow, args};
use crate::usage::{Retention, Usage, UsageTarget as UsagePlace};
use crate::{DataKey, Error, OpenError, clock, files, migrate, postgres, sql};

/// This install's id.
pub(crate) const INSTANCE: &str = "instance";
/// The pepper of key digests, sealed.
pub(crate) const PEPPER: &str = "pepper";

/// Location and options of the store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directory of all files of the store; created with mode 0700.
    pub home: PathBuf,
    /// PostgreSQL URL; `None` for SQLite in `home`.
    pub postgres: Option<Secret>,
    /// Location of the data key.
    pub data_key: DataKey,
    /// Policy for an older schema.
    pub schema: SchemaPolicy,
    /// How much usage the store retains.
    pub usage: Retention,
}

/// The open store. Clones share one store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: Db,
    sealer: Sealer,
    pepper: [u8; 32],
    instance: String,
    home: Home,
    /// The liveness file of this process, from its first lease on.
    presence: OnceLock<LivenessFile>,
    usage: Usage,
    /// Number of writes of this process after which it must reload.
    written: AtomicI64,
    /// `None` with PostgreSQL.
    reserve: Option<Arc<DiskReserve>>,
}

impl Store {
    /// Opens the store: creates missing files, migrates where [`Options::schema`] allows a migration, loads the data key. Never replaces an
    /// unreadable file.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let home = Home::open(&options.home)?;
        let opening = home.open_lock().await?;
        let now = clock::now();
        let db = match &options.postgres {
            Some(url) => Box::pin(postgres::open(url, options.schema, now)).await?,
            None => open_sqlite(&home, options.schema, now).await?,
        };
        let opened = Self::install(db.clone(), &home, &options).await;
        if opened.is_err() {
            db.close().await;
        }
        drop(opening);
        opened
    }

    /// Loads the data key, the pepper and the instance id.
    async fn install(db: Db, home: &Home, options: &Options) -> Result<Self, OpenError> {
        let sealed = db.read(sql::SEALED, &[]).await?.first().map_or(Ok(0), |row| row.int(0))? > 0;
        let path = options.data_key.find(home, sealed)?;
        let sealer = Sealer::load(&path, sealed)?;
        let pepper = pepper(&db, &sealer, &path).await?;
        let instance = setting_or_insert(&db, INSTANCE, &uuid::Uuid::now_v7().to_string()).await?;
        let (place, reserve) = match &db {
            Db::Sqlite { .. } => {
                let reserve = Arc::new(DiskReserve::open(home.reserve()));
                (UsagePlace::File(home.clone(), Arc::clone(&reserve), options.schema), Some(reserve))
            }
            Db::Postgres(_) => (UsagePlace::Shared(db.clone()), None),
        };
        let usage = Usage::start(place, options.usage);
        let liveness_file = OnceLock::new();
        let (home, written) = (home.clone(), AtomicI64::new(0));
        Ok(Self(Arc::new(Inner {
            db,
            sealer,
            pepper,
            instance,
            home,
            presence: liveness_file,
            usage,
            written,
            reserve,
        })))
    }

    /// The mode of a home that other users may list or enter; `None` for a private or missing home. A gateway serves such a home, because
    /// its files are private; the caller should warn the owner.
    pub fn listable_mode(home: &Path) -> Option<u32> {
        files::mode(home).filter(|mode| mode & 0o077 != 0)
    }

    /// Random bytes of this install for making key digests.
    pub fn pepper(&self) -> &[u8; 32] {
        &self.0.pepper
    }

    /// The name of this process in its leases. The process counts as alive until it ends or closes the store.
    pub fn holder(&self) -> Result<&str, Error> {
        if let Some(known) = self.0.presence.get() {
            return Ok(known.name());
        }
        let new = LivenessFile::create(&self.0.home).map_err(|error| Error::from(std::io::Error::other(error)))?;
        // Another thread may have been first; dropping the surplus file removes it.
        Ok(self.0.presence.get_or_init(|| new).name())
    }

    /// Whether other machines may use the store too.
    pub(crate) fn shared(&self) -> bool {
        matches!(self.0.db, Db::Postgres(_))
    }

    /// Whether a holder of leases, a process on this machine, has ended.
    pub(crate) fn ended(&self, holder: &str) -> bool {
        liveness::ended(&self.0.home, holder)
    }

    /// This install's id.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// A number that changes with every write of any process. Usage rows do not count. With SQLite this handle's own writes of statuses,
    /// quotas, cookies, leases and model lists do not count either.
    pub async fn generation(&self) -> Result<i64, Error> {
        Ok(self.0.db.generation().await? + self.0.written.load(Ordering::Acquire))
    }

    /// The usage table.
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// Opens and migrates the usage table now. Without this call the first use opens the table.
    pub async fn open_usage(&self) -> Result<(), Error> {
        self.0.usage.rows(1).await.map(|_| ())
    }

    /// Writes queued usage rows and closes the files.
    pub async fn close(self) {
        self.0.usage.close().await;
        self.0.db.close().await;
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(crate) async fn read(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<DbRow>, Error> {
        Ok(self.0.db.read(sql, args).await?)
    }

    /// Returns at most one row.
    pub(crate) async fn read_one(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Option<DbRow>, Error> {
        Ok(self.0.db.read_one(sql, args).await?)
    }

    /// Runs one durable step; returns how many rows changed.
    pub(crate) async fn write(&self, step: WritePoint, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, Error> {
        self.durably(step, || self.0.db.write(sql, args)).await
    }

    /// Runs two statements in one durable step, the second only when the first changed a row; returns how many rows the first changed.
    pub(crate) async fn write_two(
        &self,
        step: WritePoint,
        first: BoundStatement<'_>,
        then: BoundStatement<'_>,
    ) -> Result<u64, Error> {
        self.durably(step, || self.0.db.write_two(first, then)).await
    }

    /// Runs one statement for many rows in one durable step, all or none; returns how many rows each run changed.
    pub(crate) async fn write_all(
        &self,
        step: WritePoint,
        sql: &'static str,
        rows: &[Vec<Arg<'_>>],
    ) -> Result<Vec<u64>, Error> {
        self.durably(step, || self.0.db.write_all(sql, rows)).await
    }

    /// Runs one durable step that returns rows; returns the first row.
    pub(crate) async fn write_returning(
        &self,
        step: WritePoint,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> Result<Option<DbRow>, Error> {
        let rows = self.durably(step, || self.0.db.write_returning(sql, args)).await?;
        Ok(rows.into_iter().next())
    }

    /// Runs one durable step. On a full disk the step releases the reserve and runs once more.
    async fn durably<T, F>(&self, step: WritePoint, work: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        step.before()?;
        let mut done = work().await.map_err(Error::from);
        if matches!(done, Err(Error::Full)) && self.release_reserve() {
            done = work().await.map_err(Error::from);
        }
        let done = done?;
        if !step.skips_reload() {
            self.0.written.fetch_add(1, Ordering::Release);
        }
        step.after()?;
        if let Some(reserve) = &self.0.reserve {
            reserve.refill();
        }
        Ok(done)
    }

    /// Releases the disk reserve; `false` when it is empty.
    fn release_reserve(&self) -> bool {
        self.0.reserve.as_ref().is_some_and(|reserve| reserve.release())
    }
}

async fn open_sqlite(home: &Home, upgrade: SchemaPolicy, now: i64) -> Result<Db, OpenError> {
    files::check_local_disk(home.path())?;
    let plan = sqlite::DatabaseFile {
        path: home.accounts(),
        schema: migrate::ACCOUNTS,
        durability: Durability::Durable,
        schema_policy: upgrade,
    };
    sqlite::open(&plan, now).await
}

/// The install's pepper, created at the first opening. Unsealing the pepper also verifies the data key.
async fn pepper(db: &Db, sealer: &Sealer, key: &Path) -> Result<[u8; 32], OpenError> {
    let place = FieldId { table: "setting", column: "value", row: PEPPER };
    let fresh = random::<32>().map_err(|source| OpenError::io(key, source))?;
    let sealed = sealer.seal(place, &Secret::new(crate::seal::hex(&fresh)))?;
    let stored = setting_or_insert(db, PEPPER, &sealed).await?;
    if !sealer.is_sealed_by_this_key(&stored) {
        return Err(OpenError::WrongDataKey { path: key.to_path_buf() });
    }
    let text = sealer.open(place, &stored)?;
    Ok(crate::seal::unhex(text.expose()).ok_or_else(|| place.damaged())?)
}

/// A setting's value; a missing setting is set to `value`.
async fn setting_or_insert(db: &Db, name: &str, value: &str) -> Result<String, OpenError> {
    let stored = db.read(sql::SETTING, &args![name]).await?;
    if let Some(row) = stored.first() {
        return Ok(row.text(0)?);
    }
    failpoint::INSTALL.before().map_err(sqlx::Error::Io)?;
    db.write(sql::SETTING_FIRST, &args![name, value]).await?;
    failpoint::INSTALL.after().map_err(sqlx::Error::Io)?;
    let stored = db.read(sql::SETTING, &args![name]).await?;
    Ok(stored.first().map_or_else(|| Ok(value.to_owned()), |row| row.text(0))?)
}
