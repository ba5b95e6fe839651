//! How connections begin: listening, connecting, and going on to another core, over the loopback.

mod common;

use common::seen::{Seen, collect, echo};
use common::{Cores, Letter, backends};
use petrel_runtime::{CoreId, Event, SendOutcome};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

#[test]
fn connects_and_reports_refusal() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = cores.call(0, move |_, io| {
            let socket = io.connect(address);
            io.resume_read(socket);
            socket
        });
        let (mut peer, _) = listener.accept().unwrap();
        cores.wait_until(0, move |seen, _| seen.connected == [(socket, Ok(()))]);
        cores.call(0, move |_, io| assert!(matches!(io.send(socket, b"hi".to_vec()), SendOutcome::Done(_))));
        let mut greeting = [0; 2];
        peer.read_exact(&mut greeting).unwrap();
        peer.write_all(b"answer").unwrap();
        cores.wait_until(0, |seen, _| seen.bytes == b"answer");
        drop((peer, listener));
        let refused = cores.call(0, move |seen, io| {
            seen.connected.clear();
            io.connect(address)
        });
        let expected = [(refused, Err(ErrorKind::ConnectionRefused))];
        cores.wait_until(0, move |seen, _| seen.connected == expected);
        let after = cores.call(0, move |_, io| io.send(refused, vec![1]));
        assert!(matches!(after, SendOutcome::Failed(..)));
        // Closed before the outcome: no event.
        cores.call(0, move |seen, io| {
            seen.connected.clear();
            let socket = io.connect(address);
            io.close(socket);
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(cores.call(0, |seen, _| seen.connected.is_empty()));
        cores.stop();
    }
}

#[test]
fn a_connection_moves_to_another_core_and_back() {
    for backend in backends() {
        let cores = Cores::start(backend, 2, 0, Seen::default, |seen: &mut Seen, event, io| match event {
            Event::Accepted { socket, peer, local, .. } => {
                let detached = io.detach(socket).unwrap();
                assert_eq!((detached.peer, detached.local), (peer, local));
                assert!(io.detach(socket).is_none());
                io.mail(CoreId(1), Letter::Socket(detached));
            }
            Event::Mail { mail: Letter::Socket(detached), .. } => {
                let socket = io.attach(detached);
                seen.sockets.push(socket);
                if io.core() == CoreId(1) && seen.sockets.len().is_multiple_of(2) {
                    let detached = io.detach(socket).unwrap();
                    io.mail(CoreId(0), Letter::Socket(detached));
                } else {
                    io.resume_read(socket);
                }
            }
            other => echo(seen, other, io),
        });
        let address = cores.listen(0);
        let mut clients: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(&[number as u8; 100]).unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let mut answer = [0; 100];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [number as u8; 100]);
        }
        assert_eq!(cores.call(0, |seen, _| seen.sockets.len()), 50);
        cores.stop();
    }
}

#[test]
fn a_closed_listener_refuses_and_its_port_is_free() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let address = cores.call(0, |_, io| {
            let options = |address| petrel_runtime::ListenOptions { address, backlog: 16 };
            let (listener, address) = io.listen(&options("127.0.0.1:0".parse().unwrap())).unwrap();
            io.close_listener(listener);
            let again = io.listen(&options(address)).unwrap();
            assert_eq!(again.1, address);
            io.close_listener(again.0);
            io.close_listener(again.0);
            address
        });
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        cores.stop();
    }
}

#[test]
fn an_unspecified_address_serves_both_families_and_shows_ipv4_as_such() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, echo);
        let port = cores.call(0, |_, io| {
            let options =
                petrel_runtime::ListenOptions { address: "0.0.0.0:0".parse().unwrap(), backlog: 16 };
            io.listen(&options).unwrap().1.port()
        });
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let expected = client.local_addr().unwrap();
        cores.wait_until(0, move |seen, _| seen.peers == [expected]);
        if let Ok(client) = TcpStream::connect(("::1", port)) {
            let expected = client.local_addr().unwrap();
            cores.wait_until(0, move |seen, _| seen.peers.contains(&expected));
        }
        cores.stop();
    }
}
