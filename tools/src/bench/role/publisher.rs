//! Sends messages, at full speed or on a schedule.

use std::io::{self, Write};
use std::sync::Arc;

use super::super::lines::LineRing;
use super::super::schedule::Schedule;
use super::{Context, Quota};

/// Most bytes of one write: enough to make the call's own cost small, few enough that reads come in between.
const WRITE_BYTES_MAX: usize = 128 * 1024;
/// Less credit than this is left to grow, so that writes stay large.
const WRITE_BYTES_MIN: usize = 16 * 1024;
/// On a schedule: bytes waiting for the socket above which no more are encoded. They stay due at their time.
const BACKLOG_BYTES_MAX: usize = 1024 * 1024;

/// A connection that sends messages.
pub struct Publisher {
    lane: usize,
    ring: Arc<LineRing>,
    /// Where in the ring this publisher begins, so that several do not send the same subjects at the same time.
    first_byte: u64,
    /// At full speed: bytes of the ring written so far.
    written: u64,
    /// On a schedule: messages encoded so far.
    encoded: u64,
    quota: Quota,
    schedule: Option<Schedule>,
    /// On a schedule: something is due that the socket or the window does not take.
    stuck: bool,
    finishing: bool,
}

/// What a turn at writing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// Wrote all it wanted; there is more to write.
    More,
    /// The socket takes no more.
    Full,
    /// Nothing to write before something arrives or becomes due.
    Idle,
}

impl Publisher {
    /// A publisher that counts on `lane` of `lanes` and sends from `ring`, on `schedule` or at full speed.
    pub fn new(lane: usize, lanes: usize, ring: Arc<LineRing>, schedule: Option<Schedule>) -> Self {
        let first_byte = ring.line_at(lane, lanes);
        Self {
            lane,
            ring,
            first_byte,
            written: 0,
            encoded: 0,
            quota: Quota::Open,
            schedule,
            stuck: false,
            finishing: false,
        }
    }

    /// Messages sent so far; one cut by the socket counts when it is whole.
    pub fn sent(&self) -> u64 {
        if self.schedule.is_some() { self.encoded } else { self.written / self.ring.line_len() as u64 }
    }

    /// The run begins: times of the schedule count from now.
    pub fn begin(&mut self, now_ns: u64) {
        if let Some(schedule) = &mut self.schedule {
            schedule.delay(now_ns);
        }
    }

    /// Sends `messages` more, then no more.
    pub fn set_quota(&mut self, messages: u64) {
        let begun = if self.schedule.is_some() {
            self.encoded
        } else {
            self.written.div_ceil(self.ring.line_len() as u64)
        };
        self.quota = Quota::Until(begun + messages);
    }

    /// Whether it sends on a schedule.
    pub fn is_scheduled(&self) -> bool {
        self.schedule.is_some()
    }

    /// When its next message is due; `None` while the socket or the window has to open first.
    pub fn next_due_ns(&self) -> Option<u64> {
        let schedule = self.schedule.as_ref()?;
        (!self.stuck && self.quota.left(self.encoded) > 0).then(|| schedule.next_ns())
    }

    /// Writes what may be written now, behind what waits in `output`.
    ///
    /// # Errors
    /// What the socket says, except that it is full.
    pub fn pump(
        &mut self,
        socket: &mut impl Write,
        output: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> io::Result<Pumped> {
        if self.schedule.is_some() {
            self.encode_due(output, context)
        } else {
            self.write_ring(socket, output, context)
        }
    }

    /// On a schedule: encodes what is due, each message with the time at which it was due.
    fn encode_due(&mut self, output: &mut Vec<u8>, context: &mut Context<'_>) -> io::Result<Pumped> {
        let mut left = self.quota.left(self.encoded);
        let mut credit = context.flow.credit();
        self.stuck = false;
        while left > 0 && !self.finishing {
            self.stuck = output.len() > BACKLOG_BYTES_MAX || credit == 0;
            if self.stuck {
                break;
            }
            let schedule = self.schedule.as_mut().expect("called with a schedule only");
            let Some(group) = schedule.take_due(context.now_ns) else { break };
            let messages = group.messages.min(left);
            for _ in 0..messages {
                self.ring.append_stamped(output, self.encoded, group.scheduled_ns);
                self.encoded += 1;
            }
            left -= messages;
            credit = credit.saturating_sub(messages);
            context.lag.record_many(context.now_ns - group.scheduled_ns, messages);
        }
        context.flow.senders[self.lane].update(self.encoded, context.now_ns);
        if left == 0 && !self.finishing {
            self.finish(output);
        }
        Ok(Pumped::Idle)
    }

    /// At full speed: one write out of the ring.
    fn write_ring(
        &mut self,
        socket: &mut impl Write,
        output: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> io::Result<Pumped> {
        let line_len = self.ring.line_len() as u64;
        let partial = self.written % line_len;
        if !output.is_empty() && partial == 0 {
            // A control line goes out between two messages; the worker writes it next.
            return Ok(Pumped::Idle);
        }
        let left = if self.finishing { 0 } else { self.quota.left(self.sent()) };
        let credit = context.flow.credit();
        // The rest of a message that was begun is always due; its place was counted when it began.
        let rest = if partial == 0 { 0 } else { line_len - partial };
        let more = left.min(credit).saturating_sub(u64::from(partial > 0)).saturating_mul(line_len);
        let wanted = if output.is_empty() && !self.finishing { rest.saturating_add(more) } else { rest };
        if wanted == 0 {
            if left == 0 && !self.finishing {
                self.finish(output);
            }
            return Ok(Pumped::Idle);
        }
        let is_short_of_credit = rest == 0 && credit < left && wanted < WRITE_BYTES_MIN as u64;
        if is_short_of_credit && context.flow.window_exceeds(WRITE_BYTES_MIN as u64 / line_len) {
            return Ok(Pumped::Idle);
        }
        let limit = wanted.min(WRITE_BYTES_MAX as u64) as usize;
        let bytes = self.ring.after(self.first_byte + self.written, limit);
        let outcome = match socket.write(bytes) {
            Ok(count) => {
                self.written += count as u64;
                if count < bytes.len() { Pumped::Full } else { Pumped::More }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pumped::Full,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Pumped::More,
            Err(error) => return Err(error),
        };
        context.flow.senders[self.lane].update(self.sent(), context.now_ns);
        Ok(outcome)
    }

    /// Ends with the next whole message.
    pub fn stop(&mut self, output: &mut Vec<u8>) {
        if self.finishing {
            return;
        }
        let begun = self.written.div_ceil(self.ring.line_len() as u64);
        self.quota = Quota::Until(if self.schedule.is_some() { self.encoded } else { begun });
        if self.schedule.is_some() {
            self.finish(output);
        }
    }

    /// Asks the server to confirm that it has everything.
    fn finish(&mut self, output: &mut Vec<u8>) {
        self.finishing = true;
        output.extend_from_slice(b"PING\r\n");
    }

    /// The server answered a `PING`.
    pub fn on_pong(&mut self, context: &Context<'_>) {
        if self.finishing {
            context.flow.senders[self.lane].set_done();
        }
    }

    /// A control line may go out now: no message is cut in two.
    pub fn is_between_messages(&self) -> bool {
        self.schedule.is_some() || self.written.is_multiple_of(self.ring.line_len() as u64)
    }
}
