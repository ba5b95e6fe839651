//! The two ends of a connection's socket, as the log names them where reading fails.

use petrel_runtime::End;
use std::io::ErrorKind;
use std::net::SocketAddr;

/// Both addresses of a socket, whatever a PROXY header says of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

impl Ends {
    /// Nothing came in time. Upstream's words, which are those of Go's library.
    pub(super) fn timeout(&self) -> String {
        self.read_failure("i/o timeout")
    }

    /// Nothing more will come.
    pub(super) fn told(&self, end: End) -> String {
        match end {
            End::Eof => "EOF".to_owned(),
            End::Error(ErrorKind::ConnectionReset) => self.read_failure("read: connection reset by peer"),
            End::Error(ErrorKind::TimedOut) => self.read_failure("read: connection timed out"),
            End::Error(_) => self.read_failure("read: connection failed"),
        }
    }

    fn read_failure(&self, what: &str) -> String {
        format!("read tcp {}->{}: {what}", self.local, self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_both_ends_and_an_end_in_order_none() {
        let ends = Ends { local: "127.0.0.1:4222".parse().unwrap(), peer: "[::1]:5".parse().unwrap() };
        assert_eq!(ends.timeout(), "read tcp 127.0.0.1:4222->[::1]:5: i/o timeout");
        let reset = End::Error(ErrorKind::ConnectionReset);
        assert_eq!(ends.told(reset), "read tcp 127.0.0.1:4222->[::1]:5: read: connection reset by peer");
        assert_eq!(ends.told(End::Eof), "EOF");
    }
}
