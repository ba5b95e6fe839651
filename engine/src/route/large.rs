//! Large messages go to the kernel from where they lie.
//!
//! Copying 16 KiB into an out-buffer costs as much as a tenth of everything the kernel does with it. While the
//! bytes that a message arrived in are at hand (the buffer of a read, or a batch of another core), the
//! out-buffer gets its control line only, and a note of where the payload lies; both are offered to the kernel
//! in one call before those bytes are given up. What the kernel does not take is copied then.

use crate::mail::Mail;
use crate::shard::Shard;
use petrel_runtime::Io;
use smallvec::SmallVec;
use std::io::IoSlice;

/// Messages from here on are not copied. Below, another piece costs the kernel more than the copy.
pub(super) const LARGE_BYTES: usize = 4096;
/// Pieces in one call to the kernel.
const SLICES: usize = 32;

/// A payload that belongs into a session's out-buffer and lies elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Whose.
    pub(crate) session: u32,
    /// Where in the out-buffer it belongs: behind this many bytes of it.
    behind: usize,
    /// Where in the source it lies.
    start: usize,
    bytes: usize,
}

/// The bytes that are being worked on, and the payloads in them that wait to be sent.
#[derive(Default)]
pub(crate) struct Source {
    /// Address and length; compared with, never followed.
    address: usize,
    length: usize,
    pub(crate) pieces: Vec<Piece>,
}

impl Source {
    /// Begins working on some bytes.
    pub(crate) fn open(&mut self, bytes: &[u8]) {
        debug_assert!(self.pieces.is_empty(), "pieces are sent before their source goes");
        self.address = bytes.as_ptr() as usize;
        self.length = bytes.len();
    }

    /// Notes a payload, if it lies in the source.
    pub(super) fn note(&mut self, session: u32, behind: usize, payload: &[u8]) -> bool {
        let start = (payload.as_ptr() as usize).wrapping_sub(self.address);
        let lies_inside = start.checked_add(payload.len()).is_some_and(|end| end <= self.length);
        if lies_inside {
            self.pieces.push(Piece { session, behind, start, bytes: payload.len() });
        }
        lies_inside
    }
}

impl Shard {
    /// Ends working on the bytes given to [`Source::open`]: sends what lies in them.
    pub(crate) fn close_source(&mut self, source: &[u8], io: &mut Io<'_, Mail>) {
        self.source.address = 0;
        self.source.length = 0;
        if self.source.pieces.is_empty() {
            return;
        }
        let mut pieces = std::mem::take(&mut self.source.pieces);
        // Stable: the pieces of a session stay in their order.
        pieces.sort_by_key(|piece| piece.session);
        for of_one in pieces.chunk_by(|one, other| one.session == other.session) {
            self.send_pieces(of_one, source, io);
        }
        pieces.clear();
        self.source.pieces = pieces;
    }

    fn send_pieces(&mut self, pieces: &[Piece], source: &[u8], io: &mut Io<'_, Mail>) {
        let key = pieces[0].session;
        let Some(session) = self.sessions.get_mut(key) else { return };
        let lines = std::mem::take(&mut session.out.current);
        session.out.detached_bytes = 0;
        let mut slices: SmallVec<[IoSlice<'_>; SLICES]> = SmallVec::new();
        let mut sent_lines = 0;
        let mut total = lines.len();
        for piece in pieces {
            slices.push(IoSlice::new(&lines[sent_lines..piece.behind]));
            slices.push(IoSlice::new(&source[piece.start..piece.start + piece.bytes]));
            sent_lines = piece.behind;
            total += piece.bytes;
        }
        slices.push(IoSlice::new(&lines[sent_lines..]));
        let socket = session.socket;
        let taken = io.try_send(socket, &slices).unwrap_or(0);
        // A failed connection shows itself when the rest is sent.
        session.out.written_bytes += taken as u64;
        let mut rest = Vec::new();
        if taken < total {
            rest = self.pool.take();
            rest.reserve(total - taken);
            let mut skip = taken;
            for slice in &slices {
                let left = slice.get(skip..).unwrap_or_default();
                skip -= slice.len() - left.len();
                rest.extend_from_slice(left);
            }
        }
        drop(slices);
        self.pool.give(lines);
        if !rest.is_empty() {
            session.out.current = rest;
            self.flush(key, io);
        }
    }
}
