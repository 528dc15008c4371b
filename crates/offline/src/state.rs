//! The state that all connections share.

pub(crate) mod cache;
mod chain;
mod options;
mod pending_logins;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::account::AccountTable;
use crate::gate::Gates;
use crate::plan::wire::ConnectionFault;
use crate::record::Recorder;
use crate::script::Script;
use crate::token;

use cache::PromptCache;
pub(crate) use chain::{Chain, ResponseOwners};
pub use options::{Options, REAL_CLIENT_ID, Versions};
pub(crate) use pending_logins::{PendingDevice, PendingLogins};

pub(crate) struct Shared {
    pub(crate) options: Options,
    /// `http://127.0.0.1:PORT`.
    pub(crate) origin: String,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) script: Script,
    pub(crate) gates: Gates,
    pub(crate) accounts: Mutex<AccountTable>,
    pub(crate) pending_logins: Mutex<PendingLogins>,
    pub(crate) cache: Mutex<PromptCache>,
    pub(crate) versions: Mutex<Versions>,
    pub(crate) chains: Mutex<ResponseOwners>,
    pub(crate) greetings: Mutex<VecDeque<ConnectionFault>>,
    /// Makes open connections stop reading and answering.
    pub(crate) freeze: Notify,
    /// Items that the public Responses API stores, by API key and item id.
    pub(crate) stored: Mutex<HashMap<(String, String), Value>>,
}

impl Shared {
    pub(crate) fn new(options: Options, origin: String) -> Self {
        Self {
            recorder: Arc::new(Recorder::new(options.max_recorded)),
            versions: Mutex::new(options.versions.clone()),
            options,
            origin,
            script: Script::default(),
            gates: Gates::default(),
            accounts: Mutex::default(),
            pending_logins: Mutex::default(),
            cache: Mutex::default(),
            chains: Mutex::default(),
            greetings: Mutex::default(),
            freeze: Notify::new(),
            stored: Mutex::default(),
        }
    }

    /// The `Date` of answers if the backend's clock differs from this machine's.
    pub(crate) fn date(&self) -> Option<HeaderValue> {
        let accounts = self.accounts.lock();
        let text = (accounts.ahead != 0).then(|| token::http_date(accounts.now()))?;
        HeaderValue::from_str(&text).ok()
    }

    /// Clears the record, the script and the gates; accounts and tokens stay.
    pub(crate) fn reset(&self) {
        self.recorder.reset();
        self.script.clear();
        self.gates.reset();
        self.greetings.lock().clear();
    }
}
