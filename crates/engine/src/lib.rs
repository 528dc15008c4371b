//! The loop of a request: model name, account, attempt, upstream, events, usage. And what keeps accounts alive beside it:
//! token refresh, model lists, quota figures, warnings.
//!
//! The server and the command line see only what this file exports; they never see the store or the upstream. Policy is
//! `pool`'s, bytes are `proto`'s: here they meet sockets, clocks and tasks.
//!
//! ```text
//! Call -> run -> (catalogue, slots, refresh) -> Attempt -> commit barrier -> Committed -> Stream | Whole
//! ```

mod accounts;
mod affinity;
mod alerts;
mod beside;
mod call;
mod clock;
mod conversation;
mod core;
mod egress;
mod engine;
mod estimate;
mod feed;
mod forward;
mod head;
mod keeper;
mod keys;
mod ledger;
mod logins;
mod models;
mod native;
mod quota;
mod refresh;
mod relays;
mod releases;
mod reply;
mod retired;
mod room;
mod routing;
mod rules;
mod run;
mod settings;
mod slots;
mod sockets;
mod stored;
mod stream;

pub use accounts::{
    AccountError, AccountView, Batch, Checked, Fate as BatchFate, Health, Outcome, Pace, Ready, TagChange,
};
pub use alerts::{Alerts, Hidden, Receiver};
pub use call::{Call, Client};
pub use clock::Clock;
pub use egress::{
    GlobalView, INTERVAL as CHECK_INTERVAL, Move, Moves, ProxyChange, ProxyCheck, ProxyError, ProxyView, ProxyWish,
    Ticket, add_proxy, assign, change_proxy, check_proxies, import_proxies, keep_checks, proxy_state, remove_proxy,
};
pub use engine::{Engine, Parts, StartError};
pub use feed::{News, Watcher};
pub use forward::{Broken, Delivery, Errand, Fate, Form, Load, NO_RELAY};
pub use keys::{AdminId, AuthError, CreatedKey, KeyError, KeyId, NewKey};
pub use logins::{
    DevicePoll, DeviceStart, ImportFate, ImportProblem, ImportResult, Imports, LinkError, LoginProblem, LoginStage,
    LoginStart,
};
pub use models::Refreshed;
pub use native::Guest;
pub use quota::{Consumed, Measured, Outlook, QuotaError};
pub use refresh::FAILPOINTS;
pub use relays::{
    Private, RelayChange, RelayError, RelayOrigin, RelayView, RelayWish, Shown, add_relay, host_name, masked,
    rekey_relay, relay_models, relay_name, relay_state, test_relay,
};
pub use releases::Feeds;
pub use reply::{Fallback, Head, Refusal, Reply, Whole};
pub use retired::RetiredModel;
pub use room::{Room, Space, Tab};
pub use rules::{CandidateView, Explained, Inquiry, TermsChange, TermsError};
pub use settings::{Proxies, Settings};
pub use store::portable::PortableError;
pub use stored::{NotCancelled, Trail};
pub use stream::Stream;
pub use upstream::relay::{PASSED as RELAYED, ProbeError};
pub use upstream::transfer::{FileError, Format};
pub use upstream::{INLINE, PASSED, TURN, lanes, offload};
