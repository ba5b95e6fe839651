//! Queue groups whose members are spread over many connections.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use petrel_tests::{Message, PATIENCE, Server, SetOnDrop, Wire};

const PLAIN: &str = r#"{"verbose":false,"pedantic":false}"#;

/// Publishes `count` numbers from `first` on.
fn publish_numbers(address: SocketAddr, first: usize, count: usize) {
    let mut wire = Wire::connect(address, PLAIN);
    for batch in (first..first + count).collect::<Vec<_>>().chunks(40) {
        publish_batch(&mut wire, batch.iter().copied());
    }
}

/// Publishes the numbers and waits until the server has handled them, so that the other connections of a test get
/// their turn in between.
fn publish_batch(wire: &mut Wire, numbers: impl Iterator<Item = usize>) {
    let lines: String = numbers
        .map(|number| {
            let text = number.to_string();
            format!("PUB work.{} {}\r\n{text}\r\n", number % 3, text.len())
        })
        .collect();
    wire.send(lines);
    wire.sync();
}

/// Takes all messages up to the PONG of a PING that is sent now.
fn messages_until_pong(wire: &mut Wire) -> Vec<Message> {
    wire.send("PING\r\n");
    let mut messages = Vec::new();
    // The reader of messages takes PONG as a mismatch, which ends the list.
    while let Ok(message) = wire.try_take_message() {
        messages.push(message);
    }
    messages
}

fn number(message: &Message) -> usize {
    message.text().parse().expect("a number")
}

#[test]
fn each_message_goes_to_one_member_and_members_get_equal_shares() {
    const CONNECTIONS: usize = 10;
    const MEMBERS_EACH: usize = 2;
    const PUBLISHERS: usize = 4;
    const MESSAGES_EACH: usize = 5_000;
    const MESSAGES: usize = PUBLISHERS * MESSAGES_EACH;
    let server = Server::start();
    let mut members: Vec<Wire> = (0..CONNECTIONS)
        .map(|index| {
            let mut wire = Wire::connect(server.address(), PLAIN);
            // Members on different patterns that match the same subjects are one group.
            let pattern = if index % 2 == 0 { "work.*" } else { "work.>" };
            for sid in 0..MEMBERS_EACH {
                wire.send(format!("SUB {pattern} crew {sid}\r\n"));
            }
            wire.sync();
            wire
        })
        .collect();
    let received: Vec<Vec<Message>> = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let address = server.address();
                scope.spawn(move || publish_numbers(address, publisher * MESSAGES_EACH, MESSAGES_EACH))
            })
            .collect();
        for publisher in publishers {
            publisher.join().expect("a publisher ends well");
        }
        members.iter_mut().map(messages_until_pong).collect()
    });
    let all: Vec<usize> = received.iter().flatten().map(number).collect();
    assert_eq!(all.len(), MESSAGES, "each message once");
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), MESSAGES, "no message twice");
    // 1,000 for each of 20 members: 30 % off is far beyond what a fair pick would do by chance.
    let share = MESSAGES / (CONNECTIONS * MEMBERS_EACH);
    for (connection, messages) in received.iter().enumerate() {
        for sid in 0..MEMBERS_EACH {
            let count = messages.iter().filter(|message| message.sid == sid.to_string()).count();
            let bounds = share * 7 / 10..=share * 13 / 10;
            assert!(
                bounds.contains(&count),
                "member {sid} of connection {connection} got {count} of {share}"
            );
        }
    }
}

#[test]
fn a_member_that_unsubscribes_loses_nothing() {
    const STAYING: usize = 3;
    const CHANGING: usize = 4;
    const MESSAGES: usize = 20_000;
    let server = Server::start();
    let ended = AtomicBool::new(false);
    let join = |wire: &mut Wire, sid: usize| wire.send(format!("SUB work.* crew {sid}\r\n"));
    let mut staying: Vec<Wire> = (0..STAYING).map(|_| Wire::connect(server.address(), PLAIN)).collect();
    for wire in &mut staying {
        join(wire, 0);
        wire.sync();
    }
    let taken = AtomicUsize::new(0);
    let mut published = 0;
    let mut numbers: Vec<usize> = thread::scope(|scope| {
        let changing: Vec<_> = (0..CHANGING)
            .map(|_| {
                let (address, ended, taken) = (server.address(), &ended, &taken);
                scope.spawn(move || {
                    let mut wire = Wire::connect(address, PLAIN);
                    let mut received = Vec::new();
                    for sid in 1.. {
                        join(&mut wire, sid);
                        received.extend(messages_until_pong(&mut wire));
                        taken.fetch_max(received.len(), Ordering::Relaxed);
                        wire.send(format!("UNSUB {sid}\r\n"));
                        received.extend(messages_until_pong(&mut wire));
                        // After the PONG behind UNSUB nothing comes any more.
                        wire.sync();
                        if ended.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    println!("a member that came and went received {}", received.len());
                    received.iter().map(number).collect::<Vec<_>>()
                })
            })
            .collect();
        let ending = SetOnDrop(&ended);
        let deadline = Instant::now() + PATIENCE;
        // Until those that come and go took part, in any case.
        let take_part = || taken.load(Ordering::Relaxed) > MESSAGES / 100 || Instant::now() > deadline;
        while published < MESSAGES || !take_part() {
            publish_numbers(server.address(), published, MESSAGES / 4);
            published += MESSAGES / 4;
        }
        drop(ending);
        changing.into_iter().flat_map(|member| member.join().expect("a member ends well")).collect()
    });
    let by_changing = numbers.len();
    for wire in &mut staying {
        numbers.extend(messages_until_pong(wire).iter().map(number));
    }
    assert!(by_changing > MESSAGES / 100, "the members that come and go took part");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..published).collect::<Vec<_>>(), "each message once");
}

