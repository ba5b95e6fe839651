//! The monitoring port, asked over HTTP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;

/// An answer of the monitoring port.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and header lines, as sent.
    pub head: String,
    /// The body, as sent.
    pub body: String,
}

/// Asks `address` for `path` with GET and reads the answer to its end.
///
/// # Errors
///
/// When the connection fails, or the answer is not HTTP in UTF-8.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0 keeps the answer free of chunks, and its end is the end of the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let invalid =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{what} in the answer to {path}"));
    let text = String::from_utf8(bytes).map_err(|_| invalid("bytes that are not UTF-8"))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| invalid("no end of the header"))?;
    let status =
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| invalid("no status"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
