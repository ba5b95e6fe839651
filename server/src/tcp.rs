//! Listening sockets of the control plane.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Binds without blocking. An unspecified host takes IPv6 and IPv4 on one socket, and IPv4 alone where IPv6 is
/// absent, as Go does.
///
/// # Errors
/// What the system said.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip().is_unspecified() {
        let both = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port());
        match bind_socket(both, true) {
            Err(error) if address.is_ipv4() && error.kind() != io::ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
    bind_socket(address, false)
}

/// A port that is free now on the host of `address`.
///
/// # Errors
/// When the host cannot be bound to.
pub fn free_port(address: SocketAddr) -> io::Result<u16> {
    Ok(bind(SocketAddr::new(address.ip(), 0))?.local_addr()?.port())
}

fn bind_socket(address: SocketAddr, dual_stack: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if dual_stack {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn an_unspecified_host_takes_both_families() {
        let listener = bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect(("::1", port)).unwrap();
        }
    }

    #[test]
    fn a_free_port_can_be_bound() {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let port = free_port(address).unwrap();
        assert!(port != 0 && bind(SocketAddr::new(address.ip(), port)).is_ok());
    }
}
