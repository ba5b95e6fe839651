//! How much memory the node may use for what it queues.

use std::fs;
use std::path::{Path, PathBuf};

/// What is taken where the machine does not say how much it has.
const UNKNOWN_TOTAL_BYTES: u64 = 1024 * 1024 * 1024;

/// What a core takes for itself under load: buffers of reads and writes, batches on their way, the allocator's slack.
const CORE_BYTES: u64 = 16 * 1024 * 1024;
/// No budget is smaller; it is the least that can be configured, too.
const BUDGET_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Half of what the machine, or the control group that the process runs in, has beside what `cores` take for themselves.
pub fn budget_bytes(cores: u64) -> u64 {
    budget_of(total_bytes(Path::new("/proc"), Path::new("/sys/fs/cgroup")), cores)
}

fn budget_of(total_bytes: u64, cores: u64) -> u64 {
    (total_bytes.saturating_sub(cores * CORE_BYTES) / 2).max(BUDGET_BYTES_MIN)
}

/// The smallest of `MemTotal` and the limits of the control groups, version 1 and 2.
fn total_bytes(proc: &Path, cgroup: &Path) -> u64 {
    let machine = fs::read_to_string(proc.join("meminfo")).ok().and_then(|text| mem_total_bytes(&text));
    let groups = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let limits = limit_files(&groups, cgroup)
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .filter_map(|text| text.trim().parse::<u64>().ok());
    limits.chain(machine).min().unwrap_or(UNKNOWN_TOTAL_BYTES)
}

fn mem_total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The files that may limit this process: those of its group and of every group above it. A version 2 limit
/// of `max` and the huge number that means "none" in version 1 drop out by themselves.
fn limit_files(groups: &str, mount: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = if controllers.is_empty() {
            (mount.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (mount.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        // Inside a container the path may be that of the host, which is not mounted: the root is its group.
        let relative = Path::new(group.trim_start_matches('/'));
        for above in relative.ancestors() {
            files.push(root.join(above).join(name));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(groups: &str, limits: &[(&str, &str)]) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let (proc, cgroup) = (folder.path().join("proc"), folder.path().join("cgroup"));
        fs::create_dir_all(proc.join("self")).unwrap();
        fs::write(proc.join("meminfo"), "MemTotal:        2048000 kB\nMemFree: 1 kB\n").unwrap();
        fs::write(proc.join("self/cgroup"), groups).unwrap();
        for (file, text) in limits {
            let file = cgroup.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        total_bytes(&proc, &cgroup)
    }

    #[test]
    fn the_smallest_limit_counts() {
        let all = 2_048_000 * 1024;
        assert_eq!(machine("0::/\n", &[]), all);
        assert_eq!(machine("0::/\n", &[("memory.max", "max\n")]), all);
        assert_eq!(machine("0::/\n", &[("memory.max", "536870912\n")]), 536_870_912);
        assert_eq!(
            machine("0::/a/b\n", &[("a/b/memory.max", "max"), ("a/memory.max", "1000000")]),
            1_000_000
        );
        assert_eq!(machine("0::/not/mounted\n", &[("memory.max", "1000000")]), 1_000_000);
        let version_1 = "5:cpu,cpuacct:/x\n4:memory:/x\n";
        assert_eq!(machine(version_1, &[("memory/x/memory.limit_in_bytes", "9223372036854771712")]), all);
        assert_eq!(machine(version_1, &[("memory/x/memory.limit_in_bytes", "1000000")]), 1_000_000);
    }

    #[test]
    fn small_groups_leave_room_for_what_cores_take() {
        const MIB: u64 = 1024 * 1024;
        for (total, cores, budget) in [(64, 2, 16), (128, 2, 48), (2048, 2, 1008), (256, 1, 120), (16, 4, 16)]
        {
            assert_eq!(budget_of(total * MIB, cores), budget * MIB);
        }
        assert!(budget_bytes(2) >= BUDGET_BYTES_MIN);
    }
}
