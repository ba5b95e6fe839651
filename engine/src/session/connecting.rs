//! CONNECT, and the PING that follows it.

use super::client::{AfterBarrier, Session};
use super::login::describe;
use super::operations::Flow;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::{ClosedReason, ConnectOptions, encode};
use petrel_runtime::Io;

impl Shard {
    pub(super) fn connect(&mut self, key: u32, json: &[u8], io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let mut connect = options_so_far(session);
        if let Err(error) = connect.merge(json) {
            tracing::error!("{} - {error}", session.label());
            self.fail(key, None, ClosedReason::ProtocolViolation, io);
            return Flow::Closed;
        }
        let is_first = !session.connected;
        if is_first {
            // Before the login: a refused client is listed under its name as well.
            describe(session, &connect, None);
            // The time to say CONNECT ends here, however long the login takes.
            self.cancel_timer(key, io);
        }
        self.log_in(key, connect, io)
    }

    pub(super) fn ping(&mut self, key: u32, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        if session.reached_out
            && !self.is_mutated(Mutation::PongWithoutBarrier)
            && !self.start_barrier(key, AfterBarrier::Pong, io)
        {
            return Flow::Held;
        }
        self.send_pong(key, io);
        Flow::Next
    }

    /// Answers a PING. After the first one a client that understands it gets an INFO about its connection.
    pub(crate) fn send_pong(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.out.current.extend_from_slice(encode::PONG);
        if self.options.trace.on {
            self.trace_answer(key, "PONG");
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        let first = session.connected && !std::mem::replace(&mut session.ponged, true);
        if first && session.understands_info {
            let mut info = self.info_for(key);
            info.connect_info = true;
            if let Some(session) = self.sessions.get_mut(key) {
                let account = &self.accounts[session.account.index()];
                info.remote_account = account.name.to_string();
                info.acc_is_sys = session.account == self.options.directory.system();
                info.encode(&mut session.out.current);
            }
        }
        self.touch(key, io);
    }
}

/// The options that a further CONNECT changes.
fn options_so_far(session: &Session) -> ConnectOptions {
    ConnectOptions {
        verbose: session.verbose,
        pedantic: session.pedantic,
        echo: session.echo,
        headers: session.headers,
        no_responders: session.no_responders,
        protocol: i64::from(session.understands_info),
        ..ConnectOptions::default()
    }
}
