//! Checks the layers, the allowed dependencies between crates, with `cargo metadata`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::shell::{cargo, output};

/// Our crates, each with those of our crates that it may use outside its tests.
const LAYERS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("pool", &["proto"]),
    ("wire-body", &[]),
    ("upstream", &["wire-body", "pool", "proto"]),
    ("store", &["pool"]),
    ("engine", &["upstream", "store", "wire-body", "pool", "proto"]),
    ("server", &["engine", "wire-body", "pool", "proto"]),
    ("offline", &["proto"]),
    ("polygate", &["server", "engine", "upstream", "store", "pool", "proto", "offline"]),
    ("bench", &["engine", "upstream", "store", "pool", "proto"]),
    ("instructions", &["proto"]),
    ("xtask", &[]),
];

/// Foreign crates that only some of ours may use outside their tests.
const RESERVED: &[(&str, &[&str])] = &[
    ("reqwest", &["upstream"]),
    ("sqlx", &["store"]),
    ("axum", &["bench"]),
    ("hyper", &["upstream", "server", "offline", "bench"]),
    ("tokio", &["wire-body", "upstream", "store", "engine", "server", "offline", "polygate", "bench"]),
    ("clap", &["polygate", "xtask", "bench"]),
    ("anyhow", &["polygate", "xtask", "bench"]),
];

/// Fails with a list of all dependencies that the layers do not allow.
pub(super) fn check() -> Result<()> {
    let metadata = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let wrong = violations(&packages(&serde_json::from_str(&metadata)?));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("layers broken:\n  {}\nThe arrows are in ARCHITECTURE.md; move the code, not the rule.", wrong.join("\n  "))
}

/// The name of each package with the names of its dependencies outside tests.
fn packages(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let used = |package: &Value| {
        list(&package["dependencies"]).iter().filter(|dependency| dependency["kind"] != "dev").map(name).collect()
    };
    list(&metadata["packages"]).iter().map(|package| (name(package), used(package))).collect()
}

fn violations(packages: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (package, used) in packages {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == package) else {
            wrong.push(format!("{package} has no layer; add it to xtask/src/tidy.rs and ARCHITECTURE.md"));
            continue;
        };
        for dependency in used {
            let ours = packages.contains_key(dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{package} uses {dependency}"));
            }
            let reserved = RESERVED.iter().find(|(name, _)| name == dependency);
            if reserved.is_some_and(|(_, users)| !users.contains(&package.as_str())) {
                wrong.push(format!("{package} uses {dependency}, which belongs to another layer"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(rows: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        rows.iter().map(|(name, used)| ((*name).to_owned(), used.iter().map(|&u| u.to_owned()).collect())).collect()
    }

    #[test]
    fn arrows_point_one_way() {
        assert!(violations(&graph(&[("proto", &["bytes"]), ("pool", &["proto"])])).is_empty());
        assert_eq!(violations(&graph(&[("proto", &["pool"]), ("pool", &[])])), ["proto uses pool"]);
        assert_eq!(violations(&graph(&[("server", &["sqlx"])])).len(), 1);
        assert_eq!(violations(&graph(&[("newcomer", &[])])).len(), 1);
    }
}
