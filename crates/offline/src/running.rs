//! Starting the backend, and the handle that tests hold.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{FakeAccount, Fate, NewAccount, Person, Quota};
use crate::feed::Versions;
use crate::listen;
use crate::oauth::REAL_CLIENT_ID;
use crate::record::{Record, TimedOut};
use crate::script::{Rule, When};
use crate::state::Shared;
use crate::token::Revocation;
use crate::wire::Greeting;

/// How the backend behaves.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each with a name of its own")]
pub struct Options {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Speaks TLS with this certificate, good or bad; the addresses become `https`. Informational answers and planned
    /// wire bytes go under it, as plain bytes.
    pub tls: Option<Arc<ServerConfig>>,
    /// Folders with recorded streams for [`crate::Plan::replay`].
    pub replay: Vec<PathBuf>,
    /// Tokens (text deltas) per second of every answer; as fast as they are taken without it.
    pub pace: Option<f64>,
    /// Puts the whole output into `response.completed`; the real backend leaves it empty.
    pub completed_output: bool,
    /// Begins every stream with a `codex.rate_limits` event, as over WebSocket.
    pub rate_limits_event: bool,
    /// The versions that the feeds of the official clients name at first.
    pub versions: Versions,
    /// Takes WebSockets; without them an upgrade is answered with 426.
    pub websocket: bool,
    /// How long a WebSocket may live.
    pub socket_life: Duration,
    /// How often it pings a WebSocket's client while a turn stands still; never when absent.
    pub socket_pings: Option<Duration>,
    /// Says the turn state in a `response.metadata` event, too, where a WebSocket's client looks for it.
    pub turn_state_event: bool,
    /// Refuses encrypted reasoning that this backend did not give to the same account.
    pub strict_encrypted: bool,
    /// Shortest time between two looks at the same account's usage; sooner ones are offences.
    pub usage_gap: Option<std::time::Duration>,
    /// Most looks at usage at once; more are offences.
    pub usage_most: Option<usize>,
    /// Sends Cloudflare's cookies, and some that a client must not keep.
    pub cookies: bool,
    /// Requests kept in the record; the oldest leave first.
    pub keep: usize,
    /// The OAuth client that may log in.
    pub client_id: String,
    /// Ports of a login's redirect.
    pub redirect_ports: Vec<u16>,
    /// Lifetime of access tokens from the token endpoint, seconds.
    pub access_lifetime: i64,
    /// Polls after which a device code is approved by itself; never when absent.
    pub device_polls: Option<u32>,
    /// Seconds a device client is asked to wait between polls.
    pub device_interval: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            replay: Vec::new(),
            pace: None,
            completed_output: false,
            rate_limits_event: false,
            versions: Versions::default(),
            websocket: true,
            socket_life: Duration::from_hours(1),
            socket_pings: None,
            turn_state_event: true,
            strict_encrypted: true,
            usage_gap: None,
            usage_most: None,
            cookies: true,
            keep: 10_000,
            client_id: REAL_CLIENT_ID.to_owned(),
            redirect_ports: vec![1455, 1457],
            access_lifetime: 864_000,
            device_polls: Some(2),
            device_interval: 5,
        }
    }
}

/// The backend, not yet running.
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

