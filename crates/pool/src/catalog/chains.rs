//! What is asked instead when a model cannot serve.

use super::names;

/// Fallback chains: a name, alias or pattern, and the models that are asked instead, in order. A target is whatever
/// [`Catalog::resolve`](super::Catalog::resolve) takes, `provider:model` too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains(pub Vec<(String, Vec<String>)>);

impl Chains {
    /// The chain of a request: that of the name as the client gave it, else of the model that it means, else the first
    /// pattern that fits either. Empty for none. Chains of what is asked instead do not count: nothing goes in circles.
    pub fn of(&self, asked: Option<&str>, model: Option<&str>) -> &[String] {
        let named = |name: &str| self.0.iter().find(|(from, _)| from == name);
        let fits = |(from, _): &&(String, Vec<String>)| {
            from.contains('*') && [asked, model].into_iter().flatten().any(|name| names::fits(from, name))
        };
        let found = asked.and_then(named).or_else(|| model.and_then(named)).or_else(|| self.0.iter().find(fits));
        found.map_or(&[], |(_, targets)| targets.as_slice())
    }
}
