//! Input that is no verb, or asks for too much: the log says why the connection ends, as upstream's does.

use crate::mail::Mail;
use crate::shard::Shard;
use petrel_protocol::client::{ParseError, ProtocolError};
use petrel_protocol::quote::go_quote;
use petrel_runtime::Io;

/// Most bytes of a client's input that a line of the log shows.
const SHOWN_BYTES_MAX: usize = 32;

impl Shard {
    /// Closes a connection for its input, which begins with what is refused.
    pub(super) fn refuse_input(&mut self, key: u32, error: ParseError, input: &[u8], io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get(key) {
            let text = described(error, input, session.headers, session.payload_max);
            tracing::error!("{} - {text}", session.label());
        }
        self.fail(key, error.told().as_ref(), error.closed_reason(), io);
    }

    /// Tells the log of options of CONNECT that cannot be had.
    pub(super) fn log_refusal(&self, key: u32, error: &ProtocolError) {
        if let Some(session) = self.sessions.get(key) {
            tracing::error!("{} - {error}", session.label());
        }
    }
}

/// What the log says of refused input. Arguments of verbs other than SUB and publishing are not shown, nor is
/// more than the first word of what is no verb: it may be a CONNECT that went wrong, with its secrets.
fn described(error: ParseError, input: &[u8], has_headers: bool, payload_max: i64) -> String {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let verb_end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (verb, arguments) = (line[..verb_end].to_ascii_uppercase(), line[verb_end..].trim_ascii());
    match (error, verb.as_slice()) {
        (ParseError::ControlLineExceeded, _) => error.to_string(),
        (ParseError::PayloadExceeded, _) => {
            let size = arguments.rsplit(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
            format!("maximum payload exceeded: {} vs {payload_max}", String::from_utf8_lossy(size))
        }
        (_, b"HPUB") if !has_headers => "message headers not supported".to_owned(),
        (ParseError::Violation, b"SUB") => format!("processSub Parse Error: {}", shown(arguments)),
        (ParseError::Violation, b"UNSUB") => format!("processUnsub Parse Error: {}", shown(arguments)),
        (ParseError::Violation, b"PUB") => {
            let count = arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
            let problem = if matches!(count, 2 | 3) { "Bad or Missing Size" } else { "Parse Error" };
            format!("processPub {problem}: {}", shown(arguments))
        }
        (ParseError::Violation, b"HPUB") => format!("processHeaderPub Parse Error: {}", shown(arguments)),
        (ParseError::UnknownOperation, b"PUB" | b"HPUB") if !arguments.is_empty() => {
            format!("Client parser ERROR: no CRLF behind the payload of {}", shown(line))
        }
        _ => {
            let word_end = input.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'{');
            let word = &input[..word_end.unwrap_or(input.len()).max(1).min(input.len())];
            format!("Client parser ERROR: proto='{}...'", shown(word))
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    go_quote(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_upstream_says_and_no_secrets() {
        use ParseError::{ControlLineExceeded, PayloadExceeded, UnknownOperation, Violation};
        for (error, input, text) in [
            (UnknownOperation, "GET / HTTP/1.1\r\n", r#"Client parser ERROR: proto='"GET"...'"#),
            (UnknownOperation, "\r\n", r#"Client parser ERROR: proto='"\r"...'"#),
            (UnknownOperation, "\x16\x03\x01\x02", r#"Client parser ERROR: proto='"\x16\x03\x01\x02"...'"#),
            (
                UnknownOperation,
                "CONNECY {\"pass\":\"s3cret\"}",
                r#"Client parser ERROR: proto='"CONNECY"...'"#,
            ),
            (UnknownOperation, " CONNECT {\"pass\":\"x\"}", r#"Client parser ERROR: proto='" "...'"#),
            (UnknownOperation, "C{\"pass\":\"s3cret\"}", r#"Client parser ERROR: proto='"C"...'"#),
            (
                UnknownOperation,
                "PUB a 3\r\nabcdef",
                r#"Client parser ERROR: no CRLF behind the payload of "PUB a 3""#,
            ),
            (Violation, "SUB a b c d\r\n", r#"processSub Parse Error: "a b c d""#),
            (Violation, "sub a\r\n", r#"processSub Parse Error: "a""#),
            (Violation, "PUB a x\r\nPING\r\n", r#"processPub Bad or Missing Size: "a x""#),
            (Violation, "PUB a\r\n", r#"processPub Parse Error: "a""#),
            (Violation, "INFO {\"pass\":1\r\n", r#"Client parser ERROR: proto='"INFO"...'"#),
            (PayloadExceeded, "PUB a r 1048577\r\n", "maximum payload exceeded: 1048577 vs 1024"),
            (ControlLineExceeded, "SUB aaaa", "maximum control line exceeded"),
            (Violation, "HPUB a 12 12\r\n", "message headers not supported"),
        ] {
            assert_eq!(described(error, input.as_bytes(), false, 1024), text, "{input:?}");
        }
        let long = format!("{}\r\n", "X".repeat(100));
        let text = described(UnknownOperation, long.as_bytes(), true, 1024);
        assert_eq!(text.matches('X').count(), SHOWN_BYTES_MAX);
        assert_eq!(described(UnknownOperation, b"", true, 1), "Client parser ERROR: proto='\"\"...'");
    }
}
