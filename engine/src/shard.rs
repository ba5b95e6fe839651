//! The program of a core: it owns sessions, interest and counters, and hands each event to its room.

use crate::acceptor::Acceptor;
use crate::account::{Account, AccountId, initial_accounts};
use crate::arena::Arena;
use crate::interest::InterestChange;
use crate::lame_duck::LameDuck;
use crate::mail::{Batch, Mail, Report, Stall};
use crate::mutation::Mutation;
use crate::options::Options;
use crate::order::{CoreStatistics, Notice, Order};
use crate::reload::Review;
use crate::route::forwards::Forwards;
use crate::route::large::Source;
use crate::route::no_responders::PendingReports;
use crate::route::service_reply::PendingReplies;
use crate::route::trace::{PendingTraces, TracePart, Tracing};
use crate::session::client::Session;
use crate::session::keepalive::TimerKind;
use crate::session::outbound::BufferPool;
use crate::session::rights::RightsByUser;
use crate::session::room::WaitingForRoom;
use crate::surplus::Surplus;
use crate::system::SystemQueue;
use crate::transport::{HandshakeJob, Scratch};
use hashbrown::HashMap;
use petrel_protocol::client::{ClosedReason, ParseLimits};
use petrel_runtime::{CoreId, Event, Io, Program, SocketId};
use std::sync::Arc;

pub(crate) const NO_SESSION: u32 = u32::MAX;
/// Batches with this much memory go back to the core that filled them: growing a new one each turn copies it
/// several times, and the allocator does not like memory that one core takes and another frees. Their return also
/// tells how much is under way.
const WORTH_RETURNING_BYTES: usize = 16 * 1024;
/// Empty batches kept for each core.
const SPARE_BATCHES_MAX: usize = 4;

/// What a turn has gathered for another core.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) interest: Vec<(AccountId, InterestChange)>,
    /// Mails that had been sent to that core when interest was mailed last, that mail included.
    pub(crate) interest_mailed: u64,
    pub(crate) envelopes: Batch,
    pub(crate) returned: Batch,
    pub(crate) reports: Vec<Report>,
    pub(crate) traced: Vec<TracePart>,
    pub(crate) stalls: Vec<Stall>,
    /// Large batches of that core that are worked off: they go back to be filled again.
    pub(crate) spent: Vec<Batch>,
    /// Empty batches that came back from that core.
    spare: Vec<Batch>,
    /// Bytes of batches that were posted and have not come back.
    unreturned_bytes: usize,
}

impl Outgoing {
    /// Bytes of envelopes that the other core has not worked off.
    pub(crate) fn in_transit_bytes(&self) -> usize {
        self.envelopes.bytes.len() + self.unreturned_bytes
    }
}

/// All that a core owns: its sessions, its view of interest, its timers.
///
/// The methods are spread over the rooms they belong to: `session/` for what a client says, `route/` for what
/// happens to its messages, `acceptor` and `lame_duck` for the connections' beginning and end.
pub struct Shard {
    pub(crate) options: Arc<Options>,
    pub(crate) core: CoreId,
    pub(crate) core_count: usize,
    /// The secret that subject hashes are keyed with.
    pub(crate) key: [u64; 4],
    pub(crate) notices: crossbeam_channel::Sender<Notice>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) sessions: Arena<Session>,
    /// The session of each socket slot.
    pub(crate) session_by_slot: Vec<u32>,
    /// One entry a core; this core's own stays empty.
    pub(crate) outgoing: Vec<Outgoing>,
    /// Sessions whose out-buffers this turn appended to.
    pub(crate) touched: Vec<u32>,
    /// Sessions to end when the event at hand is worked off.
    pub(crate) doomed: Vec<(u32, ClosedReason)>,
    pub(crate) pool: BufferPool,
    /// Bytes of out-buffers set aside and of input that waits, of all sessions.
    pub(crate) held_bytes: usize,
    /// The bytes that are being worked on.
    pub(crate) source: Source,
    pub(crate) pending_reports: PendingReports,
    pub(crate) pending_replies: PendingReplies,
    /// Interest that ended while requests to other accounts wait for answers.
    pub(crate) ended_interest: Vec<(AccountId, InterestChange)>,
    pub(crate) forwards: Forwards,
    /// The message at hand, while it is followed.
    pub(crate) tracing: Option<Box<Tracing>>,
    pub(crate) pending_traces: PendingTraces,
    /// What the message at hand was called before a mapping, when it may be followed.
    pub(crate) mapped_from: Option<Box<[u8]>>,
    /// Barriers under way: token to session and its connection id.
    pub(crate) barriers: HashMap<u64, (u32, u64), ahash::RandomState>,
    /// Tokens of barriers and reports; 0 is never one.
    pub(crate) next_token: u64,
    /// Whether the last queue offer that was decided on this core was taken.
    pub(crate) last_offer_taken: bool,
    /// Where mapped subjects are written.
    pub(crate) mapped_subject: Vec<u8>,
    /// The session whose verbs are being carried out; whatever event made it go on, a panic is its own.
    pub(crate) working: u32,
    /// Sessions held until a mailbox has room.
    pub(crate) waiting_for_room: WaitingForRoom,
    pub(crate) statistics: CoreStatistics,
    pub(crate) parse_limits: ParseLimits,
    /// What the users who are logged in here may do.
    pub(crate) rights: RightsByUser,
    /// Hashes sids within a session.
    pub(crate) sid_hasher: ahash::RandomState,
    /// State of the generator behind queue picks.
    pub(crate) random: u64,
    /// The records of the read at hand.
    pub(crate) scratch: Scratch,
    /// Where handshakes are sent to be worked on.
    pub(crate) handshakes: Option<crossbeam_channel::Sender<Box<HandshakeJob>>>,
    /// Core 0 only.
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) lame_duck: Option<LameDuck>,
    /// All connections end now.
    pub(crate) is_ending: bool,
    pub(crate) system: SystemQueue,
    /// Sessions that a reload has looked at, while it lasts.
    pub(crate) review: Option<Box<Review>>,
    /// Clients that have to go because there are too many, while there are.
    pub(crate) surplus: Option<Box<Surplus>>,
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::mutation::Mutation>,
    #[cfg(feature = "mutations")]
    pub(crate) provokes_panics: bool,
    #[cfg(feature = "mutations")]
    pub(crate) reviewed_a_turn: Option<usize>,
}

