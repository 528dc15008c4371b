//! Starts the backend, and the handle for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{FakeAccount, Login, NewAccount, Quota, RefreshTokenState};
use crate::listen;
use crate::plan::wire::ConnectionFault;
use crate::record::{Record, TimedOut};
use crate::script::{Rule, When};
use crate::state::{Options, Shared, Versions};
use crate::token::Revocation;

/// The backend before its start.
pub struct Offline;

impl Offline {
    /// Binds and serves until the handle is stopped or dropped.
    pub async fn start(options: Options) -> io::Result<Running> {
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::new(options, format!("{scheme}://{addr}")));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(listen::run(listener, Arc::clone(&shared), stop.clone(), tasks.clone()));
        tasks.close();
        Ok(Running { addr, shared, stop, tasks })
    }
}

/// Serves until the process ends; only a failure to bind returns.
pub async fn serve_forever(options: Options) -> io::Result<()> {
    let running = Offline::start(options).await?;
    running.tasks.wait().await;
    Ok(())
}

/// A running backend.
pub struct Running {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Addresses and shutdown.
impl Running {
    /// The listener's address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT/backend-api`, for `upstream.base_url`.
    pub fn base_url(&self) -> String {
        format!("{}/backend-api", self.shared.origin)
    }

    /// `http://127.0.0.1:PORT/hook/NAME`, a webhook whose messages are in the record.
    pub fn hook_url(&self, name: &str) -> String {
        format!("{}/hook/{name}", self.shared.origin)
    }

    /// `http://127.0.0.1:PORT/ntfy/TOPIC`, an ntfy topic whose messages are in the record.
    pub fn ntfy_url(&self, topic: &str) -> String {
        format!("{}/ntfy/{topic}", self.shared.origin)
    }

    /// The URL of the command-line program's latest release, in GitHub's form.
    pub fn cli_feed(&self) -> String {
        format!("{}/feed/repos/openai/codex/releases/latest", self.shared.origin)
    }

    /// The URL of the desktop app's appcast.
    pub fn app_feed(&self) -> String {
        format!("{}/feed/appcast.xml", self.shared.origin)
    }

    /// `http://127.0.0.1:PORT`, for `upstream.auth_url`.
    pub fn auth_url(&self) -> String {
        self.shared.origin.clone()
    }

    /// Ends every connection and waits until all have ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Accounts and tokens.
impl Running {
    /// A new login of this plan with fresh tokens.
    pub fn account(&self, plan: &str) -> FakeAccount {
        self.add_account(NewAccount { plan: plan.to_owned(), ..NewAccount::default() })
    }

    /// A new login with these parameters.
    pub fn add_account(&self, new: NewAccount) -> FakeAccount {
        let mut accounts = self.shared.accounts.lock();
        let expires_in = new.expires_in;
        let who = accounts.add(new);
        let grant = accounts.grant(who, expires_in, &self.shared.options.client_id);
        accounts.fake_account(who, grant)
    }

    /// Advances the backend's clock, which sets token expiry and the `Date` header.
    pub fn advance(&self, by: Duration) {
        self.shared.accounts.lock().ahead += i64::try_from(by.as_secs()).unwrap_or(0);
    }

    /// Revokes the access tokens that this account has now.
    pub fn revoke_access(&self, account_id: &str, why: Revocation) {
        self.shared.accounts.lock().revoke_access(account_id, why);
    }

    /// Expires the access tokens that this account has now.
    pub fn expire_access(&self, account_id: &str) {
        self.revoke_access(account_id, Revocation::Expired);
    }

    /// Expires the account's refresh tokens: the answer is `refresh_token_expired`.
    pub fn expire_refresh(&self, account_id: &str) {
        self.shared.accounts.lock().invalidate_refresh_tokens(account_id, RefreshTokenState::Expired);
    }

    /// Invalidates the account's refresh tokens: the answer is `refresh_token_invalidated`.
    pub fn invalidate_refresh(&self, account_id: &str) {
        self.shared.accounts.lock().invalidate_refresh_tokens(account_id, RefreshTokenState::Invalidated);
    }

    /// The refresh tokens of this account that still work.
    pub fn current_refresh(&self, account_id: &str) -> Vec<String> {
        self.shared.accounts.lock().current(account_id)
    }

    /// Sets the account's quota.
    pub fn set_quota(&self, account_id: &str, quota: &Quota) {
        self.edit(account_id, |person| person.quota = quota.clone());
    }

    /// Limits the account's model list and requests to these models.
    pub fn set_models(&self, account_id: &str, slugs: &[&str]) {
        self.edit(account_id, |person| person.models = Some(slugs.iter().map(ToString::to_string).collect()));
    }

    /// Publishes other versions of the official clients.
    pub fn publish(&self, versions: Versions) {
        *self.shared.versions.lock() = versions;
    }

    /// Sets the account of the next browser or device authorization; without a call a new account is made.
    pub fn login_as(&self, account_id: &str) {
        let mut accounts = self.shared.accounts.lock();
        let who = accounts.of(account_id).next();
        accounts.login_as = who;
    }

    /// Sets whether browser logins are denied.
    pub fn deny_logins(&self, deny: bool) {
        self.shared.accounts.lock().deny = deny;
    }

    /// Approves a device code as the user would on the page; `false` for an unknown code.
    pub fn approve_device(&self, user_code: &str) -> bool {
        self.shared.pending_logins.lock().approve(user_code)
    }

    fn edit(&self, account_id: &str, change: impl Fn(&mut Login)) {
        let mut accounts = self.shared.accounts.lock();
        accounts.logins.iter_mut().filter(|person| person.account_id == account_id).for_each(change);
    }
}

/// Scripts and the record.
impl Running {
    /// Adds a rule after the pending rules.
    pub fn add_rule(&self, rule: Rule) {
        self.shared.script.add(rule);
    }

    /// Clears all rules; the record stays.
    pub fn clear_script(&self) {
        self.shared.script.clear();
    }

    /// The rules that are not used up.
    pub fn pending_rules(&self) -> Vec<Rule> {
        self.shared.script.pending()
    }

    /// Opens a gate for every answer that waits at it, now or later.
    pub fn release(&self, gate: &str) {
        self.shared.gates.release(gate);
    }

    /// Stops reading and answering on every open connection without closing it, as after a machine's sleep.
    pub fn freeze_connections(&self) {
        self.shared.freeze.notify_waiters();
    }

    /// Sets the fault of the next accepted connection, which replaces HTTP.
    pub fn fail_next_connection(&self, greeting: ConnectionFault) {
        self.shared.greetings.lock().push_back(greeting);
    }

    /// Makes every later matching request a protocol violation, for example because its client disconnected.
    pub fn forbid(&self, when: When, note: &str) {
        self.shared.script.forbid(when, note.to_owned());
    }

    /// The record so far.
    pub fn record(&self) -> Record {
        self.shared.recorder.snapshot()
    }

    /// Time since the start, on the record's clock.
    pub fn now(&self) -> Duration {
        self.shared.recorder.now()
    }

    /// Waits for a condition of the record.
    pub async fn wait_until(&self, limit: Duration, until: impl Fn(&Record) -> bool) -> Result<(), TimedOut> {
        self.shared.recorder.wait(limit, until).await
    }

    /// Clears the record, the script and the gates; accounts and tokens stay.
    pub fn reset(&self) {
        self.shared.reset();
    }
}
