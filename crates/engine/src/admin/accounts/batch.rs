//! Changes of several accounts at once. A change is stored for all of them or for none; each account has an outcome.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use pool::{AccountId, Status, limits};

use super::{AccountError, Accounts};
use crate::registry::accounts::AccountEntry;
use crate::request::services::Services;

/// Longest label and tag, characters; most tags.
const LABEL: usize = 64;
const TAG: usize = 32;
const TAGS: usize = 16;
const FIT: &str = "an account has at most 16 tags of 1 to 32 characters";

/// The result for one account of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccountFate)]
pub enum BatchResult {
    /// The change was made.
    Done,
    /// No account has this id.
    NotFound,
    /// Nothing was changed: the account must be signed in first.
    NeedsLogin,
    /// Nothing was changed.
    Failed,
}

/// The outcome of one account of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = AccountOutcome)]
pub struct BatchOutcome {
    /// The id as given.
    pub id: String,
    /// The result.
    pub result: BatchResult,
    /// Why nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The outcome of each account, in the order of the ids. An id that was given twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The outcomes.
    pub outcomes: Vec<BatchOutcome>,
}

/// A change of tags. Tags are trimmed, and a tag that was given twice counts once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// Replaces all tags.
    Set(Vec<String>),
    /// Removes some tags and adds others.
    Edit {
        /// Added after the tags that stay.
        add: Vec<String>,
        /// Removed where present.
        remove: Vec<String>,
    },
}

/// An account of a batch with its index there.
type Picked = (usize, Arc<AccountEntry>);

impl Accounts<'_> {
    /// Removes accounts with their tokens. Errors: [`AccountError::Store`]; nothing was removed then.
    pub async fn remove(self, ids: &[String]) -> Result<Batch, AccountError> {
        let mut batch = Batch::of(ids);
        let ids: Vec<AccountId> = batch.outcomes.iter().map(|outcome| AccountId(outcome.id.clone())).collect();
        let exists = self.0.runtime.store.remove_accounts(&ids).await?;
        batch.set_results(0..ids.len(), &exists);
        self.take_over().await;
        Ok(batch)
    }

    /// Switches accounts on or off. Switching on also ends pauses, but does not revive an ended login. Errors: [`AccountError::Store`];
    /// nothing was changed then.
    pub async fn switch(self, ids: &[String], on: bool) -> Result<Batch, AccountError> {
        let services = self.0;
        let mut batch = Batch::of(ids);
        let mut picked = self.picked(&batch);
        if on {
            // Nothing is written for the others: somebody may be signing them in.
            picked.retain(|(at, entry)| batch.may_serve(*at, &entry.account.status, services));
        }
        let (positions, ids): (Vec<_>, Vec<_>) =
            picked.iter().map(|(at, entry)| (*at, entry.account.id.clone())).unzip();
        let wanted = if on { Status::Active } else { Status::Disabled };
        let exists = services.runtime.store.set_owner_status(&ids, &wanted).await?;
        for id in &ids {
            services.registry.accounts.set_status(id, &wanted, services.runtime.now());
            if !on {
                services.dispatch.limiter.requeue(id);
            }
        }
        batch.set_results(positions, &exists);
        self.take_over().await;
        Ok(batch)
    }

    /// Names accounts; `None` restores their e-mails as names. Errors: [`AccountError::Invalid`], [`AccountError::Store`]; nothing was
    /// changed then.
    pub async fn label(self, ids: &[String], label: Option<&str>) -> Result<Batch, AccountError> {
        let label = label.unwrap_or_default().trim();
        if label.chars().count() > LABEL || label.chars().any(char::is_control) {
            return Err(AccountError::Invalid("a label has at most 64 characters, on one line"));
        }
        let mut batch = Batch::of(ids);
        let picked = self.picked(&batch);
        let (positions, ids): (Vec<_>, Vec<_>) =
            picked.iter().map(|(at, entry)| (*at, entry.account.id.clone())).unzip();
        let exists = self.0.runtime.store.set_label(&ids, label).await?;
        batch.set_results(positions, &exists);
        self.take_over().await;
        Ok(batch)
    }

    /// Changes the tags of accounts. An account that would have too many keeps its tags. Errors: [`AccountError::Invalid`],
    /// [`AccountError::Store`]; nothing was changed then.
    pub async fn tag(self, ids: &[String], change: TagChange) -> Result<Batch, AccountError> {
        let services = self.0;
        let change = change.checked()?;
        // Tags that another process has just written are kept.
        services.dispatch.reload_registry().await?;
        let mut batch = Batch::of(ids);
        let (mut positions, mut rows) = (Vec::new(), Vec::new());
        for (at, entry) in self.picked(&batch) {
            let id = entry.account.id.clone();
            let Some(tags) = change.apply(services.registry.extras.tags(&id)) else {
                batch.outcomes[at].fail(BatchResult::Failed, FIT.to_owned());
                continue;
            };
            positions.push(at);
            rows.push((id, tags));
        }
        let exists = services.runtime.store.set_tags(&rows).await?;
        batch.set_results(positions, &exists);
        self.take_over().await;
        Ok(batch)
    }

    /// Refreshes the tokens of accounts now, a few at a time; see [`Accounts::refresh`].
    pub async fn refresh_each(self, ids: &[String]) -> Batch {
        let mut batch = Batch::of(ids);
        let refresh = |(at, id): (usize, String)| async move { (at, self.refresh_tokens(&id).await.err()) };
        let ids: Vec<_> = batch.outcomes.iter().map(|outcome| outcome.id.clone()).enumerate().collect();
        let mut done = stream::iter(ids).map(refresh).buffer_unordered(limits::REFRESH_PARALLEL);
        while let Some((at, error)) = done.next().await {
            let outcome = &mut batch.outcomes[at];
            match error {
                None => outcome.result = BatchResult::Done,
                Some(AccountError::Unknown) => {}
                Some(error @ AccountError::NotRefreshed { lasting: true, .. }) => {
                    outcome.fail(BatchResult::NeedsLogin, error.to_string());
                }
                Some(error) => outcome.fail(BatchResult::Failed, error.to_string()),
            }
        }
        batch
    }
}

