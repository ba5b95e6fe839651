//! A program that notes what it sees of sockets.

use super::Letter;
use petrel_runtime::{End, Event, Io, SendOutcome, SocketId};
use std::io::ErrorKind;
use std::net::SocketAddr;

/// What the programs of these tests remember.
#[derive(Default)]
pub struct Seen {
    pub sockets: Vec<SocketId>,
    pub peers: Vec<SocketAddr>,
    pub bytes: Vec<u8>,
    pub ends: Vec<(SocketId, End)>,
    pub connected: Vec<(SocketId, Result<(), ErrorKind>)>,
    pub sent: Vec<Result<(), ErrorKind>>,
    pub accept_failures: usize,
    pub hold: bool,
}

/// Sends back what it reads, and closes when that ends.
pub fn echo(seen: &mut Seen, event: Event<'_, Letter, ()>, io: &mut Io<'_, Letter>) {
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
pub fn collect(seen: &mut Seen, event: Event<'_, Letter, ()>, io: &mut Io<'_, Letter>) {
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

/// Bytes of which no two places nearby are alike.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}
