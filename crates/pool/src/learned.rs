//! Limits of models that upstreams have named in refusals: the longest prompt, and the most output of one answer.
//!
//! A refusal has priority over every list, later lists included: the earlier list had the same figure, and the model refused anyway.
//! A limit holds for [`limits::LEARNED`], because providers may raise it, and ends earlier when a larger request is served. Nothing is
//! guessed: a refusal without a number teaches nothing, nor does a number that cannot be true for the refused request.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use proto::tokens::Words;
use proto::upstream_error::bounds::Bounds;

use crate::account::AccountId;
use crate::{Millis, limits};

/// Plausible windows, in tokens.
const WINDOW: (u64, u64) = (1024, 1 << 27);
/// Plausible output limits, in tokens.
const OUTPUT: (u64, u64) = (256, 1 << 27);
/// Tokens that an upstream may add to a prompt.
const FRAME: u64 = 1024;
/// A thousandth is the unit of [`Limit::scale`].
const MILLE: u64 = 1000;
/// Plausible upstream counts for a thousand tokens of ours. Outside of them the two counted different texts.
const SCALE: (u64, u64) = (MILLE / 2, MILLE * 2);

/// A model at a provider. All accounts are one provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelKey {
    /// The relay that has it; `None` for the ChatGPT accounts.
    pub relay: Option<AccountId>,
    /// Its name at the provider.
    pub model: String,
}

/// Facts about a refused request.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefusedRequest {
    /// Bytes of its body; a prompt has no more tokens.
    pub bytes: u64,
    /// Output tokens that it asked for, where it did.
    pub output: Option<u64>,
    /// The model's window as it is listed, where it is.
    pub listed: Option<u64>,
}

/// The learned limits of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedLimits {
    /// Tokens that its context holds.
    pub window: Option<u64>,
    /// Most output tokens that it takes.
    pub output: Option<u64>,
}

/// All learned limits.
#[derive(Clone, Debug, Default)]
pub struct Learned(HashMap<ModelKey, ModelLimits>);

#[derive(Clone, Copy, Debug, Default)]
struct ModelLimits {
    window: Option<TokenLimit>,
    output: Option<TokenLimit>,
}

#[derive(Clone, Copy, Debug)]
struct TokenLimit {
    tokens: u64,
    /// When it was last learned.
    at: Millis,
    /// Tokens that the upstream counted where we counted a thousand words; `None` while that is not known.
    scale: Option<u64>,
}

impl Learned {
    /// Learns from the refusal of a request; `true` when a limit has changed.
    pub fn note(&mut self, of: &ModelKey, bounds: &Bounds, request: RefusedRequest, now: Millis) -> bool {
        let window = bounds.window.filter(|window| holds(*window, bounds, request));
        let output = bounds
            .output
            .filter(|most| within(*most, OUTPUT) && request.output.is_none_or(|requested| requested > *most));
        if (window, output) == (None, None) {
            return false;
        }
        let before = self.known(of, now);
        let entry = self.0.entry(of.clone()).or_default();
        let limit =
            |old: Option<TokenLimit>, tokens| TokenLimit { tokens, at: now, scale: old.and_then(|old| old.scale) };
        entry.window = window.map(|tokens| limit(entry.window, tokens)).or(entry.window);
        entry.output = output.map(|tokens| limit(entry.output, tokens)).or(entry.output);
        self.trim();
        self.known(of, now) != before
    }

    /// Learns how an upstream counts, from its figure for a refused prompt and ours.
    pub fn scale(&mut self, of: &ModelKey, bounds: &Bounds, ours: Words) {
        let (Some(prompt), true) = (bounds.prompt, ours.all && ours.tokens > 0) else { return };
        let scale = prompt.saturating_mul(MILLE) / ours.tokens;
        let entry = self.0.get_mut(of);
        if let Some(window) = entry.and_then(|entry| entry.window.as_mut()) {
            window.scale = Some(scale).filter(|scale| within(*scale, SCALE));
        }
    }

    /// The limits of a model that still hold.
    pub fn known(&self, of: &ModelKey, now: Millis) -> LearnedLimits {
        let Some(entry) = self.0.get(of) else { return LearnedLimits::default() };
        let tokens = |limit: Option<TokenLimit>| limit.filter(|limit| limit.fresh(now)).map(|limit| limit.tokens);
        LearnedLimits { window: tokens(entry.window), output: tokens(entry.output) }
    }

