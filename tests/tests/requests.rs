//! Requests and their answers, across connections: no answer is lost, and the server answers in place of responders
//! exactly when nobody received the request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use petrel_tests::{PATIENCE, Server, SetOnDrop, Wire};

/// A client that wants to know when nobody is there.
const REQUESTER: &str = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;

/// As [`REQUESTER`], and its own messages are not for itself.
const REQUESTER_WITHOUT_ECHO: &str =
    r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"echo":false}"#;

/// A responder: answers each message with its payload until it is told to end by a message `end`.
fn respond(wire: &mut Wire) -> usize {
    let mut answered = 0;
    loop {
        let message = wire.take_message();
        if message.payload == b"end" {
            return answered;
        }
        let reply = message.reply.as_deref().expect("a request has a reply");
        wire.send(format!("PUB {reply} {}\r\n{}\r\n", message.payload.len(), message.text()));
        answered += 1;
    }
}

#[test]
fn a_request_in_one_write_always_gets_its_answer() {
    const REQUESTERS: usize = 8;
    const REQUESTS_EACH: usize = 300;
    let server = Server::start();
    let mut responder = Wire::connect(server.address(), REQUESTER);
    responder.send("SUB service 1\r\n");
    responder.sync();
    thread::scope(|scope| {
        let answering = scope.spawn(move || respond(&mut responder));
        let requesters: Vec<_> = (0..REQUESTERS)
            .map(|requester| {
                let address = server.address();
                scope.spawn(move || {
                    let mut wire = Wire::connect(address, REQUESTER);
                    for request in 0..REQUESTS_EACH {
                        let inbox = format!("_INBOX.{requester}.{request}");
                        let text = request.to_string();
                        let size = text.len();
                        // Subscription, its maximum and request in one write: the answer must find it.
                        wire.send(format!(
                            "SUB {inbox} {request}\r\nUNSUB {request} 1\r\nPUB service {inbox} {size}\r\n{text}\r\n"
                        ));
                        wire.expect(format!("MSG {inbox} {request} {size}\r\n{text}\r\n"));
                    }
                    wire.sync();
                })
            })
            .collect();
        for requester in requesters {
            requester.join().expect("a requester ends well");
        }
        Wire::client(server.address()).send("PUB service 3\r\nend\r\n");
        assert_eq!(answering.join().expect("the responder ends well"), REQUESTERS * REQUESTS_EACH);
    });
}

#[test]
fn fresh_connections_get_their_answers_too() {
    const CONNECTIONS: usize = 200;
    let server = Server::start();
    let mut responder = Wire::connect(server.address(), REQUESTER);
    responder.send("SUB service workers 1\r\n");
    responder.sync();
    thread::scope(|scope| {
        let answering = scope.spawn(move || respond(&mut responder));
        for connection in 0..CONNECTIONS {
            let mut wire = Wire::open(server.address()).expect("the server accepts");
            wire.take_info();
            // Everything in the first write, as short-lived clients do it.
            let inbox = format!("_INBOX.{connection}");
            wire.send(format!("CONNECT {REQUESTER}\r\nSUB {inbox} 1\r\nPUB service {inbox} 2\r\nhi\r\n"));
            wire.expect(format!("MSG {inbox} 1 2\r\nhi\r\n"));
        }
        Wire::client(server.address()).send("PUB service 3\r\nend\r\n");
        assert_eq!(answering.join().expect("the responder ends well"), CONNECTIONS);
    });
}

#[test]
fn without_a_receiver_the_server_answers_and_with_one_it_does_not() {
    const PAIRS: usize = 8;
    const ROUNDS: usize = 150;
    let server = Server::start();
    thread::scope(|scope| {
        for pair in 0..PAIRS {
            let address = server.address();
            scope.spawn(move || {
                let mut requester = Wire::connect(address, REQUESTER);
                let mut responder = Wire::connect(address, REQUESTER);
                requester.send(format!("SUB inbox.{pair}.* 1\r\n"));
                let group = if pair % 2 == 0 { "" } else { " workers" };
                for round in 0..ROUNDS {
                    let inbox = format!("inbox.{pair}.{round}");
                    let request = format!("PUB service.{pair} {inbox} 2\r\nhi\r\n");
                    requester.send(&request);
                    expect_no_responders(&mut requester, &inbox, &format!("service.{pair}"));

                    responder.send(format!("SUB service.{pair}{group} {round}\r\n"));
                    responder.sync();
                    requester.send(&request);
                    requester.sync();
                    responder.expect(format!("MSG service.{pair} {round} {inbox} 2\r\nhi\r\n"));
                    responder.send(format!("UNSUB {round}\r\n"));
                    responder.sync();
                }
            });
        }
    });
}

