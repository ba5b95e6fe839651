//! Which subjects a subscription means, in the oracle's own words.

/// Whether a subscription to `pattern` gets what is published to `subject`.
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (literal, Some(token)) if literal == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn tokens_are_compared_one_by_one() {
        for (pattern, subject) in
            [("a.b", "a.b"), ("a.*", "a.b"), (">", "a"), ("a.>", "a.b.c"), ("*.b", "a.b")]
        {
            assert!(matches(pattern, subject), "{pattern} {subject}");
        }
        for (pattern, subject) in [("a.b", "a"), ("a", "a.b"), ("a.>", "a"), ("*", "a.b"), ("a.*", "b.b")] {
            assert!(!matches(pattern, subject), "{pattern} {subject}");
        }
    }
}
