//! Order and barriers across connections. A server may serve connections on different cores; what clients see must
//! be what a server sees that handles each operation to its end before it reads on.

use std::thread;

use petrel_tests::{Server, Wire};

/// A client that publishes and subscribes, nothing more.
const PLAIN: &str = r#"{"verbose":false,"pedantic":false}"#;

#[test]
fn each_subscriber_sees_each_publisher_in_order() {
    const PUBLISHERS: usize = 5;
    const SUBSCRIBERS: usize = 4;
    const MESSAGES_EACH: usize = 10_000;
    let server = Server::start();
    let subscribers: Vec<Wire> = (0..SUBSCRIBERS)
        .map(|index| {
            let mut wire = Wire::connect(server.address(), PLAIN);
            // Literal and wildcard interest take different paths; order holds over both.
            let subject = if index % 2 == 0 { "order.>" } else { "order.*.*" };
            wire.send(format!("SUB {subject} 1\r\n"));
            wire.sync();
            wire
        })
        .collect();
    thread::scope(|scope| {
        for mut subscriber in subscribers {
            scope.spawn(move || expect_in_order(&mut subscriber, PUBLISHERS, MESSAGES_EACH));
        }
        for publisher in 0..PUBLISHERS {
            let address = server.address();
            scope.spawn(move || {
                let mut wire = Wire::connect(address, PLAIN);
                for first in (0..MESSAGES_EACH).step_by(100) {
                    let batch: String = (first..first + 100)
                        .map(|number| {
                            publish(&format!("order.{publisher}.{}", number % 7), &number.to_string())
                        })
                        .collect();
                    wire.send(batch);
                }
                wire.sync();
            });
        }
    });
}

fn expect_in_order(subscriber: &mut Wire, publishers: usize, messages_each: usize) {
    let mut next = vec![0; publishers];
    for _ in 0..publishers * messages_each {
        let message = subscriber.take_message();
        let publisher: usize =
            message.subject.split('.').nth(1).expect("a publisher").parse().expect("a number");
        let number: usize = message.text().parse().expect("a number");
        assert_eq!(number, next[publisher], "the next message of publisher {publisher}");
        next[publisher] += 1;
    }
    subscriber.sync();
}

#[test]
fn a_subscription_that_changes_keeps_the_order_of_what_it_gets() {
    // A subscriber that adds and removes other subscriptions all the time gets the stream of one publisher whole.
    const MESSAGES: usize = 20_000;
    let server = Server::start();
    let mut subscriber = Wire::connect(server.address(), PLAIN);
    subscriber.send("SUB steady.> 1\r\n");
    subscriber.sync();
    thread::scope(|scope| {
        let address = server.address();
        scope.spawn(move || {
            let mut wire = Wire::connect(address, PLAIN);
            for first in (0..MESSAGES).step_by(50) {
                wire.send(
                    (first..first + 50).map(|n| publish("steady.x", &n.to_string())).collect::<String>(),
                );
            }
            wire.sync();
        });
        for number in 0..MESSAGES {
            if number % 100 == 0 {
                subscriber.send(format!("SUB other.{number} {number}a\r\nUNSUB {number}a\r\n"));
            }
            let message = subscriber.take_message();
            assert_eq!(message.text(), number.to_string());
        }
    });
    subscriber.sync();
}

#[test]
fn pong_to_a_publisher_means_queued_at_every_subscriber() {
    const ROUNDS: usize = 150;
    const BURST: usize = 20;
    let server = Server::start();
    thread::scope(|scope| {
        for pair in 0..8 {
            let address = server.address();
            scope.spawn(move || {
                let mut publisher = Wire::connect(address, PLAIN);
                let mut near = Wire::connect(address, PLAIN);
                let mut far = Wire::connect(address, PLAIN);
                for subscriber in [&mut near, &mut far] {
                    subscriber.send(format!("SUB barrier.{pair} 1\r\n"));
                    subscriber.sync();
                }
                for round in 0..ROUNDS {
                    let text = round.to_string();
                    publisher.send(publish(&format!("barrier.{pair}"), &text).repeat(BURST));
                    publisher.sync();
                    for subscriber in [&mut near, &mut far] {
                        // The answer to this PING must come behind all messages.
                        subscriber.send("PING\r\n");
                        let message = format!("MSG barrier.{pair} 1 {}\r\n{text}\r\n", text.len());
                        subscriber.expect(message.repeat(BURST) + "PONG\r\n");
                    }
                }
            });
        }
    });
}

#[test]
fn pong_to_a_subscriber_means_in_force_for_every_publisher() {
    const PAIRS: usize = 10;
    const ROUNDS: usize = 200;
    let server = Server::start();
    thread::scope(|scope| {
        for pair in 0..PAIRS {
            let address = server.address();
            scope.spawn(move || {
                let mut subscriber = Wire::connect(address, PLAIN);
                let mut publisher = Wire::connect(address, PLAIN);
                for round in 0..ROUNDS {
                    subscriber.send(format!("SUB force.{pair} {round}\r\n"));
                    subscriber.sync();
                    publisher.send(publish(&format!("force.{pair}"), "in"));
                    publisher.sync();
                    subscriber.send("PING\r\n");
                    subscriber.expect(format!("MSG force.{pair} {round} 2\r\nin\r\nPONG\r\n"));

                    subscriber.send(format!("UNSUB {round}\r\n"));
                    subscriber.sync();
                    publisher.send(publish(&format!("force.{pair}"), "out"));
                    publisher.sync();
                    subscriber.sync();
                }
            });
        }
    });
}

