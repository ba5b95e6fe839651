//! Reading that stops and goes on, over the loopback.

mod common;

use common::seen::{Seen, collect, pattern};
use common::{Cores, backends};
use petrel_runtime::Event;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn a_paused_socket_delivers_nothing_and_slows_its_peer() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let address = cores.listen(0);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"first").unwrap();
        cores.wait_until(0, |seen, _| seen.bytes == b"first");
        cores.call(0, |seen, io| io.pause_read(seen.sockets[0]));
        client.set_nonblocking(true).unwrap();
        let data = pattern(64 << 20);
        let mut written = 0;
        let mut stuck = 0;
        while stuck < 20 {
            match client.write(&data[written..]) {
                Ok(count) => {
                    written += count;
                    stuck = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stuck += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(written < data.len(), "{backend:?}: nothing held the peer back");
        assert_eq!(cores.call(0, |seen, _| seen.bytes.len()), 5, "{backend:?} delivered to a paused program");
        let kept_end = cores.call(0, |seen, io| {
            io.resume_read(seen.sockets[0]);
            io.pause_read(seen.sockets[0]);
            io.resume_read(seen.sockets[0]);
            seen.bytes.len()
        });
        assert_eq!(kept_end, 5, "nothing is delivered from within a call");
        client.set_nonblocking(false).unwrap();
        client.write_all(&data[written..]).unwrap();
        drop(client);
        let length = data.len();
        cores.wait_until(0, move |seen, _| seen.bytes.len() == 5 + length && seen.ends.len() == 1);
        assert!(cores.call(0, |seen, _| std::mem::take(&mut seen.bytes))[5..] == data);
        cores.stop();
    }
}

#[test]
fn the_end_waits_while_paused() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, || Seen { hold: true, ..Seen::default() }, collect);
        let address = cores.listen(0);
        let mut client = TcpStream::connect(address).unwrap();
        cores.wait_until(0, |seen, _| seen.sockets.len() == 1);
        cores.call(0, |seen, io| {
            io.resume_read(seen.sockets[0]);
            io.pause_read(seen.sockets[0]);
        });
        client.write_all(b"last words").unwrap();
        drop(client);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(cores.call(0, |seen, _| (seen.bytes.len(), seen.ends.len())), (0, 0));
        cores.call(0, |seen, io| io.resume_read(seen.sockets[0]));
        cores.wait_until(0, |seen, _| seen.bytes == b"last words" && seen.ends.len() == 1);
        cores.stop();
    }
}

#[test]
fn pausing_at_each_chunk_loses_nothing() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, |seen: &mut Seen, event, io| match event {
            Event::Received { socket, data } => {
                seen.bytes.extend_from_slice(data);
                io.pause_read(socket);
                let after = io.now().after(Duration::from_micros(200));
                io.set_timer(after, petrel_runtime::TimerToken(0));
                if seen.bytes.len().is_multiple_of(3) {
                    io.resume_read(socket);
                }
            }
            Event::Timer(_) => io.resume_read(seen.sockets[0]),
            other => collect(seen, other, io),
        });
        let address = cores.listen(0);
        let data = pattern(3_000_001);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(&data).unwrap();
        drop(client);
        cores.wait_until(0, |seen, _| seen.ends.len() == 1);
        assert!(cores.call(0, |seen, _| std::mem::take(&mut seen.bytes)) == data, "{backend:?}");
        cores.stop();
    }
}