impl Shard {
    /// The shard of one core. `key` is the secret that subject hashes are keyed with, the same on all cores of
    /// the node. Notices go to `notices`; core 0 says there where it listens.
    pub fn new(
        options: Arc<Options>,
        core: CoreId,
        core_count: usize,
        key: [u64; 4],
        notices: crossbeam_channel::Sender<Notice>,
    ) -> Shard {
        let hasher = ahash::RandomState::with_seeds(key[1], key[2], key[3], key[0]);
        let limits = &options.limits;
        let parse_limits =
            ParseLimits { control_line_max: limits.control_line_max, payload_max: limits.payload_max };
        Shard {
            acceptor: (core.0 == 0).then(|| Acceptor::new(core_count, options.closed_clients_max)),
            accounts: initial_accounts(&options.directory, core_count, core.index(), key),
            sessions: Arena::default(),
            session_by_slot: Vec::new(),
            outgoing: (0..core_count).map(|_| Outgoing::default()).collect(),
            touched: Vec::new(),
            doomed: Vec::new(),
            pool: BufferPool::default(),
            held_bytes: 0,
            source: Source::default(),
            pending_reports: PendingReports::new(hasher.clone()),
            pending_replies: PendingReplies::new(hasher.clone(), core.0),
            ended_interest: Vec::new(),
            forwards: Forwards::new(hasher.clone()),
            tracing: None,
            pending_traces: PendingTraces::new(hasher.clone()),
            mapped_from: None,
            barriers: HashMap::with_hasher(hasher.clone()),
            next_token: 1,
            last_offer_taken: false,
            mapped_subject: Vec::new(),
            working: NO_SESSION,
            waiting_for_room: WaitingForRoom::default(),
            statistics: CoreStatistics::default(),
            parse_limits,
            rights: RightsByUser::with_hasher(hasher.clone()),
            sid_hasher: hasher,
            random: 1,
            scratch: Scratch::default(),
            handshakes: None,
            lame_duck: None,
            is_ending: false,
            system: SystemQueue::new(options.system_notices_max),
            review: None,
            surplus: None,
            options,
            core,
            core_count,
            key,
            notices,
            #[cfg(feature = "mutations")]
            mutation: None,
            #[cfg(feature = "mutations")]
            provokes_panics: false,
            #[cfg(feature = "mutations")]
            reviewed_a_turn: None,
        }
    }

    /// The shard with somebody to work on the handshakes of its TLS connections: the steps go to `handshakes`, a
    /// bounded channel, and each comes back as [`Order::Handshake`]. Without it no handshake succeeds.
    #[must_use]
    pub fn with_handshakes(mut self, handshakes: crossbeam_channel::Sender<Box<HandshakeJob>>) -> Shard {
        self.handshakes = Some(handshakes);
        self
    }

