//! What the program prints. Whoever reads it may have gone (`petrel doctor | head`), which is no reason to fail; the macros of
//! the standard library would panic.

use std::io::{self, Write};

/// Writes to standard output.
pub fn say(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
