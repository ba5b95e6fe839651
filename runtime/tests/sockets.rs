//! Sockets of real cores over the loopback: many of them, their bytes and their ends.

mod common;

use common::seen::{Seen, collect, echo, pattern};
use common::{Cores, backends};
use petrel_runtime::{End, Event, SendOutcome};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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
