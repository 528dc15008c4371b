//! Measurements of this machine: CPU time and memory of a process, utilisation of a core.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of all threads of a process so far.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        // A thread may end between the listing and the read.
        let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += line.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

/// Resident memory of a process, bytes.
pub(crate) fn rss(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib * 1024)
}

/// Busy and total ticks of core 0 so far.
#[derive(Clone, Copy)]
pub(crate) struct Core {
    busy: u64,
    total: u64,
}

impl Core {
    /// Reads core 0.
    pub(crate) fn zero() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().find(|line| line.starts_with("cpu0 ")).context("no cpu0")?;
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
        let total = ticks.iter().take(8).sum();
        // Fields 3 and 4 are idle and iowait.
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy: total - idle, total })
    }

    /// The share of time since `earlier` in which the core was busy, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "ticks of one round are far below 2^52")]
    pub(crate) fn busy_since(self, earlier: Self) -> f64 {
        (self.busy - earlier.busy) as f64 / (self.total - earlier.total).max(1) as f64
    }
}
