//! The script: rules that assign plans to requests.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::plan::{Endpoint, Plan};

/// A condition on requests; all given fields must match.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The endpoint; model requests by default.
    pub place: Endpoint,
    /// The token's `chatgpt_account_id`; for a relay, the key.
    pub account: Option<String>,
    /// A part of the last user message, case-insensitive.
    pub prompt: Option<String>,
    /// The requested model.
    pub model: Option<String>,
    /// Whether the rule matches prewarms, which a socket sends before its first turn; by default it does not.
    pub prewarm: bool,
    /// A required header, with its value if given. A turn of a socket has the headers of its upgrade.
    pub header: Option<(String, Option<String>)>,
}

/// A condition, the plan for requests that match, and the number of these requests.
#[must_use]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The condition.
    #[serde(default)]
    pub when: When,
    /// The number of matching requests without the plan before the rule applies.
    #[serde(default)]
    pub skip: u32,
    /// The number of requests that get the plan; 0 is all of them.
    #[serde(default = "once")]
    pub times: u32,
    /// The plan.
    #[serde(default)]
    pub plan: Plan,
}

fn once() -> u32 {
    1
}

impl Rule {
    /// For the next request to an endpoint.
    pub fn at(place: Endpoint, plan: Plan) -> Self {
        Self { when: When { place, ..When::default() }, skip: 0, times: 1, plan }
    }

    /// For the next model request.
    pub fn responses(plan: Plan) -> Self {
        Self::at(Endpoint::Responses, plan)
    }

    /// For the next use of the token endpoint.
    pub fn token(plan: Plan) -> Self {
        Self::at(Endpoint::Token, plan)
    }

    /// For the next upgrade to a WebSocket.
    pub fn socket(plan: Plan) -> Self {
        Self::at(Endpoint::Socket, plan)
    }

    /// Only prewarms.
    pub fn prewarm(mut self) -> Self {
        self.when.prewarm = true;
        self
    }

    /// Only this account's requests.
    pub fn account(mut self, account_id: &str) -> Self {
        self.when.account = Some(account_id.to_owned());
        self
    }

    /// Only requests whose last user message contains this.
    pub fn prompt(mut self, part: &str) -> Self {
        self.when.prompt = Some(part.to_owned());
        self
    }

    /// Only requests for this model.
    pub fn model(mut self, model: &str) -> Self {
        self.when.model = Some(model.to_owned());
        self
    }

    /// Applies to this many requests.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Applies to every later request.
    pub fn always(self) -> Self {
        self.times(0)
    }

    /// Skips this many matching requests first.
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// The properties of a request that a rule can match.
#[derive(Clone, Copy)]
pub(crate) struct RequestFacts<'a> {
    pub(crate) place: Endpoint,
    pub(crate) account: Option<&'a str>,
    pub(crate) prompt: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) prewarm: bool,
    pub(crate) headers: &'a http::HeaderMap,
}

impl When {
    pub(crate) fn matches(&self, facts: RequestFacts<'_>) -> bool {
        let same = |want: &Option<String>, is: Option<&str>| want.as_deref().is_none_or(|want| is == Some(want));
        let prompt =
            |part: &String| facts.prompt.is_some_and(|prompt| prompt.to_lowercase().contains(&part.to_lowercase()));
        let header = |(name, value): &(String, Option<String>)| {
            let is = facts.headers.get(name);
            is.is_some() && value.as_ref().is_none_or(|value| is.is_some_and(|is| is == value.as_str()))
        };
        self.place == facts.place
            && self.prewarm == facts.prewarm
            && same(&self.account, facts.account)
            && same(&self.model, facts.model)
            && self.prompt.as_ref().is_none_or(prompt)
            && self.header.as_ref().is_none_or(header)
    }
}

/// The pending rules, in the order of their addition.
#[derive(Default)]
pub(crate) struct Script {
    rules: Mutex<Vec<Rule>>,
    forbidden: Mutex<Vec<(When, String)>>,
}

impl Script {
    pub(crate) fn add(&self, rule: Rule) {
        self.rules.lock().push(rule);
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().clear();
        self.forbidden.lock().clear();
    }

    pub(crate) fn pending(&self) -> Vec<Rule> {
        self.rules.lock().clone()
    }

    /// Takes the plan for a request and counts one use of its rule.
    pub(crate) fn take(&self, facts: RequestFacts<'_>) -> Option<Plan> {
        let mut rules = self.rules.lock();
        let index = rules.iter().position(|rule| rule.when.matches(facts))?;
        let rule = &mut rules[index];
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        match rule.times {
            0 => Some(rule.plan.clone()),
            1 => Some(rules.remove(index).plan),
            _ => {
                rule.times -= 1;
                Some(rule.plan.clone())
            }
        }
    }

    pub(crate) fn forbid(&self, when: When, note: String) {
        self.forbidden.lock().push((when, note));
    }

    /// The note of the first condition that forbids this request.
    pub(crate) fn forbidden(&self, facts: RequestFacts<'_>) -> Option<String> {
        self.forbidden.lock().iter().find(|(when, _)| when.matches(facts)).map(|(_, note)| note.clone())
    }
}
