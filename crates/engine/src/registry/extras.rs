//! The data of an account outside its row: the owner's tags, and the file that its tokens come from.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pool::AccountId;
use store::LinkedAccount;

/// Tags and links, as stored.
#[derive(Default)]
pub(crate) struct AccountExtras {
    tags: ArcSwap<HashMap<AccountId, Vec<String>>>,
    links: ArcSwap<HashMap<AccountId, Arc<LinkedAccount>>>,
}

impl AccountExtras {
    /// Applies the stored tags and links.
    pub(crate) fn adopt(&self, tags: Vec<(AccountId, Vec<String>)>, links: Vec<LinkedAccount>) {
        self.tags.store(Arc::new(tags.into_iter().collect()));
        self.links.store(Arc::new(links.into_iter().map(|link| (link.account.clone(), Arc::new(link))).collect()));
    }

    /// An account's tags.
    pub(crate) fn tags(&self, id: &AccountId) -> Vec<String> {
        self.tags.load().get(id).cloned().unwrap_or_default()
    }

    /// Forgets an account's link, which is being removed from the store.
    pub(crate) fn unlink(&self, id: &AccountId) {
        self.links.rcu(|links| {
            let mut links = HashMap::clone(links);
            links.remove(id);
            links
        });
    }

    /// The file that an account follows.
    pub(crate) fn link(&self, id: &AccountId) -> Option<Arc<LinkedAccount>> {
        self.links.load().get(id).cloned()
    }

    /// Every link.
    pub(crate) fn links(&self) -> Vec<Arc<LinkedAccount>> {
        self.links.load().values().cloned().collect()
    }
}
