//! What clients of Codex's own paths see in place of one account: the models and the limits of the whole pool.

use http::{HeaderMap, HeaderName, HeaderValue};
use pool::AccountId;
use pool::catalog::Resolved;

use crate::dispatch::head;
use crate::request::services::Services;

impl Services {
    /// Puts what holds for the whole pool in the place of what an answer's headers say of one account; `served` is whose answer
    /// it is, if anybody's.
    pub(crate) fn for_codex(
        &self,
        headers: &mut HeaderMap,
        (resolved, version): (&Resolved, Option<&str>),
        served: Option<&AccountId>,
    ) {
        head::forget_limits(headers);
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
