//! Sends that the kernel does not take at once, over the loopback.

mod common;

use common::seen::{Seen, collect, pattern};
use common::{Cores, backends};
use petrel_runtime::{End, SendOutcome};
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn a_slow_peer_makes_a_send_pending() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let address = cores.listen(0);
        let mut client = TcpStream::connect(address).unwrap();
        cores.wait_until(0, |seen, _| seen.sockets.len() == 1);
        let data = pattern(30_000_000);
        let to_send = data.clone();
        let unsent = cores.call(0, move |seen, io| {
            assert!(matches!(io.send(seen.sockets[0], to_send), SendOutcome::Pending));
            io.unsent_bytes(seen.sockets[0])
        });
        assert!(unsent > 0 && unsent < data.len());
        assert_eq!(cores.call(0, |seen, _| seen.sent.len()), 0);
        let mut received = vec![0; data.len()];
        client.read_exact(&mut received).unwrap();
        assert!(received == data);
        cores.wait_until(0, |seen, io| seen.sent == [Ok(())] && io.unsent_bytes(seen.sockets[0]) == 0);
        let rest = cores.call(0, |seen, io| {
            let outcome = io.send(seen.sockets[0], b"after".to_vec());
            io.shutdown_write(seen.sockets[0]);
            matches!(outcome, SendOutcome::Done(_))
        });
        assert!(rest);
        let mut tail = Vec::new();
        client.read_to_end(&mut tail).unwrap();
        assert_eq!(tail, b"after");
        client.write_all(b"half open").unwrap();
        cores.wait_until(0, |seen, _| seen.bytes == b"half open");
        cores.stop();
    }
}

#[test]
fn a_reset_ends_a_pending_send() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let address = cores.listen(0);
        let client = TcpStream::connect(address).unwrap();
        cores.wait_until(0, |seen, _| seen.sockets.len() == 1);
        let outcome = cores.call(0, |seen, io| {
            matches!(io.send(seen.sockets[0], pattern(30_000_000)), SendOutcome::Pending)
        });
        assert!(outcome);
        // Closing with unread bytes resets the connection.
        drop(client);
        cores.wait_until(0, |seen, _| seen.sent.len() == 1 && seen.ends.len() == 1);
        let (sent, ends) = cores.call(0, |seen, _| (seen.sent.clone(), seen.ends.clone()));
        assert!(sent[0].is_err(), "{backend:?}: {sent:?}");
        assert!(matches!(ends[0].1, End::Error(_) | End::Eof), "{backend:?}: {ends:?}");
        let after = cores.call(0, |seen, io| io.send(seen.sockets[0], vec![1; 10]));
        assert!(matches!(after, SendOutcome::Failed(ref buffer, _) if buffer.len() == 10), "{backend:?}");
        cores.stop();
    }
}

#[test]
fn closing_with_a_pending_send_gives_it_up() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let address = cores.listen(0);
        for _ in 0..20 {
            let mut client = TcpStream::connect(address).unwrap();
            cores.wait_until(0, |seen, _| seen.sockets.len() == 1);
            cores.call(0, |seen, io| {
                let socket = seen.sockets.pop().unwrap();
                assert!(matches!(io.send(socket, vec![7; 20_000_000]), SendOutcome::Pending));
                io.close(socket);
                io.close(socket);
                assert_eq!(io.unsent_bytes(socket), 0);
            });
            let mut received = Vec::new();
            // The stream ends, in order or by a reset, without all of the bytes.
            let _ = client.read_to_end(&mut received);
            assert!(received.len() < 20_000_000);
        }
        assert_eq!(cores.call(0, |seen, _| seen.sent.len() + seen.ends.len()), 0);
        cores.stop();
    }
}
