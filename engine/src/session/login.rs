//! From credentials to an open session, with the two waits that may lie between: for a password that is checked
//! against a hash off the cores, and for core 0's word that an account has room.

use super::authentication::{Fate, Identity, Presented, Verdict, authenticate, fate, without_connect};
use super::client::{Description, Holds, Phase, Session};
use super::operations::Flow;
use crate::account::AccountId;
use crate::account::admission::Member;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::order::{Notice, PasswordCheck, PasswordTicket, PasswordVerdict};
use crate::shard::Shard;
use petrel_config::ConnectionType;
use petrel_protocol::client::{ClosedReason, ConnectOptions, ProtocolError};
use petrel_protocol::identity::signature::{NONCE_CHARACTERS, nonce_text};
use petrel_runtime::{CoreId, Io, Monotonic};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A login that waits.
pub(crate) struct Login {
    /// What CONNECT said, without its secrets; `None`: the connection began with another verb.
    connect: Option<ConnectOptions>,
    /// Who it will be.
    identity: Identity,
    /// While it lives, a password that is to be checked is waited for.
    awaited: Option<Arc<()>>,
    /// When CONNECT was read.
    began: Monotonic,
}

impl Shard {
    /// The nonce of a new connection: nobody who has seen others can tell it in advance.
    pub(crate) fn draw_nonce(&self, cid: u64, io: &mut Io<'_, Mail>) -> Option<Box<[u8; NONCE_CHARACTERS]>> {
        if !self.options.directory.has_nkeys() {
            return None;
        }
        let mut digest = Sha256::new();
        for word in self.key.iter().chain([&cid, &io.random()]) {
            digest.update(word.to_le_bytes());
        }
        let digest = digest.finalize();
        digest.first_chunk::<11>().map(|bytes| Box::new(nonce_text(*bytes)))
    }

    /// Looks at the credentials of a CONNECT.
    pub(super) fn log_in(&mut self, key: u32, mut connect: ConnectOptions, io: &mut Io<'_, Mail>) -> Flow {
        let began = io.clock();
        self.estimate_round_trip(key, io);
        let Ok(certificate_user) = self.certificate_user(key, &connect) else {
            self.refuse_login(key, Some(&connect), io);
            return Flow::Closed;
        };
        if let Some(user) = &certificate_user {
            // Whatever CONNECT said: so the log names who was refused.
            connect.user.clone_from(user);
        }
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let presented = Presented {
            connect: &connect,
            nonce: session.nonce.as_deref().map(<[u8; NONCE_CHARACTERS]>::as_slice),
            kind: ConnectionType::Standard,
            certificate_names: certificate_user.as_ref().map(std::slice::from_ref),
        };
        match authenticate(&self.options.directory, &presented) {
            Verdict::Refused => {
                self.refuse_login(key, Some(&connect), io);
                Flow::Closed
            }
            Verdict::Accepted(identity) => {
                forget_secrets(&mut connect);
                self.admit(key, Login { connect: Some(connect), identity, awaited: None, began }, io)
            }
            Verdict::Check(identity, hash) => {
                let origin = session.peer.ip();
                let password = match identity {
                    Identity::Token(_) => std::mem::take(&mut connect.auth_token),
                    _ => std::mem::take(&mut connect.pass),
                };
                forget_secrets(&mut connect);
                let awaited = Arc::new(());
                let ticket = PasswordTicket { core: self.core, session: key, cid: session.cid };
                let check = PasswordCheck::new(ticket, origin, hash, &password, Arc::downgrade(&awaited));
                let login = Login { connect: Some(connect), identity, awaited: Some(awaited), began };
                self.wait_for_login(key, login, io);
                // Without a control plane nobody can be checked; the connection ends by its own patience.
                let _ = self.notices.send(Notice::CheckPassword(check));
                Flow::Held
            }
        }
    }

    /// A connection that begins with another verb than CONNECT.
    pub(super) fn enter_unannounced(&mut self, key: u32, io: &mut Io<'_, Mail>) -> Flow {
        match without_connect(&self.options.directory, ConnectionType::Standard) {
            Some(identity) => {
                let began = io.clock();
                self.admit(key, Login { connect: None, identity, awaited: None, began }, io)
            }
            None => {
                self.refuse_login(key, None, io);
                Flow::Closed
            }
        }
    }

