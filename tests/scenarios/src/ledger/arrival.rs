//! A message that a client reads, and whether it may.

use super::message::{self, Message, MessageId, Publication, headers, payload};
use super::{ConnectionId, Ledger, Profile, SubscriptionId};
use crate::wire::Received;

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Somebody's message.
    Message(MessageId, SubscriptionId),
    /// The 503 notice for a request.
    Notice(MessageId),
    /// Something that breaks the rules, as was noted.
    Wrong,
}

impl Ledger {
    /// A client reads a message.
    pub fn delivered(&mut self, id: ConnectionId, received: &Received) -> Arrival {
        self.tick();
        let is_notice =
            received.headers.as_deref().is_some_and(|headers| headers.starts_with(b"NATS/1.0 503\r\n"));
        let known = usize::try_from(received.sid).ok().and_then(|sid| self.subscriptions.get(sid));
        let outcome = match known.filter(|subscription| subscription.connection == id) {
            None => Err("it has no subscription with that sid".to_owned()),
            Some(_) if is_notice => self.noticed(id, received).map(Arrival::Notice),
            Some(_) => self.accept(SubscriptionId(received.sid as usize), received),
        };
        outcome.unwrap_or_else(|wrong| {
            let client = self.connections[id.0].client;
            let (subject, sid) = (&received.subject, received.sid);
            self.violate(format!("client {client} got a message on {subject:?} for sid {sid}: {wrong}"));
            Arrival::Wrong
        })
    }

    fn noticed(&mut self, id: ConnectionId, received: &Received) -> Result<MessageId, String> {
        let request = *self.requests.get(&received.subject).ok_or("a notice for no request")?;
        let message = &mut self.messages[request.0];
        let subject = &message.publication.subject;
        let expected = format!("NATS/1.0 503\r\nNats-Subject: {subject}\r\n\r\n");
        if received.headers.as_deref() != Some(expected.as_bytes()) || !received.payload.is_empty() {
            return Err(format!("a notice for {subject:?} with other headers or a payload"));
        }
        if message.publisher != id || received.reply.is_some() {
            return Err("a notice that is somebody else's".into());
        }
        message.notices += 1;
        self.effects.add("notices", 1);
        let message = &self.messages[request.0];
        if message.notices > 1 {
            return Err(format!("a second notice for message {}", request.0));
        }
        if message.deliveries > 0 {
            return Err(format!("a notice for message {}, which somebody received", request.0));
        }
        Ok(request)
    }

    /// Judges a message that arrived for a subscription.
    fn accept(&mut self, id: SubscriptionId, received: &Received) -> Result<Arrival, String> {
        let number = message::number(&received.payload)
            .filter(|number| number.0 < self.messages.len())
            .ok_or("a payload that nobody published")?;
        let (publisher, receiver) = (self.messages[number.0].publisher, self.subscriptions[id.0].connection);
        let subject = &self.messages[number.0].publication.subject;
        let seen = self.subject_seen(publisher, receiver, subject).ok_or("a message of another account")?;
        let is_request = self.is_request_elsewhere(publisher, receiver);
        if is_request && let Some(reply) = &received.reply {
            self.note_way_back(number, reply);
        }
        let subscription = &mut self.subscriptions[id.0];
        let message = &mut self.messages[number.0];
        let profile = &self.connections[subscription.connection.0].profile;
        is_whole(number, message, profile, (&seen, is_request), received)?;
        if !subscription.interest.wants(&received.subject) {
            return Err(format!("which {:?} does not match, or may not have", subscription.interest.pattern));
        }
        if message.publisher == subscription.connection && !profile.echo {
            return Err(format!("message {}, its own, without echo", number.0));
        }
        if subscription.is_gone {
            return Err(format!("message {}, after the UNSUB was confirmed", number.0));
        }
        subscription.deliveries += 1;
        // What was delivered between SUB and the UNSUB that says the maximum is not held against it.
        let is_known = subscription.confirmed;
        if subscription.interest.max.is_some_and(|max| is_known && subscription.deliveries > max) {
            return Err(format!("message {}, beyond its maximum", number.0));
        }
        subscription.outstanding.remove(&number);
        message.deliveries += 1;
        self.effects.add("deliveries", 1);
        match &subscription.interest.queue {
            None => {
                let way = way_of(&message.publication.subject);
                let last = subscription.last.insert((message.publisher, way), number);
                if let Some(last) = last.filter(|last| *last >= number) {
                    return Err(format!("message {} after {} of the same publisher", number.0, last.0));
                }
            }
            Some(group) if message.taken.contains(group) => {
                return Err(format!("message {}, which group {group:?} has got already", number.0));
            }
            Some(group) => {
                message.taken.push(group.clone());
                self.effects.add("queue deliveries", 1);
            }
        }
        if message.notices > 0 {
            return Err(format!("message {}, after the notice that nobody received it", number.0));
        }
        Ok(Arrival::Message(number, id))
    }
}

/// The first part of the way back that an answer takes: it names the core that knows the requester. Answers that go
/// back over different cores may change places for somebody who hears both.
fn way_of(subject: &str) -> Option<String> {
    let rest = subject.strip_prefix("_R_.")?;
    rest.split('.').next().map(str::to_owned)
}

/// Whether a message arrived as it was published, as far as the receiver understands it.
fn is_whole(
    number: MessageId,
    message: &Message,
    receiver: &Profile,
    (subject, is_request): (&str, bool),
    received: &Received,
) -> Result<(), String> {
    let Publication { reply, payload_bytes, with_headers, .. } = &message.publication;
    let reply = if is_request { &message.way_back } else { reply };
    if received.subject != *subject || received.reply != *reply {
        return Err(format!("message {} with another subject or reply than published", number.0));
    }
    if received.payload != payload(number, *payload_bytes) {
        return Err(format!("message {} with another payload than published", number.0));
    }
    let expected = (*with_headers && receiver.headers).then(|| headers(number));
    if is_request {
        if receiver.headers && !tells_who_asks(received.headers.as_deref(), expected.as_deref()) {
            return Err(format!("request {} without who asks", number.0));
        }
    } else if received.headers != expected {
        return Err(format!("message {} with other headers than published", number.0));
    }
    Ok(())
}

/// Whether the headers of a request are those that were published, and then who asks.
fn tells_who_asks(headers: Option<&[u8]>, published: Option<&[u8]>) -> bool {
    let begin = published.and_then(|published| published.strip_suffix(b"\r\n\r\n")).unwrap_or(b"NATS/1.0");
    let rest = headers.and_then(|headers| headers.strip_prefix(begin));
    rest.is_some_and(|rest| rest.starts_with(b"\r\nNats-Request-Info: {\"acc\":\"IMP\""))
}
