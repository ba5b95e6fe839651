//! The oracle finds each broken rule, and none where all is well.

use super::*;
use crate::wire::Received;

/// Two clients, a subscription of the second one that is confirmed, and messages of the first.
struct Case {
    ledger: Ledger,
    publisher: ConnectionId,
    subscriber: ConnectionId,
}

fn case(publisher: Profile) -> Case {
    let mut ledger = Ledger::default();
    let publisher = ledger.connected(0, publisher);
    let subscriber = ledger.connected(1, Profile::default());
    Case { ledger, publisher, subscriber }
}

impl Case {
    fn ping(&mut self, id: ConnectionId) {
        self.ledger.pinged(id, PingPurpose::Own);
        assert_eq!(self.ledger.ponged(id), Some(PingPurpose::Own));
    }

    /// A subscription of the subscriber that a PONG has confirmed.
    fn subscribe(&mut self, interest: Interest) -> SubscriptionId {
        let id = self.ledger.subscribed(self.subscriber, interest);
        self.ping(self.subscriber);
        id
    }

    fn publish(&mut self, reply: Option<&str>) -> MessageId {
        let reply = reply.map(str::to_owned);
        let publication = Publication { subject: "a".into(), reply, payload_bytes: 9, with_headers: false };
        self.ledger.published(self.publisher, publication)
    }

    fn received(&self, message: MessageId, subscription: SubscriptionId) -> Received {
        let publication = self.ledger.message(message).publication.clone();
        Received {
            subject: publication.subject,
            sid: subscription.0 as u64,
            reply: publication.reply,
            headers: None,
            payload: payload(message, publication.payload_bytes),
        }
    }

    fn deliver(&mut self, message: MessageId, subscription: SubscriptionId) {
        let received = self.received(message, subscription);
        let connection = self.ledger.subscription(subscription).connection;
        self.ledger.delivered(connection, &received);
    }

    fn sweep(&mut self) {
        self.ledger.begin_sweep([self.publisher, self.subscriber].into_iter());
        for id in [self.publisher, self.subscriber] {
            self.ledger.pinged(id, PingPurpose::Sweep);
            self.ledger.ponged(id);
        }
        assert!(!self.ledger.is_sweeping());
    }

    fn settle(&mut self) {
        self.sweep();
        self.sweep();
        self.ledger.finish();
    }

    fn is_well(&self) {
        assert_eq!(self.ledger.violations(), Vec::<String>::new());
    }

    fn is_wrong(&self, what: &str) {
        let violations = self.ledger.violations();
        assert!(violations.iter().any(|text| text.contains(what)), "{what:?} is not in {violations:?}");
    }
}

fn plain() -> Interest {
    Interest { pattern: "a".into(), ..Interest::default() }
}

fn member(max: Option<u32>) -> Interest {
    Interest {
        pattern: "*".into(),
        queue: Some("g".into()),
        max,
        is_permanent: max.is_none(),
        ..Interest::default()
    }
}

fn asker() -> Profile {
    Profile { no_responders: true, ..Profile::default() }
}

#[test]
fn all_is_well_when_everything_arrives() {
    let mut case = case(Profile::default());
    let (one, group) = (case.subscribe(plain()), case.subscribe(member(None)));
    for _ in 0..3 {
        let message = case.publish(None);
        case.deliver(message, one);
        case.deliver(message, group);
    }
    case.settle();
    case.is_well();
}

#[test]
fn another_order_is_found() {
    let mut case = case(Profile::default());
    let one = case.subscribe(plain());
    let (first, second) = (case.publish(None), case.publish(None));
    case.deliver(second, one);
    case.is_well();
    case.deliver(first, one);
    case.is_wrong("message 0 after 1");
}

#[test]
fn a_second_copy_is_found() {
    let mut case = case(Profile::default());
    let one = case.subscribe(plain());
    let message = case.publish(None);
    case.deliver(message, one);
    case.deliver(message, one);
    case.is_wrong("message 0 after 0");
}

#[test]
fn a_pong_ahead_of_an_acknowledged_message_is_found() {
    let mut case = case(Profile::default());
    let one = case.subscribe(plain());
    let message = case.publish(None);
    // Not acknowledged yet: the PONG may come first.
    case.ping(case.subscriber);
    case.is_well();
    case.ping(case.publisher);
    case.ledger.pinged(case.subscriber, PingPurpose::Own);
    case.deliver(message, one);
    case.ledger.ponged(case.subscriber);
    case.is_well();
    case.publish(None);
    case.ping(case.publisher);
    case.ping(case.subscriber);
    case.is_wrong("a PONG came before");
}

#[test]
fn a_lost_message_is_found() {
    let mut case = case(Profile::default());
    case.subscribe(plain());
    case.publish(None);
    case.ping(case.publisher);
    case.ledger.finish();
    case.is_wrong("was lost on a living connection");
}

#[test]
fn nothing_is_owed_to_a_subscription_that_is_not_confirmed_or_has_left() {
    let mut case = case(Profile::default());
    let left = case.subscribe(plain());
    case.ledger.unsubscribed(left, true);
    case.ledger.subscribed(case.subscriber, plain());
    case.publish(None);
    case.settle();
    case.is_well();
}

