//! A set of subject patterns that can be asked what it matches: the lists of permissions.

use crate::fixed_seeds::FixedSeeds;
use hashbrown::HashMap;
use petrel_protocol::subject;

/// A token tree of patterns.
#[derive(Debug, Default)]
pub(crate) struct PatternSet {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    // The order is never seen: only look-ups by token. The names are the configuration's.
    literals: HashMap<Box<[u8]>, Node, FixedSeeds>,
    star: Option<Box<Node>>,
    /// A pattern goes on here with `>`.
    full: bool,
    /// A pattern ends here.
    end: bool,
}

impl PatternSet {
    /// The set of these patterns.
    pub(crate) fn of<'p>(patterns: impl IntoIterator<Item = &'p str>) -> PatternSet {
        let mut set = PatternSet::default();
        for pattern in patterns {
            set.insert(pattern.as_bytes());
        }
        set
    }

    /// Adds a pattern.
    pub(crate) fn insert(&mut self, pattern: &[u8]) {
        let mut node = &mut self.root;
        for token in subject::tokens(pattern) {
            match token {
                b">" => {
                    node.full = true;
                    return;
                }
                b"*" => node = node.star.get_or_insert_default(),
                _ => node = node.literals.entry_ref(token).or_default(),
            }
        }
        node.end = true;
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        !self.root.full && self.root.star.is_none() && self.root.literals.is_empty()
    }

    /// Whether a pattern of the set matches the subject. Wildcards in it are taken as tokens like others, so a
    /// subject with `>` is matched by `*` in its place. A subject with an empty token is matched by nothing.
    pub(crate) fn matches(&self, subject: &[u8]) -> bool {
        !subject::tokens(subject).any(<[u8]>::is_empty) && self.root.matches(subject::tokens(subject), false)
    }

    /// Whether one pattern of the set matches everything that `pattern` matches.
    pub(crate) fn covers(&self, pattern: &[u8]) -> bool {
        !subject::tokens(pattern).any(<[u8]>::is_empty) && self.root.matches(subject::tokens(pattern), true)
    }

    /// Whether there is a subject that `pattern` and one of the set match both.
    pub(crate) fn overlaps(&self, pattern: &[u8]) -> bool {
        self.root.overlaps(subject::tokens(pattern))
    }
}

impl Node {
    /// `as_pattern`: `>` among the tokens stands for many, and only `>` covers it.
    fn matches<'s>(&self, mut tokens: impl Iterator<Item = &'s [u8]> + Clone, as_pattern: bool) -> bool {
        let Some(token) = tokens.next() else { return self.end };
        if self.full {
            return true;
        }
        if as_pattern && token == b">" {
            return false;
        }
        if let Some(star) = &self.star
            && star.matches(tokens.clone(), as_pattern)
        {
            return true;
        }
        self.literals.get(token).is_some_and(|next| next.matches(tokens, as_pattern))
    }

    fn overlaps<'s>(&self, mut tokens: impl Iterator<Item = &'s [u8]> + Clone) -> bool {
        let Some(token) = tokens.next() else { return self.end };
        if self.full || token == b">" {
            // Whatever follows here ends in a pattern, and every pattern has a subject.
            return self.full || self.star.is_some() || !self.literals.is_empty();
        }
        if let Some(star) = &self.star
            && star.overlaps(tokens.clone())
        {
            return true;
        }
        if token == b"*" {
            return self.literals.values().any(|next| next.overlaps(tokens.clone()));
        }
        self.literals.get(token).is_some_and(|next| next.overlaps(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_does_not_cover_what_goes_on() {
        let set = PatternSet::of(["foo.*", "a.b"]);
        assert!(set.covers(b"foo.*") && set.covers(b"foo.x") && set.covers(b"a.b"));
        assert!(!set.covers(b"foo.>") && !set.covers(b"a.*") && !set.covers(b"foo") && !set.covers(b">"));
        // Taken as a token, as upstream takes it when it looks at what is denied.
        assert!(set.matches(b"foo.>"));
        assert!(set.overlaps(b"foo.>") && set.overlaps(b">") && set.overlaps(b"*.b") && !set.overlaps(b"*"));
        assert!(!PatternSet::default().overlaps(b">") && PatternSet::default().is_empty());
    }

    /// All literals of up to four tokens over two letters: what patterns of up to four tokens mean.
    fn universe() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut previous = all.clone();
        for _ in 0..5 {
            let longer = |head: &String| {
                ["a", "b", "c"]
                    .map(|token| if head.is_empty() { token.to_owned() } else { format!("{head}.{token}") })
            };
            previous = previous.iter().flat_map(longer).collect();
            all.extend(previous.iter().cloned());
        }
        all.remove(0);
        all
    }

    fn pattern() -> impl Strategy<Value = String> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        (proptest::collection::vec(token, 1..4), any::<bool>()).prop_map(|(mut tokens, is_full)| {
            if is_full {
                let last = tokens.len() - 1;
                tokens[last] = ">";
            }
            tokens.join(".")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn the_tree_agrees_with_a_look_at_every_subject(
            patterns in proptest::collection::vec(pattern(), 0..6),
            asked in pattern(),
        ) {
            let set = PatternSet::of(patterns.iter().map(String::as_str));
            let matched = |pattern: &str, literal: &str| {
                subject::matches(pattern.as_bytes(), literal.as_bytes())
            };
            let universe = universe();
            for literal in &universe {
                let expected = patterns.iter().any(|pattern| matched(pattern, literal));
                prop_assert_eq!(set.matches(literal.as_bytes()), expected, "{}", literal);
            }
            // One letter that no pattern names and one token more than any has: `>` and `*` show themselves.
            let covered = patterns.iter().any(|pattern| {
                universe.iter().filter(|literal| matched(&asked, literal)).all(|l| matched(pattern, l))
            });
            prop_assert_eq!(set.covers(asked.as_bytes()), covered);
            let overlapping = universe
                .iter()
                .any(|literal| matched(&asked, literal) && patterns.iter().any(|p| matched(p, literal)));
            prop_assert_eq!(set.overlaps(asked.as_bytes()), overlapping);
        }
    }
}
