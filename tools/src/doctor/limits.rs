//! What this process may use: processors, memory, descriptors.

use super::finding::Finding;
use super::machine::Machine;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Below this a server with the default of 65,536 connections runs out of descriptors.
const DESCRIPTORS_WISH: u64 = 65_536 + 1024;
/// Below this the server may not start, or only with fewer cores.
const DESCRIPTORS_MIN: u64 = 32;
/// Files that are no connections, roughly.
const DESCRIPTORS_ASIDE: u64 = 32;
/// What one core's ring is comfortable with.
const LOCKED_BYTES_WISH: u64 = 8 * 1024 * 1024;
/// Below this no ring can be set up.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;
/// Below this, queues for a handful of slow clients fill the memory.
const MEMORY_BYTES_WISH: u64 = 256 * 1024 * 1024;

pub fn look(machine: &Machine) -> Vec<Finding> {
    let hard = |resource| getrlimit(resource).map(|(_, hard)| hard).unwrap_or(RLIM_INFINITY);
    let soft = |resource| getrlimit(resource).map(|(soft, _)| soft).unwrap_or(RLIM_INFINITY);
    let mut findings =
        vec![descriptors(hard(Resource::RLIMIT_NOFILE)), locked(soft(Resource::RLIMIT_MEMLOCK))];
    findings.extend(processors(machine, &petrel_runtime::online_cpus()));
    findings.push(memory(machine.memory_bytes()));
    findings
}

fn shown(limit: u64, unit: &str) -> String {
    if limit == RLIM_INFINITY { "unlimited".to_owned() } else { format!("{limit}{unit}") }
}

/// The hard limit: the server raises its soft one to it.
fn descriptors(limit: u64) -> Finding {
    let found = format!("{} open files", shown(limit, ""));
    let advice =
        "raise it: LimitNOFILE= in the unit, --ulimit nofile= for a container, /etc/security/limits.conf";
    match limit {
        0..DESCRIPTORS_MIN => Finding::fail("descriptors", found, advice),
        DESCRIPTORS_MIN..DESCRIPTORS_WISH => {
            let advice = format!("enough for about {} connections; {advice}", limit - DESCRIPTORS_ASIDE);
            Finding::warn("descriptors", found, advice)
        }
        _ => Finding::ok("descriptors", found),
    }
}

fn locked(limit: u64) -> Finding {
    let found = format!("{} may be locked", shown(limit / 1024, " KiB of memory"));
    let advice = "raise it to 8 MiB or more: LimitMEMLOCK= in the unit, ulimit -l, --ulimit memlock=";
    let found = if limit == RLIM_INFINITY { "any amount of memory may be locked".to_owned() } else { found };
    match limit {
        0..LOCKED_BYTES_MIN => Finding::warn(
            "memlock",
            found,
            format!("too little for io_uring, the server will use epoll; {advice}"),
        ),
        LOCKED_BYTES_MIN..LOCKED_BYTES_WISH => Finding::warn("memlock", found, advice),
        _ => Finding::ok("memlock", found),
    }
}

fn processors(machine: &Machine, cpus: &[usize]) -> Vec<Finding> {
    let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let mut findings = vec![Finding::ok("cpus", format!("{} ({})", cpus.len(), list.join(", ")))];
    // "max 100000" or "<microseconds of processor time> <per microseconds>".
    let quota = machine.control_group("cpu.max").and_then(|text| {
        let (time, period) = text.split_once(' ')?;
        Some(time.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    findings.push(match quota {
        None => Finding::ok("cpu quota", "none"),
        Some(quota) if quota < cpus.len() as f64 => Finding::warn(
            "cpu quota",
            format!("{quota:.2} processors' time for {} CPUs", cpus.len()),
            format!(
                "a core that has used up its share stands still for the rest of the period: set petrel {{ cores: {} }}, \
                 or give whole CPUs (cpuset) instead of a quota",
                quota.floor().max(1.0)
            ),
        ),
        Some(quota) => Finding::ok("cpu quota", format!("{quota:.2} processors' time")),
    });
    findings
}

fn memory(bytes: Option<u64>) -> Finding {
    match bytes {
        None => Finding::warn("memory", "unknown", "set petrel { memory: ... }, or mount /proc"),
        Some(bytes) if bytes < MEMORY_BYTES_WISH => Finding::warn(
            "memory",
            format!("{} MiB", bytes >> 20),
            "enough for few clients; half of it is for what waits to be sent",
        ),
        Some(bytes) => Finding::ok("memory", format!("{} MiB", bytes >> 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::machine::tests::with;
    use super::*;

    #[test]
    fn limits_have_a_wish_and_a_least() {
        let states = [descriptors(20), descriptors(1024), descriptors(1 << 20), descriptors(RLIM_INFINITY)];
        assert_eq!(states.map(|finding| finding.state), [State::Fail, State::Warn, State::Ok, State::Ok]);
        let states = [locked(64 << 10), locked(1 << 20), locked(8 << 20), locked(RLIM_INFINITY)];
        assert_eq!(states.map(|finding| finding.state), [State::Warn, State::Warn, State::Ok, State::Ok]);
        assert_eq!([memory(None), memory(Some(1 << 27))].map(|finding| finding.state), [State::Warn; 2]);
    }

    #[test]
    fn a_quota_below_the_cpus_is_told_with_its_remedy() {
        let group = ("proc/self/cgroup", "0::/x\n");
        let (_folder, machine) = with(&[group, ("sys/fs/cgroup/x/cpu.max", "150000 100000\n")]);
        let found = processors(&machine, &[0, 1, 2]);
        assert_eq!(found[1].state, State::Warn);
        assert!(found[1].advice.as_ref().unwrap().contains("cores: 1 }"), "{found:?}");
        assert_eq!(processors(&machine, &[3])[1].state, State::Ok);
        let (_folder, machine) = with(&[group, ("sys/fs/cgroup/x/cpu.max", "max 100000\n")]);
        assert_eq!(processors(&machine, &[0, 1])[1].found, "none");
    }
}
