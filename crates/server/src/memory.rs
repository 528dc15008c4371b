//! The memory budget of bodies and replies: [`limits::BUFFERED`], or a quarter of the memory of the machine or its container where
//! that is less.

use std::sync::OnceLock;

use pool::limits;

/// Files with a container's memory limit: cgroup v2, then v1. Outside of a container the file is absent, or holds `max` or a huge
/// number.
const CONTAINER: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/// The file with the machine's memory.
const MACHINE: &str = "/proc/meminfo";

/// The budget in bytes. The memory is read once.
pub(crate) fn budget() -> usize {
    static BUDGET: OnceLock<usize> = OnceLock::new();
    *BUDGET.get_or_init(|| {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let container = CONTAINER.iter().filter_map(|path| read(path)?.trim().parse().ok());
        let machine = read(MACHINE).and_then(|text| total(&text));
        share(container.chain(machine))
    })
}

/// The budget for these memory limits, in bytes.
fn share(limits: impl Iterator<Item = u64>) -> usize {
    let quarter = limits.min().map_or(u64::MAX, |least| least / 4);
    usize::try_from(quarter).unwrap_or(usize::MAX).min(limits::BUFFERED)
}

/// The machine's memory in bytes, from `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[rstest]
    #[case::unknown(&[], 512)]
    #[case::large(&[16_384], 512)]
    #[case::small_machine(&[1024], 256)]
    #[case::small_container(&[512, 16_384], 128)]
    fn a_quarter_of_the_least_memory_or_512_mib(#[case] limits: &[u64], #[case] budget: u64) {
        let share = share(limits.iter().map(|limit| limit * MIB));
        assert_eq!(u64::try_from(share).unwrap(), budget * MIB);
    }

    #[rstest]
    #[case("MemTotal:        8039424 kB\nMemFree:          123456 kB\n", Some(8_039_424 * 1024))]
    #[case("MemFree:          123456 kB\n", None)]
    #[case("MemTotal: many kB\n", None)]
    fn the_machine_is_read(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(total(text), bytes);
    }
}
