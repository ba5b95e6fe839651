//! The memory that connections may hold on a core.

use crate::mail::Mail;
use crate::shard::Shard;
use petrel_protocol::client::ClosedReason;
use petrel_runtime::Io;

impl Shard {
    /// Sends a full out-buffer, or sets it aside while another is being written.
    pub(crate) fn buffer_is_full(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(receiver) = self.sessions.get_mut(key) else { return };
        if receiver.out.detached_bytes > 0 {
            // Sent with the bytes it waits for, at the end of this read.
        } else if receiver.out.is_writing() {
            let before = receiver.out.memory_bytes();
            receiver.out.set_aside(&mut self.pool);
            self.held_bytes = self.held_bytes + receiver.out.memory_bytes() - before;
        } else {
            self.flush(key, io);
        }
    }

    /// Closes the connection that holds most when the budget of this core is used up. One a turn: what it held
    /// is free at the end of the turn.
    pub(crate) fn keep_to_budget(&mut self) {
        if self.held_bytes <= self.options.memory_budget_bytes {
            return;
        }
        let largest = self
            .sessions
            .iter()
            .filter(|(_, session)| session.takes_messages())
            .max_by_key(|(_, session)| session.held_bytes());
        let Some((key, session)) = largest else { return };
        tracing::warn!(
            "{} - Slow Consumer Detected: the memory budget of {} bytes of core {} is used up, this connection \
             holds {} of them",
            session.label(),
            self.options.memory_budget_bytes,
            self.core.0,
            session.held_bytes()
        );
        self.doom(key, ClosedReason::SlowConsumerPendingBytes);
    }
}
