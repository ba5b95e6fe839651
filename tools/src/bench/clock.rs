//! Clocks: the monotonic one that stamps messages, and the CPU time of processes.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// The kernel gives no process a higher id (PID_MAX_LIMIT).
const PID_MAX: i32 = 1 << 22;

/// Nanoseconds of the system's monotonic clock. The same clock drives the timer of the workers, so that a
/// scheduled time can be armed as it stands.
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the monotonic clock always reads"))
}

/// CPU time of this process, all threads, in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    nanoseconds(
        clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a process can read its own CPU clock"),
    )
}

/// CPU time of another process in nanoseconds: user and system, all threads, ended ones included. It is the sum
/// that `/proc/PID/stat` shows in ticks of 10 ms, read through the process's CPU clock for its finer grain. `None`
/// once the process has ended.
pub fn process_cpu_ns(pid: i32) -> Option<u64> {
    // The clock's number is made by shifting the process id, which a number above the kernel's maximum overflows.
    if !(1..=PID_MAX).contains(&pid) {
        return None;
    }
    let clock = nix::time::clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
    clock_gettime(clock).ok().map(nanoseconds)
}

fn nanoseconds(time: TimeSpec) -> u64 {
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_clock_and_the_clock_by_pid_agree() {
        let spin_until = monotonic_ns() + 20_000_000;
        while monotonic_ns() < spin_until {}
        let by_pid = process_cpu_ns(std::process::id() as i32).expect("this process runs");
        let own = own_cpu_ns();
        assert!(by_pid >= 15_000_000, "spun for 20 ms, saw {by_pid} ns");
        assert!(own >= by_pid);
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_clock() {
        assert_eq!(process_cpu_ns(i32::MAX), None);
        assert_eq!(process_cpu_ns(PID_MAX), None);
        assert_eq!(process_cpu_ns(0), None);
    }
}