#[test]
fn an_answer_of_the_server_comes_after_what_was_said_before_the_request() {
    // Clients without a PING in their flush take any answer for a sign that their subscriptions are in force.
    const PAIRS: usize = 6;
    const ROUNDS: usize = 100;
    let server = Server::start();
    thread::scope(|scope| {
        for pair in 0..PAIRS {
            let address = server.address();
            scope.spawn(move || {
                let mut subscriber = Wire::connect(address, REQUESTER);
                let mut publisher = Wire::connect(address, REQUESTER);
                subscriber.send(format!("SUB inbox.{pair}.* 1\r\n"));
                for round in 0..ROUNDS {
                    let inbox = format!("inbox.{pair}.{round}");
                    subscriber.send(format!("SUB said.{pair} {round}a\r\nPUB nobody {inbox} 0\r\n\r\n"));
                    expect_no_responders(&mut subscriber, &inbox, "nobody");
                    publisher.send(format!("PUB said.{pair} 2\r\nhi\r\n"));
                    subscriber.expect(format!("MSG said.{pair} {round}a 2\r\nhi\r\n"));
                    subscriber.send(format!("UNSUB {round}a\r\n"));
                }
            });
        }
    });
}

#[test]
fn each_request_gets_one_answer_while_responders_come_and_go() {
    // Either a responder received it and answers, or nobody did and the server answers. Never both, never nothing.
    const REQUESTERS: usize = 3;
    const REQUESTS_EACH: usize = 1500;
    let server = Server::start();
    let ended = AtomicBool::new(false);
    let (mut by_server, mut by_responder) = (0, 0);
    thread::scope(|scope| {
        let _ending = SetOnDrop(&ended);
        for responder in 0..3 {
            let (address, ended) = (server.address(), &ended);
            scope.spawn(move || come_and_go(address, responder, ended));
        }
        let requesters: Vec<_> = (0..REQUESTERS)
            .map(|requester| {
                let address = server.address();
                scope.spawn(move || {
                    let mut wire = Wire::connect(address, REQUESTER);
                    wire.send(format!("SUB inbox.{requester}.* 1\r\n"));
                    let (mut by_server, mut request) = (0, 0);
                    let deadline = Instant::now() + PATIENCE;
                    // Until there were answers of both kinds, in any case.
                    while request < REQUESTS_EACH
                        || ((by_server == 0 || by_server == request) && Instant::now() < deadline)
                    {
                        let inbox = format!("inbox.{requester}.{request}");
                        wire.send(format!("PUB service {inbox} 2\r\nhi\r\n"));
                        let answer = wire.take_message();
                        assert_eq!(answer.subject, inbox, "an answer to an earlier request");
                        by_server += usize::from(answer.is_no_responders());
                        request += 1;
                    }
                    wire.expect_nothing(50);
                    (by_server, request - by_server)
                })
            })
            .collect();
        for requester in requesters {
            let (of_server, of_responders) = requester.join().expect("a requester ends well");
            by_server += of_server;
            by_responder += of_responders;
        }
    });
    println!("answered by the server: {by_server}, by responders: {by_responder}");
    assert!(by_server > 0 && by_responder > 0, "both kinds of answers must have happened");
}

