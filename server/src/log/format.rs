//! A line of the log, as upstream writes it: `[pid] YYYY/MM/DD HH:MM:SS.micros [INF] text`
//! (reference: protocol.md, section 16), or as a JSON object.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use std::io::Write;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The server cannot go on.
    Fatal,
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// What an operator wants to know.
    Information,
    /// What a developer wants to know (`-D`).
    Debug,
    /// Protocol lines (`-V`).
    Trace,
}

impl Level {
    /// The mark in the line.
    pub fn mark(self) -> &'static str {
        match self {
            Level::Fatal => "[FTL]",
            Level::Error => "[ERR]",
            Level::Warning => "[WRN]",
            Level::Information => "[INF]",
            Level::Debug => "[DBG]",
            Level::Trace => "[TRC]",
        }
    }
}

impl Level {
    /// The word in a JSON line.
    fn word(self) -> &'static str {
        match self {
            Level::Fatal => "fatal",
            Level::Error => "error",
            Level::Warning => "warn",
            Level::Information => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// A line on its way to the writer.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was logged.
    pub at: Timestamp,
    /// How grave it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

impl Line {
    /// A line of this moment.
    pub fn now(level: Level, text: String) -> Line {
        Line { at: Timestamp::now(), level, text }
    }
}

/// How lines are written.
#[derive(Clone, Debug)]
pub enum Format {
    /// As upstream does.
    Text(Stamp),
    /// One JSON object a line (`petrel { log_format: json }`): `time` in UTC, `level`, `pid`, `message`.
    Json,
}

/// A JSON line.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    level: &'static str,
    pid: u32,
    message: &'a str,
}

impl Format {
    /// Appends a line with its end.
    pub fn append(&self, line: &Line, out: &mut Vec<u8>) {
        match self {
            Format::Text(stamp) => stamp.append(line, out),
            Format::Json => {
                let object = JsonLine {
                    time: format!("{:.6}", line.at),
                    level: line.level.word(),
                    pid: std::process::id(),
                    message: &line.text,
                };
                // Texts and numbers always serialize, and writing into a vector cannot fail.
                let _ = serde_json::to_writer(&mut *out, &object);
                out.push(b'\n');
            }
        }
    }
}

/// What stands in front of each line.
#[derive(Clone, Debug)]
pub struct Stamp {
    process: u32,
    time: bool,
    zone: TimeZone,
}

impl Stamp {
    /// `time`: whether lines carry their time (`logtime`); `utc`: in UTC rather than the local zone.
    pub fn new(time: bool, utc: bool) -> Stamp {
        Stamp {
            process: std::process::id(),
            time,
            zone: if utc { TimeZone::UTC } else { TimeZone::system() },
        }
    }

    /// Appends a line with its end. A line break inside the text stays as it is, as upstream's does.
    pub fn append(&self, line: &Line, out: &mut Vec<u8>) {
        // Writing into a vector cannot fail.
        let _ = write!(out, "[{}] ", self.process);
        if self.time {
            let at: Zoned = line.at.to_zoned(self.zone.clone());
            let micros = at.subsec_nanosecond() / 1000;
            let _ = write!(
                out,
                "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{micros:06} ",
                at.year(),
                at.month(),
                at.day(),
                at.hour(),
                at.minute(),
                at.second()
            );
        }
        out.extend_from_slice(line.level.mark().as_bytes());
        out.push(b' ');
        out.extend_from_slice(line.text.as_bytes());
        if !line.text.ends_with('\n') {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(stamp: &Stamp, level: Level) -> String {
        let at = Timestamp::new(1_789_000_000, 1_234_567).unwrap();
        let mut out = Vec::new();
        stamp.append(&Line { at, level, text: "Server is ready".into() }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_with_time_reads_as_upstreams() {
        let text = rendered(&Stamp::new(true, true), Level::Information);
        let expected = format!("[{}] 2026/09/10 00:26:40.001234 [INF] Server is ready\n", std::process::id());
        assert_eq!(text, expected);
    }

    #[test]
    fn a_line_without_time_keeps_the_process() {
        let text = rendered(&Stamp::new(false, true), Level::Fatal);
        assert_eq!(text, format!("[{}] [FTL] Server is ready\n", std::process::id()));
    }

    #[test]
    fn a_json_line_is_one_object_whatever_the_text() {
        let at = Timestamp::new(1_789_000_000, 1_234_567).unwrap();
        let mut out = Vec::new();
        Format::Json.append(&Line { at, level: Level::Warning, text: "a\n\"b\"".into() }, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["time"], "2026-09-10T00:26:40.001234Z");
        assert_eq!(object["level"], "warn");
        assert_eq!(object["pid"], std::process::id());
        assert_eq!(object["message"], "a\n\"b\"");
    }
}
