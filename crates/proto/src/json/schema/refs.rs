//! `$ref` inside one schema document.

use std::collections::{HashMap, HashSet};

use super::tree::Tree;
use super::words;
use crate::text::Text;

/// Most definitions whose circles are looked for; in a larger document each counts as circular.
const MOST: usize = 256;

/// The schema that a `$ref` of this document names; `None` for others and for what is not there. An anchor (`#name`) is none:
/// upstreams do not look for it.
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

/// What `part` names if it is a `$ref` into `root`, else itself.
pub(super) fn resolved(root: &Tree, part: &Tree) -> Tree {
    let pointer = part.get("$ref").and_then(Tree::text);
    let found = pointer.and_then(|pointer| find(root, &pointer.plain()).cloned());
    found.unwrap_or_else(|| part.clone())
}

/// Replaces a `$ref` at the root by what it names; the definitions stay.
pub(super) fn expand_root(root: &mut Tree) {
    // A chain of names that is longer is a circle.
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
    words::children(schema).for_each(|child| all(child, found));
}

/// Whether every `$ref` names something in the document.
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
    // One definition may name another any number of times.
    let next = |name: &String| -> HashSet<String> {
        let mut found = Vec::new();
        if let Some(schema) = find(root, name) {
            all(schema, &mut found);
        }
        distinct(&found)
    };
    let edges: HashMap<&String, HashSet<String>> = names.iter().map(|name| (name, next(name))).collect();
    let back = |start: &String| {
        let (mut waiting, mut seen) = (vec![start], HashSet::new());
        while let Some(name) = waiting.pop() {
            for step in edges.get(name).into_iter().flatten() {
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
    words::each(schema, |child| shift(child, prefix));
}
