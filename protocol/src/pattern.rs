//! Patterns beside patterns: what `*` and `>` of one leave of another.

use crate::subject::tokens;

/// Whether every subject that `narrower` matches is matched by `wider`. Both are valid for a subscription.
pub fn covers(wider: &[u8], narrower: &[u8]) -> bool {
    let mut narrow = tokens(narrower);
    for wide in tokens(wider) {
        match (wide, narrow.next()) {
            (_, None) => return false,
            (b">", Some(_)) => return true,
            (_, Some(b">")) => return false,
            (b"*", Some(_)) => {}
            (wide, Some(token)) if wide == token => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

/// The pattern of the subjects that both match; `None` when there are none. Both are valid for a subscription.
pub fn intersection(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let (mut ones, mut others) = (tokens(one), tokens(other));
    let mut both: Vec<&[u8]> = Vec::new();
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return Some(both.join(&b'.')),
            (Some(b">"), Some(token)) => {
                both.push(token);
                both.extend(others.by_ref());
                return Some(both.join(&b'.'));
            }
            (Some(token), Some(b">")) => {
                both.push(token);
                both.extend(ones.by_ref());
                return Some(both.join(&b'.'));
            }
            (Some(b"*"), Some(token)) | (Some(token), Some(b"*")) => both.push(token),
            (Some(token), Some(same)) if token == same => both.push(token),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::matches;
    use proptest::prelude::*;

    fn pattern() -> impl Strategy<Value = String> {
        let token = prop_oneof!["[ab]", Just("*".to_owned())];
        (proptest::collection::vec(token, 1..4), any::<bool>()).prop_map(|(mut tokens, has_rest)| {
            if has_rest {
                tokens.push(">".into());
            }
            tokens.join(".")
        })
    }

    /// Every subject of up to five tokens out of two, and a third that no pattern names.
    fn all_subjects() -> Vec<String> {
        let mut all: Vec<String> = vec!["a".into(), "b".into(), "c".into()];
        let mut longest = all.clone();
        for _ in 1..5 {
            longest = longest
                .iter()
                .flat_map(|one| ["a", "b", "c"].map(|token| format!("{one}.{token}")))
                .collect();
            all.extend(longest.iter().cloned());
        }
        all
    }

    proptest! {
        #[test]
        fn patterns_relate_as_their_subjects_do(one in pattern(), other in pattern()) {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            let both = intersection(one, other);
            let mut is_covered = true;
            for subject in all_subjects() {
                let subject = subject.as_bytes();
                let (by_one, by_other) = (matches(one, subject), matches(other, subject));
                is_covered &= by_one || !by_other;
                prop_assert_eq!(both.as_ref().is_some_and(|both| matches(both, subject)), by_one && by_other);
            }
            prop_assert_eq!(covers(one, other), is_covered);
        }
    }
}
