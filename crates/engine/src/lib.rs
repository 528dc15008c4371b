//! The loop of a request: model name, account, attempt, upstream, events, usage. Background jobs keep the accounts usable: token
//! refresh, model lists, quota figures, warnings.
//!
//! The server and the command line see only the exports of this file, never the store or the upstream. Policy is in `pool`, wire
//! formats are in `proto`; this crate connects them to sockets, clocks and tasks.
//!
//! ```text
//! Call -> run -> (catalogue, limiter, refresh) -> ModelAttempt -> commit barrier -> ReplyStream | Whole
//! ```

mod admin;
mod background;
mod clock;
mod date;
mod dispatch;
mod engine;
mod memory;
mod models;
mod quota;
mod registry;
mod request;
mod runtime;
mod settings;
mod tokens;

pub use admin::accounts::batch::{Batch, BatchOutcome, BatchResult as BatchFate, TagChange};
pub use admin::accounts::{AccountError, AccountHealth, Accounts, CheckPace, CheckedAccount, LimitsChange};
pub use admin::explain::{CandidateView, Routing, RoutingExplanation, RoutingQuery};
pub use admin::keys::Keys;
pub use admin::logins::{
    DevicePoll, DeviceStart, ImportOutcome, ImportProblem, ImportResult, Imports, LinkError, LoginProblem, LoginStage,
    LoginStart, Logins,
};
pub use admin::models::{ListedModel, Models, Refreshed};
pub use admin::proxies::{
    AssignmentPreview, EgressAssignment, EgressChange, GlobalView, Proxies, ProxyChange, ProxyError, ProxySpec,
    ProxyView,
};
pub use admin::relays::{
    PROVIDERS, PrivateAccess, Provider, RelayChange, RelayError, RelaySpec, RelayView, Relays, host_name, masked,
    relay_state, slugify_relay_name,
};
pub use clock::Clock;
pub use date::Date;
pub use dispatch::proxy_checks::{ProxyCheck, check_proxies};
pub use engine::{Engine, Parts, StartError};
pub use memory::{MemoryBudget, RequestMemory, Reservation};
pub use quota::{Consumed, Measured, Outlook, QuotaError, Quotas};
pub use registry::accounts::{AccountView, Ready};
pub use registry::egress::INTERVAL as CHECK_INTERVAL;
pub use registry::feed::{AccountEvent, Watcher};
pub use registry::keys::{AdminId, AuthError, CreatedKey, KeyId, NewKey};
pub use registry::relays::RelayOrigin;
pub use request::call::{Call, Client};
pub use request::forward::{BodyFate, BrokenReply, Form, ForwardBody, ForwardRequest, ForwardedReply, NO_RELAY};
pub use request::reply::{Fallback, Head, Refusal, Reply, ReplyBody};
pub use request::retired::RetiredModel;
pub use request::stored::{ConnectionHistory, NotCancelled, Responses};
pub use request::stream::ReplyStream;
pub use settings::{Alerts, Feeds, ProxyChecks, Receiver, SecretUrl, Settings};
pub use store::portable::PortableError;
pub use tokens::{FAILPOINTS, Guest};
pub use upstream::relay::{PASSED_HEADERS as RELAYED, ProbeError};
pub use upstream::transfer::{FileError, Format};
pub use upstream::{PASSED_HEADERS, TURN_HEADERS};
