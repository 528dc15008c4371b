//! The owner's routes: which provider serves a model that several list. A route selects a provider and never a model.

#[cfg(test)]
mod tests;

use proto::failure::{Failure, Kind};

use super::names::{self, Reading, readings};
use super::{Catalog, HOPS, ModelMatch, Names, Resolved, ServedBy};
use crate::sanitize::short;

/// The provider name of the accounts. No relay can have it.
const ACCOUNTS: &str = "codex";

/// Who serves a routed model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The accounts.
    Accounts,
    /// The relay of this name.
    Relay(String),
}

impl Provider {
    /// The provider of this name.
    pub fn named(name: &str) -> Self {
        if name == ACCOUNTS { Self::Accounts } else { Self::Relay(name.to_owned()) }
    }
}

impl Catalog {
    /// Removes the accounts' models that are routed to relays. The relays list them with their own facts.
    #[must_use]
    pub fn routed(self, names: &Names) -> Self {
        if names.routes.is_empty() {
            return self;
        }
        let Self { models, live, relay_index, .. } = self;
        let stays = |slug: &str| {
            let provider = names.route(slug).or_else(|| names.route_pattern(|pattern| names::fits(pattern, slug)));
            !matches!(provider, Some(Provider::Relay(_)))
        };
        let (models, away) = models.into_iter().partition(|model| stays(&model.slug));
        Self { relay_index, routed_away: away, ..Self::of(models, live) }
    }

    /// Applies the routes to what a name was `found` to mean. A name that selects its provider itself is not routed. A name whose
    /// provider does not have the model is refused, because another provider must not serve it silently.
    pub(super) fn reroute(
        &self,
        requested: Option<&str>,
        found: Result<Resolved, Failure>,
        names: &Names,
    ) -> Result<Resolved, Failure> {
        if names.routes.is_empty() || requested.is_some_and(|name| self.relay_index.chooses(name)) {
            return found;
        }
        if let Some(bare) = requested.and_then(|name| name.strip_prefix(ACCOUNTS)?.strip_prefix(':')) {
            return self.away(bare).map_or(found, Ok);
        }
        let meanings = requested.map(|requested| self.meanings(requested, names)).unwrap_or_default();
        let own = found.as_ref().ok().map(Resolved::reading);
        let Some((wanted, provider)) = self.route(&meanings, own, names) else { return found };
        let placed = match provider {
            Provider::Accounts => match &found {
                Ok(found) if found.to == ServedBy::Accounts => return Ok(found.clone()),
                Err(failure) => return Err(failure.clone()),
                Ok(_) => meanings
                    .iter()
                    .find_map(|reading| Some((ModelMatch::account_model(self.get(reading.base)?), *reading))),
            },
            Provider::Relay(relay) => self.at_relay(relay, &meanings, wanted),
        };
        let (ModelMatch { model, to }, reading) =
            placed.ok_or_else(|| refused(requested.unwrap_or(wanted.base), provider))?;
        let retired_from = found.as_ref().ok().filter(|found| found.model.slug == model.slug);
        let retired_from = retired_from.and_then(|found| found.retired_from.clone());
        let (effort, tier) = (reading.effort.map(str::to_owned), reading.tier.map(str::to_owned));
        Ok(Resolved { model, to, effort, tier, retired_from })
    }

    /// An account's model that is routed to a relay, for a name that selects the accounts.
    fn away(&self, name: &str) -> Option<Resolved> {
        let (model, reading) = readings(name).find_map(|reading| {
            let model = self.routed_away.iter().find(|model| model.slug == reading.base)?;
            Some((model, reading))
        })?;
        let (effort, tier) = (reading.effort.map(str::to_owned), reading.tier.map(str::to_owned));
        Some(Resolved { model: model.clone(), to: ServedBy::Accounts, effort, tier, retired_from: None })
    }

    /// Whether accounts have a model that is routed to a relay.
    pub(super) fn is_away(&self, slug: &str) -> bool {
        self.routed_away.iter().any(|model| model.slug == slug)
    }

