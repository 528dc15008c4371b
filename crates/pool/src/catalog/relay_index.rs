//! The models of relays: by prefix and name, and as `relay:model`.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::{CustomModel, Model, ModelMatch};
use crate::account::AccountId;

/// Longest name of an unlisted model, bytes.
const NAME: usize = 256;

/// A relay with its models.
#[derive(Clone, Copy, Debug)]
pub struct RelayListing<'a> {
    /// Its id.
    pub id: &'a AccountId,
    /// Its name, the `relay` of `relay:model`.
    pub name: &'a str,
    /// The prefix of its models' names for clients; empty for none.
    pub prefix: &'a str,
    /// Its models, best first; empty while they are not known.
    pub models: &'a [Model],
    /// Whether its owner fixed the list; then it serves no other model.
    pub fixed: bool,
}

/// A relay that can serve a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayTarget {
    /// The relay.
    pub relay: AccountId,
    /// The name by which it knows the model.
    pub model: String,
}

/// Who serves a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServedBy {
    /// Any account that lists the model.
    #[default]
    Accounts,
    /// One of these relays; never empty.
    Relays(Vec<RelayTarget>),
}

/// A relay's model as lists show it.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The name to ask for.
    pub name: &'a str,
    /// The relay's name.
    pub owner: &'a str,
    /// The model; its slug is the relay's own name of it.
    pub model: &'a Model,
}

/// Every relay's models.
#[derive(Clone, Debug, Default)]
pub(super) struct RelayIndex {
    relays: Vec<Relay>,
    models: Vec<RelayModel>,
    /// `relay:model` to its index in `models`.
    full: HashMap<String, usize>,
    /// Prefix and name to the indexes of all relays that list it.
    public: HashMap<String, Vec<usize>>,
    /// The listed names and their indexes.
    shown: Vec<(String, usize)>,
}

#[derive(Clone, Debug)]
struct Relay {
    id: AccountId,
    name: String,
    prefix: String,
    fixed: bool,
}

/// A model of one relay.
#[derive(Clone, Debug)]
struct RelayModel {
    relay: usize,
    model: Model,
}

