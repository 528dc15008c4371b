//! Checked-in files that the product generates.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, output, root};

/// A path below the root, and the arguments of the `cargo run` that prints the file's content.
const FILES: &[(&str, &[&str])] = &[
    ("docs/settings.md", &["--package", "polygate", "--", "config", "docs"]),
    ("docs/openapi.json", &["--package", "server", "--features", "describe", "--example", "openapi"]),
];

/// Writes the files, or with `check` fails if one is out of date.
pub(crate) fn run(check: bool) -> Result<()> {
    println!("\n== generated files");
    for (file, args) in FILES {
        let mut all = vec!["run", "--quiet"];
        all.extend_from_slice(args);
        let wanted = output(&mut cargo(&all))?;
        let path = root().join(file);
        if fs::read_to_string(&path).is_ok_and(|present| present == wanted) {
            continue;
        }
        if check {
            bail!("{file} is out of date; run `cargo xtask gen`");
        }
        fs::create_dir_all(path.parent().context("a generated file lies in a folder")?)?;
        fs::write(&path, wanted)?;
        println!("wrote {file}");
    }
    Ok(())
}
