//! Fallback chains: which models are tried when a model cannot serve.

use super::names;

/// Fallback chains: a name, alias or pattern, and the models that replace it, in order. A target is any name that
/// [`Catalog::resolve`](super::Catalog::resolve) takes, `provider:model` included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains(pub Vec<(String, Vec<String>)>);

impl Chains {
    /// The chain of a request: by the client's name, else by the resolved model, else by the first pattern that matches either.
    /// Empty without a chain. The chains of fallback models are not followed, so there are no circles.
    pub fn of(&self, requested: Option<&str>, model: Option<&str>) -> &[String] {
        let named = |name: &str| self.0.iter().find(|(from, _)| from == name);
        let fits = |(from, _): &&(String, Vec<String>)| {
            from.contains('*') && [requested, model].into_iter().flatten().any(|name| names::fits(from, name))
        };
        let found = requested.and_then(named).or_else(|| model.and_then(named)).or_else(|| self.0.iter().find(fits));
        found.map_or(&[], |(_, targets)| targets.as_slice())
    }
}
