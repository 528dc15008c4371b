//! Error reports of commands: a line for people, or with `--json` an object for programs. Reports go to standard error, so that standard
//! output holds only results.

use std::error::Error;
use std::process::ExitCode;

use serde::Serialize;

use crate::config::ConfigError;

/// An invalid request, reported with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// The kind of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The operation failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// A setting is wrong.
    Configuration,
}

#[derive(Serialize)]
struct Report<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    kind: Kind,
    message: &'a str,
}

/// Reports why a command failed, and returns the exit code.
pub(super) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let kind = match error {
        _ if error.is::<ConfigError>() => Kind::Configuration,
        _ if error.is::<UsageError>() => Kind::Usage,
        _ => Kind::Failed,
    };
    emit(kind, &message(error.as_ref()), json)
}

/// Reports a command line that clap refuses. Help and version are no errors: clap prints them on standard output.
pub(super) fn parse(error: &clap::Error, json: bool) -> ExitCode {
    if !json || !error.use_stderr() {
        error.exit();
    }
    let text = error.render().to_string();
    emit(Kind::Usage, text.trim().trim_start_matches("error: "), true)
}

/// Reports one failed part of a command whose other parts succeeded.
pub(super) fn note(text: &str, json: bool) {
    let _ = emit(Kind::Failed, text, json);
}

fn emit(kind: Kind, message: &str, json: bool) -> ExitCode {
    if json {
        let report = Report { error: Body { kind, message } };
        eprintln!("{}", serde_json::to_string(&report).expect("invariant: our types serialise"));
    } else {
        eprintln!("error: {message}");
    }
    ExitCode::from(if kind == Kind::Failed { 1 } else { 2 })
}

/// An error with its causes. A cause that the text already contains is not repeated.
pub(super) fn message(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file: {0}")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_cause_is_printed_once() {
        let error = anyhow::Error::from(Outer(std::io::Error::other("no such file"))).context("cannot start");
        assert_eq!(message(error.as_ref()), "cannot start: cannot read the file: no such file");
        let silent = anyhow::Error::from(std::io::Error::other("no such file")).context("cannot start");
        assert_eq!(message(silent.as_ref()), "cannot start: no such file");
    }
}