/// Subscribes in a queue group, answers for a while, leaves, and so on.
fn come_and_go(address: std::net::SocketAddr, responder: usize, ended: &AtomicBool) {
    let mut wire = Wire::connect(address, REQUESTER);
    let mut round = 0_usize;
    while !ended.load(Ordering::Relaxed) {
        wire.send(format!("SUB service workers {round}\r\n"));
        for _ in 0..=responder {
            answer_until_pong(&mut wire);
        }
        wire.send(format!("UNSUB {round}\r\n"));
        answer_until_pong(&mut wire);
        if round.is_multiple_of(3) {
            thread::sleep(std::time::Duration::from_micros(300));
        }
        round += 1;
    }
    answer_until_pong(&mut wire);
}

/// Sends PING and answers all messages up to its PONG.
fn answer_until_pong(wire: &mut Wire) {
    wire.send("PING\r\n");
    loop {
        let line = wire.take_line();
        if line == "PONG" {
            return;
        }
        if line == "PING" {
            wire.send("PONG\r\n");
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "MSG", "a request: {line}");
        assert_eq!(words.len(), 5, "a request with a reply: {line}");
        wire.expect("hi\r\n");
        wire.send(format!("PUB {} 2\r\nok\r\n", words[3]));
    }
}

#[test]
fn the_requester_itself_is_nobody_when_it_does_not_hear_itself() {
    let server = Server::start();
    for group in ["", " workers"] {
        let mut wire = Wire::connect(server.address(), REQUESTER_WITHOUT_ECHO);
        wire.send(format!("SUB inbox 1\r\nSUB own{group} 2\r\n"));
        for _ in 0..200 {
            wire.send("PUB own inbox 2\r\nhi\r\n");
            expect_no_responders(&mut wire, "inbox", "own");
        }
        wire.sync();
    }
}

#[test]
fn a_member_that_cannot_take_it_passes_the_request_on() {
    // One member of the group is the requester itself, without echo: the other one gets every request.
    let server = Server::start();
    let mut requester = Wire::connect(server.address(), REQUESTER_WITHOUT_ECHO);
    requester.send("SUB inbox 1\r\nSUB shared workers 2\r\n");
    requester.sync();
    let mut members: Vec<Wire> = (0..4).map(|_| Wire::connect(server.address(), REQUESTER)).collect();
    for member in &mut members {
        member.send("SUB shared workers 1\r\n");
        member.sync();
    }
    const REQUESTS: usize = 400;
    for _ in 0..REQUESTS {
        requester.send("PUB shared inbox 2\r\nhi\r\n");
    }
    requester.sync();
    let received: usize = members.iter_mut().map(count_messages_until_pong).sum();
    assert_eq!(received, REQUESTS);
}

#[test]
fn a_responder_that_has_closed_is_nobody() {
    const ROUNDS: usize = 100;
    let server = Server::start();
    let mut requester = Wire::connect(server.address(), REQUESTER);
    requester.send("SUB inbox.* 1\r\n");
    for round in 0..ROUNDS {
        let mut responder = Wire::connect(server.address(), REQUESTER);
        responder.send(format!("SUB gone.{round} 1\r\n"));
        responder.sync();
        drop(responder);
        // Until the server has seen the end, the request is received by a connection that nobody reads.
        let inbox = format!("inbox.{round}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            requester.send(format!("PUB gone.{round} {inbox} 2\r\nhi\r\nPING\r\n"));
            let line = requester.take_line();
            if line != "PONG" {
                assert!(line.starts_with(&format!("HMSG {inbox} 1 ")), "{line}");
                requester.expect(format!("NATS/1.0 503\r\nNats-Subject: gone.{round}\r\n\r\n\r\nPONG\r\n"));
                break;
            }
            assert!(Instant::now() < deadline, "the closed responder still counts");
        }
    }
}

fn count_messages_until_pong(wire: &mut Wire) -> usize {
    let lines = wire.lines_until_pong();
    lines.iter().filter(|line| line.starts_with("MSG ")).count()
}

/// Takes the server's answer to a request for `subject` that nobody received.
#[track_caller]
fn expect_no_responders(wire: &mut Wire, inbox: &str, subject: &str) {
    let size = 32 + subject.len();
    wire.expect(format!(
        "HMSG {inbox} 1 {size} {size}\r\nNATS/1.0 503\r\nNats-Subject: {subject}\r\n\r\n\r\n"
    ));
}
