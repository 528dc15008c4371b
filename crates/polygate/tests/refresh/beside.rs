//! Commands beside a gateway: each refreshes one account, and ends by itself or is interrupted or killed at an instant.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::common::Home;
use crate::fleet::size;

/// Commands of one round begin within this time.
const SPREAD: u64 = 256;
/// Latest signal after the start of its command: a little longer than a refresh takes.
const LATEST: u64 = 128;
/// A command that still runs after this time hangs.
const HANGS: Duration = Duration::from_mins(2);

/// Numbers of a sequence (Knuth's LCG) with the seed `POLYGATE_SOAK_SEED`, so that a failure can be reproduced.
pub(crate) struct RandomSequence(u64);

impl RandomSequence {
    pub(crate) fn new() -> Self {
        Self(size("POLYGATE_SOAK_SEED", 42) as u64)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A time below `end`, in milliseconds.
    pub(crate) fn instant(&mut self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

/// How a command is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It ends by itself.
    Ends,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGKILL.
    Killed,
}

impl Fate {
    fn signal(self) -> Option<&'static str> {
        match self {
            Self::Ends => None,
            Self::Interrupted => Some("-INT"),
            Self::Terminated => Some("-TERM"),
            Self::Killed => Some("-KILL"),
        }
    }

    /// Whether a command may end with this status. It may also end before its signal comes, or before it listens for signals.
    fn allows(self, status: ExitStatus) -> bool {
        let ended_by = |number: i32| status.signal() == Some(number);
        match (self, status.code()) {
            (_, Some(0)) => true,
            (Self::Ends, _) => false,
            (Self::Interrupted, code) => code == Some(130) || ended_by(2),
            (Self::Terminated, code) => code == Some(143) || ended_by(15),
            (Self::Killed, _) => ended_by(9),
        }
    }
}

/// A command that has ended.
pub(crate) struct FinishedCommand {
    /// The account whose tokens the command refreshes.
    pub(crate) account: String,
    pub(crate) fate: Fate,
    /// Its exit code; `None` when the signal ended it.
    pub(crate) code: Option<i32>,
    /// Why the command may not end as it did.
    pub(crate) wrong: Option<String>,
    /// Whether the command was running when the signal came.
    pub(crate) hit: bool,
}

/// The ids of a home's accounts.
pub(crate) fn accounts(home: &Home) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    list.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Starts one command for each of `fates`, each with a random account.
pub(crate) fn start(
    home: &Arc<Home>,
    ids: &[String],
    fates: &[Fate],
    dice: &mut RandomSequence,
) -> Vec<JoinHandle<FinishedCommand>> {
    let mut start = |fate: &Fate| {
        let account = ids[usize::try_from(dice.below(ids.len() as u64)).unwrap()].clone();
        let (home, fate, times) = (Arc::clone(home), *fate, (dice.instant(SPREAD), dice.instant(LATEST)));
        tokio::task::spawn_blocking(move || run(&home, account, fate, times))
    };
    fates.iter().map(&mut start).collect()
}

/// Number of commands that were running when their signal came, by signal, for the report.
#[derive(Default)]
pub(crate) struct Hits([usize; 3]);

impl Hits {
    pub(crate) fn add(&mut self, ran: &FinishedCommand) {
        let at = match ran.fate {
            Fate::Ends => return,
            Fate::Interrupted => 0,
            Fate::Terminated => 1,
            Fate::Killed => 2,
        };
        self.0[at] += usize::from(ran.hit);
    }
}

impl std::fmt::Display for Hits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [int, term, kill] = self.0;
        write!(f, "SIGINT found {int} of them running, SIGTERM {term}, SIGKILL {kill}")
    }
}

/// Waits for all commands.
pub(crate) async fn ended(commands: Vec<JoinHandle<FinishedCommand>>) -> Vec<FinishedCommand> {
    let mut all = Vec::new();
    for command in commands {
        all.push(command.await.unwrap());
    }
    all
}

fn run(home: &Home, account: String, fate: Fate, (begin, signal): (Duration, Duration)) -> FinishedCommand {
    std::thread::sleep(begin);
    let mut command = home.command(&["accounts", "refresh", &account]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut hit = false;
    if let Some(name) = fate.signal() {
        std::thread::sleep(signal);
        hit = child.try_wait().unwrap().is_none();
        // This process has not yet waited for a command that ended just now, so no other process has its id.
        Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    }
    let status = within(&mut child);
    let mut output_text = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut output_text).unwrap();
    let wrong = (!fate.allows(status)).then(|| format!("{fate:?} {status}: {output_text}"));
    FinishedCommand { account, fate, code: status.code(), wrong, hit }
}

fn within(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + HANGS;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "a command hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
}