#[test]
fn the_acknowledgement_of_a_verbose_subscriber_means_in_force_too() {
    const PAIRS: usize = 6;
    const ROUNDS: usize = 100;
    let server = Server::start();
    thread::scope(|scope| {
        for pair in 0..PAIRS {
            let address = server.address();
            scope.spawn(move || {
                let mut subscriber = Wire::open(address).expect("the server accepts");
                subscriber.take_info();
                subscriber.send("CONNECT {\"verbose\":true}\r\n");
                subscriber.expect("+OK\r\n");
                let mut publisher = Wire::connect(address, PLAIN);
                for round in 0..ROUNDS {
                    subscriber.send(format!("SUB verbose.{pair} {round}\r\n"));
                    subscriber.expect("+OK\r\n");
                    publisher.send(publish(&format!("verbose.{pair}"), "in"));
                    subscriber.expect(format!("MSG verbose.{pair} {round} 2\r\nin\r\n"));
                    subscriber.send(format!("UNSUB {round}\r\n"));
                    subscriber.expect("+OK\r\n");
                }
            });
        }
    });
}

#[test]
fn what_a_message_causes_comes_after_what_it_follows() {
    // A publishes 1; B, on receiving it, publishes 2; C, which listens to both, must not see 2 before 1.
    const ROUNDS: usize = 500;
    let server = Server::start();
    thread::scope(|scope| {
        for trio in 0..4 {
            let address = server.address();
            scope.spawn(move || {
                let mut first = Wire::connect(address, PLAIN);
                let mut second = Wire::connect(address, PLAIN);
                second.send(format!("SUB cause.{trio} 1\r\n"));
                second.sync();
                for round in 0..ROUNDS {
                    // The observer joins anew each time, so that it lands on every core.
                    let text = round.to_string();
                    first.send(format!("SUB effect.{trio} {round}\r\n"));
                    first.send(publish(&format!("cause.{trio}"), &text));
                    let message = second.take_message();
                    assert_eq!(message.text(), text);
                    second.send(publish(&format!("effect.{trio}"), &text));
                    // The subscription was made before the message that caused this one.
                    assert_eq!(first.take_message().text(), text);
                    first.send(format!("UNSUB {round}\r\n"));
                }
            });
        }
    });
}

#[test]
fn operations_of_one_write_take_effect_one_after_the_other() {
    const ROUNDS: usize = 300;
    let server = Server::start();
    thread::scope(|scope| {
        for connection in 0..6 {
            let address = server.address();
            scope.spawn(move || {
                let mut wire = Wire::connect(address, PLAIN);
                let mut other = Wire::connect(address, PLAIN);
                other.send(format!("SUB own.{connection} 1\r\n"));
                other.sync();
                let subject = format!("own.{connection}");
                for round in 0..ROUNDS {
                    let (before, inside, after) =
                        (publish(&subject, "1"), publish(&subject, "2"), publish(&subject, "3"));
                    wire.send(format!(
                        "{before}SUB {subject} {round}\r\n{inside}UNSUB {round}\r\n{after}PING\r\n"
                    ));
                    wire.expect(format!("MSG {subject} {round} 1\r\n2\r\nPONG\r\n"));
                    other.send("PING\r\n");
                    let seen: String = (1..=3).map(|n| format!("MSG {subject} 1 1\r\n{n}\r\n")).collect();
                    other.expect(seen + "PONG\r\n");
                }
            });
        }
    });
}

#[test]
fn what_is_said_before_an_answer_is_read_is_not_lost() {
    // Each PING may hold up the connection; what comes meanwhile, in writes of its own, has to wait, not to vanish.
    const ROUNDS: usize = 400;
    let server = Server::start();
    thread::scope(|scope| {
        for connection in 0..6 {
            let address = server.address();
            scope.spawn(move || {
                let mut wire = Wire::connect(address, PLAIN);
                let mut other = Wire::connect(address, PLAIN);
                other.send(format!("SUB ahead.{connection} 1\r\n"));
                other.sync();
                let subject = format!("ahead.{connection}");
                for round in 0..ROUNDS {
                    let text = round.to_string();
                    wire.send(format!("SUB {subject} {round}\r\n"));
                    wire.send(publish(&subject, &text));
                    wire.send("PING\r\n");
                    wire.send(format!("UNSUB {round}\r\nPING\r\n"));
                }
                for round in 0..ROUNDS {
                    let size = round.to_string().len();
                    wire.expect(format!("MSG {subject} {round} {size}\r\n{round}\r\nPONG\r\nPONG\r\n"));
                }
                let all =
                    |round: usize| format!("MSG {subject} 1 {}\r\n{round}\r\n", round.to_string().len());
                other.send("PING\r\n");
                other.expect((0..ROUNDS).map(all).collect::<String>() + "PONG\r\n");
            });
        }
    });
}

#[test]
fn a_maximum_counts_over_all_publishers() {
    const ROUNDS: usize = 60;
    const PUBLISHERS: usize = 4;
    let server = Server::start();
    let mut publishers: Vec<Wire> = (0..PUBLISHERS).map(|_| Wire::connect(server.address(), PLAIN)).collect();
    let mut subscriber = Wire::connect(server.address(), PLAIN);
    for round in 0..ROUNDS {
        subscriber.send(format!("SUB counted {round}\r\nUNSUB {round} 10\r\n"));
        subscriber.sync();
        for publisher in &mut publishers {
            publisher.send(publish("counted", "x").repeat(5) + "PING\r\n");
        }
        for publisher in &mut publishers {
            publisher.expect("PONG\r\n");
        }
        subscriber.send("PING\r\n");
        let message = format!("MSG counted {round} 1\r\nx\r\n");
        subscriber.expect(message.repeat(10) + "PONG\r\n");
    }
}

/// The line and payload that publish `text` to `subject`.
fn publish(subject: &str, text: &str) -> String {
    format!("PUB {subject} {}\r\n{text}\r\n", text.len())
}