    fn wait_for_login(&mut self, key: u32, login: Login, io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.login = Some(Box::new(login));
        }
        self.hold(key, Holds::LOGIN, io);
    }

    /// The control plane has checked a password.
    pub(crate) fn password_checked(
        &mut self,
        ticket: PasswordTicket,
        verdict: PasswordVerdict,
        io: &mut Io<'_, Mail>,
    ) {
        let is_unchecked = self.is_mutated(Mutation::PasswordVerdictIgnored);
        let Some(mut login) = self.resumed_login(ticket.session, ticket.cid) else { return };
        let key = ticket.session;
        login.awaited = None;
        let flow = match verdict {
            PasswordVerdict::Matches => self.admit(key, login, io),
            PasswordVerdict::Differs if is_unchecked => self.admit(key, login, io),
            PasswordVerdict::Differs => {
                self.refuse_login(key, login.connect.as_ref(), io);
                Flow::Closed
            }
            PasswordVerdict::NotChecked => {
                let error = ProtocolError::AuthenticationTimeout;
                self.fail(key, Some(&error), ClosedReason::AuthenticationTimeout, io);
                Flow::Closed
            }
        };
        self.go_on(key, &flow, io);
    }

    /// The login that a session waits with, when it is still the same connection.
    fn resumed_login(&mut self, key: u32, cid: u64) -> Option<Login> {
        let session = self.sessions.get_mut(key).filter(|session| session.cid == cid)?;
        session.login.take().map(|login| *login)
    }

    fn go_on(&mut self, key: u32, flow: &Flow, io: &mut Io<'_, Mail>) {
        match flow {
            Flow::Next => self.lift(key, Holds::LOGIN, io),
            Flow::Closed => {
                // What it sends is read and dropped: closing over unread input would send a reset, which could overtake
                // the error.
                let Some(session) = self.sessions.get_mut(key) else { return };
                session.holds.lift(Holds::LOGIN);
                if !session.holds.any() {
                    io.resume_read(session.socket);
                }
            }
            Flow::Held | Flow::Again => {}
        }
    }

    /// Lets somebody into his account, when it has room.
    fn admit(&mut self, key: u32, login: Login, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let member = Member { core: self.core, session: key, cid: session.cid };
        let account = login.identity.account();
        let is_counted = session.counted_in == Some(account);
        if !is_counted {
            // Whoever logs in anew makes room where it was, also when it goes where nobody counts.
            self.leave_account(key, io);
        }
        let limit = self.options.directory.connections_max(account);
        let Some(limit) = limit.filter(|_| !is_counted) else {
            return self.enter(key, login, io);
        };
        if let Some(session) = self.sessions.get_mut(key) {
            session.counted_in = Some(account);
        }
        if self.is_mutated(Mutation::AccountLimitPerCore) {
            let count =
                self.sessions.iter().filter(|(_, session)| session.counted_in == Some(account)).count();
            return if count as u64 <= limit {
                self.enter(key, login, io)
            } else {
                self.account_is_full(key, io)
            };
        }
        let has_room = self.acceptor.as_mut().map(|a| a.admissions.admit(account, member, Some(limit)));
        match has_room {
            Some(true) => self.enter(key, login, io),
            Some(false) => self.account_is_full(key, io),
            None => {
                self.wait_for_login(key, login, io);
                io.mail(CoreId(0), Mail::Admit(account, member));
                Flow::Held
            }
        }
    }

    fn account_is_full(&mut self, key: u32, io: &mut Io<'_, Mail>) -> Flow {
        if let Some(session) = self.sessions.get_mut(key) {
            session.counted_in = None;
            tracing::error!("{} - maximum account active connections exceeded", session.label());
        }
        let error = ProtocolError::MaximumAccountConnectionsExceeded;
        self.fail(key, Some(&error), ClosedReason::MaximumAccountConnectionsExceeded, io);
        Flow::Closed
    }

    /// Core 0 is asked whether an account has room.
    pub(crate) fn decide_admission(&mut self, account: AccountId, member: Member, io: &mut Io<'_, Mail>) {
        let limit = self.options.directory.connections_max(account);
        let Some(acceptor) = self.acceptor.as_mut() else { return };
        let has_room = acceptor.admissions.admit(account, member, limit);
        io.mail(member.core, Mail::Admitted(member, has_room));
    }

    /// Core 0 has answered.
    pub(crate) fn admission_decided(&mut self, member: Member, has_room: bool, io: &mut Io<'_, Mail>) {
        let key = member.session;
        let Some(login) = self.resumed_login(key, member.cid) else { return };
        let flow = if has_room { self.enter(key, login, io) } else { self.account_is_full(key, io) };
        self.go_on(key, &flow, io);
    }

    /// Core 0 says that an account has too many connections, and this is one of the newest.
    pub(crate) fn pruned(&mut self, member: Member, io: &mut Io<'_, Mail>) {
        if self.sessions.get(member.session).is_some_and(|session| session.cid == member.cid) {
            let _ = self.account_is_full(member.session, io);
        }
    }

    /// Takes a session out of the count of its account.
    pub(crate) fn leave_account(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let is_kept = self.is_mutated(Mutation::PlacesKept);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (cid, Some(account)) = (session.cid, session.counted_in.take()) else { return };
        match self.acceptor.as_mut() {
            Some(acceptor) => acceptor.admissions.leave(account, cid),
            None if is_kept => {}
            None => io.mail(CoreId(0), Mail::Left(account, cid)),
        }
    }

    /// Opens a session for who logged in.
    fn enter(&mut self, key: u32, login: Login, io: &mut Io<'_, Mail>) -> Flow {
        let Login { connect, identity, began, .. } = login;
        // The configuration may have changed while the login waited.
        let is_named = connect.as_ref().is_some_and(|connect| shown_user(connect).is_some());
        let identity = match fate(&identity, is_named, ConnectionType::Standard, &self.options.directory) {
            Fate::Stays(identity) => identity,
            Fate::Gone | Fate::Refused => {
                self.refuse_login(key, connect.as_ref(), io);
                return Flow::Closed;
            }
        };
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let first = !session.connected;
        if !first {
            // Upstream binds the connection anew: what it had subscribed to is gone.
            self.remove_all_subscriptions(key);
        }
        let account = identity.account();
        let payload_max = self.payload_max_of(account);
        self.grant(key, identity);
        let name = self.accounts[account.index()].name.clone();
        let headers = self.options.headers;
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let left = session.connected.then_some(session.account);
        session.account = account;
        session.payload_max = payload_max;
        session.connected = true;
        session.phase = Phase::Open;
        self.statistics.latencies.logins.record(io.clock().since(began));
        let Some(connect) = connect else {
            describe(session, &ConnectOptions::default(), None);
            self.client_entered(key, left);
            self.start_pinging(key, io);
            return Flow::Next;
        };
        session.verbose = connect.verbose;
        session.pedantic = connect.pedantic;
        session.echo = connect.echo;
        session.headers = headers && connect.headers;
        session.no_responders = connect.no_responders;
        session.understands_info = connect.protocol >= 1;
        describe(session, &connect, Some(&name));
        self.client_entered(key, left);
        self.connected(key, &connect, first, io)
    }

    /// What follows when a CONNECT was taken.
    fn connected(&mut self, key: u32, connect: &ConnectOptions, first: bool, io: &mut Io<'_, Mail>) -> Flow {
        if !(0..=1).contains(&connect.protocol) {
            let error = ProtocolError::InvalidClientProtocol;
            self.log_refusal(key, &error);
            self.fail(key, Some(&error), ClosedReason::BadClientProtocolVersion, io);
            return Flow::Closed;
        }
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let verbose = session.verbose;
        if connect.no_responders && !session.headers {
            let error = ProtocolError::NoRespondersRequiresHeaders;
            self.log_refusal(key, &error);
            self.fail(key, Some(&error), ClosedReason::NoRespondersRequiresHeaders, io);
            return Flow::Closed;
        }
        if first {
            self.start_pinging(key, io);
        }
        if verbose {
            self.acknowledge(key, io);
        }
        Flow::Next
    }

    /// Bytes of a message that a client of this account may publish: what the server and the account allow.
    pub(crate) fn payload_max_of(&self, account: AccountId) -> i64 {
        let limit = self.options.directory.accounts().get(account.index()).and_then(|a| a.limits.payload_max);
        let limit = limit.and_then(|limit| i64::try_from(limit).ok());
        let limit = limit.filter(|_| !self.is_mutated(Mutation::AccountLimitsIgnored));
        match (self.options.limits.payload_max, limit) {
            (server, None) => server,
            (server, Some(account)) if server < 0 => account,
            (server, Some(account)) => server.min(account),
        }
    }
}

