//! The two tables of contents: what the gateway serves, and what its Ollama listener serves.

use http::Method;
use pool::keys::Scope;
use proto::Dialect;

use super::{Class, Route};
use crate::{admin, edge};

macro_rules! route {
    ($method:ident $path:literal, $class:expr, $dialect:ident, $handler:path) => {
        Route {
            method: Method::$method,
            path: $path,
            class: $class,
            dialect: Dialect::$dialect,
            handler: |ask| Box::pin($handler(ask)),
        }
    };
}

const PUBLIC: Class = Class::Public;
const DATA: Class = Class::Data;
const READ: Class = Class::Admin(Scope::Read);
const WRITE: Class = Class::Admin(Scope::Write);
const EXPORT: Class = Class::Admin(Scope::Export);

pub(super) static GATEWAY: [Route; 112] = [
    route!(GET "/", PUBLIC, Chat, edge::health::root),
    route!(GET "/health", PUBLIC, Chat, edge::health::pool),
    route!(GET "/healthz", PUBLIC, Chat, edge::health::process),
    route!(GET "/readyz", PUBLIC, Chat, edge::health::ready),
    // OpenAI.
    route!(POST "/v1/chat/completions", DATA, Chat, edge::chat::create),
    route!(POST "/v1/responses", DATA, Responses, edge::responses::create),
    route!(POST "/v1/responses/review", DATA, Responses, edge::responses::review),
    route!(POST "/responses", DATA, Responses, edge::responses::create),
    route!(POST "/responses/review", DATA, Responses, edge::responses::review),
    route!(GET "/v1/responses", DATA, Responses, edge::responses::socket),
    route!(GET "/responses", DATA, Responses, edge::responses::socket),
    // For relays that have them.
    route!(POST "/v1/embeddings", DATA, Chat, edge::pass::embeddings),
    route!(POST "/v1/audio/speech", DATA, Chat, edge::pass::speech),
    route!(POST "/v1/audio/transcriptions", DATA, Chat, edge::pass::transcriptions),
    route!(POST "/v1/audio/translations", DATA, Chat, edge::pass::translations),
    route!(POST "/v1/images/generations", DATA, Chat, edge::pass::generations),
    route!(POST "/v1/images/edits", DATA, Chat, edge::pass::edits),
    route!(POST "/v1/images/variations", DATA, Chat, edge::pass::variations),
    // Three vendors share these two; headers tell whose client asks.
    route!(GET "/v1/models", DATA, Chat, edge::models::list),
    route!(GET "/v1/models/{name}", DATA, Chat, edge::models::one),
    // Anthropic.
    route!(POST "/v1/messages", DATA, Messages, edge::messages::create),
    route!(POST "/v1/messages/count_tokens", DATA, Messages, edge::messages::count_tokens),
    // Gemini; its newer clients ask for v1, and a base URL may end in /gemini.
    route!(POST "/v1beta/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/v1beta/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/v1beta/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/v1beta/models/{name}", DATA, Gemini, edge::gemini::unknown),
    route!(GET "/v1beta/models", DATA, Gemini, edge::models::list),
    route!(GET "/v1beta/models/{name}", DATA, Gemini, edge::models::one),
    route!(POST "/v1/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/v1/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/v1/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/v1/models/{name}", DATA, Gemini, edge::gemini::unknown),
    route!(POST "/gemini/v1beta/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/gemini/v1beta/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/gemini/v1beta/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/gemini/v1beta/models/{name}", DATA, Gemini, edge::gemini::unknown),
    route!(GET "/gemini/v1beta/models", DATA, Gemini, edge::models::list),
    route!(GET "/gemini/v1beta/models/{name}", DATA, Gemini, edge::models::one),
    route!(POST "/gemini/v1/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/gemini/v1/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/gemini/v1/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/gemini/v1/models/{name}", DATA, Gemini, edge::gemini::unknown),
    route!(GET "/gemini/v1/models", DATA, Gemini, edge::models::list),
    route!(GET "/gemini/v1/models/{name}", DATA, Gemini, edge::models::one),
    // Administration.
    route!(GET "/admin/accounts", READ, Chat, admin::accounts::list),
    route!(PATCH "/admin/accounts/{id}", WRITE, Chat, admin::choice::set),
    route!(GET "/admin/dry-run", READ, Chat, admin::choice::explain),
    route!(GET "/admin/keys", READ, Chat, admin::keys::list),
    route!(POST "/admin/keys", WRITE, Chat, admin::keys::create),
    route!(DELETE "/admin/keys/{id}", WRITE, Chat, admin::keys::revoke),
    route!(GET "/admin/guard", READ, Chat, admin::guard::counters),
    route!(GET "/admin/ollama-status", READ, Chat, admin::ollama::status),
    route!(GET "/admin/events", READ, Chat, admin::events::watch),
    route!(GET "/admin/forecast", READ, Chat, admin::quota::forecast),
    // Quota, under the paths of the system that people come from.
    route!(GET "/auth/accounts/{id}/quota", READ, Chat, admin::quota::fresh),
    route!(GET "/auth/accounts/{id}/reset-credits", READ, Chat, admin::quota::credits),
    route!(POST "/auth/accounts/{id}/reset-credits/consume", WRITE, Chat, admin::quota::consume),
    route!(GET "/auth/quota/warnings", READ, Chat, admin::quota::warnings),
    // Relays, under the paths of the system that people come from.
    route!(GET "/auth/api-keys/catalog", READ, Chat, admin::relays::catalog),
    route!(GET "/auth/api-keys", READ, Chat, admin::relays::list),
    route!(GET "/auth/api-keys/export", EXPORT, Chat, admin::relays::export),
    route!(POST "/auth/api-keys", WRITE, Chat, admin::relays::add),
    route!(POST "/auth/api-keys/models", WRITE, Chat, admin::relays::models),
    route!(POST "/auth/api-keys/import", WRITE, Chat, admin::relays::import),
    route!(POST "/auth/api-keys/batch-delete", WRITE, Chat, admin::relays::remove_many),
    route!(DELETE "/auth/api-keys/{id}", WRITE, Chat, admin::relays::remove),
    route!(PATCH "/auth/api-keys/{id}/label", WRITE, Chat, admin::relays::rename),
    route!(PATCH "/auth/api-keys/{id}/status", WRITE, Chat, admin::relays::switch),
    route!(PATCH "/auth/api-keys/{id}/key", WRITE, Chat, admin::relays::rekey),
    // Logins and accounts, under the same paths as there.
    route!(GET "/auth/status", READ, Chat, admin::logins::status),
    route!(GET "/auth/login", WRITE, Chat, admin::logins::go),
    route!(GET "/auth/accounts/login", WRITE, Chat, admin::logins::go),
    route!(POST "/auth/login-start", WRITE, Chat, admin::logins::start),
    route!(POST "/auth/code-relay", WRITE, Chat, admin::logins::relay),
    route!(POST "/auth/device-login", WRITE, Chat, admin::logins::device),
    route!(GET "/auth/device-poll/{id}", WRITE, Chat, admin::logins::poll),
    route!(POST "/auth/import-cli", WRITE, Chat, admin::logins::import_cli),
    route!(POST "/auth/token", WRITE, Chat, admin::logins::token),
    route!(POST "/auth/logout", WRITE, Chat, admin::logins::logout),
    route!(GET "/auth/accounts", READ, Chat, admin::accounts::all),
    route!(POST "/auth/accounts", WRITE, Chat, admin::accounts::add),
    route!(GET "/auth/accounts/export", EXPORT, Chat, admin::accounts::export),
    route!(POST "/auth/accounts/import", WRITE, Chat, admin::accounts::import),
    route!(POST "/auth/accounts/batch-delete", WRITE, Chat, admin::accounts::remove_many),
    route!(POST "/auth/accounts/batch-status", WRITE, Chat, admin::accounts::switch_many),
    route!(POST "/auth/accounts/health-check", WRITE, Chat, admin::accounts::check),
    route!(DELETE "/auth/accounts/{id}", WRITE, Chat, admin::accounts::remove),
    route!(POST "/auth/accounts/{id}/refresh", WRITE, Chat, admin::accounts::refresh),
    route!(PATCH "/auth/accounts/{id}/label", WRITE, Chat, admin::accounts::rename),
    route!(PATCH "/auth/accounts/{id}/tags", WRITE, Chat, admin::accounts::tag),
    route!(GET "/auth/accounts/{id}/cookies", EXPORT, Chat, admin::accounts::cookies),
    route!(POST "/auth/accounts/{id}/cookies", WRITE, Chat, admin::accounts::put_cookies),
    route!(DELETE "/auth/accounts/{id}/cookies", WRITE, Chat, admin::accounts::drop_cookies),
    // Proxies, the same.
    route!(GET "/api/proxies", READ, Chat, admin::proxies::list),
    route!(POST "/api/proxies", WRITE, Chat, admin::proxies::add),
    route!(POST "/api/proxies/check-all", WRITE, Chat, admin::proxies::check_all),
    route!(PUT "/api/proxies/settings", WRITE, Chat, admin::proxies::settings),
    route!(POST "/api/proxies/assign", WRITE, Chat, admin::proxies::assign),
    route!(DELETE "/api/proxies/assign/{id}", WRITE, Chat, admin::proxies::unassign),
    route!(GET "/api/proxies/assignments", READ, Chat, admin::proxies::assignments),
    route!(POST "/api/proxies/assign-bulk", WRITE, Chat, admin::proxies::assign_bulk),
    route!(POST "/api/proxies/assign-rule", WRITE, Chat, admin::proxies::assign_rule),
    route!(GET "/api/proxies/assignments/export", READ, Chat, admin::proxies::export_assignments),
    route!(POST "/api/proxies/assignments/import", WRITE, Chat, admin::proxies::import_assignments),
    route!(POST "/api/proxies/assignments/apply", WRITE, Chat, admin::proxies::assign_bulk),
    route!(GET "/api/proxies/export", EXPORT, Chat, admin::proxies::export),
    route!(POST "/api/proxies/import", WRITE, Chat, admin::proxies::import),
    route!(PUT "/api/proxies/{id}", WRITE, Chat, admin::proxies::change),
    route!(DELETE "/api/proxies/{id}", WRITE, Chat, admin::proxies::remove),
    route!(POST "/api/proxies/{id}/check", WRITE, Chat, admin::proxies::check),
    route!(POST "/api/proxies/{id}/enable", WRITE, Chat, admin::proxies::enable),
    route!(POST "/api/proxies/{id}/disable", WRITE, Chat, admin::proxies::disable),
];

