//! Finds import cycles between the modules of a crate, and forbidden imports that close no cycle.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};

use super::imports::{Graph, read};

/// The source folders of the crates.
const SOURCES: &[&str] = &[
    "crates/proto/src", "crates/pool/src", "crates/wire-body/src", "crates/upstream/src", "crates/store/src",
    "crates/engine/src", "crates/server/src", "crates/offline/src", "crates/polygate/src", "bench/src", "xtask/src",
];

/// Allowed cycles: source folder, the modules in alphabetical order, reason. At most three.
const EXCEPTIONS: &[(&str, &[&str], &str)] = &[];

/// Forbidden imports: source folder, the importing module, the imported module.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("crates/proto/src", "canon", "dialect"),
    ("crates/engine/src", "request", "background"),
    ("crates/engine/src", "request", "admin"),
];

/// Fails with a list of all cycles and all forbidden imports.
pub(super) fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for source in SOURCES {
        let graph = read(Path::new(source))?;
        let found = circles(&graph);
        let found = found.iter().filter(|circle| !is_excepted(source, circle));
        wrong.extend(found.map(|circle| describe(source, &graph, circle)));
        wrong.extend(forbidden(source, &graph));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "modules import each other:\n{}\nMove what both need to where it belongs; a circle has no first file to read.",
        wrong.join("\n")
    )
}

fn is_excepted(source: &str, circle: &BTreeSet<&str>) -> bool {
    EXCEPTIONS
        .iter()
        .any(|(crate_source, modules, _)| *crate_source == source && circle.iter().copied().eq(modules.iter().copied()))
}

/// The groups of two or more modules in which each module reaches every other.
fn circles(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let reached: Vec<(&str, BTreeSet<&str>)> =
        graph.keys().map(|from| (from.as_str(), reachable(graph, from))).collect();
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    for (from, reaches) in &reached {
        let back = |to: &&str| reached.iter().any(|(module, set)| module == to && set.contains(from));
        let circle: BTreeSet<&str> = reaches.iter().copied().filter(back).collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

/// Every module that `from` imports, directly or through others.
fn reachable<'g>(graph: &'g Graph, from: &str) -> BTreeSet<&'g str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for to in graph.get(module).into_iter().flatten().map(|(to, _)| to.as_str()) {
            if found.insert(to) {
                open.push(to);
            }
        }
    }
    found
}

fn describe(source: &str, graph: &Graph, circle: &BTreeSet<&str>) -> String {
    format!("{source}: a circle of {}\n{}", circle.len(), imports_within(graph, circle).join("\n"))
}

fn imports_within(graph: &Graph, circle: &BTreeSet<&str>) -> Vec<String> {
    let within = |from: &&str| graph[*from].iter().filter(|(to, _)| circle.contains(to.as_str()));
    circle
        .iter()
        .flat_map(|from| within(from).map(move |(to, file)| format!("    {from} -> {to} ({})", file.display())))
        .collect()
}

fn forbidden(source: &str, graph: &Graph) -> Vec<String> {
    let rules = FORBIDDEN.iter().filter(|(crate_source, ..)| *crate_source == source);
    let broken = rules.filter_map(|(_, from, to)| Some((from, to, graph.get(*from)?.get(*to)?)));
    broken.map(|(from, to, file)| format!("{source}: {from} must not import {to} ({})", file.display())).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn graph(rows: &[(&str, &[&str])]) -> Graph {
        let imports = |to: &[&str]| to.iter().map(|to| ((*to).to_owned(), PathBuf::new())).collect();
        rows.iter().map(|(from, to)| ((*from).to_owned(), imports(to))).collect()
    }

    #[test]
    fn circles_are_found_whatever_their_length() {
        assert!(circles(&graph(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])).is_empty());
        let two = graph(&[("a", &["b"]), ("b", &["a"]), ("c", &["a"])]);
        assert_eq!(circles(&two), [BTreeSet::from(["a", "b"])]);
        let three = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["e"]), ("e", &["d"])]);
        assert_eq!(circles(&three), [BTreeSet::from(["a", "b", "c"]), BTreeSet::from(["d", "e"])]);
    }

    #[test]
    fn exceptions_are_few() {
        assert!(EXCEPTIONS.len() <= 3);
    }

    #[test]
    fn canon_knows_no_dialect() {
        assert_eq!(forbidden("crates/proto/src", &graph(&[("canon", &["dialect"]), ("dialect", &["canon"])])).len(), 1);
        assert!(forbidden("crates/proto/src", &graph(&[("canon", &[]), ("dialect", &["canon"])])).is_empty());
    }
}
