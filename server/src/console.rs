//! What programs print, the server before there is a log. Whoever reads it may have gone (`nats-server -h | head`), which is
//! no reason to fail; the macros of the standard library would panic.

use std::io::{self, Write};

/// Writes to standard output.
pub fn say(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Writes to standard error.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
