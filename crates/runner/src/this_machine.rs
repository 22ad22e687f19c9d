//! What this machine has for a run: cores, memory with the bounds that are set on it, places for files. For people who look
//! for what is missing: no run depends on it.

use std::path::{Path, PathBuf};
use std::thread;

use crate::foreign::{self, ForeignKind};

/// Memory in bytes; what the system does not say is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineMemory {
    /// All that there is.
    pub total: Option<u64>,
    /// What is free, or could be freed.
    pub available: Option<u64>,
    /// What this process may have at most: the least of what its control group and its own limit allow.
    pub limit: Option<u64>,
}

impl MachineMemory {
    /// As this machine says now.
    pub fn now() -> Self {
        let info = text("/proc/meminfo").unwrap_or_default();
        let limit = [control_group(), address_space()].into_iter().flatten().min();
        Self { total: kilobytes(&info, "MemTotal:"), available: kilobytes(&info, "MemAvailable:"), limit }
    }

    /// What a process can have at most now, if anything says so.
    pub fn usable(&self) -> Option<u64> {
        [self.available, self.limit].into_iter().flatten().min()
    }
}

/// Processors that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes that are free where `dir` is, for this user.
pub fn free_space(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let found = nix::sys::statvfs::statvfs(dir).ok()?;
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_fallible_conversions,
            reason = "their types are not the same on all systems"
        )]
        let (blocks, size) =
            (u64::try_from(found.blocks_available()).ok()?, u64::try_from(found.fragment_size()).ok()?);
        Some(blocks.saturating_mul(size))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// The number in a line `NAME NUMBER kB`, in bytes.
fn kilobytes(info: &str, name: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// What the control groups of this process allow, the least of all that it is in.
fn control_group() -> Option<u64> {
    let groups = text("/proc/self/cgroup")?;
    // Version 2 has one line: 0::/path
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/');
    let inner = PathBuf::from("/sys/fs/cgroup").join(path);
    let limits = inner.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup"));
    limits.filter_map(|group| text(group.join("memory.max"))?.trim().parse().ok()).min()
}

/// What `ulimit -v` allows.
fn address_space() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
        let (limit, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
        Some(limit).filter(|limit| *limit != RLIM_INFINITY)
    }
    #[cfg(not(unix))]
    None
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    String::from_utf8(foreign::read(path.as_ref(), ForeignKind::Text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_meminfo_is_in_kilobytes() {
        let info = "MemTotal:       16384256 kB\nMemFree:          100 kB\nMemAvailable:    8000000 kB\n";
        assert_eq!(kilobytes(info, "MemTotal:"), Some(16_384_256 * 1024));
        assert_eq!(kilobytes(info, "MemAvailable:"), Some(8_192_000_000));
        assert_eq!(kilobytes(info, "SwapTotal:"), None);
    }

    #[test]
    fn what_can_be_used_is_what_is_free_within_the_limit() {
        let memory = |available, limit| MachineMemory { total: None, available, limit }.usable();
        assert_eq!(memory(Some(5), Some(3)), Some(3));
        assert_eq!(memory(Some(5), None), Some(5));
        assert_eq!(memory(None, None), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_has_a_core_memory_and_space() {
        let memory = MachineMemory::now();
        assert!(memory.total > memory.available && memory.available > Some(0), "{memory:?}");
        assert!(cores() > 0 && free_space(Path::new(".")) > Some(0));
    }
}
