//! Signals, as one channel (reference: config.md, section 4).

use crossbeam_channel::{Receiver, bounded};
use nix::libc::{SIGPWR, SIGRTMAX, SIGRTMIN};
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use std::io;

/// Signals that may wait for the main thread; more of them say nothing new.
const WAITING_MAX: usize = 16;

/// Signals that ask for something.
const MEANT: [i32; 5] = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];

/// Signals that would end the process if nobody took them, and that upstream's runtime takes and forgets: a timer, a
/// limit or an operator's slip is no reason to let all clients go. Real-time signals are the same (upstream leaves out the
/// first of them). SIGPIPE is ignored
/// since before `main`.
const MEANINGLESS: [i32; 7] = [SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ];

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: stop.
    Interrupt,
    /// SIGTERM: stop, unless lame duck mode does so already.
    Terminate,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: open the log file again.
    ReopenLog,
    /// SIGUSR2: lame duck mode.
    LameDuck,
}

impl Signal {
    /// Go's name of the signal, which upstream logs.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "interrupt",
            Signal::Terminate => "terminated",
            Signal::Reload => "hangup",
            Signal::ReopenLog => "user defined signal 1",
            Signal::LameDuck => "user defined signal 2",
        }
    }

    fn from_number(number: i32) -> Option<Signal> {
        match number {
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            SIGHUP => Some(Signal::Reload),
            SIGUSR1 => Some(Signal::ReopenLog),
            SIGUSR2 => Some(Signal::LameDuck),
            _ => None,
        }
    }
}

/// Takes over the signals of the process. `quit` is what SIGQUIT does; it is not left to whoever takes the others, who may
/// be what hangs.
///
/// # Errors
/// When handlers or the thread cannot be installed.
pub fn listen(quit: impl Fn() + Send + 'static) -> io::Result<Receiver<Signal>> {
    let mut signals = Signals::new(MEANT.into_iter().chain([SIGQUIT]))?;
    for number in MEANINGLESS.into_iter().chain(SIGRTMIN()..=SIGRTMAX()) {
        // Under valgrind the last one is not to be had; without it there is one signal more that ends the process.
        let _ = signals.add_signal(number);
    }
    let (sender, receiver) = bounded(WAITING_MAX);
    std::thread::Builder::new().name("petrel-signals".into()).spawn(move || {
        for number in signals.forever() {
            if number == SIGQUIT {
                quit();
            }
            // When the channel is full, the main thread has enough to do.
            let _ = Signal::from_number(number).map(|signal| sender.try_send(signal));
        }
    })?;
    Ok(receiver)
}