#[test]
fn a_member_that_closes_loses_only_what_was_on_its_way_to_it() {
    const CLOSING: usize = 40;
    const BATCH: usize = 10;
    let server = Server::start();
    let ended = AtomicBool::new(false);
    let mut staying = Wire::connect(server.address(), PLAIN);
    staying.send("SUB work.* crew 1\r\n");
    staying.sync();
    let (mut numbers, published) = thread::scope(|scope| {
        let (address, ended) = (server.address(), &ended);
        let publisher = scope.spawn(move || {
            let mut wire = Wire::connect(address, PLAIN);
            let mut published = 0;
            while !ended.load(Ordering::Relaxed) {
                publish_batch(&mut wire, published..published + BATCH);
                published += BATCH;
            }
            published
        });
        let ending = SetOnDrop(ended);
        let mut taken = Vec::new();
        for _ in 0..CLOSING {
            let mut member = Wire::connect(server.address(), PLAIN);
            member.send("SUB work.* crew 1\r\n");
            taken.extend((0..5).map(|_| number(&member.take_message())));
            // An orderly end: what was sent to it before its end is read by it.
            member.half_close();
            while let Ok(message) = member.try_take_message() {
                taken.push(number(&message));
            }
        }
        drop(ending);
        (taken, publisher.join().expect("the publisher ends well"))
    });
    let by_closing = numbers.len();
    numbers.extend(messages_until_pong(&mut staying).iter().map(number));
    let distinct: HashSet<&usize> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "no message twice");
    println!("{by_closing} went to members that closed, {} of {published} arrived", numbers.len());
    // What was on its way when the end of a member was seen may be lost: no more than some batches each.
    assert!(published - numbers.len() <= CLOSING * BATCH, "only {} of {published} arrived", numbers.len());
    // Once the ends are seen nothing is lost any more.
    server.monitor_until("/connz", |body| body["total"] == 1);
    publish_numbers(server.address(), 0, 1_000);
    let after: Vec<usize> = messages_until_pong(&mut staying).iter().map(number).collect();
    assert_eq!(after, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_member_with_a_maximum_passes_the_rest_on() {
    const MESSAGES: usize = 2_000;
    let server = Server::start();
    let mut limited: Vec<Wire> = (0..5).map(|_| Wire::connect(server.address(), PLAIN)).collect();
    for wire in &mut limited {
        wire.send("SUB work.* crew 1\r\nUNSUB 1 7\r\n");
        wire.sync();
    }
    let mut staying = Wire::connect(server.address(), PLAIN);
    staying.send("SUB work.* crew 1\r\n");
    staying.sync();
    thread::scope(|scope| {
        for publisher in 0..2 {
            let address = server.address();
            scope.spawn(move || publish_numbers(address, publisher * MESSAGES / 2, MESSAGES / 2));
        }
    });
    let mut numbers = Vec::new();
    for wire in &mut limited {
        let messages = messages_until_pong(wire);
        assert_eq!(messages.len(), 7, "a member with a maximum of 7");
        numbers.extend(messages.iter().map(number));
    }
    numbers.extend(messages_until_pong(&mut staying).iter().map(number));
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>(), "each message once");
}

#[test]
fn members_that_take_one_message_each_pass_all_others_on() {
    // Most picks fall on members that have just had theirs: such a message goes on to another one, wherever that is.
    const ROUNDS: usize = 300;
    const LIMITED: usize = 16;
    const MESSAGES: usize = 60;
    let server = Server::start();
    let mut connections: Vec<Wire> = (0..8).map(|_| Wire::connect(server.address(), PLAIN)).collect();
    let mut publishers: Vec<Wire> = (0..2).map(|_| Wire::connect(server.address(), PLAIN)).collect();
    for round in 0..ROUNDS {
        for member in 0..LIMITED {
            let wire = &mut connections[member % 8];
            wire.send(format!("SUB work.* crew {round}.{member}\r\nUNSUB {round}.{member} 1\r\n"));
        }
        // One member without a maximum, on another connection each time.
        let staying = round % 8;
        connections[staying].send(format!("SUB work.* crew {round}.s\r\n"));
        for wire in &mut connections {
            wire.sync();
        }
        publish_batch(&mut publishers[round % 2], 0..MESSAGES);
        // The publisher's PONG has come: those that were passed on are at their member too. It is asked at once.
        let mut numbers = Vec::new();
        let others = (0..connections.len()).filter(|index| *index != staying);
        for index in std::iter::once(staying).chain(others) {
            numbers.extend(messages_until_pong(&mut connections[index]).iter().map(number));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>(), "each message once in round {round}");
        connections[staying].send(format!("UNSUB {round}.s\r\n"));
    }
}
