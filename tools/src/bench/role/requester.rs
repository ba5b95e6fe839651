//! Sends one request at a time and measures the time to its reply.

use std::io::Write;
use std::sync::Arc;

use super::super::error::BenchError;
use super::super::reader::Message;
use super::super::schedule::Schedule;
use super::{Context, Quota};

/// A connection that requests: one outstanding, an inbox prefix of its own.
pub struct Requester {
    lane: usize,
    subject: String,
    payload: Arc<[u8]>,
    inbox_prefix: String,
    /// The reply subject of the outstanding request.
    inbox: Vec<u8>,
    /// When the outstanding request was due.
    outstanding_since_ns: Option<u64>,
    /// When the last reply came: what was due before could not be sent earlier, and that is not the generator's fault.
    free_since_ns: u64,
    requests: u64,
    replies: u64,
    quota: Quota,
    schedule: Option<Schedule>,
}

impl Requester {
    /// A requester that counts on `lane`. Replies come to `INBOX_PREFIX.NUMBER`.
    pub fn new(
        lane: usize,
        subject: &str,
        payload: Arc<[u8]>,
        inbox_prefix: String,
        schedule: Option<Schedule>,
    ) -> Self {
        Self {
            lane,
            subject: subject.to_owned(),
            payload,
            inbox_prefix,
            inbox: Vec::new(),
            outstanding_since_ns: None,
            free_since_ns: 0,
            requests: 0,
            replies: 0,
            quota: Quota::Open,
            schedule,
        }
    }

    /// The run begins: times of the schedule count from now.
    pub fn begin(&mut self, now_ns: u64) {
        if let Some(schedule) = &mut self.schedule {
            schedule.delay(now_ns);
        }
    }

    /// Sends `requests` more, then no more.
    pub fn set_quota(&mut self, requests: u64) {
        self.quota = Quota::Until(self.requests + requests);
    }

    /// When to call [`Requester::send_if_due`] next; `None` while a reply is outstanding or without a schedule.
    pub fn next_due_ns(&self) -> Option<u64> {
        if self.outstanding_since_ns.is_some() || self.quota.left(self.requests) == 0 {
            return None;
        }
        self.schedule.as_ref().map(Schedule::next_ns)
    }

    /// Sends the next request unless one is outstanding, none is due or the quota is used up.
    pub fn send_if_due(&mut self, output: &mut Vec<u8>, context: &mut Context<'_>) {
        if self.outstanding_since_ns.is_some() {
            return;
        }
        if self.quota.left(self.requests) == 0 {
            context.flow.senders[self.lane].set_done();
            return;
        }
        let since_ns = match &mut self.schedule {
            None => context.now_ns,
            Some(schedule) => {
                let Some(group) = schedule.take_due(context.now_ns) else { return };
                context.lag.record(context.now_ns - group.scheduled_ns.max(self.free_since_ns));
                group.scheduled_ns
            }
        };
        self.inbox.clear();
        let written = write!(self.inbox, "{}.{}", self.inbox_prefix, self.requests);
        written.expect("a vector takes everything");
        let written = write!(output, "PUB {} ", self.subject);
        written.expect("a vector takes everything");
        output.extend_from_slice(&self.inbox);
        let written = write!(output, " {}\r\n", self.payload.len());
        written.expect("a vector takes everything");
        output.extend_from_slice(&self.payload);
        output.extend_from_slice(b"\r\n");
        self.outstanding_since_ns = Some(since_ns);
        self.requests += 1;
        context.flow.senders[self.lane].update(self.requests, context.now_ns);
    }

    /// Takes a reply and sends the next request.
    ///
    /// # Errors
    /// [`BenchError::NoResponders`], and [`BenchError::Framing`] for a reply to something else.
    pub fn on_message(
        &mut self,
        message: &Message<'_>,
        output: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Result<(), BenchError> {
        if message.headers_len > 0 && message.head.starts_with(b"NATS/1.0 503") {
            return Err(BenchError::NoResponders);
        }
        let Some(since_ns) = self.outstanding_since_ns.take_if(|_| message.subject == self.inbox) else {
            let subject = String::from_utf8_lossy(message.subject);
            return Err(BenchError::Framing(format!("a reply to {subject}, which nobody waits for")));
        };
        self.replies += 1;
        self.free_since_ns = context.now_ns;
        context.latency.record(context.now_ns - since_ns);
        context.flow.receivers[self.lane].update(self.replies, context.now_ns);
        self.send_if_due(output, context);
        Ok(())
    }

    /// Sends no more requests.
    pub fn stop(&mut self, context: &mut Context<'_>) {
        self.quota = Quota::Until(self.requests);
        if self.outstanding_since_ns.is_none() {
            context.flow.senders[self.lane].set_done();
        }
    }
}