    /// The session of a socket, when it is still the same connection.
    pub(crate) fn session_of(&self, socket: SocketId) -> Option<u32> {
        let key = *self.session_by_slot.get(socket.slot as usize)?;
        self.sessions.get(key).filter(|session| session.socket == socket).map(|_| key)
    }

    pub(crate) fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// A number below `bound`, for queue picks.
    pub(crate) fn pick(&mut self, bound: usize) -> usize {
        // splitmix64: good enough to spread load, one multiplication chain.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from((u128::from(mixed) * bound as u128) >> 64).unwrap_or(0)
    }

    /// Cores other than this one.
    pub(crate) fn other_cores(&self) -> impl Iterator<Item = CoreId> + use<> {
        let own = self.core;
        let count = u16::try_from(self.core_count).unwrap_or(u16::MAX);
        (0..count).map(CoreId).filter(move |core| *core != own)
    }

    /// Mails what was gathered for a core. Interest goes ahead of envelopes, returned envelopes ahead of
    /// reports: a report says that nobody took the rest.
    pub(crate) fn post(&mut self, core: CoreId, io: &mut Io<'_, Mail>) {
        let (is_reversed, is_ahead) =
            (self.is_mutated(Mutation::BatchReversed), self.is_mutated(Mutation::EnvelopesAheadOfInterest));
        let outgoing = &mut self.outgoing[core.index()];
        if is_reversed {
            outgoing.envelopes.envelopes.reverse();
        }
        if is_ahead && !outgoing.envelopes.is_empty() {
            io.mail(core, Mail::Envelopes(std::mem::take(&mut outgoing.envelopes)));
        }
        if !outgoing.interest.is_empty() {
            io.mail(core, Mail::Interest(std::mem::take(&mut outgoing.interest)));
            outgoing.interest_mailed = io.mails_sent(core);
        }
        if !outgoing.returned.is_empty() {
            io.mail(core, Mail::Returned(std::mem::take(&mut outgoing.returned)));
        }
        if !outgoing.envelopes.is_empty() {
            let fresh = outgoing.spare.pop().unwrap_or_default();
            let mut batch = std::mem::replace(&mut outgoing.envelopes, fresh);
            if batch.bytes.capacity() >= WORTH_RETURNING_BYTES {
                batch.posted_bytes = batch.bytes.len();
                outgoing.unreturned_bytes += batch.posted_bytes;
            }
            io.mail(core, Mail::Envelopes(batch));
        }
        if !outgoing.reports.is_empty() {
            io.mail(core, Mail::Reports(std::mem::take(&mut outgoing.reports)));
        }
        // Behind what comes back: the core there sends that on, and waits for one more part.
        if !outgoing.traced.is_empty() {
            io.mail(core, Mail::Traced(std::mem::take(&mut outgoing.traced)));
        }
        if !outgoing.stalls.is_empty() {
            io.mail(core, Mail::Stalls(std::mem::take(&mut outgoing.stalls)));
        }
        for batch in outgoing.spent.drain(..) {
            io.mail(core, Mail::Spent(batch));
        }
    }

    pub(crate) fn post_all(&mut self, io: &mut Io<'_, Mail>) {
        for core in self.other_cores() {
            self.post(core, io);
        }
    }

    fn mail(&mut self, from: CoreId, mail: Mail, io: &mut Io<'_, Mail>) {
        match mail {
            Mail::Connection(handoff) => self.take_in(*handoff, io),
            Mail::Interest(changes) => self.take_interest(from, changes, io),
            Mail::Envelopes(batch) => self.take_batch(from, batch, io),
            Mail::Spent(batch) => {
                let outgoing = &mut self.outgoing[from.index()];
                outgoing.unreturned_bytes -= batch.posted_bytes;
                if outgoing.spare.len() < SPARE_BATCHES_MAX {
                    outgoing.spare.push(Batch { posted_bytes: 0, ..batch });
                }
                if !self.waiting_for_room.is_empty() {
                    self.room_came(io);
                }
            }
            Mail::Reports(reports) => self.take_reports(&reports, io),
            Mail::Returned(batch) => self.retry_returned(&batch, io),
            Mail::Traced(parts) => {
                for part in parts {
                    self.take_trace_part(part, io);
                }
            }
            Mail::Stalls(stalls) => self.take_stalls(&stalls, io),
            Mail::Barrier(token) => self.answer_barrier(from, token, io),
            Mail::InnerBarrier(token) => {
                self.post(from, io);
                io.mail(from, Mail::Passed(token));
            }
            Mail::Passed(token) => self.barrier_passed(token, io),
            Mail::Ended(record) => self.record_ended(from, *record),
            Mail::Responder(responder) => self.take_responder(&responder.subject, &responder.client),
            Mail::Empty => self.core_is_empty(from, io),
            Mail::Admit(account, member) => self.decide_admission(account, member, io),
            Mail::Admitted(member, has_room) => self.admission_decided(member, has_room, io),
            Mail::Enroll(account, member) => self.enroll(account, member, io),
            Mail::Left(account, cid) => {
                if let Some(acceptor) = self.acceptor.as_mut() {
                    acceptor.admissions.leave(account, cid);
                }
            }
            Mail::Pruned(member) => self.pruned(member, io),
            Mail::KeepOldest(kept) => self.keep_oldest(kept, io),
        }
    }

