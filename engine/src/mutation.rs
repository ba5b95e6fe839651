//! Known bugs that a test can put back, one at a time, to see that the scenarios find them.
//!
//! Without the feature `mutations` there is no way to switch one on, and the compiler removes the questions.

use crate::reload::REVIEWED_A_TURN;
use crate::shard::Shard;

/// A bug. Each breaks one rule of `ARCHITECTURE.md`, section 5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// A PING is answered whatever is under way.
    PongWithoutBarrier,
    /// A barrier does not look at the watermarks of the mailboxes.
    WatermarkNotWaited,
    /// A barrier is asked for before what was gathered is mailed.
    BarrierAheadOfBatch,
    /// A PONG does not wait for queue envelopes and reports that are on their way back.
    ReturnsNotAwaited,
    /// A PONG does not wait for what becomes of queue envelopes that came back and went to another core.
    RetriesNotAwaited,
    /// Who subscribes to what another client of its core has just subscribed to does not wait until all cores know of that.
    SharedInterestNotAwaited,
    /// A PUB does not wait until all cores know of the SUB before it.
    PublishAheadOfInterest,
    /// Envelopes are mailed before the interest of the same turn.
    EnvelopesAheadOfInterest,
    /// Messages of one batch change places.
    BatchReversed,
    /// Input of a held connection is dropped.
    HeldInputDropped,
    /// A client that closes its side loses what is being written to it.
    EndOfInputCutsWrites,
    /// A queue envelope that nobody takes is forgotten.
    QueueEnvelopeNotReturned,
    /// A queue envelope that came back is offered on its own core only.
    ReturnedTriedHereOnly,
    /// Queue members get their own messages without echo.
    EchoToQueueMembers,
    /// A subscription outlives its maximum.
    MaximumIgnored,
    /// The 503 notice goes out when nobody on the requester's core received the request.
    NoticeByLocalDelivery,
    /// The 503 notice stays away when there was interest, whoever received the request.
    NoticeByInterest,
    /// Reports of other cores are ignored.
    ReportsIgnored,
    /// Nobody says that there is room between two cores when what took it up was not yet mailed, and does not come back.
    RoomNotSeenAfterPosting,
    /// A publisher that rests for a slow receiver never goes on.
    StallNeverLifted,
    /// Publishers wait for a dead receiver again and again.
    StallForDeadReceiver,
    /// Subscriptions of closed connections stay.
    SubscriptionsOutliveSession,
    /// Other cores are not told when interest ends.
    InterestNotWithdrawn,
    /// Messages of other cores do not reach what a subscription is in other accounts.
    ShadowsFollowedHereOnly,
    /// What a subscription was in other accounts stays when it goes.
    ShadowsOutliveSubscription,
    /// The way back of a request stays open after its answer.
    AnsweredTwice,
    /// Requests that nobody on another core received stay without notice when they went to another account.
    ServiceNoticeByInterest,
    /// An account's number of clients is not told when one leaves.
    DeparturesUncounted,
    /// An account's number of clients that could not be told for lack of room is never told.
    ChangesForgotten,
    /// A barrier does not wait for what another core sent on to a third one.
    ForwardsNotAwaited,
    /// A PONG does not wait for events about what its client did.
    EventsNotAwaited,
    /// The event of a followed message does not wait for what other cores report.
    TracesNotGathered,
    /// Answers that are followed are not followed on the core that knows the requester.
    AnswersNotFollowed,
    /// Who answers a service that another service led to is noted for that one only.
    RespondersOfLastServiceOnly,
    /// A PONG does not wait for what other cores tell of requests that an UNSUB before it has ended.
    ForsakenNotAwaited,
    /// A barrier does not wait for what this core told of requests that another core's UNSUB has ended.
    ForsakenNotForwarded,
    /// Who is not a responder answers too: any account may publish to the way back of a request.
    AnswersOfAnyAccount,
    /// The way back of a request stays open when nobody can hear its answer any more.
    ForsakenRequestsStay,
    /// What a client sends while a worker has its handshake is forgotten.
    HandshakeInputDropped,
    /// Lame duck mode ends with the first core that has no client left.
    LameDuckEndsEarly,
    /// What is denied is delivered to wildcard subscriptions.
    DeniedDelivered,
    /// A password that differs from its hash opens the door.
    PasswordVerdictIgnored,
    /// An account's connections are counted on each core by itself.
    AccountLimitPerCore,
    /// Cores other than the first do not tell when a client leaves an account that limits its connections.
    PlacesKept,
    /// Clients of an account may do what the server allows, whatever the account does.
    AccountLimitsIgnored,
    /// Leave to answer does not end by the number of answers.
    AnswersUncounted,
    /// Leave to answer does not end by time.
    AnswersUntimed,
    /// Where chance decides what a subject becomes, it decides alike each time.
    WeightsDrawnOnce,
    /// A message that was mapped goes out under its old subject as well.
    MappedAndKept,
    /// A client that sends no CONNECT stays.
    LoginNotTimed,
    /// Subscriptions that a reload forbids stay.
    ReloadKeepsSubscriptions,
    /// A reload is told as done before all sessions have been looked at.
    ReloadReportedEarly,
    /// The review of sessions counts those it has looked at: it skips one when another one goes.
    ReviewCountsSessions,
    /// What subscriptions are in other accounts is not looked at again by a reload.
    ReloadKeepsShadows,
    /// A reload that follows another one forgets subscriptions whose imports that one changed.
    ReloadForgetsShadows,
    /// A reload takes away the leave to answer what was received before it.
    ReloadForgetsReplies,
    /// Of the clients beyond a limit those go that the first turn comes to.
    SurplusOfOneTurn,
    /// Requests under way end with a reload.
    ReloadEndsRequests,
    /// The first answer ends a request that has several.
    AnswersEndEarly,
    /// After a panic, receivers stay whose out-buffers have holes.
    BrokenReceiversStay,
    /// A panic over a message of another core costs the rest of its batch, which the other core waits for.
    BatchesEndInPanics,
}

