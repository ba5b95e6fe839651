//! Which scenario finds which known bug.

use petrel_engine::Mutation;

/// A known bug and the scenario that turns red when it is put back.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// The bug.
    pub mutation: Mutation,
    /// The scenario's name.
    pub scenario: &'static str,
    /// It is found within so many seeds.
    pub seeds_max: u64,
}

const fn mutant(mutation: Mutation, scenario: &'static str, seeds_max: u64) -> Mutant {
    Mutant { mutation, scenario, seeds_max }
}

/// All known bugs.
pub const MUTANTS: &[Mutant] = &[
    mutant(Mutation::PongWithoutBarrier, "barrier", 50),
    mutant(Mutation::WatermarkNotWaited, "barrier", 50),
    mutant(Mutation::BarrierAheadOfBatch, "barrier", 50),
    mutant(Mutation::ReturnsNotAwaited, "no-responders", 300),
    mutant(Mutation::RetriesNotAwaited, "no-responders", 2000),
    mutant(Mutation::SharedInterestNotAwaited, "company", 20),
    mutant(Mutation::PublishAheadOfInterest, "causality", 100),
    mutant(Mutation::EnvelopesAheadOfInterest, "causality", 100),
    mutant(Mutation::BatchReversed, "order", 20),
    mutant(Mutation::HeldInputDropped, "order", 50),
    mutant(Mutation::EndOfInputCutsWrites, "order", 100),
    mutant(Mutation::QueueEnvelopeNotReturned, "queue-groups", 50),
    mutant(Mutation::ReturnedTriedHereOnly, "queue-groups", 100),
    mutant(Mutation::EchoToQueueMembers, "queue-groups", 20),
    mutant(Mutation::MaximumIgnored, "queue-groups", 20),
    mutant(Mutation::NoticeByLocalDelivery, "no-responders", 20),
    mutant(Mutation::NoticeByInterest, "no-responders", 20),
    mutant(Mutation::ReportsIgnored, "no-responders", 20),
    mutant(Mutation::RoomNotSeenAfterPosting, "room", 1000),
    mutant(Mutation::StallNeverLifted, "stall", 50),
    mutant(Mutation::StallForDeadReceiver, "stall", 50),
    mutant(Mutation::SubscriptionsOutliveSession, "chaos", 20),
    mutant(Mutation::InterestNotWithdrawn, "chaos", 20),
    mutant(Mutation::LameDuckEndsEarly, "lame-duck", 50),
    mutant(Mutation::DeniedDelivered, "permissions", 20),
    mutant(Mutation::ReloadKeepsSubscriptions, "permissions", 20),
    mutant(Mutation::PasswordVerdictIgnored, "logins", 20),
    mutant(Mutation::AccountLimitPerCore, "logins", 20),
    mutant(Mutation::LoginNotTimed, "logins", 20),
    mutant(Mutation::PlacesKept, "account-limits", 20),
    mutant(Mutation::AccountLimitsIgnored, "account-limits", 20),
    mutant(Mutation::AnswersUncounted, "responses", 20),
    mutant(Mutation::AnswersUntimed, "responses", 20),
    mutant(Mutation::ReloadForgetsReplies, "responses", 50),
    mutant(Mutation::WeightsDrawnOnce, "weights", 20),
    mutant(Mutation::MappedAndKept, "weights", 20),
    mutant(Mutation::AnswersOfAnyAccount, "token-positions", 50),
    mutant(Mutation::HandshakeInputDropped, "handshakes", 20),
    mutant(Mutation::DeparturesUncounted, "system-events", 20),
    mutant(Mutation::ChangesForgotten, "system-events", 50),
    mutant(Mutation::ReloadReportedEarly, "reloads", 20),
    mutant(Mutation::ReviewCountsSessions, "reloads", 100),
    mutant(Mutation::SurplusOfOneTurn, "reloads", 20),
    mutant(Mutation::BrokenReceiversStay, "panics", 50),
    mutant(Mutation::BatchesEndInPanics, "panics", 20),
    mutant(Mutation::ShadowsFollowedHereOnly, "stream-imports", 20),
    mutant(Mutation::ShadowsOutliveSubscription, "stream-imports", 50),
    mutant(Mutation::AnsweredTwice, "service-imports", 20),
    mutant(Mutation::ServiceNoticeByInterest, "service-imports", 50),
    mutant(Mutation::ForwardsNotAwaited, "service-imports", 400),
    mutant(Mutation::AnswersEndEarly, "service-streams", 20),
    mutant(Mutation::ReloadKeepsShadows, "import-reloads", 20),
    mutant(Mutation::ReloadForgetsShadows, "import-reloads", 100),
    mutant(Mutation::ReloadEndsRequests, "import-reloads", 100),
    mutant(Mutation::ForsakenRequestsStay, "latency", 20),
    mutant(Mutation::EventsNotAwaited, "latency", 200),
    mutant(Mutation::ForsakenNotAwaited, "latency", 1000),
    mutant(Mutation::ForsakenNotForwarded, "latency", 2000),
    mutant(Mutation::RespondersOfLastServiceOnly, "latency", 50),
    mutant(Mutation::TracesNotGathered, "traces", 20),
    mutant(Mutation::AnswersNotFollowed, "traces", 50),
];

/// The bug of a name.
///
/// # Errors
/// When there is none; the text lists all.
pub fn find(name: &str) -> Result<Mutation, String> {
    let named = |mutant: &Mutant| format!("{:?}", mutant.mutation);
    MUTANTS.iter().find(|mutant| named(mutant) == name).map(|mutant| mutant.mutation).ok_or_else(|| {
        let names: Vec<String> = MUTANTS.iter().map(named).collect();
        format!("one of {}", names.join(", "))
    })
}
