//! TCP sockets of the kernel, as both real backends make them.

use crate::net::ListenOptions;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io::{Error, ErrorKind, Result};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A bound and listening socket. Connections that it accepts inherit TCP_NODELAY from it, which Linux does
/// for all options of this kind, so that an accept costs no further call.
pub(super) fn listen(options: &ListenOptions) -> Result<(OwnedFd, SocketAddr)> {
    let address = options.address;
    let socket = if address.ip().is_unspecified() {
        let dual = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        match bind(dual, Some(false)) {
            Ok(socket) => socket,
            // The port in use, or no permission for it, is the answer; another family would not change it.
            Err(error) if !is_without_ipv6(&error) => return Err(error),
            Err(_) => bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), None)?,
        }
    } else {
        bind(address, address.is_ipv6().then_some(true))?
    };
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    let bound = socket.local_addr()?.as_socket().ok_or(ErrorKind::InvalidInput)?;
    Ok((socket.into(), bound))
}

fn bind(address: SocketAddr, only_v6: Option<bool>) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(only_v6) = only_v6 {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn is_without_ipv6(error: &Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
    )
}

/// A socket that is to be connected to `address`.
pub(super) fn prepare_connect(address: SocketAddr, nonblocking: bool) -> Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(nonblocking)?;
    Ok(socket.into())
}

/// Starts to connect a socket that does not block. True when it is connected already.
pub(super) fn start_connect(socket: &OwnedFd, address: SocketAddr) -> Result<bool> {
    match SockRef::from(socket).connect(&SockAddr::from(address)) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The error that a connection failed with, if it did.
pub(super) fn take_error(socket: &OwnedFd) -> Result<()> {
    SockRef::from(socket).take_error()?.map_or(Ok(()), Err)
}

/// Both ends' addresses: the peer's, then ours. IPv4 in IPv6 is shown as IPv4.
pub(super) fn addresses(socket: &impl AsFd) -> Result<(SocketAddr, SocketAddr)> {
    let socket = SockRef::from(socket);
    let peer = socket.peer_addr()?.as_socket().ok_or(ErrorKind::InvalidInput)?;
    let local = socket.local_addr()?.as_socket().ok_or(ErrorKind::InvalidInput)?;
    Ok((unmap(peer), unmap(local)))
}

fn unmap(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => SocketAddr::from((ip, address.port())),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// Accepts without blocking: the connection, the peer's address and ours.
pub(super) fn accept_now(listener: &OwnedFd) -> Result<(OwnedFd, SocketAddr, SocketAddr)> {
    let (socket, peer) = SockRef::from(listener).accept()?;
    let peer = peer.as_socket().ok_or(ErrorKind::InvalidInput)?;
    let local = socket.local_addr()?.as_socket().ok_or(ErrorKind::InvalidInput)?;
    Ok((socket.into(), unmap(peer), unmap(local)))
}

/// Makes calls on a socket return instead of waiting.
pub(super) fn set_nonblocking(socket: &OwnedFd) -> Result<()> {
    SockRef::from(socket).set_nonblocking(true)
}

/// Writes without blocking; returns how much the kernel took. `WouldBlock` is 0.
pub(super) fn send_now(socket: BorrowedFd<'_>, data: &[u8]) -> Result<usize> {
    loop {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        match SockRef::from(&socket).send_with_flags(data, flags) {
            Ok(written) => return Ok(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// As [`send_now`], from several pieces.
pub(super) fn send_pieces_now(socket: BorrowedFd<'_>, pieces: &[std::io::IoSlice<'_>]) -> Result<usize> {
    // The kernel refuses more at once.
    let pieces = &pieces[..pieces.len().min(libc::UIO_MAXIOV as usize)];
    loop {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        match SockRef::from(&socket).send_vectored_with_flags(pieces, flags) {
            Ok(written) => return Ok(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads without blocking into the spare capacity of `buffer`, which is empty before. The end of the stream
/// is 0.
pub(super) fn receive_now(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<usize> {
    assert!(buffer.is_empty());
    loop {
        let space: &mut [MaybeUninit<u8>] = buffer.spare_capacity_mut();
        match SockRef::from(&socket).recv_with_flags(space, libc::MSG_DONTWAIT) {
            Ok(received) => {
                // SAFETY: the kernel wrote this many bytes to the beginning of the spare capacity.
                unsafe { buffer.set_len(received) };
                return Ok(received);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends FIN after what was sent. Fails only on connections that are gone, which reading finds out.
pub(super) fn shutdown_write(socket: BorrowedFd<'_>) {
    let _ = SockRef::from(&socket).shutdown(std::net::Shutdown::Write);
}

/// Makes a listener refuse connections from now on, also while operations still hold it open.
pub(super) fn stop_listening(socket: &OwnedFd) {
    let _ = SockRef::from(socket).shutdown(std::net::Shutdown::Both);
}

/// Whether a failed accept says something about the one connection only, and the next one may be accepted
/// at once (accept(2) advises so for errors of the network).
pub(super) fn concerns_one_connection(error: &Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::ECANCELED
                | libc::EPROTO
                | libc::EPERM
                | libc::ENETDOWN
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENONET
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn listen_at(address: &str) -> (TcpListener, SocketAddr) {
        let options = ListenOptions { address: address.parse().unwrap(), backlog: 16 };
        let (listener, address) = listen(&options).unwrap();
        (TcpListener::from(listener), address)
    }

    #[test]
    fn an_unspecified_host_serves_both_families() {
        for host in ["0.0.0.0:0", "[::]:0"] {
            let (listener, bound) = listen_at(host);
            let client = TcpStream::connect((Ipv4Addr::LOCALHOST, bound.port())).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            let (peer, local) = addresses(&accepted).unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(local, client.peer_addr().unwrap());
            assert!(peer.is_ipv4());
            if bound.is_ipv6() {
                TcpStream::connect((Ipv6Addr::LOCALHOST, bound.port())).unwrap();
            }
        }
    }

    #[test]
    fn accepted_connections_inherit_nodelay_and_no_keepalive() {
        let (listener, bound) = listen_at("127.0.0.1:0");
        let _client = TcpStream::connect(bound).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        assert!(!SockRef::from(&accepted).keepalive().unwrap());
    }

    #[test]
    fn a_stopped_listener_refuses_and_frees_its_port() {
        let (listener, bound) = listen_at("127.0.0.1:0");
        let listener = OwnedFd::from(listener);
        stop_listening(&listener);
        assert_eq!(TcpStream::connect(bound).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let again = listen(&ListenOptions { address: bound, backlog: 16 });
        assert_eq!(again.unwrap().1, bound, "while the old descriptor is still open");
    }

    #[test]
    fn a_taken_port_is_an_error_also_for_an_unspecified_host() {
        let (_listener, bound) = listen_at("0.0.0.0:0");
        let options =
            ListenOptions { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, bound.port())), backlog: 1 };
        assert_eq!(listen(&options).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
