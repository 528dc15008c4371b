//! The route tables of the gateway and of its Ollama listener.

use http::Method;
use pool::keys::Scope;
use proto::Dialect;

use crate::auth::Class;
use crate::operation::Operation;
use crate::route::{BodyKind, Route};
use crate::{admin, edge};

macro_rules! route {
    ($method:ident $path:literal, $class:expr, $dialect:ident, $handler:path) => {
        route!(of None, Json, $method $path, $class, $dialect, $handler)
    };
    // A route whose body is not JSON.
    ($takes:ident: $method:ident $path:literal, $class:expr, $dialect:ident, $handler:path) => {
        route!(of None, $takes, $method $path, $class, $dialect, $handler)
    };
    // A route of the admin API, with its description.
    ($method:ident $path:literal, $class:expr, $handler:path, $operation:path) => {
        route!(of Some(&$operation), Json, $method $path, $class, Chat, $handler)
    };
    ($takes:ident: $method:ident $path:literal, $class:expr, $handler:path, $operation:path) => {
        route!(of Some(&$operation), $takes, $method $path, $class, Chat, $handler)
    };
    (of $operation:expr, $takes:ident, $method:ident $path:literal, $class:expr, $dialect:ident, $handler:path) => {{
        const _: Option<&Operation> = $operation;
        Route {
            method: Method::$method,
            path: $path,
            class: $class,
            dialect: Dialect::$dialect,
            body: BodyKind::$takes,
            handler: |ctx| Box::pin($handler(ctx)),
            #[cfg(any(test, feature = "describe"))]
            operation: $operation,
        }
    }};
}

const PUBLIC: Class = Class::Public;
const DATA: Class = Class::Data;
const CODEX: Class = Class::Codex;
const READ: Class = Class::Admin(Scope::Read);
const WRITE: Class = Class::Admin(Scope::Write);
const EXPORT: Class = Class::Admin(Scope::Export);

