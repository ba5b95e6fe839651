//! Tickets of clients who had to show a certificate.
//!
//! With a ticket a client comes back without showing its certificate again. rustls keeps the certificate in the ticket and
//! asks nobody about it when it is used, and each use brings a new ticket: a client could go on for ever with what has
//! expired. So a ticket says until when it counts. With one that does not any more the whole handshake is done, as
//! upstream does, and the certificate is judged by the rules of then.

use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Before this much of a ticket there is nothing of rustls' own.
const HEAD_BYTES: usize = size_of::<i64>();
/// Nothing is known.
const UNKNOWN: i64 = i64::MIN;

/// Until when the certificates count that a client was let in by, in seconds since the epoch. One for a connection.
#[derive(Clone, Debug)]
pub struct Validity(Arc<AtomicI64>);

impl Validity {
    /// Nothing is known of the client.
    pub fn unknown() -> Validity {
        Validity(Arc::new(AtomicI64::new(UNKNOWN)))
    }

    /// The client was let in by certificates that count until then.
    pub fn set(&self, not_after: i64) {
        self.0.store(not_after, Ordering::Relaxed);
    }

    fn known(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|not_after| *not_after != UNKNOWN)
    }
}

/// The tickets of one connection.
#[derive(Debug)]
pub struct ClientTickets {
    /// What seals them.
    inner: Arc<dyn ProducesTickets>,
    validity: Validity,
    /// What the time is.
    now: fn() -> UnixTime,
}

impl ClientTickets {
    /// Tickets that count as long as what the connection finds out about the client's certificates.
    pub fn new(inner: Arc<dyn ProducesTickets>, validity: Validity) -> ClientTickets {
        ClientTickets { inner, validity, now: UnixTime::now }
    }
}

impl ProducesTickets for ClientTickets {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    /// Nobody gets one of whose certificates nothing is known.
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let not_after = self.validity.known()?;
        self.inner.encrypt(&[&not_after.to_be_bytes(), plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.inner.decrypt(cipher)?;
        let not_after = i64::from_be_bytes(*plain.first_chunk::<HEAD_BYTES>()?);
        let now = i64::try_from((self.now)().as_secs()).unwrap_or(i64::MAX);
        if now > not_after {
            return None;
        }
        // The certificate comes from the ticket; so does how long the next ticket counts.
        self.validity.set(not_after);
        plain.drain(..HEAD_BYTES);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs::Ticketer;
    use std::time::Duration;

    const NOW: i64 = 1_000_000;

    fn tickets(inner: &Arc<dyn ProducesTickets>, now: fn() -> UnixTime) -> (ClientTickets, Validity) {
        let validity = Validity::unknown();
        (ClientTickets { inner: Arc::clone(inner), validity: validity.clone(), now }, validity)
    }

    fn then() -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(NOW as u64))
    }

    fn later() -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(NOW as u64 + 11))
    }

    #[test]
    fn a_ticket_counts_as_long_as_what_it_rests_on() {
        let inner = Ticketer::new().unwrap();
        let (first, validity) = tickets(&inner, then);
        assert_eq!(first.encrypt(b"session"), None, "nothing is known of the client");
        validity.set(NOW + 10);
        let ticket = first.encrypt(b"session").unwrap();
        // It is used, and brings another one that counts as long.
        let (second, validity) = tickets(&inner, then);
        assert_eq!(second.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(validity.known(), Some(NOW + 10));
        let next = second.encrypt(b"next").unwrap();
        for ticket in [ticket, next] {
            let (third, validity) = tickets(&inner, later);
            assert_eq!(third.decrypt(&ticket), None);
            assert_eq!(validity.known(), None);
        }
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let inner = Ticketer::new().unwrap();
        let (tickets, _) = tickets(&inner, then);
        assert_eq!(tickets.decrypt(b"garbage"), None);
        assert_eq!(tickets.decrypt(&inner.encrypt(b"short").unwrap()), None);
        assert_eq!(tickets.decrypt(&Ticketer::new().unwrap().encrypt(&[0; 40]).unwrap()), None);
    }
}