    fn order(&mut self, order: Order, io: &mut Io<'_, Mail>) {
        match order {
            Order::Statistics(answer) => {
                // The asker may have given up: then nobody misses the answer.
                let _ = answer.send(self.current_statistics(io));
            }
            Order::Connections(query, answer) => {
                let _ = answer.send(self.connections(&query, io));
            }
            Order::Subscriptions(query, answer) => {
                let _ = answer.send(self.subscriptions(&query));
            }
            Order::Accounts(query, answer) => {
                let _ = answer.send(self.account_page(&query));
            }
            Order::Replies(query, answer) => {
                let _ = answer.send(self.reply_page(&query));
            }
            Order::Publish(publication) => self.publish_as_server(&publication, io),
            Order::Interested(subjects, answer) => {
                let _ = answer.send(self.interested(&subjects));
            }
            Order::SystemHandled(weight) => self.system_handled(weight),
            Order::Kick(cid, answer) => {
                let _ = answer.send(self.kick(cid, io));
            }
            Order::Warn(cid, answer) => {
                let _ = answer.send(self.warn(cid, io));
            }
            Order::PrepareReload(options, done) => {
                self.prepare_reload(&options);
                let _ = done.send(());
            }
            Order::Reload(options, done) => {
                self.reload(options, done, io);
            }
            Order::Settle(done) => self.tell_without_surplus(vec![done]),
            Order::PasswordChecked(ticket, verdict) => self.password_checked(ticket, verdict, io),
            Order::Handshake(answer) => self.handshake_answered(*answer, io),
            Order::LameDuck => self.enter_lame_duck(io),
            Order::Shutdown => self.shut_down(io),
        }
    }

    /// Ends the sessions that the event at hand has doomed.
    fn bury_doomed(&mut self, io: &mut Io<'_, Mail>) {
        while let Some((key, reason)) = self.doomed.pop() {
            self.end(key, reason, io);
        }
    }

    /// Carries out what the event at hand has decided: sessions end, and requests whose answer nobody waits for.
    fn end_event(&mut self, io: &mut Io<'_, Mail>) {
        self.bury_doomed(io);
        while !self.ended_interest.is_empty() {
            self.end_forsaken(io);
            self.bury_doomed(io);
        }
    }
}

impl Program for Shard {
    type Mail = Mail;
    type Order = Order;

    fn start(&mut self, io: &mut Io<'_, Mail>) {
        self.random = io.random();
        self.start_system_services();
        self.start_listening(io);
    }

    fn event(&mut self, event: Event<'_, Mail, Order>, io: &mut Io<'_, Mail>) {
        match event {
            Event::Received { socket, data } => {
                if let Some(key) = self.session_of(socket) {
                    self.arrived(key, data, io);
                }
            }
            Event::Sent { socket, buffer, result } => {
                self.pool.give(buffer);
                if let Some(key) = self.session_of(socket) {
                    self.sent(key, result, io);
                }
            }
            Event::Mail { from, mail } => self.mail(from, mail, io),
            Event::Timer(token) => self.timer(token, io),
            Event::Ended { socket, end } => {
                if let Some(key) = self.session_of(socket) {
                    self.transport_ended(key, end, io);
                }
            }
            Event::Accepted { socket, .. } => self.accepted(socket, io),
            Event::AcceptFailed { error, .. } => self.accept_failed(&error, io),
            Event::MailRoom { .. } => self.room_came(io),
            Event::Order(order) => self.order(order, io),
            Event::Connected { .. } => unreachable!("a shard does not connect to anybody yet"),
        }
        self.end_event(io);
    }

    fn finish_turn(&mut self, io: &mut Io<'_, Mail>) {
        self.post_all(io);
        self.room_after_posting(io);
        self.flush_touched(io);
        self.keep_to_budget();
        self.bury_doomed(io);
        if !self.ended_interest.is_empty() {
            // What follows from that is for the next turn, which comes at once.
            self.set_timer(TimerKind::ServiceReplies, NO_SESSION, io.now(), io);
        }
    }

    fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, Mail>) {
        self.contain_panic(socket, message, io);
    }
}
