//! What a core measures: only where a time is at hand anyway, or where it happens once a connection. Nothing is measured for
//! each message.

use petrel_runtime::Histogram;

/// The times that a core has measured since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Turns of the core's loop in which something was handled: whatever arrives waits up to a turn.
    pub turns: Histogram,
    /// From CONNECT to the client's being let in: checks of passwords on other threads and questions to other cores
    /// included. Refused clients are not counted.
    pub logins: Histogram,
    /// From the first record of a TLS handshake to its end. Failed ones are not counted.
    pub handshakes: Histogram,
    /// From the server's PING to the client's PONG.
    pub round_trips: Histogram,
    /// How long writes that the kernel did not take at once were under way, until the client had taken them. Writes that
    /// were given up are not counted.
    pub writes: Histogram,
}

impl Latencies {
    /// Adds what another core has measured.
    pub fn add(&mut self, other: &Latencies) {
        // All fields are named, so that a new one cannot be forgotten here.
        let Latencies { turns, logins, handshakes, round_trips, writes } = other;
        self.turns.add(turns);
        self.logins.add(logins);
        self.handshakes.add(handshakes);
        self.round_trips.add(round_trips);
        self.writes.add(writes);
    }
}
