//! The services that requests use.

use std::sync::{Arc, OnceLock};

use proto::Failure;

use super::retired::RetiredModels;
use super::stored::ResponseStore;
use crate::dispatch::Dispatch;
use crate::models::ModelLists;
use crate::registry::Registry;
use crate::runtime::Runtime;
use crate::tokens::TokenService;

/// The four owners, and the state that requests leave for later ones.
pub(crate) struct Services {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) tokens: Arc<TokenService>,
    pub(crate) models: Arc<ModelLists>,
    /// Responses that later requests may continue.
    pub(crate) stored: ResponseStore,
    pub(crate) retired: RetiredModels,
    /// The failure for requests that are still running when the stopping server no longer waits; set at that moment.
    pub(crate) shutdown_failure: OnceLock<Failure>,
}

impl Services {
    /// The services over one runtime. Nothing is read and no task runs yet.
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        let registry = Arc::new(Registry::new(Arc::clone(&runtime)));
        let dispatch = Arc::new(Dispatch::new(Arc::clone(&runtime), Arc::clone(&registry)));
        let tokens = TokenService::new(Arc::clone(&runtime), Arc::clone(&registry), Arc::clone(&dispatch));
        let tokens = Arc::new(tokens);
        let models =
            ModelLists::new(Arc::clone(&runtime), Arc::clone(&registry), (Arc::clone(&dispatch), Arc::clone(&tokens)));
        Self {
            runtime,
            registry,
            dispatch,
            tokens,
            models: Arc::new(models),
            stored: ResponseStore::default(),
            retired: RetiredModels::default(),
            shutdown_failure: OnceLock::new(),
        }
    }
}
