//! Subjects as the configuration writes them: stricter than on the wire, where a blank ends them anyway.

use petrel_protocol::subject;

/// Whether a subject has no blank, no empty token, and `>` only at its end.
pub(crate) fn is_valid(text: &str) -> bool {
    !text.contains([' ', '\t', '\n', '\r', '\x0c']) && subject::is_valid_subscription(text.as_bytes())
}

/// Whether a subject is valid and has no wildcard.
pub(crate) fn is_literal(text: &str) -> bool {
    is_valid(text) && !subject::has_wildcard(text.as_bytes())
}

/// Splits `"<subject> <queue>"`; any blanks of Unicode may stand around and between the two.
pub(crate) fn split_queue(entry: &str) -> Option<(&str, &str)> {
    let mut words = entry.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(subject), Some(queue), None) => Some((subject, queue)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_belong_to_no_subject() {
        for text in ["a", "a.*", "a.>", "a.b*", "a.>b", ">", "a\u{b}b", "\u{e9}"] {
            assert!(is_valid(text), "{text}");
        }
        for text in ["", "a b", "a\tb", ".", "a..b", "a.", "a.>.b", "a\nb", "a\rb", "a\x0cb"] {
            assert!(!is_valid(text), "{text}");
        }
        assert!(is_literal("a.b") && !is_literal("a.*") && !is_literal("a b"));
    }

    #[test]
    fn an_entry_is_a_subject_and_a_queue() {
        assert_eq!(split_queue(" a  q "), Some(("a", "q")));
        assert_eq!(split_queue("a\u{a0}q"), Some(("a", "q")));
        assert_eq!((split_queue("a"), split_queue("a q r"), split_queue(" ")), (None, None, None));
    }
}
