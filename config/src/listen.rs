//! `host:port`, or a port alone.

use crate::reader::Reader;
use crate::value::{Node, Value};

/// Reads `4222`, `host:4222` or `"[::1]:4222"`; a port alone leaves the host empty.
pub(crate) fn listen(reader: &mut Reader, node: &Node) -> Option<(String, i64)> {
    let text = match &node.value {
        Value::Integer(port) => return Some((String::new(), *port)),
        Value::String(text) => text,
        other => {
            let text = format!("expected port or host:port, got {}", other.kind());
            reader.error(&node.position, text);
            return None;
        }
    };
    let Some((host, port)) = split(text) else {
        reader.error(&node.position, format!("could not parse address string {text:?}"));
        return None;
    };
    match parse_port(port) {
        Some(port) => Some((host.trim().to_owned(), port)),
        None => {
            reader.error(&node.position, format!("could not parse port {port:?}"));
            None
        }
    }
}

fn parse_port(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Splits at the last colon; IPv6 must stand in brackets.
fn split(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        let port = behind.strip_prefix(':')?;
        return (!host.contains('[') && !port.contains(['[', ']', ':'])).then_some((host, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_needs_brackets() {
        for (text, parts) in [
            ("a:1", Some(("a", "1"))),
            (":1", Some(("", "1"))),
            ("a:", Some(("a", ""))),
            ("[::1]:1", Some(("::1", "1"))),
            ("[::]:-1", Some(("::", "-1"))),
            ("::1:1", None),
            ("[::1]", None),
            ("[a]b:1", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(split(text), parts, "{text}");
        }
    }
}
