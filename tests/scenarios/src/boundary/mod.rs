//! The boundary between plain and encrypted bytes, as a fuzz target: whatever a client sends, in whatever pieces, a
//! server behind a PROXY header and the stand-in for TLS does what a plain server does with the bytes that
//! [`model`] finds within.

mod model;
mod probe;
mod wire;

use model::{Client, Layer, Setting};
use petrel_config::HandshakeFirst;
use petrel_protocol::client::ClosedReason;
use probe::{BYTES_MAX, Heard, Timetable, converse};
use std::time::Duration;

/// The first byte says how the server is set up, the second how many of the bytes come before it would greet a client
/// that is silent, the third where they are split; the rest is sent.
///
/// Checked: sent as it comes, split at that place, and byte by byte, the same is heard and taken in; it is what a plain
/// server makes of the application's bytes; nothing panics, and nothing is held when the client has gone.
pub fn tls_boundary(input: &[u8]) {
    let &[flags, early, split, ref bytes @ ..] = input else { return };
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let (setting, timetable) = (Setting::of(flags), Timetable::of(flags));
    let (early, split) = (usize::from(early).min(bytes.len()), usize::from(split).min(bytes.len()));
    let everything: Vec<usize> = (0..bytes.len()).collect();
    let layer = Layer::of(setting, Client { bytes, early, ends_at_once: timetable.ends_at_once });
    let hear = |splits: &[usize]| {
        let mut heard = converse(Some(setting), bytes, early, splits, timetable);
        if layer.application.is_empty() || layer.is_encrypted {
            wire::sort(&mut heard);
        }
        heard
    };
    let whole = hear(&[]);
    compare_with_plain(&layer, &whole, timetable, input);
    for splits in [&[split][..], &everything] {
        compare(&layer, &whole, &hear(splits), input);
    }
}

/// The same input, split at each place in turn. Slow.
pub fn tls_boundary_everywhere(input: &[u8]) {
    for split in 0..input.len().saturating_sub(3).min(255) {
        let mut input = input.to_vec();
        input[2] = split as u8;
        tls_boundary(&input);
    }
}

fn compare_with_plain(layer: &Layer, heard: &Heard, timetable: Timetable, input: &[u8]) {
    let shown = || format!("{}: {layer:?}; {heard:?}", input.escape_ascii());
    assert_eq!(heard.panics, 0, "{}", shown());
    assert_eq!(heard.held_bytes, 0, "{}", shown());
    assert_eq!(heard.handshakes > 0, layer.handshakes > 0, "{}", shown());
    let timetable = Timetable { ends_at_once: timetable.ends_at_once || layer.has_ended, ..timetable };
    let application = &layer.application;
    let plain = converse(None, application, application.len(), &[], timetable);
    assert_eq!((heard.in_msgs, heard.in_bytes), (plain.in_msgs, plain.in_bytes), "{}", shown());
    let (said, silent) = match layer.is_encrypted {
        true => (&heard.opened, &heard.clear),
        false => (&heard.clear, &heard.opened),
    };
    assert!(without_info(silent).is_empty(), "{}", shown());
    let (said, expected) = (without_info(said), without_info(&plain.clear));
    if layer.is_refused {
        // What it would have answered to the bytes before may be lost with the connection.
        assert!(expected.starts_with(said), "{}", shown());
        assert!(!is_in_order(heard.reason), "{}", shown());
    } else {
        assert_eq!(said.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{}", shown());
        assert_eq!(heard.reason, plain.reason, "{}", shown());
    }
}

fn compare(layer: &Layer, whole: &Heard, pieces: &Heard, input: &[u8]) {
    let shown = || format!("{}: {layer:?}; {whole:?}; in pieces {pieces:?}", input.escape_ascii());
    if !layer.is_refused {
        assert!(whole == pieces, "{}", shown());
        return;
    }
    assert_eq!((whole.panics, whole.held_bytes), (pieces.panics, pieces.held_bytes), "{}", shown());
    assert_eq!((whole.in_msgs, whole.in_bytes), (pieces.in_msgs, pieces.in_bytes), "{}", shown());
    assert_eq!(whole.reason, pieces.reason, "{}", shown());
    for (one, other) in [(&whole.clear, &pieces.clear), (&whole.opened, &pieces.opened)] {
        assert!(one.starts_with(other) || other.starts_with(one), "{}", shown());
    }
}

/// What was said, the greeting left out: it knows whose connection it is, and how TLS stands.
fn without_info(said: &[u8]) -> &[u8] {
    let line_end = said.iter().position(|byte| *byte == b'\n').map_or(said.len(), |at| at + 1);
    if said.starts_with(b"INFO ") { &said[line_end..] } else { said }
}

fn is_in_order(reason: Option<ClosedReason>) -> bool {
    matches!(reason, None | Some(ClosedReason::ClientClosed))
}

impl Setting {
    fn of(flags: u8) -> Setting {
        Setting {
            is_proxied: flags & 1 != 0,
            first: match flags >> 1 & 3 {
                0 => None,
                1 => Some(HandshakeFirst::No),
                2 => Some(HandshakeFirst::Always),
                _ => Some(HandshakeFirst::Within(probe::GREETING_DELAY)),
            },
            is_required: flags & 8 != 0,
        }
    }
}

impl Timetable {
    fn of(flags: u8) -> Timetable {
        Timetable {
            ends_at_once: flags & 16 != 0,
            handshake_delay: if flags & 32 != 0 { Duration::from_millis(3) } else { Duration::ZERO },
            seed: u64::from(flags >> 6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verbs behind one that ended the connection were carried out when that one came in two pieces.
    #[test]
    fn nothing_behind_a_verb_that_ends_the_connection_is_carried_out() {
        let bytes = b"CONNECT {}x\r\nSUB a 1\r\nPUB a 1\r\nx\r\n";
        let timetable = Timetable { ends_at_once: false, handshake_delay: Duration::ZERO, seed: 0 };
        for split in 0..bytes.len() {
            let heard = converse(None, bytes, bytes.len(), &[split], timetable);
            assert_eq!(heard.in_msgs, 0, "split at {split}");
            assert_eq!(without_info(&heard.clear), b"", "split at {split}");
            assert_eq!(heard.reason, Some(ClosedReason::ProtocolViolation), "split at {split}");
        }
    }
}
