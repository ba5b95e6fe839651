//! The clock: how fast it is read, and whether something keeps it right.

use super::finding::Finding;
use super::machine::Machine;
use petrel_runtime::time::{ClockDiscipline, clock_discipline};
use std::io;
use std::time::Duration;

/// Sources that are read without entering the kernel.
const FAST_SOURCES: &[&str] = &["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

/// A clock that may be further off than this tells wrong times in logs and for certificates.
const ERROR_MAX: Duration = Duration::from_secs(1);

pub fn look(machine: &Machine) -> Vec<Finding> {
    vec![source(machine), synchronization(clock_discipline())]
}

fn source(machine: &Machine) -> Finding {
    match machine.sys("devices/system/clocksource/clocksource0/current_clocksource") {
        Some(source) if FAST_SOURCES.contains(&source.as_str()) => Finding::ok("clock source", source),
        Some(source) => Finding::warn(
            "clock source",
            source,
            "each look at the clock is a system call: boot with clocksource=tsc where the machine has a steady one",
        ),
        None => Finding::ok("clock source", "unknown"),
    }
}

fn synchronization(asked: io::Result<ClockDiscipline>) -> Finding {
    let advice = "run a time service on the host: chrony, systemd-timesyncd";
    match asked {
        Ok(clock) if !clock.is_synchronized => Finding::warn("clock sync", "nothing sets the clock", advice),
        Ok(clock) if clock.error_max > ERROR_MAX => {
            Finding::warn("clock sync", format!("up to {:.1?} off", clock.error_max), advice)
        }
        Ok(clock) => Finding::ok("clock sync", format!("synchronized, at most {:.1?} off", clock.error_max)),
        Err(error) => Finding::warn("clock sync", format!("unknown: {error}"), "look at it on the host"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::machine::tests::with;
    use super::*;

    #[test]
    fn slow_sources_and_free_running_clocks_are_told() {
        let file = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        for (name, state) in [("tsc\n", State::Ok), ("hpet\n", State::Warn)] {
            let (_folder, machine) = with(&[(file, name)]);
            assert_eq!(source(&machine).state, state, "{name}");
        }
        for (is_synchronized, seconds, state) in
            [(true, 0, State::Ok), (true, 5, State::Warn), (false, 0, State::Warn)]
        {
            let clock = ClockDiscipline { is_synchronized, error_max: Duration::from_secs(seconds) };
            assert_eq!(synchronization(Ok(clock)).state, state);
        }
        assert_eq!(synchronization(Err(io::Error::other("x"))).state, State::Warn);
    }

    #[test]
    fn this_kernel_answers() {
        // In a container it may be forbidden to ask; that is an answer as well.
        let _ = synchronization(clock_discipline());
    }
}
