//! CONNECT, and the PING that follows it.

use super::authentication::authenticate;
use super::client::{AfterBarrier, Description, Phase, Session};
use super::operations::Flow;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::{ClosedReason, ConnectOptions, ProtocolError, encode};
use petrel_runtime::Io;

impl Shard {
    pub(super) fn connect(&mut self, key: u32, json: &[u8], io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let mut connect = options_so_far(session);
        if let Err(error) = connect.merge(json) {
            tracing::debug!("{} - {error}", session.label());
            self.fail(key, None, ClosedReason::ProtocolViolation, io);
            return Flow::Closed;
        }
        // Before the login: a refused client is listed under its name as well.
        describe(session, &connect, None);
        let Some(identity) = authenticate(&self.options.directory, &connect) else {
            self.refuse_login(key, Some(&connect), io);
            return Flow::Closed;
        };
        let first = !session.connected;
        if !first {
            // Upstream binds the connection anew: what it had subscribed to is gone.
            self.remove_all_subscriptions(key);
        }
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        session.account = identity.account;
        session.connected = true;
        session.phase = Phase::Open;
        session.verbose = connect.verbose;
        session.pedantic = connect.pedantic;
        session.echo = connect.echo;
        session.headers = self.options.headers && connect.headers;
        session.no_responders = connect.no_responders;
        session.understands_info = connect.protocol >= 1;
        if first {
            let rtt = io.now().since(session.accepted);
            session.rtt = Some(rtt.max(std::time::Duration::from_nanos(1)));
        }
        describe(session, &connect, identity.user);
        if !(0..=1).contains(&connect.protocol) {
            let error = ProtocolError::InvalidClientProtocol;
            self.fail(key, Some(&error), ClosedReason::BadClientProtocolVersion, io);
            return Flow::Closed;
        }
        if connect.no_responders && !session.headers {
            let error = ProtocolError::NoRespondersRequiresHeaders;
            self.fail(key, Some(&error), ClosedReason::NoRespondersRequiresHeaders, io);
            return Flow::Closed;
        }
        let verbose = session.verbose;
        if first {
            self.start_pinging(key, io);
        }
        if verbose {
            self.acknowledge(key, io);
        }
        Flow::Next
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
        let first = session.connected && !std::mem::replace(&mut session.ponged, true);
        if first && session.understands_info {
            let mut info = self.info_for(key);
            info.connect_info = true;
            if let Some(session) = self.sessions.get_mut(key) {
                let account = &self.accounts[session.account.index()];
                info.remote_account = account.name.to_string();
                info.acc_is_sys = session.account == crate::account::AccountId::SYSTEM;
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

fn describe(session: &mut Session, connect: &ConnectOptions, user: Option<String>) {
    let says_something = user.is_some()
        || [&connect.name, &connect.lang, &connect.version].iter().any(|text| !text.is_empty());
    if says_something {
        session.description = Some(Box::new(Description {
            name: connect.name.clone(),
            lang: connect.lang.clone(),
            version: connect.version.clone(),
            user,
        }));
    }
}