    /// The readings of a name, then those of its aliases' targets. A listed name is not an alias.
    fn meanings<'n>(&self, requested: &'n str, names: &'n Names) -> Vec<Reading<'n>> {
        let mut all: Vec<_> = readings(requested).collect();
        let mut from = 0;
        for _ in 0..HOPS {
            let aliased = |outer: &Reading<'n>| Some((*outer, self.alias(outer.base, names)?));
            let Some((outer, target)) = all[from..].iter().find_map(aliased) else { break };
            from = all.len();
            all.extend(readings(target).map(|inner| outer.over(inner)));
        }
        all
    }

    fn alias<'n>(&self, name: &str, names: &'n Names) -> Option<&'n str> {
        names.alias(name).filter(|_| self.lookup(name).is_none() && !self.is_away(name))
    }

    /// The route of a name, and its reading. For a name that resolves, only the name itself, an alias or the resolved model counts,
    /// because a shorter reading may be another model. Routes by name have priority over patterns.
    fn route<'n>(
        &self,
        meanings: &[Reading<'n>],
        own: Option<Reading<'n>>,
        names: &'n Names,
    ) -> Option<(Reading<'n>, &'n Provider)> {
        let literal = meanings.first().map(|reading| reading.base);
        let counts = |reading: &&Reading<'n>| {
            own.is_none() || Some(reading.base) == literal || self.alias(reading.base, names).is_some()
        };
        let all: Vec<_> = meanings.iter().filter(counts).copied().chain(own).collect();
        let named = |reading: &Reading<'n>| {
            let provider = names.route(reading.base)?;
            let meant = own.filter(|_| self.alias(reading.base, names).is_some());
            Some((meant.unwrap_or(*reading), provider))
        };
        all.iter().find_map(named).or_else(|| {
            let fits = |pattern: &str| all.iter().any(|reading| names::fits(pattern, reading.base));
            let provider = names.route_pattern(fits)?;
            // An unlisted model is requested without its suffixes.
            let barest = meanings.iter().rev().find(|reading| names.routes_to(reading.base, provider)).copied();
            Some((own.filter(|own| names.routes_to(own.base, provider)).or(barest)?, provider))
        })
    }

    /// The relay's model: the most literal reading that it lists, else `wanted`.
    fn at_relay<'n>(
        &self,
        relay: &str,
        meanings: &[Reading<'n>],
        wanted: Reading<'n>,
    ) -> Option<(ModelMatch, Reading<'n>)> {
        let full = |slug: &str| format!("{relay}:{slug}");
        let all = || meanings.iter().copied().chain([wanted]);
        let listed = all().find_map(|reading| Some((self.relay_index.find(&full(reading.base))?, reading)));
        listed.or_else(|| Some((self.relay_index.unlisted(&full(wanted.base))?, wanted)))
    }
}

impl Resolved {
    /// The reading of the resolved model.
    fn reading(&self) -> Reading<'_> {
        Reading { base: &self.model.slug, effort: self.effort.as_deref(), tier: self.tier.as_deref() }
    }
}

impl Names {
    fn route(&self, name: &str) -> Option<&Provider> {
        self.routes.iter().find(|(from, _)| from == name).map(|(_, provider)| provider)
    }

    /// The provider of the first matching pattern.
    fn route_pattern(&self, fits: impl Fn(&str) -> bool) -> Option<&Provider> {
        let pattern = |(from, _): &&(String, Provider)| from.contains('*') && fits(from);
        self.routes.iter().find(pattern).map(|(_, provider)| provider)
    }

    /// Whether the first pattern that matches a name leads to this provider.
    fn routes_to(&self, name: &str, provider: &Provider) -> bool {
        self.route_pattern(|pattern| names::fits(pattern, name)) == Some(provider)
    }
}

fn refused(requested: &str, provider: &Provider) -> Failure {
    let name = short(requested, 128);
    let message = match provider {
        Provider::Accounts => format!("The model `{name}` is routed to the accounts, and none of them lists it."),
        Provider::Relay(relay) => {
            format!("The model `{name}` is routed to the relay `{relay}`, which is not there or does not have it.")
        }
    };
    Failure::new(Kind::ModelNotFound, message).code("model_not_found").at("model")
}
