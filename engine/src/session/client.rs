//! The state of a client's connection.

use super::activity::Activity;
use super::authentication::Identity;
use super::login::Login;
use super::outbound::{BufferPool, Outbound};
use super::parting::Parting;
use super::replies::Replies;
use super::rights::Rights;
use crate::account::AccountId;
use crate::mail::Origin;
use crate::transport::Transport;
use hashbrown::HashTable;
use petrel_protocol::client::ClosedReason;
use petrel_protocol::identity::signature::NONCE_CHARACTERS;
use petrel_runtime::{CoreId, Monotonic, SocketId, TimerId, WallTime};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Why a connection's input is held back. It is read again when none is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Holds(u8);

impl Holds {
    /// A receiver of its messages is nearly full.
    pub(crate) const STALL: u8 = 1;
    /// It waits until the other cores have handled what it caused.
    pub(crate) const BARRIER: u8 = 2;
    /// A mailbox has no room for new work.
    pub(crate) const MAILBOX: u8 = 4;
    /// Its end was announced: what else it sends is not read.
    pub(crate) const CLOSING: u8 = 8;
    /// Its password is being checked, or its account is asked for room.
    pub(crate) const LOGIN: u8 = 16;
    /// It sent much while a worker has its handshake.
    pub(crate) const HANDSHAKE: u8 = 128;

    pub(crate) fn set(&mut self, hold: u8) {
        self.0 |= hold;
    }
    pub(crate) fn lift(&mut self, hold: u8) {
        self.0 &= !hold;
    }
    pub(crate) fn has(self, hold: u8) -> bool {
        self.0 & hold != 0
    }
    #[inline]
    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// INFO was sent; nothing but CONNECT is taken when authorization is configured.
    Greeted,
    /// It may do everything.
    Open,
    /// An error is on its way out; what comes in is dropped. The reason is for the record.
    Closing(ClosedReason),
}

/// What a client said about itself, where it did.
#[derive(Default)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) lang: String,
    pub(crate) version: String,
    /// Who it says it is.
    pub(crate) user: Option<String>,
    /// Where and as who it was let in, for the log.
    pub(crate) identity: Option<Box<str>>,
}

/// What follows when a barrier is passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum AfterBarrier {
    /// The verb that waits is carried out.
    Verb,
    /// A PONG.
    Pong,
    /// The `+OK` of a verbose client's SUB or UNSUB.
    Acknowledgement,
    /// The notice that nobody received a request.
    NoResponders { subject: Box<[u8]>, reply: Box<[u8]> },
}

/// What the session waits for at a barrier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BarrierWait {
    pub(crate) token: u64,
    /// Answers still missing.
    pub(crate) outstanding: u32,
    pub(crate) after: AfterBarrier,
}

/// One connection.
pub(crate) struct Session {
    pub(crate) cid: u64,
    pub(crate) socket: SocketId,
    pub(crate) account: AccountId,
    /// Who it is.
    pub(crate) identity: Identity,
    /// What it may do; `None`: everything.
    pub(crate) rights: Option<Rc<Rights>>,
    /// Reply subjects that it may publish to, when its user has leave to answer.
    pub(crate) replies: Option<Box<Replies>>,
    /// The login that it waits with.
    pub(crate) login: Option<Box<Login>>,
    /// What INFO gave it to sign.
    pub(crate) nonce: Option<Box<[u8; NONCE_CHARACTERS]>>,
    /// The account with a limit of connections that counts it.
    pub(crate) counted_in: Option<AccountId>,
    /// Bytes of headers and payload together; negative: unlimited.
    pub(crate) payload_max: i64,
    pub(crate) phase: Phase,
    pub(crate) holds: Holds,
    pub(crate) verbose: bool,
    pub(crate) pedantic: bool,
    pub(crate) echo: bool,
    pub(crate) headers: bool,
    pub(crate) no_responders: bool,
    /// CONNECT said `protocol: 1` or more: it understands INFO at any time.
    pub(crate) understands_info: bool,
    /// CONNECT was taken.
    pub(crate) connected: bool,
    /// The first PONG was sent.
    pub(crate) ponged: bool,
    /// Its out-buffer was touched in this turn.
    pub(crate) touched: bool,
    /// It sent envelopes or interest to other cores since its last barrier.
    pub(crate) reached_out: bool,
    /// Some of those envelopes may come back, or be reported on.
    pub(crate) awaits_returns: bool,
    /// It changed interest since its last barrier, so its next PUB has to wait for the other cores.
    pub(crate) changed_interest: bool,
    /// A receiver of its messages asked for a stall during this read: 1 nearly full, 2 full.
    pub(crate) stall_wanted: u8,
    /// The peer will send no more; the connection ends when the input is worked off.
    pub(crate) ended: bool,
    /// The timer that watches writes, while it runs.
    pub(crate) write_timer: Option<TimerId>,
    /// A PING of ours was answered.
    pub(crate) ponged_once: bool,
    pub(crate) pings_outstanding: u32,
    pub(crate) out: Outbound,
    /// What lies between it and its socket; `None`: nothing.
    pub(crate) transport: Option<Box<Transport>>,
    /// Bytes read and not yet worked off: an incomplete verb, or more while it is held.
    pub(crate) input: Vec<u8>,
    /// Length that the input must reach before it is worth parsing again.
    pub(crate) input_needed: usize,
    /// Keys of its subscriptions, by sid.
    pub(crate) subscriptions: HashTable<u32>,
    /// What it had subscribed to, once it ends.
    pub(crate) parting: Option<Box<Parting>>,
    pub(crate) barrier: Option<Box<BarrierWait>>,
    pub(crate) description: Option<Box<Description>>,
    pub(crate) in_msgs: u64,
    pub(crate) in_bytes: u64,
    pub(crate) out_msgs: u64,
    pub(crate) out_bytes: u64,
    /// Times a publisher was stalled for this receiver.
    pub(crate) stalls: u64,
    /// Bytes that the kernel had taken when somebody last wanted to stall a publisher for this receiver, and since
    /// when it is that many.
    pub(crate) taken_bytes: u64,
    pub(crate) taken_at: Monotonic,
    /// Until when it is read with care, because another core stalled it.
    pub(crate) careful_until: Monotonic,
    /// When the write under way began.
    pub(crate) write_started: Monotonic,
    /// Bytes that the kernel had taken when the write deadline was last looked at.
    pub(crate) taken_at_check: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) start: WallTime,
    pub(crate) accepted: Monotonic,
    pub(crate) activity: Activity,
    pub(crate) rtt: Option<Duration>,
    pub(crate) rtt_measured: Monotonic,
    pub(crate) ping_sent: Monotonic,
    /// Authentication timeout first, then PING, then the delay before the end.
    pub(crate) timer: Option<TimerId>,
}

