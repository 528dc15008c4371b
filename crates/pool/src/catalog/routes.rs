//! The owner's routes: who serves a model, whoever else lists it.

#[cfg(test)]
mod tests;

use proto::failure::{Failure, Kind};

use super::names::{self, Reading, readings};
use super::{Catalog, Found, HOPS, Names};
use crate::shown::short;

/// What stands for the accounts where a relay's name could stand; no relay has it.
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

/// What was found, and the reading of the name that it was found for.
type Routed<'n> = (Found, Reading<'n>);

impl Catalog {
    /// What a route makes of a name; `None` when none is for it, or when the name itself says who serves it.
    ///
    /// A name that is routed to somebody who does not have the model is refused: another one must not serve it in silence.
    pub(super) fn routed<'n>(&self, asked: &'n str, names: &'n Names) -> Option<Result<Routed<'n>, Failure>> {
        let chosen = asked.strip_prefix(ACCOUNTS).is_some_and(|rest| rest.starts_with(':'));
        if names.routes.is_empty() || chosen || self.shelves.chooses(asked) {
            return None;
        }
        let (reading, provider) = self.route(asked, names, HOPS)?;
        let found = self.at_provider(reading.base, provider);
        Some(found.map(|found| (found, reading)).ok_or_else(|| refused(asked, provider)))
    }

    /// The route of a name and the reading that it is for. Names count before what aliases make of them, and patterns last, for the
    /// barest reading: suffixes would fit them too.
    fn route<'n>(&self, asked: &'n str, names: &'n Names, hops: u32) -> Option<(Reading<'n>, &'n Provider)> {
        let all: Vec<_> = readings(asked).collect();
        let named = |reading: &Reading<'n>| Some((*reading, names.route(reading.base)?));
        let aliased = |outer: &Reading<'n>| {
            // A name that is there is no alias.
            let target = names.alias(outer.base).filter(|_| hops > 0 && self.place(outer.base).is_none())?;
            let (inner, provider) = self.route(target, names, hops - 1)?;
            Some((outer.over(inner), provider))
        };
        let fits = |reading: &Reading<'n>| Some((*reading, names.route_pattern(reading.base)?));
        let direct = all.iter().find_map(named).or_else(|| all.iter().find_map(aliased));
        direct.or_else(|| all.iter().rev().find_map(fits))
    }

    fn at_provider(&self, slug: &str, provider: &Provider) -> Option<Found> {
        match provider {
            Provider::Accounts => self.get(slug).map(Found::own),
            Provider::Relay(relay) => {
                let full = format!("{relay}:{slug}");
                self.shelves.find(&full).or_else(|| self.shelves.beyond(&full))
            }
        }
    }
}

impl Names {
    fn route(&self, name: &str) -> Option<&Provider> {
        self.routes.iter().find(|(from, _)| from == name).map(|(_, provider)| provider)
    }

    fn route_pattern(&self, name: &str) -> Option<&Provider> {
        let fits = |(from, _): &&(String, Provider)| from.contains('*') && names::fits(from, name);
        self.routes.iter().find(fits).map(|(_, provider)| provider)
    }
}

fn refused(asked: &str, provider: &Provider) -> Failure {
    let name = short(asked, 128);
    let message = match provider {
        Provider::Accounts => format!("The model `{name}` is routed to the accounts, and none of them lists it."),
        Provider::Relay(relay) => {
            format!("The model `{name}` is routed to the relay `{relay}`, which is not there or does not have it.")
        }
    };
    Failure::new(Kind::ModelNotFound, message).code("model_not_found").at("model")
}