/// Addresses and the end.
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

    /// Where the newest version of the command-line program is published, as GitHub does it.
    pub fn cli_feed(&self) -> String {
        format!("{}/feed/repos/openai/codex/releases/latest", self.shared.origin)
    }

    /// Where the newest version of the desktop app is published.
    pub fn app_feed(&self) -> String {
        format!("{}/feed/appcast.xml", self.shared.origin)
    }

    /// `http://127.0.0.1:PORT`, for `upstream.auth_url`.
    pub fn auth_url(&self) -> String {
        self.shared.origin.clone()
    }

    /// Ends every connection and waits for it.
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

    /// A new login with chosen facts.
    pub fn add_account(&self, new: NewAccount) -> FakeAccount {
        let mut book = self.shared.book.lock();
        let expires_in = new.expires_in;
        let who = book.add(new);
        let grant = book.grant(who, expires_in, &self.shared.options.client_id);
        book.show(who, grant)
    }

    /// Lets so much time pass at the backend, on top of what passes anyway: for its tokens and its `Date`.
    pub fn advance(&self, by: Duration) {
        self.shared.book.lock().ahead += i64::try_from(by.as_secs()).unwrap_or(0);
    }

    /// Refuses the access tokens that this account has now.
    pub fn revoke_access(&self, account_id: &str, why: Revocation) {
        self.shared.book.lock().refuse(account_id, why);
    }

    /// Lets the access tokens that this account has now be expired.
    pub fn expire_access(&self, account_id: &str) {
        self.revoke_access(account_id, Revocation::Expired);
    }

    /// Lets the account's refresh tokens be answered with `refresh_token_expired`.
    pub fn expire_refresh(&self, account_id: &str) {
        self.shared.book.lock().doom(account_id, Fate::Expired);
    }

    /// Lets the account's refresh tokens be answered with `refresh_token_invalidated`.
    pub fn invalidate_refresh(&self, account_id: &str) {
        self.shared.book.lock().doom(account_id, Fate::Invalidated);
    }

    /// The refresh tokens of this account that would still be accepted.
    pub fn current_refresh(&self, account_id: &str) -> Vec<String> {
        self.shared.book.lock().current(account_id)
    }

    /// Sets what the account has used up.
    pub fn set_quota(&self, account_id: &str, quota: &Quota) {
        self.edit(account_id, |person| person.quota = quota.clone());
    }

    /// Limits the account to these models; its list and its requests follow.
    pub fn set_models(&self, account_id: &str, slugs: &[&str]) {
        self.edit(account_id, |person| person.models = Some(slugs.iter().map(ToString::to_string).collect()));
    }

    /// Publishes other versions of the official clients.
    pub fn publish(&self, versions: Versions) {
        *self.shared.versions.lock() = versions;
    }

    /// Whose login the next browser or device authorization becomes; a new account without it.
    pub fn login_as(&self, account_id: &str) {
        let mut book = self.shared.book.lock();
        let who = book.of(account_id).next();
        book.login_as = who;
    }

    /// Lets the person say no at the next browser logins.
    pub fn deny_logins(&self, deny: bool) {
        self.shared.book.lock().deny = deny;
    }

    /// Approves a device code as the person would on the page; false for a code nobody asked for.
    pub fn approve_device(&self, user_code: &str) -> bool {
        self.shared.logins.lock().approve(user_code)
    }

    fn edit(&self, account_id: &str, change: impl Fn(&mut Person)) {
        let mut book = self.shared.book.lock();
        book.people.iter_mut().filter(|person| person.account_id == account_id).for_each(change);
    }
}

/// Scripts and the record.
impl Running {
    /// Adds a rule after those already waiting.
    pub fn script(&self, rule: Rule) {
        self.shared.script.add(rule);
    }

    /// Forgets all rules; the record stays.
    pub fn unscript(&self) {
        self.shared.script.clear();
    }

    /// Rules that are not used up.
    pub fn pending(&self) -> Vec<Rule> {
        self.shared.script.pending()
    }

    /// Opens a gate for every answer that waits or will wait at it.
    pub fn release(&self, gate: &str) {
        self.shared.gates.release(gate);
    }

    /// Lets every open connection die without a word, as they do while a machine sleeps: nothing is read or answered on them
    /// any more, and nothing says so.
    pub fn kill_connections(&self) {
        self.shared.sleep.notify_waiters();
    }

    /// What the next accepted connection meets instead of HTTP.
    pub fn greet(&self, greeting: Greeting) {
        self.shared.greetings.lock().push_back(greeting);
    }

    /// From now on a request that matches is an offence, for example because its client left.
    pub fn forbid(&self, when: When, note: &str) {
        self.shared.script.forbid(when, note.to_owned());
    }

    /// Everything seen so far.
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

    /// Forgets the record, the script and the gates; accounts and tokens stay.
    pub fn reset(&self) {
        self.shared.reset();
    }
}