impl Session {
    pub(crate) fn new(
        cid: u64,
        socket: SocketId,
        peer: SocketAddr,
        now: Monotonic,
        wall: WallTime,
    ) -> Session {
        Session {
            cid,
            socket,
            account: AccountId::GLOBAL,
            identity: Identity::Anybody,
            rights: None,
            replies: None,
            login: None,
            nonce: None,
            counted_in: None,
            payload_max: -1,
            phase: Phase::Greeted,
            holds: Holds::default(),
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            understands_info: false,
            connected: false,
            ponged: false,
            touched: false,
            reached_out: false,
            awaits_returns: false,
            changed_interest: false,
            stall_wanted: 0,
            ended: false,
            write_timer: None,
            ponged_once: false,
            pings_outstanding: 0,
            out: Outbound::default(),
            transport: None,
            input: Vec::new(),
            input_needed: 0,
            subscriptions: HashTable::new(),
            parting: None,
            barrier: None,
            description: None,
            in_msgs: 0,
            in_bytes: 0,
            out_msgs: 0,
            out_bytes: 0,
            stalls: 0,
            taken_bytes: 0,
            taken_at: now,
            write_started: now,
            careful_until: Monotonic::default(),
            taken_at_check: 0,
            peer,
            start: wall,
            accepted: now,
            activity: Activity::new(now),
            rtt: None,
            rtt_measured: now,
            ping_sent: now,
            timer: None,
        }
    }

    /// Whether there is more to a message of this client than to route it: it is answered for each verb, has its subjects
    /// checked, or told other cores of interest that must be there first.
    #[inline]
    pub(crate) fn publishes_with_care(&self) -> bool {
        self.verbose | self.pedantic | self.changed_interest
    }

    /// Where its messages come from.
    #[inline]
    pub(crate) fn origin(&self, key: u32, core: CoreId) -> Origin {
        Origin { account: self.account, session: key, cid: self.cid, core: core.0, echo: self.echo }
    }

    /// Whether messages may still be queued for it.
    #[inline]
    pub(crate) fn takes_messages(&self) -> bool {
        !matches!(self.phase, Phase::Closing(_))
    }

    /// Memory that it holds for bytes on their way, in either direction.
    pub(crate) fn held_bytes(&self) -> usize {
        let transport = self.transport.as_ref().map_or(0, |transport| transport.held_bytes());
        self.out.memory_bytes() + self.input.capacity() + transport
    }

    /// What its core has counted of that.
    pub(crate) fn counted_bytes(&self) -> usize {
        let transport = self.transport.as_ref().map_or(0, |transport| transport.counted_bytes());
        self.out.memory_bytes() + self.input.capacity() + transport
    }

    /// The next buffer to send, as it goes over the wire, when none is being written.
    #[inline]
    pub(crate) fn next_buffer(&mut self, pool: &mut BufferPool) -> Option<Vec<u8>> {
        match &mut self.transport {
            None => self.out.next(),
            Some(transport) => {
                let is_closing = self.ended || matches!(self.phase, Phase::Closing(_));
                transport.next_buffer(&mut self.out, pool, is_closing)
            }
        }
    }

    /// What log lines begin with: `<host:port> - cid:<n>` and, once it has connected, what it calls itself.
    pub(crate) fn label(&self) -> String {
        let mut label = format!("{} - cid:{}", self.peer, self.cid);
        if let Some(description) = &self.description {
            let parts = [
                if description.version.is_empty() {
                    String::new()
                } else {
                    format!("v{}", description.version)
                },
                description.lang.clone(),
                description.name.clone(),
            ];
            let said: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            if !said.is_empty() {
                label.push_str(&format!(" - \"{}\"", said.join(":")));
            }
            if let Some(identity) = &description.identity {
                label.push_str(&format!(" - \"{identity}\""));
            }
        }
        label
    }
}