fn forget_secrets(connect: &mut ConnectOptions) {
    connect.pass = String::new();
    connect.sig = String::new();
    if !connect.auth_token.is_empty() {
        connect.auth_token = REDACTED.into();
    }
}

/// What stands for a token.
const REDACTED: &str = "[REDACTED]";

/// Who a client says it is, as monitoring shows it: its nkey, else its name, else that it has a token.
pub(super) fn shown_user(connect: &ConnectOptions) -> Option<&str> {
    let said = [&connect.nkey, &connect.user].into_iter().find(|text| !text.is_empty());
    said.map(String::as_str).or((!connect.auth_token.is_empty()).then_some(REDACTED))
}

/// Notes what a client said about itself. `account`: where it was let in.
pub(super) fn describe(session: &mut Session, connect: &ConnectOptions, account: Option<&str>) {
    let user = match &session.identity {
        Identity::User(user) if session.connected => Some(user.name.to_string()),
        _ => shown_user(connect).map(str::to_owned),
    };
    let kind = match &session.identity {
        Identity::User(user) if user.is_nkey() => "nkey:",
        Identity::User(_) => "user:",
        _ if !connect.nkey.is_empty() => "nkey:",
        _ if !connect.user.is_empty() => "user:",
        _ => "token",
    };
    let identity = match (account, &user) {
        (Some(account), Some(user)) => {
            let user = if kind == "token" { "" } else { user };
            Some(format!("{account}/{kind}{user}").into_boxed_str())
        }
        _ => None,
    };
    let texts = [&connect.name, &connect.lang, &connect.version];
    if user.is_some() || texts.iter().any(|text| !text.is_empty()) {
        session.description = Some(Box::new(Description {
            name: connect.name.clone(),
            lang: connect.lang.clone(),
            version: connect.version.clone(),
            user,
            identity,
        }));
    }
}