pub(super) static GATEWAY: [Route; 189] = [
    route!(GET "/", PUBLIC, Chat, edge::health::root),
    route!(GET "/health", PUBLIC, Chat, edge::health::pool),
    route!(GET "/healthz", PUBLIC, Chat, edge::health::process),
    route!(GET "/readyz", PUBLIC, Chat, edge::health::ready),
    // OpenAI.
    route!(POST "/v1/chat/completions", DATA, Chat, edge::chat::create),
    route!(POST "/v1/completions", DATA, Chat, edge::chat::completions),
    route!(POST "/v1/responses", DATA, Responses, edge::responses::create),
    route!(POST "/v1/responses/review", DATA, Responses, edge::responses::review),
    route!(POST "/v1/responses/compact", DATA, Responses, edge::responses::compact),
    route!(POST "/v1/responses/input_tokens", DATA, Responses, edge::responses::input_tokens),
    route!(POST "/responses", DATA, Responses, edge::responses::create),
    route!(POST "/responses/compact", DATA, Responses, edge::responses::compact),
    route!(POST "/responses/input_tokens", DATA, Responses, edge::responses::input_tokens),
    route!(POST "/backend-api/codex/responses/compact", CODEX, Responses, edge::responses::compact),
    route!(POST "/responses/review", DATA, Responses, edge::responses::review),
    route!(Socket: GET "/v1/responses", DATA, Responses, edge::responses::socket),
    route!(Socket: GET "/responses", DATA, Responses, edge::responses::socket),
    route!(GET "/v1/responses/{id}", DATA, Responses, edge::stored::one),
    route!(DELETE "/v1/responses/{id}", DATA, Responses, edge::stored::delete),
    route!(GET "/v1/responses/{id}/input_items", DATA, Responses, edge::stored::items),
    route!(Nothing: POST "/v1/responses/{id}/cancel", DATA, Responses, edge::stored::cancel),
    route!(GET "/responses/{id}", DATA, Responses, edge::stored::one),
    route!(DELETE "/responses/{id}", DATA, Responses, edge::stored::delete),
    route!(GET "/responses/{id}/input_items", DATA, Responses, edge::stored::items),
    route!(Nothing: POST "/responses/{id}/cancel", DATA, Responses, edge::stored::cancel),
    // For clients whose base URL has no version and whose paths have none either, such as dspy's own client.
    route!(POST "/chat/completions", DATA, Chat, edge::chat::create),
    route!(POST "/messages", DATA, Messages, edge::messages::create),
    route!(POST "/messages/count_tokens", DATA, Messages, edge::messages::count_tokens),
    route!(POST "/embeddings", DATA, Chat, edge::forward::embeddings),
    route!(GET "/models", DATA, Chat, edge::models::list),
    // Services of accounts, or of relays that offer them.
    route!(POST "/backend-api/codex/images/generations", CODEX, Chat, edge::forward::generations),
    route!(POST "/backend-api/codex/images/edits", CODEX, Chat, edge::forward::edits),
    route!(POST "/v1/alpha/search", DATA, Chat, edge::forward::search),
    route!(POST "/backend-api/codex/alpha/search", CODEX, Chat, edge::forward::search),
    route!(POST "/v1/embeddings", DATA, Chat, edge::forward::embeddings),
    route!(POST "/v1/audio/speech", DATA, Chat, edge::forward::speech),
    route!(Form: POST "/v1/audio/transcriptions", DATA, Chat, edge::forward::transcriptions),
    route!(Form: POST "/v1/audio/translations", DATA, Chat, edge::forward::translations),
    route!(POST "/v1/images/generations", DATA, Chat, edge::forward::generations),
    route!(Form: POST "/v1/images/edits", DATA, Chat, edge::forward::edits),
    route!(Form: POST "/v1/images/variations", DATA, Chat, edge::forward::variations),
    // Three vendors share these two paths; headers show the client's vendor.
    route!(GET "/v1/models", DATA, Chat, edge::models::list),
    route!(GET "/v1/models/{name}", DATA, Chat, edge::models::one),
    // Anthropic.
    route!(POST "/v1/messages", DATA, Messages, edge::messages::create),
    route!(POST "/v1/messages/count_tokens", DATA, Messages, edge::messages::count_tokens),
    // Gemini; newer clients use v1, and a base URL may end in /gemini.
    route!(POST "/v1beta/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/v1beta/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/v1beta/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/v1beta/models/{name}", DATA, Gemini, edge::gemini::unknown_method),
    route!(GET "/v1beta/models", DATA, Gemini, edge::models::list),
    route!(GET "/v1beta/models/{name}", DATA, Gemini, edge::models::one),
    route!(POST "/v1/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/v1/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/v1/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/v1/models/{name}", DATA, Gemini, edge::gemini::unknown_method),
    route!(POST "/gemini/v1beta/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/gemini/v1beta/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/gemini/v1beta/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/gemini/v1beta/models/{name}", DATA, Gemini, edge::gemini::unknown_method),
    route!(GET "/gemini/v1beta/models", DATA, Gemini, edge::models::list),
    route!(GET "/gemini/v1beta/models/{name}", DATA, Gemini, edge::models::one),
    route!(POST "/gemini/v1/models/{name}:generateContent", DATA, Gemini, edge::gemini::generate),
    route!(POST "/gemini/v1/models/{name}:streamGenerateContent", DATA, Gemini, edge::gemini::stream),
    route!(POST "/gemini/v1/models/{name}:countTokens", DATA, Gemini, edge::gemini::count_tokens),
    route!(POST "/gemini/v1/models/{name}", DATA, Gemini, edge::gemini::unknown_method),
    route!(GET "/gemini/v1/models", DATA, Gemini, edge::models::list),
    route!(GET "/gemini/v1/models/{name}", DATA, Gemini, edge::models::one),
    // Codex's own paths. Each path has several names, and the client's base URL decides which one the client uses.
    route!(POST "/backend-api/codex/responses", CODEX, Responses, edge::responses::create),
    route!(Socket: GET "/backend-api/codex/responses", CODEX, Responses, edge::responses::socket),
    route!(GET "/backend-api/codex/models", CODEX, Responses, edge::codex::models),
    route!(GET "/backend-api/codex/usage", CODEX, Responses, edge::codex::limits::usage),
    route!(GET "/backend-api/wham/accounts/check", CODEX, Responses, edge::codex::account::check),
    route!(GET "/backend-api/wham/usage", CODEX, Responses, edge::codex::limits::usage),
    route!(GET "/backend-api/wham/rate-limit-reset-credits", CODEX, Responses, edge::codex::limits::credits),
    route!(POST "/backend-api/wham/rate-limit-reset-credits/consume", CODEX, Responses, edge::codex::limits::consume),
    route!(GET "/backend-api/wham/profiles/me", CODEX, Responses, edge::codex::account::profile),
    route!(GET "/backend-api/wham/settings/user", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/backend-api/wham/workspace-messages", CODEX, Responses, edge::codex::account::messages),
    route!(GET "/backend-api/wham/security-setup", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/wham/accounts/check", CODEX, Responses, edge::codex::account::check),
    route!(GET "/wham/usage", CODEX, Responses, edge::codex::limits::usage),
    route!(GET "/wham/rate-limit-reset-credits", CODEX, Responses, edge::codex::limits::credits),
    route!(POST "/wham/rate-limit-reset-credits/consume", CODEX, Responses, edge::codex::limits::consume),
    route!(GET "/wham/profiles/me", CODEX, Responses, edge::codex::account::profile),
    route!(GET "/wham/settings/user", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/wham/workspace-messages", CODEX, Responses, edge::codex::account::messages),
    route!(GET "/wham/security-setup", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/api/codex/accounts/check", CODEX, Responses, edge::codex::account::check),
    route!(GET "/api/codex/usage", CODEX, Responses, edge::codex::limits::usage),
    route!(GET "/api/codex/rate-limit-reset-credits", CODEX, Responses, edge::codex::limits::credits),
    route!(POST "/api/codex/rate-limit-reset-credits/consume", CODEX, Responses, edge::codex::limits::consume),
    route!(GET "/api/codex/profiles/me", CODEX, Responses, edge::codex::account::profile),
    route!(GET "/api/codex/settings/user", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/api/codex/workspace-messages", CODEX, Responses, edge::codex::account::messages),
    route!(GET "/api/codex/security-setup", CODEX, Responses, edge::codex::empty::empty_object),
    // Reports of Codex clients, and features of Codex's real backend only.
    route!(POST "/backend-api/codex/analytics-events/events", CODEX, Responses, edge::codex::empty::empty_object),
    route!(POST "/backend-api/ps/mcp", PUBLIC, Responses, edge::codex::empty::mcp),
    route!(GET "/backend-api/ps/plugins/{name}", CODEX, Responses, edge::codex::empty::plugins),
    route!(GET "/backend-api/ps/{name}", CODEX, Responses, edge::codex::unsupported),
    route!(GET "/backend-api/wham/config/bundle", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/wham/config/bundle", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/api/codex/config/bundle", CODEX, Responses, edge::codex::empty::empty_object),
    route!(POST "/backend-api/wham/usage/{name}", CODEX, Responses, edge::codex::empty::empty_object),
    route!(POST "/wham/usage/{name}", CODEX, Responses, edge::codex::empty::empty_object),
    route!(POST "/api/codex/usage/{name}", CODEX, Responses, edge::codex::empty::empty_object),
    route!(GET "/backend-api/wham/agent-identities/jwks", PUBLIC, Responses, edge::codex::empty::jwks),
    route!(GET "/wham/agent-identities/jwks", PUBLIC, Responses, edge::codex::empty::jwks),
    route!(GET "/api/codex/agent-identities/jwks", PUBLIC, Responses, edge::codex::empty::jwks),
    route!(POST "/backend-api/wham/accounts/send_add_credits_nudge_email", CODEX, Responses, edge::codex::unsupported),
    route!(POST "/wham/accounts/send_add_credits_nudge_email", CODEX, Responses, edge::codex::unsupported),
    route!(POST "/api/codex/accounts/send_add_credits_nudge_email", CODEX, Responses, edge::codex::unsupported),
    route!(POST "/backend-api/codex/memories/trace_summarize", CODEX, Responses, edge::codex::unsupported),
    route!(POST "/backend-api/codex/realtime/calls", CODEX, Responses, edge::codex::unsupported),
    route!(GET "/backend-api/plugins/{name}", CODEX, Responses, edge::codex::unsupported),
    // Administration.
    route!(GET "/admin/openapi.json", READ, admin::openapi::describe, admin::openapi::DESCRIBE),
    route!(GET "/admin/accounts", READ, admin::accounts::list, admin::accounts::LIST),
    route!(PATCH "/admin/accounts/{id}", WRITE, admin::selection::set, admin::selection::SET),
    route!(GET "/admin/dry-run", READ, admin::selection::explain, admin::selection::EXPLAIN),
    route!(GET "/admin/keys", READ, admin::keys::list, admin::keys::LIST),
    route!(POST "/admin/keys", WRITE, admin::keys::create, admin::keys::CREATE),
    route!(PATCH "/admin/keys/{id}", WRITE, admin::keys::change, admin::keys::CHANGE),
    route!(DELETE "/admin/keys/{id}", WRITE, admin::keys::revoke, admin::keys::REVOKE),
    route!(GET "/admin/guard", READ, admin::guard::rejected_counts, admin::guard::COUNTERS),
    route!(GET "/admin/ollama-status", READ, admin::ollama::status, admin::ollama::STATUS),
    route!(GET "/admin/events", READ, admin::events::watch, admin::events::WATCH),
    route!(GET "/admin/retired-models", READ, admin::models::retired, admin::models::RETIRED),
    route!(POST "/admin/refresh-models", WRITE, admin::models::refresh, admin::models::REFRESH),
    route!(GET "/admin/forecast", READ, admin::quota::forecast, admin::quota::FORECAST),
    // Quota, under the paths of the system that people migrate from.
    route!(GET "/auth/accounts/{id}/quota", READ, admin::quota::fresh, admin::quota::FRESH),
    route!(GET "/auth/accounts/{id}/reset-credits", READ, admin::quota::credits, admin::quota::CREDITS),
    route!(POST "/auth/accounts/{id}/reset-credits/consume", WRITE, admin::quota::consume, admin::quota::CONSUME),
    route!(GET "/auth/quota/warnings", READ, admin::quota::warnings, admin::quota::WARNINGS),
    // Relays, under the paths of the system that people migrate from.
    route!(GET "/auth/api-keys/catalog", READ, admin::relays::catalog, admin::relays::CATALOG),
    route!(GET "/auth/api-keys", READ, admin::relays::list, admin::relays::LIST),
    route!(GET "/auth/api-keys/export", EXPORT, admin::relays::export, admin::relays::EXPORT),
    route!(POST "/auth/api-keys", WRITE, admin::relays::add, admin::relays::ADD),
    route!(POST "/auth/api-keys/models", WRITE, admin::relays::models, admin::relays::MODELS),
    route!(POST "/auth/api-keys/import", WRITE, admin::relays::import, admin::relays::IMPORT),
    route!(POST "/auth/api-keys/batch-delete", WRITE, admin::relays::remove_many, admin::relays::REMOVE_MANY),
    route!(DELETE "/auth/api-keys/{id}", WRITE, admin::relays::remove, admin::relays::REMOVE),
    route!(PATCH "/auth/api-keys/{id}/label", WRITE, admin::relays::rename, admin::relays::RENAME),
    route!(PATCH "/auth/api-keys/{id}/status", WRITE, admin::relays::switch, admin::relays::SWITCH),
    route!(PATCH "/auth/api-keys/{id}/key", WRITE, admin::relays::rekey, admin::relays::REKEY),
    // Logins and accounts, under the paths of the system that people migrate from.
    route!(GET "/auth/status", READ, admin::logins::status, admin::logins::STATUS),
    route!(GET "/auth/login", WRITE, admin::logins::redirect, admin::logins::REDIRECT),
    route!(GET "/auth/accounts/login", WRITE, admin::logins::redirect, admin::logins::REDIRECT),
    route!(POST "/auth/login-start", WRITE, admin::logins::start, admin::logins::START),
    route!(POST "/auth/code-relay", WRITE, admin::logins::callback, admin::logins::CALLBACK),
    route!(POST "/auth/device-login", WRITE, admin::logins::device, admin::logins::DEVICE),
    route!(GET "/auth/device-poll/{id}", WRITE, admin::logins::poll, admin::logins::POLL),
    route!(POST "/auth/import-cli", WRITE, admin::logins::import_cli, admin::logins::IMPORT_CLI),
    route!(POST "/auth/token", WRITE, admin::logins::token, admin::logins::TOKEN),
    route!(POST "/auth/logout", WRITE, admin::logins::logout, admin::logins::LOGOUT),
    route!(GET "/auth/accounts", READ, admin::accounts::all, admin::accounts::ALL),
    route!(POST "/auth/accounts", WRITE, admin::accounts::add, admin::accounts::ADD),
    route!(GET "/auth/accounts/export", EXPORT, admin::accounts::export, admin::accounts::EXPORT),
    route!(File: POST "/auth/accounts/import", WRITE, admin::accounts::import, admin::accounts::IMPORT),
    route!(POST "/auth/accounts/batch-delete", WRITE, admin::accounts::batch::remove, admin::accounts::batch::REMOVE),
    route!(POST "/auth/accounts/batch-status", WRITE, admin::accounts::batch::switch, admin::accounts::batch::SWITCH),
    route!(POST "/auth/accounts/batch-label", WRITE, admin::accounts::batch::rename, admin::accounts::batch::RENAME),
    route!(POST "/auth/accounts/batch-tags", WRITE, admin::accounts::batch::tag, admin::accounts::batch::TAG),
    route!(POST "/auth/accounts/batch-refresh", WRITE, admin::accounts::batch::refresh, admin::accounts::batch::REFRESH),
    route!(POST "/auth/accounts/health-check", WRITE, admin::accounts::check, admin::accounts::CHECK),
    route!(DELETE "/auth/accounts/{id}", WRITE, admin::accounts::remove, admin::accounts::REMOVE),
    route!(POST "/auth/accounts/{id}/refresh", WRITE, admin::accounts::refresh, admin::accounts::REFRESH),
    route!(PATCH "/auth/accounts/{id}/label", WRITE, admin::accounts::rename, admin::accounts::RENAME),
    route!(PATCH "/auth/accounts/{id}/tags", WRITE, admin::accounts::tag, admin::accounts::TAG),
    route!(GET "/auth/accounts/{id}/cookies", EXPORT, admin::accounts::cookies, admin::accounts::COOKIES),
    route!(POST "/auth/accounts/{id}/cookies", WRITE, admin::accounts::put_cookies, admin::accounts::PUT_COOKIES),
    route!(DELETE "/auth/accounts/{id}/cookies", WRITE, admin::accounts::drop_cookies, admin::accounts::DROP_COOKIES),
    // Proxies, under the paths of the system that people migrate from.
    route!(GET "/api/proxies", READ, admin::proxies::list, admin::proxies::LIST),
    route!(POST "/api/proxies", WRITE, admin::proxies::add, admin::proxies::ADD),
    route!(POST "/api/proxies/check-all", WRITE, admin::proxies::check_all, admin::proxies::CHECK_ALL),
    route!(PUT "/api/proxies/settings", WRITE, admin::proxies::settings, admin::proxies::SETTINGS),
    route!(POST "/api/proxies/assign", WRITE, admin::proxies::assign, admin::proxies::ASSIGN),
    route!(DELETE "/api/proxies/assign/{id}", WRITE, admin::proxies::unassign, admin::proxies::UNASSIGN),
    route!(GET "/api/proxies/assignments", READ, admin::proxies::assignments, admin::proxies::ASSIGNMENTS),
    route!(POST "/api/proxies/assign-bulk", WRITE, admin::proxies::assign_bulk, admin::proxies::ASSIGN_BULK),
    route!(POST "/api/proxies/assign-rule", WRITE, admin::proxies::assign_rule, admin::proxies::ASSIGN_RULE),
    route!(GET "/api/proxies/assignments/export", READ, admin::proxies::export_assignments, admin::proxies::EXPORT_ASSIGNMENTS),
    route!(POST "/api/proxies/assignments/import", WRITE, admin::proxies::import_assignments, admin::proxies::IMPORT_ASSIGNMENTS),
    route!(POST "/api/proxies/assignments/apply", WRITE, admin::proxies::assign_bulk, admin::proxies::ASSIGN_BULK),
    route!(GET "/api/proxies/export", EXPORT, admin::proxies::export, admin::proxies::EXPORT),
    route!(POST "/api/proxies/import", WRITE, admin::proxies::import, admin::proxies::IMPORT),
    route!(PUT "/api/proxies/{id}", WRITE, admin::proxies::change, admin::proxies::CHANGE),
    route!(DELETE "/api/proxies/{id}", WRITE, admin::proxies::remove, admin::proxies::REMOVE),
    route!(POST "/api/proxies/{id}/check", WRITE, admin::proxies::check, admin::proxies::CHECK),
    route!(POST "/api/proxies/{id}/enable", WRITE, admin::proxies::enable, admin::proxies::ENABLE),
    route!(POST "/api/proxies/{id}/disable", WRITE, admin::proxies::disable, admin::proxies::DISABLE),
];

/// The listener, not the class, makes these routes keyless on loopback: on another address they need a key.
pub(super) static OLLAMA: [Route; 36] = [
    route!(GET "/", PUBLIC, Ollama, edge::ollama::root),
    route!(GET "/api/version", PUBLIC, Ollama, edge::ollama::version),
    route!(GET "/api/tags", DATA, Ollama, edge::ollama::tags),
    route!(GET "/api/ps", DATA, Ollama, edge::ollama::ps),
    route!(POST "/api/show", DATA, Ollama, edge::ollama::show),
    route!(POST "/api/chat", DATA, Ollama, edge::ollama::chat),
    route!(POST "/api/generate", DATA, Ollama, edge::ollama::generate),
    route!(POST "/api/embed", DATA, Ollama, edge::ollama::embed),
    route!(POST "/api/embeddings", DATA, Ollama, edge::ollama::embeddings),
    route!(POST "/api/pull", DATA, Ollama, edge::ollama::not_implemented),
    route!(POST "/api/push", DATA, Ollama, edge::ollama::not_implemented),
    route!(POST "/api/create", DATA, Ollama, edge::ollama::not_implemented),
    route!(POST "/api/copy", DATA, Ollama, edge::ollama::not_implemented),
    route!(DELETE "/api/delete", DATA, Ollama, edge::ollama::not_implemented),
    route!(POST "/api/blobs/{id}", DATA, Ollama, edge::ollama::not_implemented),
    route!(POST "/v1/chat/completions", DATA, Chat, edge::chat::create),
    route!(POST "/v1/responses", DATA, Responses, edge::responses::create),
    route!(POST "/v1/responses/review", DATA, Responses, edge::responses::review),
    route!(Socket: GET "/v1/responses", DATA, Responses, edge::responses::socket),
    route!(GET "/v1/models", DATA, Chat, edge::models::list),
    route!(GET "/v1/models/{name}", DATA, Chat, edge::models::one),
    route!(POST "/v1/embeddings", DATA, Chat, edge::forward::embeddings),
    route!(POST "/v1/audio/speech", DATA, Chat, edge::forward::speech),
    route!(Form: POST "/v1/audio/transcriptions", DATA, Chat, edge::forward::transcriptions),
    route!(Form: POST "/v1/audio/translations", DATA, Chat, edge::forward::translations),
    route!(POST "/v1/images/generations", DATA, Chat, edge::forward::generations),
    route!(Form: POST "/v1/images/edits", DATA, Chat, edge::forward::edits),
    route!(Form: POST "/v1/images/variations", DATA, Chat, edge::forward::variations),
    route!(POST "/v1/messages", DATA, Messages, edge::messages::create),
    route!(POST "/v1/messages/count_tokens", DATA, Messages, edge::messages::count_tokens),
    // Paths without a version, because Ollama's base URL has none.
    route!(POST "/chat/completions", DATA, Chat, edge::chat::create),
    route!(POST "/responses", DATA, Responses, edge::responses::create),
    route!(POST "/messages", DATA, Messages, edge::messages::create),
    route!(POST "/messages/count_tokens", DATA, Messages, edge::messages::count_tokens),
    route!(POST "/embeddings", DATA, Chat, edge::forward::embeddings),
    route!(GET "/models", DATA, Chat, edge::models::list),
];
