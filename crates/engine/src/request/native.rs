//! The models and limits of the whole pool, for clients of Codex's own paths, which expect the models and limits of one account.

use http::{HeaderMap, HeaderName, HeaderValue};
use pool::AccountId;
use pool::catalog::Resolved;

use crate::dispatch::head;
use crate::request::services::Services;

impl Services {
    /// Replaces the quota figures of one account in an answer's headers by the figures of the whole pool. `served` is the account that
    /// answered, if one did.
    pub(crate) fn for_codex(
        &self,
        headers: &mut HeaderMap,
        (resolved, version): (&Resolved, Option<&str>),
        served: Option<&AccountId>,
    ) {
        head::remove_rate_limits(headers);
        let list = self.models.codex_list(version);
        let limits = self.dispatch.pool_quota(Some(resolved), served).headers(self.runtime.now());
        let all = limits.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in all.chain([(head::MODELS_ETAG, list.etag.as_str())]) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
    }
}
