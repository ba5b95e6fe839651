//! The kernel: its version, io_uring, and what forbids it.

use super::finding::Finding;
use super::machine::Machine;

/// What the io_uring backend needs.
const VERSION_MIN: (u32, u32) = (6, 1);

pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![version(machine), io_uring(petrel_runtime::probe_io_uring()), seccomp(machine)]
}

fn version(machine: &Machine) -> Finding {
    let Some(release) = machine.proc("sys/kernel/osrelease") else {
        return Finding::warn("kernel", "the version cannot be read", "mount /proc");
    };
    let mut numbers =
        release.split(|character: char| !character.is_ascii_digit()).map(|part| part.parse().ok());
    let version = (numbers.next().flatten().unwrap_or(0), numbers.next().flatten().unwrap_or(0));
    if version < VERSION_MIN {
        let advice = "Linux 6.1 or newer has what the server needs of io_uring; it runs on epoll meanwhile";
        return Finding::warn("kernel", format!("Linux {release}"), advice);
    }
    Finding::ok("kernel", format!("Linux {release}"))
}

fn io_uring(probed: Result<(), String>) -> Finding {
    match probed {
        Ok(()) => Finding::ok("io_uring", "works"),
        Err(reason) => Finding::warn(
            "io_uring",
            "not to be had: the server uses epoll, slower and otherwise the same",
            reason,
        ),
    }
}

/// `Seccomp` of /proc/self/status: 0 none, 1 strict, 2 a filter.
fn seccomp(machine: &Machine) -> Finding {
    match machine.field("self/status", "Seccomp").as_deref() {
        Some("0") => Finding::ok("seccomp", "no filter"),
        Some("2") => {
            Finding::ok("seccomp", "a filter is in force; io_uring above says whether it lets that through")
        }
        _ => Finding::ok("seccomp", "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::machine::tests::with;
    use super::*;

    #[test]
    fn old_kernels_are_told() {
        for (release, state) in [
            ("6.1.0-13-amd64", State::Ok),
            ("7.0", State::Ok),
            ("6.18.44-x", State::Ok),
            ("6.0.19", State::Warn),
            ("5.15.0", State::Warn),
        ] {
            let (_folder, machine) = with(&[("proc/sys/kernel/osrelease", release)]);
            assert_eq!(version(&machine).state, state, "{release}");
        }
    }

    #[test]
    fn a_denied_ring_is_a_warning_with_its_reason() {
        let finding = io_uring(Err("io_uring is switched off.".into()));
        assert_eq!(finding.state, State::Warn);
        assert_eq!(finding.advice.as_deref(), Some("io_uring is switched off."));
    }
}
