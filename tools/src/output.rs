//! What the programs print. Whoever reads it may have gone (`petrel doctor | head`), which is no reason to fail; the macros of
//! the standard library would panic, and so they are not used here and in `perf/`.

pub use petrel_server::console::{complain, say};

/// Writes a line to standard output; takes what `println` takes.
#[macro_export]
macro_rules! say_line {
    ($($text:tt)*) => {
        $crate::output::say(&(format!($($text)*) + "\n"))
    };
}

/// Writes a line to standard error; takes what `eprintln` takes.
#[macro_export]
macro_rules! complain_line {
    ($($text:tt)*) => {
        $crate::output::complain(&(format!($($text)*) + "\n"))
    };
}
