//! Subjects: tokens separated by dots, with the wildcards `*` (one token) and `>` (one or more, last).
//!
//! A token is any run of bytes without a dot. A wildcard counts only as a whole token: `foo*` and `a>b` are
//! ordinary tokens. No check for UTF-8 is made (reference: protocol.md, section 5).

/// Whether a subject may be subscribed to: no empty token, nothing after `>`, at least one token.
pub fn is_valid_subscription(subject: &[u8]) -> bool {
    let mut ended = false;
    for token in tokens(subject) {
        if token.is_empty() || ended {
            return false;
        }
        ended = token == b">";
    }
    true
}

/// Whether a subject may be published to under pedantic rules: valid for a subscription and without wildcards.
pub fn is_valid_literal(subject: &[u8]) -> bool {
    tokens(subject).all(|token| !token.is_empty() && !is_wildcard(token))
}

/// Whether a subject has a token that is exactly `*` or `>` (`foo*` is an ordinary token).
pub fn has_wildcard(subject: &[u8]) -> bool {
    tokens(subject).any(is_wildcard)
}

/// The tokens of a subject, empty ones included: an empty subject has one empty token.
pub fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    subject.split(|byte| *byte == b'.')
}

/// Whether two names are the same. For the short ones that subjects are, a library's comparison costs more than the
/// bytes.
#[inline]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    /// Compares the first and the last `N` of `N` to 2 `N` bytes.
    #[inline(always)]
    fn ends_agree<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk::<N>() && one.last_chunk::<N>() == other.last_chunk::<N>()
    }
    one.len() == other.len()
        && match one.len() {
            8..=16 => ends_agree::<8>(one, other),
            4..8 => ends_agree::<4>(one, other),
            17..=32 => ends_agree::<16>(one, other),
            _ => one == other,
        }
}

/// Whether a literal subject matches a pattern. A subject with an empty token matches nothing, not even `>`.
///
/// A published subject is always taken literally: a token `*` or `>` in it is matched by the same token or by
/// a wildcard of the pattern.
pub fn matches(pattern: &[u8], literal: &[u8]) -> bool {
    if tokens(literal).any(<[u8]>::is_empty) {
        return false;
    }
    let mut literal_tokens = tokens(literal);
    let mut pattern_tokens = tokens(pattern).peekable();
    while let Some(wanted) = pattern_tokens.next() {
        let Some(token) = literal_tokens.next() else { return false };
        if wanted == b">" && pattern_tokens.peek().is_none() {
            return true;
        }
        if wanted != b"*" && wanted != token {
            return false;
        }
    }
    literal_tokens.next().is_none()
}

fn is_wildcard(token: &[u8]) -> bool {
    token == b"*" || token == b">"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_when_all_bytes_are() {
        for length in 0..70 {
            let name: Vec<u8> = (0..length).map(|at| b'a' + at as u8 % 26).collect();
            assert!(is_same(&name, &name.clone()));
            assert!(!is_same(&name, &[&name[..], b"x"].concat()));
            for at in 0..length {
                let mut other = name.clone();
                other[at] = b'.';
                assert!(!is_same(&name, &other), "byte {at} of {length}");
            }
        }
    }
    use proptest::prelude::*;

    #[test]
    fn subscriptions_have_no_empty_token_and_nothing_after_the_full_wildcard() {
        for subject in ["a", "a.b", "*", ">", "a.*", "a.>", "*.*.>", "foo*", "a>b", ">>", "*a.b", "a.>b.c"] {
            assert!(is_valid_subscription(subject.as_bytes()), "{subject}");
        }
        for subject in ["", ".", "a.", ".a", "a..b", ">.a", "a.>.b", "a.>."] {
            assert!(!is_valid_subscription(subject.as_bytes()), "{subject}");
        }
        assert!(is_valid_subscription(b"\xff.\x01"));
    }

    #[test]
    fn literals_have_no_wildcard_token() {
        for subject in ["a", "a.b", "foo*", "a>b", "*a", ">>"] {
            assert!(is_valid_literal(subject.as_bytes()), "{subject}");
            assert!(!has_wildcard(subject.as_bytes()), "{subject}");
        }
        for subject in ["*", ">", "a.*", "a.>", ">.a", "a.*.b"] {
            assert!(!is_valid_literal(subject.as_bytes()), "{subject}");
            assert!(has_wildcard(subject.as_bytes()), "{subject}");
        }
        for subject in ["", ".a", "a.", "a..b"] {
            assert!(!is_valid_literal(subject.as_bytes()), "{subject}");
        }
    }

    #[test]
    fn matching_follows_the_reference() {
        for (pattern, literal) in [
            ("a.b", "a.b"),
            ("a.*", "a.b"),
            ("*.b", "a.b"),
            ("a.>", "a.b"),
            ("a.>", "a.b.c"),
            (">", "a"),
            ("foo*", "foo*"),
            ("foo.*", "foo.*"),
            ("foo.>", "foo.>"),
            ("foo.>", "foo.*"),
            (">", "a.>.b"),
        ] {
            assert!(matches(pattern.as_bytes(), literal.as_bytes()), "{pattern} {literal}");
        }
        for (pattern, literal) in [
            ("a.b", "a"),
            ("a", "a.b"),
            ("a.>", "a"),
            ("a.*", "a"),
            ("a.*", "a.b.c"),
            ("foo*", "fool"),
            (">", "a..b"),
            (">", "."),
            (">", ""),
            ("a.*", "a."),
            ("a.>", "a."),
            ("*.b", ".b"),
            ("foo.bar", "foo.*"),
        ] {
            assert!(!matches(pattern.as_bytes(), literal.as_bytes()), "{pattern} {literal}");
        }
    }

    /// Recursive definition of matching over lists of tokens.
    fn model(pattern: &[&str], literal: &[&str]) -> bool {
        match (pattern, literal) {
            ([], []) => true,
            ([">"], rest) => !rest.is_empty(),
            (["*", pattern @ ..], [_, literal @ ..]) => model(pattern, literal),
            ([wanted, pattern @ ..], [token, literal @ ..]) => wanted == token && model(pattern, literal),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_recursive_definition(
            pattern in proptest::collection::vec(prop_oneof!["[ab]{1,2}", Just("*".to_owned()), Just(">".to_owned())], 1..5),
            literal in proptest::collection::vec("[ab]{0,2}", 1..5),
        ) {
            let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let literal: Vec<&str> = literal.iter().map(String::as_str).collect();
            let expected = literal.iter().all(|token| !token.is_empty()) && model(&pattern, &literal);
            prop_assert_eq!(matches(pattern.join(".").as_bytes(), literal.join(".").as_bytes()), expected);
        }
    }
}
