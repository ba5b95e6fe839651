//! Sockets of real cores over the loopback.

mod common;

use common::{Cores, Letter, backends};
use petrel_runtime::{CoreId, End, Event, Io, SendOutcome, SocketId};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the programs of these tests remember.
#[derive(Default)]
struct Seen {
    sockets: Vec<SocketId>,
    peers: Vec<SocketAddr>,
    bytes: Vec<u8>,
    ends: Vec<(SocketId, End)>,
    connected: Vec<(SocketId, Result<(), ErrorKind>)>,
    sent: Vec<Result<(), ErrorKind>>,
    accept_failures: usize,
    hold: bool,
}

fn echo(seen: &mut Seen, event: Event<'_, Letter, ()>, io: &mut Io<'_, Letter>) {
    match event {
        Event::Accepted { socket, peer, .. } => {
            seen.sockets.push(socket);
            seen.peers.push(peer);
            if !seen.hold {
                io.resume_read(socket);
            }
        }
        Event::Received { socket, data } => {
            if let SendOutcome::Pending = io.send(socket, data.to_vec()) {
                io.pause_read(socket);
            }
        }
        Event::Sent { socket, result, .. } => {
            seen.sent.push(result);
            io.resume_read(socket);
        }
        Event::Ended { socket, end } => {
            seen.ends.push((socket, end));
            io.close(socket);
        }
        _ => {}
    }
}

/// Keeps what it sees and answers nothing.
fn collect(seen: &mut Seen, event: Event<'_, Letter, ()>, io: &mut Io<'_, Letter>) {
    match event {
        Event::Accepted { socket, .. } => {
            seen.sockets.push(socket);
            if !seen.hold {
                io.resume_read(socket);
            }
        }
        Event::AcceptFailed { .. } => seen.accept_failures += 1,
        Event::Received { data, .. } => seen.bytes.extend_from_slice(data),
        Event::Ended { socket, end } => seen.ends.push((socket, end)),
        Event::Connected { socket, result } => seen.connected.push((socket, result)),
        Event::Sent { result, .. } => seen.sent.push(result),
        _ => {}
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn echoes_small_and_large() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, echo);
        let address = cores.listen(0);
        let mut client = TcpStream::connect(address).unwrap();
        for number in 0..200u32 {
            client.write_all(&number.to_be_bytes()).unwrap();
            let mut answer = [0; 4];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(u32::from_be_bytes(answer), number);
        }
        let data = pattern(20_000_000);
        let mut writer = client.try_clone().unwrap();
        let to_write = data.clone();
        let thread = std::thread::spawn(move || writer.write_all(&to_write).unwrap());
        let mut answer = vec![0; data.len()];
        client.read_exact(&mut answer).unwrap();
        thread.join().unwrap();
        assert!(answer == data, "{backend:?} changed the bytes");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "the program closes after the end");
        cores.wait_until(0, |seen, _| seen.ends.len() == 1 && seen.ends[0].1 == End::Eof);
        let peer = client.local_addr().unwrap();
        cores.wait_until(0, move |seen, _| seen.peers == [peer]);
        cores.stop();
    }
}

