//! Installs the dependencies of tests in other languages: packages of npm and PyPI at fixed versions, below the checkout and the
//! target folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::shell::{command, root, step, target, works};

/// Installs the lock file in `folder`, unless that version is installed.
pub(crate) fn npm(folder: &str) -> Result<()> {
    let folder = root().join(folder);
    let wanted = fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let args = ["ci", "--no-audit", "--no-fund", "--prefer-offline"];
    repeat(&mut || step("packages from npm", command("npm", args).current_dir(&folder)))?;
    Ok(fs::write(stamp, wanted)?)
}

/// A virtual environment with `requirements`, for programs that run on a Python in `versions` (3.x).
pub(crate) fn venv(name: &str, requirements: &str, versions: std::ops::Range<u32>) -> Result<PathBuf> {
    let requirements = root().join(requirements);
    let wanted = fs::read(&requirements)?;
    let folder = target().join("tools").join(name);
    let stamp = folder.join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    let python = python(&versions)?;
    repeat(&mut || {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let parts = [Path::new("-m"), Path::new("venv"), &folder];
        step("virtual environment", &mut command(&python, parts)).context("Debian has it in python3-venv")?;
        let mut pip = command(folder.join("bin/pip"), ["install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--prefer-binary", "--retries", "10", "--requirement"]).arg(&requirements);
        step(&format!("{name} from PyPI"), &mut pip)
    })?;
    fs::write(stamp, wanted)?;
    Ok(folder)
}

/// A Python 3 whose minor version is in `versions`.
fn python(versions: &std::ops::Range<u32>) -> Result<String> {
    let check = format!("import sys; sys.exit(not {} <= sys.version_info.minor < {})", versions.start, versions.end);
    let named = versions.clone().rev().map(|minor| format!("python3.{minor}"));
    let found = std::iter::once("python3".to_owned()).chain(named).find(|python| works(python, &["-c", &check]));
    let Some(python) = found else {
        bail!("no Python from 3.{} to 3.{} is installed", versions.start, versions.end - 1);
    };
    Ok(python)
}

/// Tries an installation three times, because registries sometimes close the connection.
fn repeat(install: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let again = |error: anyhow::Error| {
        println!("{error:#}; once more");
    };
    install().map_err(again).or_else(|()| install().map_err(again)).or_else(|()| install())
}

/// Installs a Debian package if the user is root; prints the reason if that fails.
pub(crate) fn debian(package: &str) {
    let root = env::var("USER").is_ok_and(|user| user == "root") || Path::new("/root").read_dir().is_ok();
    if !root || !works("apt-get", &["--version"]) {
        return;
    }
    let update = step("package list", &mut command("apt-get", ["update", "-qq"]));
    let mut install = command("apt-get", ["install", "-y", "-qq", "--no-install-recommends", package]);
    let installed = update.and_then(|()| step(package, install.env("DEBIAN_FRONTEND", "noninteractive")));
    if let Err(error) = installed.with_context(|| format!("{package} could not be installed")) {
        println!("{error:#}");
    }
}