    /// The limits of a model regardless of their age; [`Self::sweep`] removes old ones.
    pub fn last(&self, of: &ModelKey) -> LearnedLimits {
        let Some(entry) = self.0.get(of) else { return LearnedLimits::default() };
        LearnedLimits { window: entry.window.map(|limit| limit.tokens), output: entry.output.map(|limit| limit.tokens) }
    }

    /// The upstream's expected token count of a prompt that certainly exceeds the window. Tokenisers differ by language, so the
    /// upstream itself decides about a prompt that is only a little over by our count: by a twentieth where its way of counting is
    /// known, else by a quarter.
    pub fn over_window(&self, of: &ModelKey, ours: Words, now: Millis) -> Option<u64> {
        let entry = self.0.get(of)?;
        let window = entry.window.filter(|limit| limit.fresh(now))?;
        let expected = ours.tokens.saturating_mul(window.scale.unwrap_or(MILLE)) / MILLE;
        let slack = window.tokens / if window.scale.is_some() { 20 } else { 4 };
        (expected > window.tokens.saturating_add(slack)).then_some(expected)
    }

    /// Removes limits below the input and output tokens of a served request; `true` when there was one.
    pub fn served(&mut self, of: &ModelKey, (input, output): (u64, u64)) -> bool {
        let Some(entry) = self.0.get_mut(of) else { return false };
        let before = (entry.window.is_some(), entry.output.is_some());
        entry.window = entry.window.filter(|window| window.tokens >= input);
        entry.output = entry.output.filter(|most| most.tokens >= output);
        (entry.window.is_some(), entry.output.is_some()) != before
    }

    /// Removes old limits; `true` when there was any.
    pub fn sweep(&mut self, now: Millis) -> bool {
        let mut old = false;
        self.0.retain(|_, entry| {
            let fresh = |limit: &TokenLimit| limit.fresh(now);
            let left = ModelLimits { window: entry.window.filter(fresh), output: entry.output.filter(fresh) };
            old |= (left.window.is_some(), left.output.is_some()) != (entry.window.is_some(), entry.output.is_some());
            *entry = left;
            entry.window.is_some() || entry.output.is_some()
        });
        old
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes the limits of a relay, because it leads to another service now.
    pub fn forget(&mut self, relay: &AccountId) {
        self.0.retain(|of, _| of.relay.as_ref() != Some(relay));
    }

    /// Removes the oldest limits while there are too many, because clients may name any model.
    fn trim(&mut self) {
        while self.0.len() > limits::LEARNED_MODELS {
            let oldest = self.0.iter().min_by_key(|(_, entry)| entry.last_learned()).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.0.remove(&key));
        }
    }
}

impl ModelLimits {
    /// When a limit was last learned.
    fn last_learned(&self) -> Option<Millis> {
        [self.window, self.output].into_iter().flatten().map(|limit| limit.at).max()
    }
}

impl TokenLimit {
    /// Whether the limit still holds. A clock that was set back does not prolong it.
    fn fresh(&self, now: Millis) -> bool {
        let age = self.at.believed(now).until(now);
        u128::from(age) < limits::LEARNED.as_millis()
    }
}

/// Whether a window is plausible. The refused prompt must exceed it, and a prompt has no more tokens than bytes. A window far below
/// the listed one needs a code or a figure besides the message, because the message may quote other text.
fn holds(window: u64, bounds: &Bounds, request: RefusedRequest) -> bool {
    let most = request.bytes.saturating_add(FRAME).saturating_add(request.output.unwrap_or(0));
    let output = request.output.max(bounds.requested_output).unwrap_or(0);
    let longer = bounds.prompt.is_none_or(|prompt| prompt.saturating_add(output) > window);
    let near = request.listed.is_none_or(|listed| window >= listed / 2);
    within(window, WINDOW) && window < most && longer && (near || bounds.has_code || bounds.prompt.is_some())
}

fn within(number: u64, (least, most): (u64, u64)) -> bool {
    (least..=most).contains(&number)
}
