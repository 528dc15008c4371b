//! Retired models that clients still request. The owner should change the name in those clients before the successor retires too.

#[cfg(test)]
mod tests;

use parking_lot::Mutex;
use pool::Millis;
use pool::catalog::Resolved;
use serde::Serialize;

use crate::registry::keys::KeyId;
use crate::request::reply::shortened;

/// Most names that are remembered; the least recently used one is dropped first.
const NAMES: usize = 64;
/// Most keys that are remembered for each name.
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

/// The retired models that clients asked for.
#[derive(Default)]
pub(crate) struct RetiredModels(Mutex<Vec<RetiredModel>>);

impl RetiredModels {
    /// The retired models that clients asked for, the most recent first.
    pub(crate) fn list(&self) -> Vec<RetiredModel> {
        self.0.lock().clone()
    }

    /// Counts a request whose model name is a retired one.
    pub(crate) fn note(&self, resolved: &Resolved, key: &KeyId, now: Millis) {
        let Some(name) = resolved.retired_from.as_deref().map(shortened) else { return };
        let mut all = self.0.lock();
        let known = all.iter().position(|model| model.name == name).map(|at| all.remove(at));
        let room = all.len() < NAMES;
        let mut model = known.unwrap_or_else(|| {
            if room {
                // A client that invents names must not fill the log.
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
