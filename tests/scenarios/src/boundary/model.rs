//! What lies before a client's verbs, over the whole of what it sent: slow, and with nothing in common with the engine's
//! transport but the rules.

use petrel_config::HandshakeFirst;
use petrel_protocol::proxy_protocol::{Beginning, parse};

const CLOSE: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// What the stand-in changes data by.
const MASK: u8 = 0x5a;
/// Flights of a client until the handshake is over.
const FLIGHTS: usize = 2;
/// No version of TLS begins like this.
const VERSION_MAJOR_MAX: u8 = 0x10;

/// How the server is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Connections may begin with a PROXY header.
    pub is_proxied: bool,
    /// When TLS begins; `None`: there is none.
    pub first: Option<HandshakeFirst>,
    /// Nobody is taken without TLS.
    pub is_required: bool,
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub struct Client<'b> {
    /// What it sends.
    pub bytes: &'b [u8],
    /// So many of the bytes come before a silent client is greeted.
    pub early: usize,
    /// It closes its side right behind the last of them.
    pub ends_at_once: bool,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// The bytes of the application.
    pub application: Vec<u8>,
    /// They came in records.
    pub is_encrypted: bool,
    /// The connection is closed behind them, for what came then or for what did not.
    pub is_refused: bool,
    /// Whole flights of the handshake.
    pub handshakes: usize,
    /// The client said by itself that nothing follows.
    pub has_ended: bool,
}

impl Layer {
    /// Reads what a client sends.
    pub fn of(setting: Setting, client: Client<'_>) -> Layer {
        let refused = Layer { is_refused: true, ..Layer::default() };
        let Client { bytes, early, .. } = client;
        // Where the client's own bytes begin, and how many have come when that is known.
        let (start, known_at) = if setting.is_proxied {
            let verdicts = (1..=bytes.len()).map(|end| (end, parse(&bytes[..end])));
            match verdicts.into_iter().find(|(_, verdict)| *verdict != Ok(Beginning::Incomplete)) {
                Some((end, Ok(Beginning::Absent))) => (0, end),
                Some((end, Ok(Beginning::Header { bytes: header, .. }))) if header <= bytes.len() => {
                    (header, end.max(header))
                }
                // It is wrong, or it never ends.
                _ => return refused,
            }
        } else {
            (0, 0)
        };
        let rest = &bytes[start..];
        let Some(first_byte) = rest.first() else {
            let is_refused = match setting.first {
                None => false,
                Some(HandshakeFirst::Always) => true,
                Some(HandshakeFirst::No) => setting.is_required,
                // Whoever goes before it is greeted has done nothing wrong.
                Some(HandshakeFirst::Within(_)) => setting.is_required && !client.ends_at_once,
            };
            return Layer { is_refused, ..Layer::default() };
        };
        let is_handshake = match setting.first {
            None => false,
            Some(HandshakeFirst::Always) => true,
            // Who speaks before it is greeted speaks TLS.
            Some(HandshakeFirst::Within(_)) if known_at > early || start < early => true,
            Some(_) => setting.is_required || *first_byte == HANDSHAKE,
        };
        if is_handshake { records(rest) } else { Layer { application: rest.to_vec(), ..Layer::default() } }
    }
}

/// Reads what begins with a handshake.
fn records(mut rest: &[u8]) -> Layer {
    let mut layer = Layer::default();
    if rest[0] != HANDSHAKE || rest.get(1).is_some_and(|version| *version >= VERSION_MAJOR_MAX) {
        return Layer { is_refused: true, ..layer };
    }
    while let [kind, _, _, high, low, behind @ ..] = rest {
        let bytes = usize::from(*high) * 256 + usize::from(*low);
        let Some((body, next)) = behind.split_at_checked(bytes) else { break };
        match (*kind, layer.handshakes == FLIGHTS) {
            (HANDSHAKE, false) => layer.handshakes += 1,
            (DATA, true) => layer.application.extend(body.iter().map(|byte| byte ^ MASK)),
            (CLOSE, true) => layer.has_ended = true,
            _ => layer.is_refused = true,
        }
        if layer.has_ended || layer.is_refused {
            break;
        }
        rest = next;
    }
    layer.is_encrypted = layer.handshakes == FLIGHTS;
    // A handshake that is not over is refused when the client goes.
    layer.is_refused |= !layer.is_encrypted;
    layer
}
