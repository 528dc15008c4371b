//! Tests of the store through its interface: every scenario on SQLite and on PostgreSQL.

mod away;
mod cluster;
mod credits;
mod damage;
mod full;
mod modes;
mod owner;
mod postgres_server;
mod proxies;
mod races;
mod refresh;
mod relays;
mod remote;
mod rows;
mod schema;
mod sealed;
mod statements;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};

use pool::{AccountId, Millis, Secret, Status, Tokens};
use tempfile::TempDir;

use self::cluster::Cluster;
pub(crate) use self::rows::usage;
use crate::{NewAccount, OpenError, Options, Store, TokenOrigin};

/// One home and one database, which stores open.
pub(crate) struct Site {
    home: TempDir,
    postgres: Option<Secret>,
}

impl Site {
    pub(crate) fn sqlite() -> Self {
        Self { home: TempDir::new().unwrap(), postgres: None }
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(super) fn options(&self) -> Options {
        Options { home: self.home().to_path_buf(), postgres: self.postgres.clone(), ..Options::default() }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(self.options()).await.unwrap()
    }
}

/// Failures of a server, each on a separate database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_go_away() {
    let Some(cluster) = Cluster::start().await else { return };
    away::a_paused_server_is_waited_for_within_timeouts(&cluster).await;
    away::connections_that_hung_are_not_used_again(&cluster).await;
    away::a_connection_that_was_left_in_the_middle_is_dropped(&cluster).await;
    away::a_transaction_has_one_bound(&cluster).await;
    away::opening_has_bounds(&cluster).await;
    away::broken_connections_cost_no_more_than_an_error(&cluster).await;
    away::ended_sessions_are_replaced(&cluster).await;
    away::sessions_have_bounds_of_the_server_too(&cluster).await;
    away::a_server_that_takes_no_writes_is_refused(&cluster).await;
    schema::a_migration_gives_up_a_blocked_lock(&cluster).await;
}

/// Runs each scenario as one test on SQLite, and all scenarios in one test on one PostgreSQL cluster.
macro_rules! scenarios {
    ($($module:ident::$name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$module::$name(&super::Site::sqlite()).await;
            })*
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn postgres() {
            let Some(cluster) = Cluster::start().await else { return };
            statements::prepare_postgres(&cluster).await;
            $(
                println!("{}", stringify!($name));
                let site = cluster.site(concat!("CREATE DATABASE ", stringify!($name)), stringify!($name)).await;
                $module::$name(&site).await;
            )*
        }
    };
}

scenarios! {
    owner::labels_and_tags_come_back,
    owner::an_observed_status_does_not_enable_a_disabled_account,
    owner::a_status_of_an_old_login_is_not_written,
    owner::links_come_back,
    owner::limits_are_stored,
    owner::bulk_reads_equal_single_reads,
    rows::accounts_come_back,
    rows::signing_in_again_keeps_the_newer_tokens,
    rows::a_login_revives_an_account,
    rows::removing_an_account_removes_its_rows,
    rows::status_and_quota_come_back,
    rows::keys_come_back,
    rows::settings_come_back,
    rows::a_setting_is_swapped_once,
    rows::any_text_is_taken,
    rows::usage_comes_back,
    rows::old_usage_is_deleted,
    rows::an_install_keeps_its_secrets,
    refresh::a_refresh_replaces_the_tokens,
    refresh::a_lease_keeps_others_away,
    refresh::a_dead_holder_is_taken_over,
    refresh::a_living_holder_keeps_its_lease,
    refresh::a_successor_is_stored_without_the_lease,
    refresh::a_late_commit_is_fenced_out,
    refresh::a_late_commit_without_successor_counts,
    refresh::a_commit_may_be_repeated,
    refresh::a_login_fences_out_a_refresh,
    refresh::an_ended_refresh_leaves_no_trace,
    refresh::a_wrong_clock_does_not_hold_a_lease,
    refresh::leases_of_dead_processes_are_released,
    races::one_of_many_gets_the_lease,
    races::one_of_many_adds_the_account,
    races::many_writers_all_count,
    races::bulk_and_single_writes_do_not_deadlock,
    races::generation_changes_with_writes_of_others,
    relays::relays_come_back,
    relays::a_name_belongs_to_one_relay,
    relays::a_key_stays_with_its_target,
    relays::a_new_key_resets_the_status,
    relays::removing_a_relay_removes_its_models,
    relays::changes_of_relays_are_noticed,
    relays::one_of_many_adds_the_relay,
    schema::a_newer_schema_works_down_to_its_floor,
    schema::an_older_schema_needs_the_migrate_policy,
    credits::one_of_many_consumes_a_credit,
    credits::a_try_of_unknown_outcome_keeps_its_id,
    credits::an_offered_id_is_for_a_new_try,
    credits::clocks_of_nodes_may_differ,
    proxies::proxies_come_back,
    proxies::proxies_are_added_all_or_none,
    proxies::a_proxy_in_use_stays,
    proxies::assignments_come_back,
    proxies::an_account_is_stored_with_its_egress,
    proxies::changes_of_proxies_are_noticed,
}

pub(crate) const NOW: Millis = Millis(1_800_000_000_000);

pub(super) fn tokens(name: &str, refreshed: i64) -> Tokens {
    Tokens {
        access: Secret::new(format!("access-{name}")),
        refresh: Some(Secret::new(format!("refresh-{name}"))),
        id: Some(Secret::new(format!("identity-{name}"))),
        expires: Some(NOW.plus(refreshed + 864_000_000)),
        refreshed: NOW.plus(refreshed),
    }
}

pub(super) fn account(upstream: &str, tokens: Tokens) -> NewAccount {
    NewAccount {
        label: String::new(),
        email: format!("{upstream}@example.com"),
        plan: "plus".into(),
        upstream_id: upstream.into(),
        user: "user-1".into(),
        fedramp: false,
        tokens,
        origin: TokenOrigin::Import,
        egress: None,
        status: pool::Status::Active,
    }
}

pub(super) async fn add(store: &Store, upstream: &str) -> AccountId {
    store.put_account(account(upstream, tokens(upstream, 0)), NOW).await.unwrap().id
}

/// Writes a status over the stored status; returns whether it was written.
pub(super) async fn learn(store: &Store, id: &AccountId, status: &Status) -> bool {
    let known = store.accounts().await.unwrap().into_iter().find(|account| account.id == *id);
    let rev = known.map_or(1, |account| account.status_rev);
    store.set_statuses_if_current(&[(id.clone(), status.clone(), rev)]).await.unwrap() == [true]
}

/// The error with which the store does not open.
pub(super) async fn refusal(site: &Site) -> OpenError {
    match Store::open(site.options()).await {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

/// Every file under a directory.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