impl Batch {
    /// A batch of these ids, each once, with nothing done yet.
    fn of(ids: &[String]) -> Self {
        let mut seen = HashSet::new();
        let each = ids.iter().filter(|id| seen.insert(id.as_str()));
        Self {
            outcomes: each
                .map(|id| BatchOutcome { id: id.clone(), result: BatchResult::NotFound, error: None })
                .collect(),
        }
    }

    /// The number of accounts that were changed.
    pub fn done(&self) -> usize {
        self.with(BatchResult::Done).count()
    }

    /// The unknown ids.
    pub fn missing(&self) -> Vec<String> {
        self.with(BatchResult::NotFound).map(|outcome| outcome.id.clone()).collect()
    }

    /// Whether every known account was changed.
    pub fn no_failures(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.error.is_none())
    }

    fn with(&self, fate: BatchResult) -> impl Iterator<Item = &BatchOutcome> {
        self.outcomes.iter().filter(move |outcome| outcome.result == fate)
    }

    /// Records the store's results for the outcomes at `positions`, in order.
    fn set_results(&mut self, positions: impl IntoIterator<Item = usize>, exists: &[bool]) {
        for (at, exists) in positions.into_iter().zip(exists) {
            self.outcomes[at].result = if *exists { BatchResult::Done } else { BatchResult::NotFound };
        }
    }

    /// Whether the account can be switched on; records why not. An expiring account serves already and keeps its status.
    fn may_serve(&mut self, at: usize, status: &Status, services: &Services) -> bool {
        let fate = match status {
            Status::Expiring { .. } if status.notice(services.runtime.now()).is_some() => {
                self.outcomes[at].result = BatchResult::Done;
                return false;
            }
            Status::Expiring { .. } | Status::NeedsLogin { .. } => BatchResult::NeedsLogin,
            Status::Blocked { .. } => BatchResult::Failed,
            _ => return true,
        };
        let why = status
            .usable(services.runtime.now())
            .err()
            .map_or_else(String::new, |reason| reason.describe(services.runtime.now()));
        self.outcomes[at].fail(fate, why);
        false
    }
}

impl BatchOutcome {
    fn fail(&mut self, fate: BatchResult, why: String) {
        (self.result, self.error) = (fate, Some(why));
    }
}

impl TagChange {
    /// The change with valid tags.
    fn checked(self) -> Result<Self, AccountError> {
        Ok(match self {
            Self::Set(tags) => Self::Set(fit(tags)?),
            Self::Edit { add, remove } => Self::Edit { add: fit(add)?, remove: trimmed(remove) },
        })
    }

    /// Applies the change to these tags; `None` when they would be too many.
    fn apply(&self, mut tags: Vec<String>) -> Option<Vec<String>> {
        match self {
            Self::Set(wanted) => tags.clone_from(wanted),
            Self::Edit { add, remove } => {
                tags.retain(|tag| !remove.contains(tag));
                let new: Vec<_> = add.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
                tags.extend(new);
            }
        }
        (tags.len() <= TAGS).then_some(tags)
    }
}

fn fit(tags: Vec<String>) -> Result<Vec<String>, AccountError> {
    let tags = trimmed(tags);
    let fits = |tag: &String| (1..=TAG).contains(&tag.chars().count()) && !tag.chars().any(char::is_control);
    if tags.len() > TAGS || !tags.iter().all(fits) {
        return Err(AccountError::Invalid(FIT));
    }
    Ok(tags)
}

fn trimmed(tags: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags {
        let tag = tag.trim();
        if !unique.iter().any(|known| known == tag) {
            unique.push(tag.to_owned());
        }
    }
    unique
}

impl Accounts<'_> {
    /// The known accounts of a batch.
    fn picked(self, batch: &Batch) -> Vec<Picked> {
        let own = |(at, outcome): (usize, &BatchOutcome)| Some((at, self.0.registry.account(&outcome.id)?));
        batch.outcomes.iter().enumerate().filter_map(own).collect()
    }

    /// Reloads the stored accounts. When that fails, the next look at the store does it.
    async fn take_over(self) {
        if let Err(error) = self.0.dispatch.reload_registry().await {
            tracing::warn!(%error, "what was done to accounts is taken over a moment later");
        }
    }
}
