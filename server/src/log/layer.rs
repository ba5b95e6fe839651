//! From `tracing` to the log.

use super::format::{Level, Line};
use super::writer::Log;
use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

const DEBUG: u8 = 1;
const TRACE: u8 = 2;

/// Crates whose events are logged: libraries' own are for their developers.
const TARGET_PREFIX: &str = "petrel";

/// Which of the optional levels are on. Upstream's two switches are independent: `-V` alone shows protocol
/// lines without debug lines.
#[derive(Clone, Debug, Default)]
pub struct Levels(Arc<AtomicU8>);

impl Levels {
    /// Debug and trace as given.
    pub fn new(debug: bool, trace: bool) -> Levels {
        Levels(Arc::new(AtomicU8::new(bits(debug, trace))))
    }

    /// Changes them for the whole process.
    pub fn change(&self, debug: bool, trace: bool) {
        self.0.store(bits(debug, trace), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    fn shows(&self, level: tracing::Level) -> bool {
        let bits = self.0.load(Ordering::Relaxed);
        match level {
            tracing::Level::DEBUG => bits & DEBUG != 0,
            tracing::Level::TRACE => bits & TRACE != 0,
            _ => true,
        }
    }

    fn most(&self) -> LevelFilter {
        let bits = self.0.load(Ordering::Relaxed);
        if bits & TRACE != 0 {
            LevelFilter::TRACE
        } else if bits & DEBUG != 0 {
            LevelFilter::DEBUG
        } else {
            LevelFilter::INFO
        }
    }
}

fn bits(debug: bool, trace: bool) -> u8 {
    (u8::from(debug) * DEBUG) | (u8::from(trace) * TRACE)
}

/// Sends all events of the process to `log` from now on. To be called once.
pub fn install(log: Log, levels: Levels) {
    let subscriber = Registry::default().with(LogLayer { log, levels });
    // Fails only when a subscriber is in place already, which then keeps the events.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct LogLayer {
    log: Log,
    levels: Levels,
}

impl LogLayer {
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(TARGET_PREFIX) && self.levels.shows(*metadata.level())
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shows(metadata) { Interest::always() } else { Interest::never() }
    }

    /// Asked for an event whose callsite another thread is just registering.
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.levels.most())
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Information,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        self.log.write(Line::now(level, text.0));
    }
}

/// The message of an event; other fields follow it as `name=value`.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a string cannot fail.
        let _ = match (field.name(), self.0.is_empty()) {
            ("message", true) => write!(self.0, "{value:?}"),
            ("message", false) => {
                let fields = std::mem::take(&mut self.0);
                write!(self.0, "{value:?} {fields}")
            }
            (name, true) => write!(self.0, "{name}={value:?}"),
            (name, false) => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::format::{Format, Stamp};
    use crate::log::output::{Destination, Sink};

    fn say_all() {
        tracing::error!("e");
        tracing::warn!("w");
        tracing::info!(cid = 7, "connected {}", 1);
        tracing::debug!("d");
        tracing::trace!("t");
        tracing::error!(target: "hyper", "not ours");
    }

    fn logged(levels: Levels, act: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = Sink::File { path: path.clone(), size_limit: 0, files_max: 0 };
        let format = Format::Text(Stamp::new(false, true));
        let log = Log::start(Destination { sink, format }).unwrap();
        let subscriber = Registry::default().with(LogLayer { log: log.clone(), levels });
        tracing::subscriber::with_default(subscriber, act);
        log.flush();
        let mark = format!("[{}] ", std::process::id());
        std::fs::read_to_string(path).unwrap().replace(&mark, "")
    }

    // One test: the callsites are shared, and their interest is cached over all subscribers alive.
    #[test]
    fn levels_are_mapped_and_independent() {
        let base = "[ERR] e\n[WRN] w\n[INF] connected 1 cid=7\n";
        assert_eq!(logged(Levels::new(false, false), say_all), base);
        assert_eq!(logged(Levels::new(true, false), say_all), format!("{base}[DBG] d\n"));
        assert_eq!(logged(Levels::new(false, true), say_all), format!("{base}[TRC] t\n"));
        assert_eq!(logged(Levels::new(true, true), say_all), format!("{base}[DBG] d\n[TRC] t\n"));
        let levels = Levels::new(false, true);
        let handle = levels.clone();
        let changed = logged(levels, || {
            say_all();
            handle.change(true, false);
            say_all();
        });
        assert_eq!(changed, format!("{base}[TRC] t\n{base}[DBG] d\n"));
    }
}
