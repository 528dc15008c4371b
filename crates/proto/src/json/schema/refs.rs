//! `$ref` inside one schema document.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::keywords;
use super::tree::Tree;
use crate::text::Text;

/// Most definitions that are searched for cycles; in a larger document each definition counts as circular.
const MOST: usize = 256;

/// The schema that a `$ref` of this document names; `None` for a reference elsewhere and for a missing schema. An anchor (`#name`) is
/// `None` too: upstreams do not resolve it.
fn find<'t>(root: &'t Tree, pointer: &str) -> Option<&'t Tree> {
    let mut at = root;
    let steps = pointer.strip_prefix('#').filter(|steps| steps.is_empty() || steps.starts_with('/'))?;
    for step in steps.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        at = match at {
            Tree::Array(elements) => elements.get(step.parse::<usize>().ok()?)?,
            other => other.get(&step)?,
        };
    }
    Some(at)
}

/// The target of `part` if it is a `$ref` into `root`, else `part` itself.
pub(super) fn resolved(root: &Tree, part: &Tree) -> Tree {
    let pointer = part.get("$ref").and_then(Tree::text);
    let found = pointer.and_then(|pointer| find(root, &pointer.plain()).cloned());
    found.unwrap_or_else(|| part.clone())
}

/// Replaces a `$ref` at the root by its target; the definitions stay.
pub(super) fn expand_root(root: &mut Tree) {
    // A longer chain of names is a cycle.
    for _ in 0..8 {
        let Some(pointer) = root.get("$ref").and_then(Tree::text) else { return };
        let Some(Tree::Object(named)) = find(root, &pointer.plain()).cloned() else { return };
        root.take("$ref");
        for (key, value) in named {
            if !root.has(&key.plain()) {
                root.set(&key.plain(), value);
            }
        }
    }
    root.take("$ref");
}

/// Every `$ref` in the document.
pub(super) fn all(schema: &Tree, found: &mut Vec<Text>) {
    found.extend(schema.get("$ref").and_then(Tree::text));
    keywords::children(schema).for_each(|child| all(child, found));
}

/// Whether every `$ref` has a target in the document.
pub(super) fn complete(root: &Tree) -> bool {
    let mut found = Vec::new();
    all(root, &mut found);
    let mut seen = HashSet::new();
    found.iter().all(|pointer| !seen.insert(pointer.escaped()) || find(root, &pointer.plain()).is_some())
}

/// The pointers that lead back to themselves.
pub(super) fn circular(root: &Tree) -> HashSet<String> {
    let mut pointers = Vec::new();
    all(root, &mut pointers);
    let names = distinct(&pointers);
    if names.len() > MOST {
        return names;
    }
    let edges = Edges::of(root, &names);
    let back = |start: &String| {
        let (mut waiting, mut seen) = (vec![start], HashSet::new());
        while let Some(name) = waiting.pop() {
            for step in edges.next(name) {
                if step == start {
                    return true;
                }
                if seen.insert(step) {
                    waiting.push(step);
                }
            }
        }
        false
    };
    names.iter().filter(|name| back(name)).cloned().collect()
}

/// The pointers below the target of each pointer. Every schema is walked once, however many pointers and schemas lead to it.
struct Edges<'t> {
    /// The target of each pointer.
    targets: HashMap<&'t String, &'t Tree>,
    /// The pointers below a target, by its address.
    below: HashMap<*const Tree, HashSet<String>>,
    /// The targets that are being walked, the outermost first.
    around: Vec<*const Tree>,
}

impl<'t> Edges<'t> {
    fn of(root: &'t Tree, names: &'t HashSet<String>) -> Self {
        let targets: HashMap<&String, &Tree> =
            names.iter().filter_map(|name| Some((name, find(root, name)?))).collect();
        let addresses = targets.values().map(|target| std::ptr::from_ref(*target));
        let below = addresses.map(|address| (address, HashSet::new())).collect();
        let mut order: Vec<(usize, &Tree)> =
            targets.iter().map(|(name, target)| (name.matches('/').count(), *target)).collect();
        // Outer targets come first, so that inner targets are walked with them.
        order.sort_by_key(|(depth, _)| *depth);
        let mut edges = Self { targets, below, around: Vec::new() };
        let mut walked = HashSet::new();
        for (_, target) in order {
            if !walked.contains(&std::ptr::from_ref(target)) {
                edges.walk(target, &mut walked);
            }
        }
        edges
    }

    /// The pointers below the target of `name`.
    fn next(&self, name: &String) -> impl Iterator<Item = &String> {
        let target = self.targets.get(name).map(|target| std::ptr::from_ref(*target));
        target.and_then(|address| self.below.get(&address)).into_iter().flatten()
    }

    fn walk(&mut self, schema: &Tree, walked: &mut HashSet<*const Tree>) {
        let address = std::ptr::from_ref(schema);
        let is_target = self.below.contains_key(&address);
        if is_target {
            self.around.push(address);
            walked.insert(address);
        }
        if let Some(pointer) = schema.get("$ref").and_then(Tree::text) {
            let pointer = pointer.plain();
            for target in &self.around {
                let below = self.below.entry(*target).or_default();
                // One definition may contain the same pointer any number of times.
                if !below.contains(pointer.as_ref()) {
                    below.insert(pointer.clone().into_owned());
                }
            }
        }
        keywords::children(schema).for_each(|child| self.walk(child, walked));
        if is_target {
            self.around.pop();
        }
    }
}

fn distinct(pointers: &[Text]) -> HashSet<String> {
    let mut seen = HashSet::new();
    pointers
        .iter()
        .filter(|pointer| seen.insert(pointer.escaped()))
        .map(|pointer| pointer.plain().into_owned())
        .collect()
}

/// Moves the document one level down: pointers into it, other than to its definitions, get `prefix`.
pub(super) fn shift(schema: &mut Tree, prefix: &str) {
    if let Some(pointer) = schema.get("$ref").and_then(Tree::text) {
        let plain = pointer.plain();
        let rest =
            plain.strip_prefix('#').filter(|rest| !rest.starts_with("/$defs") && !rest.starts_with("/definitions"));
        if let Some(rest) = rest {
            let moved = format!("#{prefix}{rest}");
            schema.set("$ref", Tree::string(&moved));
        }
    }
    keywords::each(schema, |child| shift(child, prefix));
}
