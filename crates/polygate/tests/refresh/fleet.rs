//! A backend, signed-in accounts, and the checks at the end of a run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use offline::{FakeAccount, Offline, Options, Running};
use pool::{Secret, Status};
use serde_json::Value;
use store::Store;

use crate::common::{Answer, Gateway, Home};

/// A size of a run: a number from the environment, else a small one.
pub(crate) fn size(name: &str, small: usize) -> usize {
    std::env::var(name).map_or(small, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

/// Whether this is a soak and not an ordinary test.
pub(crate) fn soaking() -> bool {
    std::env::var_os("POLYGATE_SOAK").is_some()
}

/// The backend and the logins that every home of a run shares.
pub(crate) struct Fleet {
    pub(crate) backend: Running,
    pub(crate) logins: Vec<FakeAccount>,
    asked: AtomicUsize,
    /// The database and the data key that all homes share.
    shared: Option<(String, PathBuf)>,
    admin: String,
}

impl Fleet {
    /// Makes this many logins at a new backend, and a first home with these logins; `postgres` is the URL of the homes' one database.
    pub(crate) async fn new(accounts: usize, postgres: Option<String>) -> (Self, Home) {
        let options = Options { max_recorded: 100, ..Options::default() };
        let backend = Offline::start(options).await.unwrap();
        let logins = (0..accounts).map(|_| backend.account("plus")).collect();
        let first = Home::new(&backend);
        let shared = postgres.map(|url| (url, first.dir.path().join("data.key")));
        let mut fleet = Self { backend, logins, asked: AtomicUsize::new(0), shared, admin: String::new() };
        let first = fleet.join(first);
        if fleet.shared.is_some() {
            create(&first);
        }
        fleet.import(&first);
        let admin: Value = serde_json::from_str(&first.ok(&["--json", "admin", "token"])).unwrap();
        admin["key"].as_str().unwrap().clone_into(&mut fleet.admin);
        (fleet, first)
    }

    /// Another home on the same store.
    pub(crate) fn home(&self) -> Home {
        self.join(Home::new(&self.backend))
    }

    fn join(&self, home: Home) -> Home {
        // Every account serves in turn, so that each round reaches all of them. The gateway sends no quota requests: the backend could
        // refuse a token that expires as soon as it is issued, and tokens of a real backend do not expire so early.
        let home = home.logging_warnings().with("POLYGATE_ACCOUNTS__STRATEGY", "round_robin");
        let home = home.with("POLYGATE_QUOTA__REFRESH_INTERVAL", "0");
        match &self.shared {
            None => home,
            Some((url, key)) => {
                home.with("POLYGATE_STORE__POSTGRES_URL", url).with("POLYGATE_DATA_KEY_FILE", key.display().to_string())
            }
        }
    }

    fn import(&self, home: &Home) {
        let mut args = vec!["accounts".to_owned(), "import".to_owned()];
        for (nth, login) in self.logins.iter().enumerate() {
            let file = home.dir.path().join(format!("{nth}.json"));
            std::fs::write(&file, login.auth_json()).unwrap();
            args.push(file.display().to_string());
        }
        home.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Expires every access token at once.
    pub(crate) fn expire(&self) {
        for login in &self.logins {
            self.backend.expire_access(&login.account_id);
        }
    }

    /// Opens the homes' store in this process.
    pub(crate) async fn store(&self, home: &Home) -> Store {
        let (postgres, key) = self.shared.clone().unzip();
        let postgres = postgres.map(Secret::new);
        let data_key = key.map_or(store::DataKey::InHome, store::DataKey::File);
        Store::open(store::Options { home: home.path(), postgres, data_key, ..store::Options::default() })
            .await
            .unwrap()
    }

    /// Sends a request to the admin API.
    pub(crate) async fn admin(&self, gateway: &Gateway, method: &str, path: &str) -> Answer {
        gateway.send(gateway.request(method, path, &self.admin, if method == "GET" { "" } else { "{}" })).await.unwrap()
    }

    /// The first account, as a gateway's admin API shows it.
    pub(crate) async fn first(&self, gateway: &Gateway) -> Value {
        let answer = self.admin(gateway, "GET", "/auth/accounts").await;
        let list: Value = serde_json::from_str(&answer.body).unwrap();
        list["accounts"][0].clone()
    }

    /// Makes a gateway refresh this account now.
    pub(crate) async fn refresh(&self, gateway: &Gateway, account: &Value) -> Answer {
        let path = format!("/auth/accounts/{}/refresh", account["id"].as_str().unwrap());
        self.admin(gateway, "POST", &path).await
    }

    /// Sends a new question: the same conversation would go to the same account.
    pub(crate) async fn question(&self, gateway: &Gateway) -> anyhow::Result<Answer> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        gateway.chat(&format!("Reply with exactly: {nth}")).await
    }

    /// Sends every gateway as many questions at once as there are accounts. Returns the answers with another status than 200.
    pub(crate) async fn ask(&self, gateways: &[&Gateway]) -> Vec<String> {
        let asks = gateways.iter().flat_map(|gateway| self.logins.iter().map(|_| self.question(gateway)));
        let refused = join_all(asks).await.into_iter().map(|answer| match answer {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(format!("{}: {}", answer.status, answer.body)),
            Err(error) => Some(format!("{error:#}")),
        });
        refused.flatten().collect()
    }

    /// Each refresh token was used once, and every account is signed in with a valid refresh token.
    pub(crate) async fn judge(&self, home: &Home) {
        let record = self.backend.record();
        assert_eq!(record.offences, []);
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for refresh in &record.refreshes {
            *uses.entry(&refresh.token).or_default() += 1;
        }
        assert!(uses.values().all(|uses| *uses == 1), "a refresh token was used twice");
        let store = self.store(home).await;
        let accounts = store.accounts().await.unwrap();
        assert_eq!(accounts.len(), self.logins.len());
        for account in accounts {
            assert_eq!(account.status, Status::Active);
            let tokens = store.tokens(&account.id).await.unwrap().unwrap();
            let good = self.backend.current_refresh(&account.upstream_id);
            assert_eq!(good, [tokens.refresh.unwrap().expose()], "the stored refresh token is the good one");
        }
        store.close().await;
    }
}

/// Makes the tables of an empty PostgreSQL database. Only `serve` and `migrate` make tables, and other commands say so.
fn create(home: &Home) {
    let refused = home.run(&["--json", "keys", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "failed");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("run `polygate migrate`"), "{message}");
    let done: Value = serde_json::from_str(&home.ok(&["--json", "migrate"])).unwrap();
    assert_eq!(done, serde_json::json!({ "migrated": true }));
}
