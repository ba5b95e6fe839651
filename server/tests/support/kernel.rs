//! What the kernel knows of a connection over the loopback, whatever the two ends do.
#![allow(dead_code, reason = "each test file uses its part")]

/// The state of an established connection in the kernel's tables.
const ESTABLISHED: u8 = 1;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End {
    state: u8,
    /// Bytes that have arrived and were not read yet.
    pub unread_bytes: u64,
}

impl End {
    /// The end with port `own` of a connection to `other`; `None` when it is gone.
    pub fn of(own: u16, other: u16) -> Option<End> {
        // Addresses stand there in the machine's order of bytes.
        let host = u32::from_ne_bytes([127, 0, 0, 1]);
        let [own, other] = [own, other].map(|port| format!("{host:08X}:{port:04X}"));
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, state, queues, ..] = words[..] else { return None };
            let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
            (local == own && remote == other).then(|| End {
                state: u8::try_from(number(state)).unwrap(),
                unread_bytes: number(queues.split_once(':').unwrap().1),
            })
        })
    }

    /// Whether neither end has been closed.
    pub fn is_open(self) -> bool {
        self.state == ESTABLISHED
    }
}
