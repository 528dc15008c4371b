//! Retired models that clients still ask for: the owner should give those clients other names before the successors have successors.

#[cfg(test)]
mod tests;

use parking_lot::Mutex;
use pool::Millis;
use pool::catalog::Resolved;
use serde::Serialize;

use crate::registry::keys::KeyId;
use crate::request::reply::shown;

/// Names that are remembered; the one that was asked for longest ago goes first.
const NAMES: usize = 64;
/// Keys that are remembered of each.
const KEYS: usize = 8;

/// A retired model that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RetiredModel {
    /// The name that clients use.
    pub name: String,
    /// The model that answers instead, as of the last request.
    pub successor: String,
    /// Requests since this node started.
    pub requests: u64,
    /// When it was asked for last.
    pub last: Millis,
    /// The ids of the keys that asked, 8 at most.
    pub keys: Vec<String>,
}

/// What was asked for.
#[derive(Default)]
pub(crate) struct Retired(Mutex<Vec<RetiredModel>>);

impl Retired {
    /// The retired models that were asked for, the last first.
    pub(crate) fn list(&self) -> Vec<RetiredModel> {
        self.0.lock().clone()
    }

    /// Counts a request, when the name that it has is a retired one.
    pub(crate) fn asked(&self, resolved: &Resolved, key: &KeyId, now: Millis) {
        let Some(name) = resolved.retired_from.as_deref().map(shown) else { return };
        let mut all = self.0.lock();
        let known = all.iter().position(|model| model.name == name).map(|at| all.remove(at));
        let room = all.len() < NAMES;
        let mut model = known.unwrap_or_else(|| {
            if room {
                // A client that makes names up must not fill the log.
                tracing::warn!(%key, model = name, successor = resolved.model.slug, "a retired model was asked for");
            }
            let (successor, keys) = (String::new(), Vec::new());
            RetiredModel { name: name.to_owned(), successor, requests: 0, last: now, keys }
        });
        model.successor.clone_from(&resolved.model.slug);
        model.requests += 1;
        model.last = now;
        if model.keys.len() < KEYS && !model.keys.contains(&key.0) {
            model.keys.push(key.0.clone());
        }
        all.insert(0, model);
        all.truncate(NAMES);
    }
}