#[test]
fn a_message_after_the_confirmed_unsub_is_found() {
    let mut case = case(Profile::default());
    let one = case.subscribe(plain());
    let (first, second) = (case.publish(None), case.publish(None));
    case.ledger.unsubscribed(one, true);
    case.deliver(first, one);
    case.is_well();
    case.ping(case.subscriber);
    case.deliver(second, one);
    case.is_wrong("after the UNSUB was confirmed");
}

#[test]
fn a_message_beyond_the_maximum_is_found() {
    let mut case = case(Profile::default());
    let one = case.subscribe(member(Some(1)));
    let (first, second) = (case.publish(None), case.publish(None));
    case.deliver(first, one);
    case.is_well();
    case.deliver(second, one);
    case.is_wrong("beyond its maximum");
}

#[test]
fn an_echo_that_is_not_wanted_is_found() {
    let mut case = case(Profile { echo: false, ..Profile::default() });
    let own = case.ledger.subscribed(case.publisher, plain());
    let message = case.publish(None);
    case.deliver(message, own);
    case.is_wrong("without echo");
}

#[test]
fn changed_bytes_and_wrong_receivers_are_found() {
    let spoil: [fn(&mut Received); 6] = [
        |received| received.subject = "b".into(),
        |received| received.reply = Some("r".into()),
        |received| received.payload[3] ^= 1,
        |received| received.payload.push(0),
        |received| received.headers = Some(b"NATS/1.0\r\n\r\n".to_vec()),
        |received| received.sid = 77,
    ];
    for spoil in spoil {
        let mut case = case(Profile::default());
        let one = case.subscribe(plain());
        let message = case.publish(None);
        let mut received = case.received(message, one);
        spoil(&mut received);
        case.ledger.delivered(case.subscriber, &received);
        case.is_wrong("client 1 got a message");
    }
}

#[test]
fn a_group_that_gets_nothing_or_two_is_found() {
    let mut nothing = case(Profile::default());
    nothing.subscribe(member(None));
    nothing.publish(None);
    nothing.settle();
    nothing.is_wrong("nobody of group \"g\" got it");
    let mut two = case(Profile::default());
    let (one, other) = (two.subscribe(member(None)), two.subscribe(member(None)));
    let message = two.publish(None);
    two.deliver(message, one);
    two.deliver(message, other);
    two.is_wrong("has got already");
}

/// A request whose inbox is confirmed.
fn request(case: &mut Case) -> (MessageId, SubscriptionId) {
    let pattern = "inbox.*".to_owned();
    let inbox = case.ledger.subscribed(case.publisher, Interest { pattern, ..Interest::default() });
    case.ping(case.publisher);
    (case.publish(Some("inbox.1")), inbox)
}

fn notice(inbox: SubscriptionId) -> Received {
    Received {
        subject: "inbox.1".into(),
        sid: inbox.0 as u64,
        reply: None,
        headers: Some(b"NATS/1.0 503\r\nNats-Subject: a\r\n\r\n".to_vec()),
        payload: Vec::new(),
    }
}

#[test]
fn a_notice_is_wanted_once_when_nobody_received_the_request() {
    let mut case = case(asker());
    let (_, inbox) = request(&mut case);
    case.ledger.delivered(case.publisher, &notice(inbox));
    case.settle();
    case.is_well();
    case.ledger.delivered(case.publisher, &notice(inbox));
    case.is_wrong("a second notice");
}

#[test]
fn a_missing_or_late_notice_is_found() {
    let mut missing = case(asker());
    request(&mut missing);
    missing.settle();
    missing.is_wrong("no notice came");
    let mut late = case(asker());
    let (_, inbox) = request(&mut late);
    late.ping(late.publisher);
    late.ledger.delivered(late.publisher, &notice(inbox));
    late.settle();
    late.is_wrong("came after the PONG");
}

#[test]
fn a_notice_for_a_request_that_somebody_received_is_found() {
    let mut case = case(asker());
    let one = case.subscribe(plain());
    let (message, inbox) = request(&mut case);
    case.deliver(message, one);
    case.ledger.delivered(case.publisher, &notice(inbox));
    case.is_wrong("which somebody received");
}

#[test]
fn a_pong_without_a_ping_is_found() {
    let mut case = case(Profile::default());
    assert_eq!(case.ledger.ponged(case.subscriber), None);
    case.is_wrong("a PONG without a PING");
}

#[test]
fn the_dead_owe_and_get_nothing() {
    let mut case = case(Profile::default());
    case.subscribe(plain());
    case.publish(None);
    case.ping(case.publisher);
    case.ledger.begin_sweep([case.publisher, case.subscriber].into_iter());
    case.ledger.ended(case.subscriber);
    case.ledger.pinged(case.publisher, PingPurpose::Sweep);
    case.ledger.ponged(case.publisher);
    assert!(!case.ledger.is_sweeping());
    case.ledger.finish();
    case.is_well();
}