impl RelayIndex {
    /// Builds the index from listings and the owner's rows for them. `is_account_model` tells the names that accounts have; a relay's
    /// model of such a name is listed as `relay:model`.
    pub(super) fn new<'a>(
        listings: impl IntoIterator<Item = RelayListing<'a>>,
        rows: &[CustomModel],
        is_account_model: impl Fn(&str) -> bool,
    ) -> Self {
        let mut all = Self::default();
        for listing in listings {
            all.relays.push(Relay {
                id: listing.id.clone(),
                name: listing.name.to_owned(),
                prefix: listing.prefix.to_owned(),
                fixed: listing.fixed,
            });
            let own: Vec<_> = rows.iter().filter(|row| row.relay.as_deref() == Some(listing.name)).collect();
            for model in listing.models {
                let mut model = model.clone();
                if let Some(row) = own.iter().find(|row| row.slug == model.slug) {
                    row.overlay(&mut model);
                }
                all.add(model, &is_account_model);
            }
            // Models that the relay does not list; listed ones are in the index already.
            for row in own {
                all.add(row.model(None), &is_account_model);
            }
        }
        all
    }

    /// Every `relay:model`, in no order.
    pub(super) fn full_names(&self) -> impl Iterator<Item = &str> {
        self.full.keys().map(String::as_str)
    }

    /// Adds a model of the last relay.
    fn add(&mut self, model: Model, is_account_model: impl Fn(&str) -> bool) {
        let (relay, at) = (self.relays.len() - 1, self.models.len());
        let Relay { name, prefix, .. } = &self.relays[relay];
        let (full, public) = (format!("{name}:{}", model.slug), format!("{prefix}{}", model.slug));
        if self.full.contains_key(&full) {
            return;
        }
        let listed = model.listed;
        self.models.push(RelayModel { relay, model });
        self.full.insert(full.clone(), at);
        let shown = if is_account_model(&public) {
            Some(full)
        } else {
            let others = self.public.entry(public.clone()).or_default();
            others.push(at);
            (others.len() == 1).then_some(public)
        };
        self.shown.extend(shown.filter(|_| listed).map(|name| (name, at)));
    }

    /// Calls `change` for each model with its relay.
    pub(super) fn each(&mut self, change: impl Fn(&mut Model, &AccountId)) {
        for RelayModel { relay, model } in &mut self.models {
            change(model, &self.relays[*relay].id);
        }
    }

    /// The models to show, relay by relay.
    pub(super) fn offers(&self) -> impl Iterator<Item = Offer<'_>> {
        self.shown.iter().map(|(name, at)| {
            let RelayModel { relay, model } = &self.models[*at];
            Offer { name, owner: &self.relays[*relay].name, model }
        })
    }

    /// The relays that list exactly this name.
    pub(super) fn find(&self, name: &str) -> Option<ModelMatch> {
        let one = self.full.get(name).map(std::slice::from_ref);
        let indexes = one.or_else(|| self.public.get(name).map(Vec::as_slice))?;
        let target = |at: &usize| self.models[*at].target(&self.relays);
        let model = self.models[*indexes.first()?].model.clone();
        Some(ModelMatch { model, to: ServedBy::Relays(indexes.iter().map(target).collect()) })
    }

    /// The relay that `name` selects by the relay's name or prefix. Relays often serve more than they list, so an unlisted model is
    /// requested too, unless the owner fixed the list.
    pub(super) fn unlisted(&self, name: &str) -> Option<ModelMatch> {
        let (relay, slug) = self.chosen(name).or_else(|| self.behind_prefix(name))?;
        if relay.fixed || slug.len() > NAME {
            return None;
        }
        let to = ServedBy::Relays(vec![RelayTarget { relay: relay.id.clone(), model: slug.to_owned() }]);
        Some(ModelMatch { model: Model::bare(slug), to })
    }

    /// How many relays there are.
    pub(super) fn count(&self) -> usize {
        self.relays.len()
    }

    /// The only relay, for any name.
    pub(super) fn only(&self, name: &str) -> Option<ModelMatch> {
        let [relay] = self.relays.as_slice() else { return None };
        let target = || RelayTarget { relay: relay.id.clone(), model: name.to_owned() };
        let may_serve = !relay.fixed && name.len() <= NAME;
        may_serve.then(|| ModelMatch { model: Model::bare(name), to: ServedBy::Relays(vec![target()]) })
    }

    /// The models of the relay that `name` selects, for a 404.
    pub(super) fn hint(&self, name: &str) -> Option<(&str, Vec<&str>)> {
        let (relay, _) = self.chosen(name)?;
        let own = self.models.iter().filter(|entry| self.relays[entry.relay].id == relay.id);
        Some((&relay.name, own.map(|entry| entry.model.slug.as_str()).collect()))
    }

    /// Whether `name` selects an existing relay by its name or prefix.
    pub(super) fn chooses(&self, name: &str) -> bool {
        self.chosen(name).or_else(|| self.behind_prefix(name)).is_some()
    }

    fn chosen<'n>(&self, name: &'n str) -> Option<(&Relay, &'n str)> {
        let (relay, slug) = name.split_once(':').filter(|(_, slug)| !slug.is_empty())?;
        Some((self.relays.iter().find(|known| known.name == relay)?, slug))
    }

    /// The relay with the longest matching prefix.
    fn behind_prefix<'n>(&self, name: &'n str) -> Option<(&Relay, &'n str)> {
        let named = self.relays.iter().filter(|relay| !relay.prefix.is_empty());
        let fits = named.filter_map(|relay| Some((relay, name.strip_prefix(relay.prefix.as_str())?)));
        fits.filter(|(_, slug)| !slug.is_empty()).max_by_key(|(relay, _)| relay.prefix.len())
    }
}

impl RelayModel {
    fn target(&self, relays: &[Relay]) -> RelayTarget {
        RelayTarget { relay: relays[self.relay].id.clone(), model: self.model.slug.clone() }
    }
}