/// See [`Shard::with_provoked_panics`].
#[cfg(feature = "mutations")]
const PANIC_SUBJECT: &[u8] = b"provoke.panic";
#[cfg(feature = "mutations")]
const MAIL_PANIC_SUBJECT: &[u8] = b"provoke.mail";

impl Shard {
    /// The shard with a bug in it.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn with_mutation(mut self, mutation: Option<Mutation>) -> Shard {
        self.mutation = mutation;
        self
    }

    /// The shard with a defect for tests of what becomes of defects: a message on [`PANIC_SUBJECT`] panics when it
    /// was given to its receivers, one on [`MAIL_PANIC_SUBJECT`] when it was given to those on another core.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn with_provoked_panics(mut self, provokes: bool) -> Shard {
        self.provokes_panics = provokes;
        self
    }

    /// The shard that looks at so many sessions in a turn after a reload: a scenario has few.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn with_reviews_of(mut self, sessions: Option<usize>) -> Shard {
        self.reviewed_a_turn = sessions;
        self
    }

    /// Sessions and subscriptions that are looked at in a turn after a reload.
    #[cfg(feature = "mutations")]
    pub(crate) fn reviewed_a_turn(&self) -> usize {
        self.reviewed_a_turn.unwrap_or(REVIEWED_A_TURN)
    }

    /// Sessions and subscriptions that are looked at in a turn after a reload.
    #[cfg(not(feature = "mutations"))]
    #[inline(always)]
    pub(crate) const fn reviewed_a_turn(&self) -> usize {
        REVIEWED_A_TURN
    }

    /// Panics, when that was asked for and this is the subject for it.
    #[cfg(feature = "mutations")]
    pub(crate) fn provoke_panic(&self, subject: &[u8]) {
        assert!(!(self.provokes_panics && subject == PANIC_SUBJECT), "provoked");
    }

    /// Nothing.
    #[cfg(not(feature = "mutations"))]
    #[inline(always)]
    pub(crate) const fn provoke_panic(&self, _subject: &[u8]) {}

    /// As [`Shard::provoke_panic`], over a message of another core.
    #[cfg(feature = "mutations")]
    pub(crate) fn provoke_panic_over_mail(&self, subject: &[u8]) {
        assert!(!(self.provokes_panics && subject == MAIL_PANIC_SUBJECT), "provoked");
    }

    /// Nothing.
    #[cfg(not(feature = "mutations"))]
    #[inline(always)]
    pub(crate) const fn provoke_panic_over_mail(&self, _subject: &[u8]) {}

    /// Whether a bug was put back.
    #[cfg(feature = "mutations")]
    pub(crate) fn is_mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Never.
    #[cfg(not(feature = "mutations"))]
    #[inline(always)]
    pub(crate) const fn is_mutated(&self, _mutation: Mutation) -> bool {
        false
    }
}
