//! Hosts and ports, as the configuration writes them.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Why a host cannot be listened on or shown.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The host has no address.
    #[error("Error listening on port: {host}:{port}, \"listen tcp: lookup {host}: {}\"", lookup_text(source))]
    Resolve {
        /// As configured.
        host: String,
        /// The port that was asked for; 0 for any.
        port: u16,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// Neither `host` nor `host:port`.
    #[error(
        "Error setting server INFO with ClientAdvertise value of {0}, err=expected host or host:port, IPv6 in \
         brackets when a port follows"
    )]
    Syntax(String),
}

/// What the resolver said, in Go's words for a name that nobody knows.
fn lookup_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    match text {
        "Name or service not known" | "No address associated with hostname" => "no such host".to_owned(),
        other => other.to_owned(),
    }
}

/// The address of a host to listen on. IPv6 may stand in brackets. A name is resolved, IPv4 first as Go does.
///
/// # Errors
/// When the name has no address.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, AddressError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let failed = |source| AddressError::Resolve { host: host.to_owned(), port, source };
    let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs().map_err(failed)?.collect();
    let chosen = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    chosen.copied().ok_or_else(|| failed(std::io::Error::other("the name has no address")))
}

/// Host and port of an advertised `host`, `host:port`, `[v6]:port` or bare IPv6 address; a port that is
/// missing, 0 or -1 is the one that is listened on.
///
/// # Errors
/// When it cannot be read.
pub fn advertised(text: &str, listening_port: u16) -> Result<(String, u16), AddressError> {
    let error = || AddressError::Syntax(text.to_owned());
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text.to_owned(), listening_port));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || (host.contains(':') && host.parse::<IpAddr>().is_err()) {
        return Err(error());
    }
    let port = match port {
        None | Some("0" | "-1") => listening_port,
        Some(port) => port.parse().map_err(|_| error())?,
    };
    Ok((host.to_owned(), port))
}

/// `host:port` with IPv6 in brackets, as log lines show it.
pub fn joined(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_on_numbers_and_names() {
        assert_eq!(resolve("0.0.0.0", 1).unwrap(), "0.0.0.0:1".parse().unwrap());
        assert_eq!(resolve("::1", 1).unwrap(), "[::1]:1".parse().unwrap());
        assert_eq!(resolve("[::]", 1).unwrap(), "[::]:1".parse().unwrap());
        assert!(resolve("localhost", 1).unwrap().ip().is_loopback());
        assert!(resolve("no such host", 1).is_err());
    }

    #[test]
    fn advertises_with_and_without_port() {
        for (text, host, port) in [
            ("example.com", "example.com", 4222),
            ("example.com:1", "example.com", 1),
            ("example.com:-1", "example.com", 4222),
            ("[fdaa::3]:2", "fdaa::3", 2),
            ("fdaa::3", "fdaa::3", 4222),
        ] {
            assert_eq!(advertised(text, 4222).unwrap(), (host.to_owned(), port), "{text}");
        }
        for text in [":1", "a:b", "a:70000", "a:b:1", "[x:y]:1"] {
            assert!(advertised(text, 4222).is_err(), "{text}");
        }
    }

    #[test]
    fn brackets_stand_around_ipv6_only() {
        assert_eq!(joined("::", 1), "[::]:1");
        assert_eq!(joined("[::]", 1), "[::]:1");
        assert_eq!(joined("0.0.0.0", 1), "0.0.0.0:1");
    }
}
