//! Names of certificates' subjects, as RFC 4514 writes them.

/// A subject: its parts in order, each one or more attributes. Types are kept in upper case, since their case does not
/// count; values as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DistinguishedName(Vec<Vec<(String, String)>>);

impl DistinguishedName {
    /// A name of these parts: each a list of types and values.
    pub fn new(parts: Vec<Vec<(String, String)>>) -> DistinguishedName {
        let mut parts = parts;
        for part in &mut parts {
            for (kind, _) in part.iter_mut() {
                kind.make_ascii_uppercase();
            }
            part.sort_unstable();
        }
        DistinguishedName(parts)
    }

    /// Reads `CN=app,OU=a+OU=b`. `None` when the text is no such name.
    pub fn parse(text: &str) -> Option<DistinguishedName> {
        let mut parts = Vec::new();
        for part in split(text, ',') {
            let mut attributes = Vec::new();
            for attribute in split(part, '+') {
                let (kind, value) = attribute.split_once('=')?;
                let kind = kind.trim();
                let is_type = !kind.is_empty()
                    && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
                if !is_type {
                    return None;
                }
                attributes.push((kind.to_owned(), unescape(value)?));
            }
            parts.push(attributes);
        }
        Some(DistinguishedName::new(parts))
    }

    /// The same parts in an order of their own: equal for names that differ in order alone.
    pub(super) fn sorted(&self) -> DistinguishedName {
        let mut parts = self.0.clone();
        parts.sort_unstable();
        DistinguishedName(parts)
    }
}

/// Splits at a character that is not escaped.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |character| {
        let is_end = character == at && !escaped;
        escaped = character == '\\' && !escaped;
        is_end
    })
}

/// A value without escapes and without the blanks around it.
fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut kept = 0;
    let mut rest = value.trim_start_matches(' ').as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            bytes.push(first);
            if first != b' ' {
                kept = bytes.len();
            }
            continue;
        }
        let (&escaped, tail) = rest.split_first()?;
        let pair = tail.first().and_then(|second| Some((hex(escaped)?, hex(*second)?)));
        match pair {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[1..];
            }
            None if b" \"#+,;<=>\\".contains(&escaped) => {
                bytes.push(escaped);
                rest = tail;
            }
            None => return None,
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> Vec<Vec<(String, String)>> {
        DistinguishedName::parse(text).unwrap().0
    }

    fn one(kind: &str, value: &str) -> Vec<(String, String)> {
        vec![(kind.into(), value.into())]
    }

    #[test]
    fn parts_types_and_values() {
        assert_eq!(parts("CN=app, ou=Unit ,O=Org"), [one("CN", "app"), one("OU", "Unit"), one("O", "Org")]);
        assert_eq!(parts("CN=a+OU=b")[0], [("CN".into(), "a".into()), ("OU".into(), "b".into())]);
        assert_eq!(parts(r"CN=a\,b\20,O=x\2c\ "), [one("CN", "a,b "), one("O", "x, ")]);
        assert_eq!(parts("CN="), [one("CN", "")]);
        assert_eq!(parts("2.5.4.3=x=y"), [one("2.5.4.3", "x=y")]);
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in ["", "app", "CN=a,", "=x", "a b=c", r"CN=a\", r"CN=\q", "bob@example.com"] {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[\\PC\\\\,+= ]{0,40}") {
            let _ = DistinguishedName::parse(&text);
        }

        #[test]
        fn order_does_not_count_when_sorted(values in prop::collection::vec("[a-z]{1,3}", 1..6), seed in any::<usize>()) {
            let text = |values: &[String]| {
                values.iter().map(|value| format!("OU={value}")).collect::<Vec<_>>().join(",")
            };
            let one = DistinguishedName::parse(&text(&values)).unwrap();
            let mut turned = values.clone();
            turned.rotate_left(seed % values.len());
            let other = DistinguishedName::parse(&text(&turned)).unwrap();
            prop_assert_eq!(one.sorted(), other.sorted());
        }
    }
}