#[test]
fn many_connections_at_once() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, echo);
        let address = cores.listen(0);
        let mut clients: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(address).unwrap()).collect();
        for round in 0..5u8 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.write_all(&[round, number as u8, 3]).unwrap();
            }
            for (number, client) in clients.iter_mut().enumerate() {
                let mut answer = [0; 3];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round, number as u8, 3]);
            }
        }
        drop(clients);
        cores.wait_until(0, |seen, _| seen.ends.len() == 600);
        cores.stop();
    }
}

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
fn a_thousand_resets_leave_nothing() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, |seen: &mut Seen, event, io| {
            if let Event::Ended { socket, .. } = event {
                io.close(socket);
            }
            collect(seen, event, io);
        });
        let address = cores.listen(0);
        for number in 0..1000 {
            let mut client = TcpStream::connect(address).unwrap();
            let _ = client.write_all(&[number as u8; 10]);
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        cores.wait_until(0, |seen, _| seen.sockets.len() == seen.ends.len());
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"still alive").unwrap();
        cores.wait_until(0, |seen, _| seen.bytes.ends_with(b"still alive"));
        drop(client);
        cores.wait_until(0, |seen, _| seen.sockets.len() == seen.ends.len());
        cores.call(0, |_, _| ());
        let highest = cores.call(0, |seen, _| seen.sockets.iter().map(|it| it.slot).max().unwrap());
        assert!(highest < 1000, "slots are reused");
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
fn a_panic_in_an_event_closes_one_connection() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, |seen: &mut Seen, event, io| {
            if let Event::Received { data: b"bad", .. } = event {
                panic!("on purpose");
            }
            echo(seen, event, io);
        });
        let address = cores.listen(0);
        let mut good = TcpStream::connect(address).unwrap();
        let mut bad = TcpStream::connect(address).unwrap();
        bad.write_all(b"bad").unwrap();
        assert_eq!(cores.next_panic().unwrap(), "on purpose");
        assert!(matches!(bad.read(&mut [0; 1]), Ok(0) | Err(_)));
        good.write_all(b"good").unwrap();
        let mut answer = [0; 4];
        good.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"good");
        cores.stop_after_panics();
    }
}

/// Milliseconds as a thread sees them that wakes a thousand times a second: fewer on a machine that is busy.
struct Ticks(Arc<AtomicBool>, JoinHandle<u64>);

impl Ticks {
    fn start() -> Ticks {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let count = move || {
            let mut count = 0;
            while !ends.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                count += 1;
            }
            count
        };
        Ticks(is_over, std::thread::spawn(count))
    }

    fn stop(self) -> u64 {
        self.0.store(true, Ordering::Relaxed);
        self.1.join().unwrap()
    }
}

/// Lets a core do nothing for a while, so that news pile up in the kernel.
fn keep_busy(cores: &Cores<Seen>, duration: Duration) {
    cores.post(0, move |_, _| std::thread::sleep(duration));
}

#[test]
fn more_news_at_once_than_buffers_and_completions() {
    // Both ends are in this process, beside what the tests that run meanwhile open.
    let connections = if raise_descriptor_limit() >= 16_000 { 4500 } else { 400 };
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, echo);
        let address = cores.listen(0);
        let mut clients: Vec<TcpStream> =
            (0..connections).map(|_| TcpStream::connect(address).unwrap()).collect();
        cores.wait_until(0, move |seen, _| seen.sockets.len() == connections);
        for round in 0..3u8 {
            keep_busy(&cores, Duration::from_millis(400));
            for (number, client) in clients.iter_mut().enumerate() {
                client.write_all(&[round, number as u8, (number >> 8) as u8, 9]).unwrap();
            }
            for (number, client) in clients.iter_mut().enumerate() {
                let mut answer = [0; 4];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round, number as u8, (number >> 8) as u8, 9], "{backend:?}");
            }
        }
        keep_busy(&cores, Duration::from_millis(200));
        drop(clients);
        cores.wait_until(0, move |seen, _| seen.ends.len() == connections);
        cores.stop();
    }
}

fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to a live rlimit, which the first call fills and the second reads.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
    }
    limit.rlim_cur
}

#[test]
fn stopping_closes_what_is_open_and_does_not_wait() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, collect);
        let address = cores.listen(0);
        let mut clients: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
        cores.wait_until(0, |seen, _| seen.sockets.len() == 50);
        cores.call(0, |seen, io| {
            for socket in &seen.sockets[..10] {
                assert!(matches!(io.send(*socket, vec![1; 20_000_000]), SendOutcome::Pending));
            }
            // Connects, reads and a closed connection are under way as well.
            let _ = io.connect("127.0.0.1:9".parse().unwrap());
            io.pause_read(seen.sockets[20]);
            io.close(seen.sockets[21]);
        });
        let ticks = Ticks::start();
        cores.stop();
        let took = ticks.stop();
        // What is not ended is given up after a second.
        assert!(took < 600, "{backend:?} took {took} ms");
        for client in &mut clients {
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut rest = Vec::new();
            let result = client.read_to_end(&mut rest).map_err(|error| error.kind());
            assert!(matches!(result, Ok(_) | Err(ErrorKind::ConnectionReset)), "{backend:?}: {result:?}");
        }
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
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
