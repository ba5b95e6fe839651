//! What happens when descriptors run out. Alone in its file: the limit is the whole process's.

mod common;

use common::{Cores, backends};
use petrel_runtime::{Event, SocketId};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Seen {
    sockets: Vec<SocketId>,
    failures: Vec<Option<i32>>,
    ends: usize,
}

/// Opens files until none is left.
fn use_up_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn limit_descriptors(limit: u64) {
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: the pointer is to a live rlimit that the call reads.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

#[test]
fn accepting_rests_and_goes_on_when_descriptors_run_out() {
    limit_descriptors(256);
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, |seen: &mut Seen, event, io| match event {
            Event::Accepted { socket, .. } => {
                seen.sockets.push(socket);
                io.resume_read(socket);
            }
            Event::AcceptFailed { error, .. } => seen.failures.push(error.raw_os_error()),
            Event::Received { socket, data } => {
                io.send(socket, data.to_vec());
            }
            Event::Ended { socket, .. } => {
                seen.ends += 1;
                io.close(socket);
            }
            _ => {}
        });
        let address = cores.listen(0);
        // The clients have their descriptors before the rest is used up.
        let make = |_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let clients: Vec<Socket> = (0..4).map(make).collect();
        let hoard = use_up_descriptors();
        let begin = Instant::now();
        for client in &clients {
            client.connect(&address.into()).unwrap();
        }
        let mut clients: Vec<TcpStream> = clients.into_iter().map(Into::into).collect();
        cores.wait_until(0, |seen, _| seen.failures.len() >= 2);
        let failures = cores.call(0, |seen, _| seen.failures.clone());
        assert!(failures.iter().all(|code| *code == Some(libc::EMFILE)), "{failures:?}");
        std::thread::sleep(Duration::from_millis(250));
        let failures = cores.call(0, |seen, _| seen.failures.len());
        let pauses = begin.elapsed().as_millis() as usize / 100;
        assert!(failures <= pauses + 2, "{failures} failures in {pauses} pauses");
        drop(hoard);
        cores.wait_until(0, |seen, _| seen.sockets.len() == 4);
        for client in &mut clients {
            client.write_all(b"ping").unwrap();
            let mut answer = [0; 4];
            client.read_exact(&mut answer).unwrap();
        }
        // Far more connections than descriptors, one after the other: none may leak.
        let failures = cores.call(0, |seen, _| seen.failures.len());
        for number in 0..1000 {
            let mut client = TcpStream::connect(address).unwrap();
            let _ = client.write_all(&[number as u8; 10]);
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            if number & 15 == 0 {
                // Beside the four from before.
                cores.wait_until(0, |seen, _| seen.sockets.len() == seen.ends + 4);
            }
        }
        assert_eq!(cores.call(0, |seen, _| seen.failures.len()), failures);
        cores.stop();
    }
}
