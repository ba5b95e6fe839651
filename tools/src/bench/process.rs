//! The server as a process of this machine: found by its port, watched through `/proc`.

use std::fs;
use std::path::Path;

use super::clock::process_cpu_ns;

/// State of a listening socket in `/proc/net/tcp`.
const TCP_LISTEN: &str = "0A";
/// Ticks of `/proc/stat` in a second (USER_HZ, 100 on every Linux that petrel runs on).
const TICK_NS: u64 = 10_000_000;

/// A process whose CPU and memory are sampled.
#[derive(Clone, Copy, Debug)]
pub struct ProcessMeter {
    pid: i32,
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now, in bytes (VmRSS).
    pub resident_bytes: u64,
    /// The most that was ever resident, in bytes (VmHWM).
    pub peak_bytes: u64,
}

impl ProcessMeter {
    /// Watches `pid`; `None` when there is no such process.
    pub fn new(pid: i32) -> Option<Self> {
        process_cpu_ns(pid).map(|_| Self { pid })
    }

    /// Finds the process that listens on `port` on this machine.
    pub fn of_listener(port: u16) -> Option<Self> {
        let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .find_map(|table| listening_inode(&fs::read_to_string(table).ok()?, port))?;
        let socket = format!("socket:[{inode}]");
        let processes = fs::read_dir("/proc").ok()?;
        processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .find(|pid| holds(*pid, &socket))
            .and_then(Self::new)
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// CPU time of all threads since the start, in nanoseconds; `None` once it has ended.
    pub fn cpu_ns(&self) -> Option<u64> {
        process_cpu_ns(self.pid)
    }

    /// Its memory; `None` once it has ended.
    pub fn memory(&self) -> Option<Memory> {
        parse_memory(&fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?)
    }
}

/// Cores of the machine, and the time that all of them together did nothing since boot, in nanoseconds: idle,
/// waiting for disks, or taken by the hypervisor. What is not in it is work, interrupts included. The kernel keeps
/// idle time by the clock and only busy time by samples at its tick, so busy time is best had by subtraction.
pub fn machine_idle() -> (u32, u64) {
    fs::read_to_string("/proc/stat").map_or((0, 0), |text| parse_idle(&text))
}

/// CPU time of one thread of this process in nanoseconds, 0 where the kernel does not keep it.
pub fn own_thread_cpu_ns(thread: i32) -> u64 {
    let path = format!("/proc/self/task/{thread}/schedstat");
    let first = fs::read_to_string(path).ok().and_then(|text| text.split(' ').next()?.parse().ok());
    first.unwrap_or(0)
}

/// Memory the kernel holds for TCP sockets' data, in bytes, and for its own objects (all slabs), in bytes.
pub fn kernel_memory_bytes() -> (u64, u64) {
    let sockets = fs::read_to_string("/proc/net/sockstat").map_or(0, |text| parse_socket_pages(&text) * 4096);
    let slabs =
        fs::read_to_string("/proc/meminfo").map_or(0, |text| kilobytes(&text, "Slab:").unwrap_or(0) * 1024);
    (sockets, slabs)
}

fn holds(pid: i32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(socket)))
}

fn listening_inode(table: &str, port: u16) -> Option<u64> {
    let port = format!("{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_listener = fields.get(3) == Some(&TCP_LISTEN) && fields.get(1)?.ends_with(&format!(":{port}"));
        is_listener.then(|| fields.get(9)?.parse().ok()).flatten()
    })
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn parse_memory(status: &str) -> Option<Memory> {
    Some(Memory {
        resident_bytes: kilobytes(status, "VmRSS:")? * 1024,
        peak_bytes: kilobytes(status, "VmHWM:")? * 1024,
    })
}

/// Counts the lines of cores, and sums idle, iowait and steal of the first line.
fn parse_idle(stat: &str) -> (u32, u64) {
    let cores = stat.lines().skip(1).filter(|line| line.starts_with("cpu")).count();
    let Some(line) = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")) else { return (0, 0) };
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let idle: u64 = [3, 4, 7].iter().filter_map(|index| ticks.get(*index)).sum();
    (cores as u32, idle * TICK_NS)
}

fn parse_socket_pages(sockstat: &str) -> u64 {
    let Some(line) = sockstat.lines().find_map(|line| line.strip_prefix("TCP:")) else { return 0 };
    let mut words = line.split_whitespace();
    words.find(|word| *word == "mem").and_then(|_| words.next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_proc_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n   \
             1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n";
        assert_eq!(listening_inode(table, 8080), Some(222));
        assert_eq!(listening_inode(table, 8081), None);
        let stat = "cpu  10 20 30 400 50 6 7 8 9 1\ncpu0 1\ncpu1 1\nintr 1\n";
        assert_eq!(parse_idle(stat), (2, (400 + 50 + 8) * TICK_NS));
        assert_eq!(parse_socket_pages("sockets: used 14\nTCP: inuse 1 orphan 0 tw 2 alloc 1 mem 49\n"), 49);
        let memory = parse_memory("Name:\tx\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n");
        assert_eq!(memory, Some(Memory { resident_bytes: 102_400, peak_bytes: 204_800 }));
    }

    #[test]
    fn the_listener_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let meter = ProcessMeter::of_listener(port).expect("this process listens");
        assert_eq!(meter.pid(), std::process::id() as i32);
        let memory = meter.memory().expect("this process runs");
        assert!(memory.peak_bytes >= memory.resident_bytes && memory.resident_bytes > 0);
        drop(listener);
        assert!(ProcessMeter::of_listener(port).is_none());
    }
}