/// Keyless on loopback, by the listener and not by the class: on another address these need a key.
pub(super) static OLLAMA: [Route; 30] = [
    route!(GET "/", PUBLIC, Ollama, edge::ollama::root),
    route!(GET "/api/version", PUBLIC, Ollama, edge::ollama::version),
    route!(GET "/api/tags", DATA, Ollama, edge::ollama::tags),
    route!(GET "/api/ps", DATA, Ollama, edge::ollama::ps),
    route!(POST "/api/show", DATA, Ollama, edge::ollama::show),
    route!(POST "/api/chat", DATA, Ollama, edge::ollama::chat),
    route!(POST "/api/generate", DATA, Ollama, edge::ollama::generate),
    route!(POST "/api/embed", DATA, Ollama, edge::ollama::embed),
    route!(POST "/api/embeddings", DATA, Ollama, edge::ollama::embeddings),
    route!(POST "/api/pull", DATA, Ollama, edge::ollama::manage),
    route!(POST "/api/push", DATA, Ollama, edge::ollama::manage),
    route!(POST "/api/create", DATA, Ollama, edge::ollama::manage),
    route!(POST "/api/copy", DATA, Ollama, edge::ollama::manage),
    route!(DELETE "/api/delete", DATA, Ollama, edge::ollama::manage),
    route!(POST "/api/blobs/{id}", DATA, Ollama, edge::ollama::manage),
    route!(POST "/v1/chat/completions", DATA, Chat, edge::chat::create),
    route!(POST "/v1/responses", DATA, Responses, edge::responses::create),
    route!(POST "/v1/responses/review", DATA, Responses, edge::responses::review),
    route!(GET "/v1/responses", DATA, Responses, edge::responses::socket),
    route!(GET "/v1/models", DATA, Chat, edge::models::list),
    route!(GET "/v1/models/{name}", DATA, Chat, edge::models::one),
    route!(POST "/v1/embeddings", DATA, Chat, edge::pass::embeddings),
    route!(POST "/v1/audio/speech", DATA, Chat, edge::pass::speech),
    route!(POST "/v1/audio/transcriptions", DATA, Chat, edge::pass::transcriptions),
    route!(POST "/v1/audio/translations", DATA, Chat, edge::pass::translations),
    route!(POST "/v1/images/generations", DATA, Chat, edge::pass::generations),
    route!(POST "/v1/images/edits", DATA, Chat, edge::pass::edits),
    route!(POST "/v1/images/variations", DATA, Chat, edge::pass::variations),
    route!(POST "/v1/messages", DATA, Messages, edge::messages::create),
    route!(POST "/v1/messages/count_tokens", DATA, Messages, edge::messages::count_tokens),
];
