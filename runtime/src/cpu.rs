//! CPUs and the kernel's scheduler.

use std::io::{Error, Result};
use std::time::Duration;

/// Nanoseconds that a core wants to run before the scheduler looks at its neighbours: the longest slice that
/// Linux grants (since 6.12).
const SLICE_NS: u64 = 100_000_000;
const RESET_ON_FORK: u64 = 1;

/// The CPUs this process may run on, in order.
pub fn online_cpus() -> Vec<usize> {
    // SAFETY: zero bits are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer and the size describe `set`, which the call fills.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if result != 0 {
        return vec![0];
    }
    let highest = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: CPU_ISSET reads within the set for numbers below its number of bits.
    (0..highest).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Keeps the calling thread on one CPU.
pub(crate) fn pin_thread(cpu: usize) -> Result<()> {
    if cpu >= 8 * size_of::<libc::cpu_set_t>() {
        return Err(Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: zero bits are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number was checked to be within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer and the size describe `set`, which the call reads.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// `struct sched_attr` as of Linux 3.14 (sched_setattr(2)).
#[repr(C)]
#[derive(Default)]
struct SchedulerAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for long slices of CPU time for the calling thread, and not for the threads that it starts. With all
/// CPUs busy this spares a core being interrupted in the middle of a turn. It is a hint that needs no
/// privilege; older kernels ignore it, and a failure changes nothing.
pub(crate) fn hint_long_slices() {
    let size = size_of::<SchedulerAttributes>() as u32;
    let mut attributes = SchedulerAttributes::default();
    // SAFETY: the pointer and the size describe `attributes`, which the call fills.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &mut attributes, size, 0) };
    if read != 0 || attributes.policy != libc::SCHED_OTHER as u32 {
        return;
    }
    attributes.size = size;
    attributes.flags = RESET_ON_FORK;
    attributes.runtime = SLICE_NS;
    // SAFETY: the pointer is to attributes of the size they name, which the call reads.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &attributes, 0) };
}

/// The CPU time of one thread, for other threads of its process to read.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// The calling thread's.
    ///
    /// # Errors
    /// When the system keeps no such clock.
    pub fn of_this_thread() -> Result<ThreadClock> {
        let mut clock = 0;
        // SAFETY: the calling thread exists; the pointer is to a clock id, which the call fills.
        let result = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        if result == 0 { Ok(ThreadClock(clock)) } else { Err(Error::from_raw_os_error(result)) }
    }

    /// The CPU time that the thread has used since it began; `None` when it has ended.
    pub fn used(&self) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a time, which the call fills; a clock whose thread has ended is refused.
        let result = unsafe { libc::clock_gettime(self.0, &mut time) };
        let (seconds, nanoseconds) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
        (result == 0).then(|| Duration::new(seconds, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_a_cpu_of_the_list_only() {
        let cpus = online_cpus();
        assert!(!cpus.is_empty());
        std::thread::spawn(move || {
            let last = *cpus.last().unwrap();
            pin_thread(last).unwrap();
            assert_eq!(online_cpus(), [last]);
            assert!(pin_thread(100_000).is_err());
            hint_long_slices();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_time_of_a_thread_can_be_read_by_others() {
        let (sender, clock) = std::sync::mpsc::channel();
        let (finish, told) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let clock = ThreadClock::of_this_thread().unwrap();
            while clock.used().unwrap() < Duration::from_millis(20) {
                std::hint::black_box(0);
            }
            sender.send(clock).unwrap();
            let _ = told.recv();
        });
        let clock = clock.recv().unwrap();
        let used = clock.used().unwrap();
        assert!(used >= Duration::from_millis(20) && used < Duration::from_secs(5), "{used:?}");
        drop(finish);
        thread.join().unwrap();
        assert_eq!(clock.used(), None);
    }
}
