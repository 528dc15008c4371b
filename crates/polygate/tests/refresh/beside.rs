//! Commands beside a gateway: each refreshes one account, and comes to its end or is interrupted or killed at an instant.

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
/// A signal comes this long after its command began at the latest: a little longer than a refresh takes.
const LATEST: u64 = 128;
/// A command that is still there by then hangs.
const HANGS: Duration = Duration::from_mins(2);

/// Numbers of a sequence (Knuth's LCG) that `POLYGATE_SOAK_SEED` begins, so that a failure can be run again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(size("POLYGATE_SOAK_SEED", 42) as u64)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A time below `end`, in milliseconds.
    pub(crate) fn instant(&mut self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

/// What happens to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes to its end.
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

    /// Whether a command may end so. One that is done before its signal comes, or that is hit before it listens for signals, too.
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
pub(crate) struct Ran {
    /// Whose tokens.
    pub(crate) account: String,
    pub(crate) fate: Fate,
    /// Its exit code; `None` when the signal ended it.
    pub(crate) code: Option<i32>,
    /// Why it may not end as it did.
    pub(crate) wrong: Option<String>,
    /// Whether the signal found it running.
    pub(crate) hit: bool,
}

/// The ids of a home's accounts, by the login's id at the backend.
pub(crate) fn accounts(home: &Home) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    list.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Starts a command for some of the accounts, of every one of `fates`.
pub(crate) fn start(home: &Arc<Home>, ids: &[String], fates: &[Fate], dice: &mut Dice) -> Vec<JoinHandle<Ran>> {
    let mut start = |fate: &Fate| {
        let account = ids[usize::try_from(dice.below(ids.len() as u64)).unwrap()].clone();
        let (home, fate, times) = (Arc::clone(home), *fate, (dice.instant(SPREAD), dice.instant(LATEST)));
        tokio::task::spawn_blocking(move || run(&home, account, fate, times))
    };
    fates.iter().map(&mut start).collect()
}

/// How many of each kind a signal found running, for people.
#[derive(Default)]
pub(crate) struct Hits([usize; 3]);

impl Hits {
    pub(crate) fn add(&mut self, ran: &Ran) {
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

/// Waits for all of them.
pub(crate) async fn ended(commands: Vec<JoinHandle<Ran>>) -> Vec<Ran> {
    let mut all = Vec::new();
    for command in commands {
        all.push(command.await.unwrap());
    }
    all
}

fn run(home: &Home, account: String, fate: Fate, (begin, signal): (Duration, Duration)) -> Ran {
    std::thread::sleep(begin);
    let mut command = home.command(&["accounts", "refresh", &account]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut hit = false;
    if let Some(name) = fate.signal() {
        std::thread::sleep(signal);
        hit = child.try_wait().unwrap().is_none();
        // One that ended this moment is still ours to wait for, so its number is nobody else's.
        Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    }
    let status = within(&mut child);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    let wrong = (!fate.allows(status)).then(|| format!("{fate:?} {status}: {said}"));
    Ran { account, fate, code: status.code(), wrong, hit }
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
