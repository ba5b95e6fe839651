//! Bounds for a server: cores, and memory by the best means this machine permits.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const UNIFIED: &str = "/sys/fs/cgroup";
const MEMORY_V1: &str = "/sys/fs/cgroup/memory";

/// By which means memory is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Means {
    /// A group of the unified hierarchy.
    GroupV2(PathBuf),
    /// A group of the memory controller's own hierarchy.
    GroupV1(PathBuf),
    /// The limit of the address space: stricter, since what is reserved counts too.
    AddressSpace,
}

/// A bound of memory; a group is removed with it.
#[derive(Debug)]
pub struct MemoryBound {
    bytes: u64,
    means: Means,
}

impl MemoryBound {
    /// Prepares a bound of `bytes` for one server.
    pub fn new(bytes: u64) -> Self {
        let name = format!("petrel-perf-{}", std::process::id());
        let means = group_v2(&name, bytes).or_else(|_| group_v1(&name, bytes)).unwrap_or(Means::AddressSpace);
        Self { bytes, means }
    }

    /// What is bounded and how, for the result.
    pub fn describe(&self) -> String {
        let megabytes = self.bytes / (1 << 20);
        match self.means {
            Means::GroupV2(_) => format!("{megabytes} MiB by a cgroup (v2)"),
            Means::GroupV1(_) => format!("{megabytes} MiB by a cgroup (v1)"),
            Means::AddressSpace => {
                format!(
                    "{megabytes} MiB of address space by RLIMIT_AS: memory cgroups are not permitted here"
                )
            }
        }
    }

    /// A line for `sh` that puts the shell under the bound; what it then becomes by `exec` stays under it.
    pub fn shell_line(&self) -> String {
        match &self.means {
            Means::GroupV2(group) | Means::GroupV1(group) => {
                format!("echo $$ > '{}'", group.join("cgroup.procs").display())
            }
            Means::AddressSpace => format!("ulimit -v {}", self.bytes / 1024),
        }
    }

    /// How often the kernel ended a process because memory ran out, where it keeps count.
    pub fn kills(&self) -> Option<u64> {
        let (group, file) = match &self.means {
            Means::GroupV2(group) => (group, "memory.events"),
            Means::GroupV1(group) => (group, "memory.oom_control"),
            Means::AddressSpace => return None,
        };
        parse_kills(&fs::read_to_string(group.join(file)).ok()?)
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        if let Means::GroupV2(group) | Means::GroupV1(group) = &self.means {
            // The group is empty once its server has ended; if it is not, it stays, and the system shows it.
            let _ = fs::remove_dir(group);
        }
    }
}

fn group_v2(name: &str, bytes: u64) -> Result<Means> {
    let controllers = fs::read_to_string(Path::new(UNIFIED).join("cgroup.subtree_control"))?;
    if !controllers.split_whitespace().any(|controller| controller == "memory") {
        anyhow::bail!("the unified hierarchy does not control memory");
    }
    let group = Path::new(UNIFIED).join(name);
    create(&group)?;
    fs::write(group.join("memory.max"), bytes.to_string())?;
    let _ = fs::write(group.join("memory.swap.max"), "0");
    Ok(Means::GroupV2(group))
}

fn group_v1(name: &str, bytes: u64) -> Result<Means> {
    let group = Path::new(MEMORY_V1).join(name);
    create(&group)?;
    fs::write(group.join("memory.limit_in_bytes"), bytes.to_string())?;
    // Swap is counted with memory where it is counted at all.
    let _ = fs::write(group.join("memory.memsw.limit_in_bytes"), bytes.to_string());
    Ok(Means::GroupV1(group))
}

fn create(group: &Path) -> Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).context("a memory cgroup")
        }
        _ => Ok(()),
    }
}

fn parse_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Runs `act` with this thread confined to `cores`, and gives the thread its cores back. A process that is started
/// meanwhile inherits the confinement before its first instruction, so that it counts its cores right.
///
/// # Errors
/// When the machine lacks one of the cores, and what `act` returns.
pub fn on_cores<T>(cores: Option<&[usize]>, act: impl FnOnce() -> Result<T>) -> Result<T> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let Some(cores) = cores else { return act() };
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread).context("the cores of this process")?;
    let mut wanted = CpuSet::new();
    for &core in cores {
        wanted.set(core).with_context(|| format!("core {core}"))?;
    }
    sched_setaffinity(this_thread, &wanted)
        .with_context(|| format!("this machine has no cores {cores:?}"))?;
    let result = act();
    sched_setaffinity(this_thread, &before).context("the cores of this process")?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_read_from_both_hierarchies() {
        assert_eq!(parse_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(parse_kills("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n"), Some(1));
        assert_eq!(parse_kills(""), None);
    }

    #[test]
    fn a_started_process_inherits_the_cores() {
        let list = on_cores(Some(&[0]), || {
            Ok(std::process::Command::new("grep")
                .args(["Cpus_allowed_list", "/proc/self/status"])
                .output()?)
        })
        .expect("core 0 exists");
        assert!(String::from_utf8_lossy(&list.stdout).trim_end().ends_with("\t0"));
        assert!(on_cores(Some(&[4_000]), || Ok(())).is_err());
    }
}
