//! A CONNECT as the log may show it: what the client wrote, without what it proves itself by.
//!
//! Upstream goes by a search for words in the text, and lets through what is written in another case, with escapes or
//! quotes inside, and tokens of users. Here the text is read as JSON, as it is when the client is logged in, and what
//! cannot be read is not shown.

use super::json::{self, Outcome, Reader};
use std::ops::Range;

/// What stands in place of a secret.
const REDACTED: &str = "[REDACTED]";

/// A field is a secret when its name contains one of these; clients have fields of their own beside those that count.
const SECRETS: [&str; 8] = ["pass", "token", "secret", "jwt", "nkey", "seed", "sig", "cred"];

/// How deep objects are looked into; what lies deeper is not shown.
const DEPTH_MAX: usize = 8;

/// The argument of a CONNECT as the client wrote it, with `[REDACTED]` for values of secret fields, and for all
/// from the first field on that cannot be read.
pub fn without_secrets(connect: &[u8]) -> String {
    let mut redaction = Redaction::default();
    let read = json::document(connect, |name, value| redaction.field(name, value, 0));
    let shown = if read.is_ok() { connect.len() } else { redaction.readable };
    let mut text = String::with_capacity(shown + REDACTED.len());
    let mut from = 0;
    // A field that was left half-way may hide what an earlier one has hidden already; those come in order.
    for (range, quotes) in redaction.hidden.iter().filter(|(range, _)| range.end <= shown) {
        text.push_str(&String::from_utf8_lossy(&connect[from..range.start]));
        text.push_str(quotes);
        text.push_str(REDACTED);
        text.push_str(quotes);
        from = range.end;
    }
    text.push_str(&String::from_utf8_lossy(&connect[from..shown]));
    if read.is_err() {
        text.push_str(REDACTED);
    }
    text
}

#[derive(Default)]
struct Redaction {
    /// What is not shown, in order, and the quotes around what is shown instead.
    hidden: Vec<(Range<usize>, &'static str)>,
    /// The end of the last value that was read to its end.
    readable: usize,
}

impl Redaction {
    fn field(&mut self, name: &str, value: &mut Reader<'_>, depth: usize) -> Outcome<()> {
        let start = value.position();
        let first = value.peek();
        if SECRETS.iter().any(|secret| name.contains(secret)) {
            value.skip_value()?;
            let quotes = if first == Some(b'"') { "\"" } else { "" };
            self.hidden.push((start..value.position_behind(), quotes));
        } else {
            self.value(value, depth)?;
        }
        self.readable = value.position_behind();
        Ok(())
    }

    fn value(&mut self, value: &mut Reader<'_>, depth: usize) -> Outcome<()> {
        let start = value.position();
        match value.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => {
                value.skip_value()?;
                self.hidden.push((start..value.position_behind(), ""));
                Ok(())
            }
            Some(b'{') => value.object(|name, value| self.field(name, value, depth + 1)),
            Some(b'[') => value.array(|value| self.value(value, depth + 1)),
            _ => value.skip_value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_connect_is_shown_as_it_was_written() {
        for (connect, shown) in [
            (r#"{"verbose":false,"user":"u","z":1,"a":2}"#, r#"{"verbose":false,"user":"u","z":1,"a":2}"#),
            (r#"{"user":"u", "pass" : "s3cret" ,"x":1} "#, r#"{"user":"u", "pass" : "[REDACTED]" ,"x":1} "#),
            (r#"{"pass":"a\"b,c}","x":"y\u00e9"}"#, r#"{"pass":"[REDACTED]","x":"y\u00e9"}"#),
            (r#"{"pass":"one","pass":"two"}"#, r#"{"pass":"[REDACTED]","pass":"[REDACTED]"}"#),
            (r#"{"PASS":"x","Auth_Token":"y"}"#, r#"{"PASS":"[REDACTED]","Auth_Token":"[REDACTED]"}"#),
            (r#"{"pa\u0073s":"x","paſs":"y"}"#, r#"{"pa\u0073s":"[REDACTED]","paſs":"[REDACTED]"}"#),
            (
                r#"{"jwt":"a","nkey":"b","sig":"c","proxy_sig":"d"}"#,
                r#"{"jwt":"[REDACTED]","nkey":"[REDACTED]","sig":"[REDACTED]","proxy_sig":"[REDACTED]"}"#,
            ),
            (r#"{"pass":12345,"token":null,"x":true}"#, r#"{"pass":[REDACTED],"token":[REDACTED],"x":true}"#),
            (r#"{"pass":{"a":["s3cret"]},"x":1}"#, r#"{"pass":[REDACTED],"x":1}"#),
            (r#"{"a":[{"pass":"s"},{"b":"c"}]}"#, r#"{"a":[{"pass":"[REDACTED]"},{"b":"c"}]}"#),
            (r#"{"name":"my pass: hello","lang":"pass"}"#, r#"{"name":"my pass: hello","lang":"pass"}"#),
            ("null", "null"),
            ("{}", "{}"),
        ] {
            assert_eq!(without_secrets(connect.as_bytes()), shown);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        for (connect, shown) in [
            (r#"{"user":"u","pass":"s3cret"#, r#"{"user":"u"[REDACTED]"#),
            (r#"{"user":"u","pass":"s3\qcret","x":1}"#, r#"{"user":"u"[REDACTED]"#),
            (r#"{"pass":"s3cret","x":tru}"#, r#"{"pass":"[REDACTED]"[REDACTED]"#),
            (r#"{"a":{"b":1,"pass":"s3cret"#, r#"{"a":{"b":1[REDACTED]"#),
            (r#"{"user":"u"} {"pass":"s3cret"}"#, r#"{"user":"u"[REDACTED]"#),
            ("{pass: s3cret}", REDACTED),
            ("{'pass':'s3cret'}", REDACTED),
            (r#"["pass","s3cret"]"#, REDACTED),
            ("s3cret", REDACTED),
            ("", REDACTED),
        ] {
            assert_eq!(without_secrets(connect.as_bytes()), shown, "{connect}");
        }
        let deep = format!("{{\"x\":{}{{\"pass\":\"s3cret\"}}{}}}", "[".repeat(50), "]".repeat(50));
        assert_eq!(
            without_secrets(deep.as_bytes()),
            format!("{{\"x\":{}[REDACTED]{}}}", "[".repeat(8), "]".repeat(8))
        );
    }

    const CANARY: &str = "s3cr3tC4nary";

    fn blanks() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just(""), Just(" "), Just("\t"), Just("  ")]
    }

    /// A name of a secret in some case, with escapes here and there.
    fn secret_name() -> impl Strategy<Value = String> {
        let names = ["pass", "auth_token", "jwt", "sig", "proxy_sig", "nkey", "password", "token"];
        (prop::sample::select(names.to_vec()), prop::collection::vec(0..4_u8, 10)).prop_map(|(name, ways)| {
            let letters = name.chars().zip(ways.into_iter().cycle());
            letters
                .map(|(letter, way)| match way {
                    0 => letter.to_ascii_uppercase().to_string(),
                    1 => format!("\\u{:04x}", u32::from(letter)),
                    _ => letter.to_string(),
                })
                .collect()
        })
    }

    /// A value that contains the secret.
    fn secret_value() -> impl Strategy<Value = String> {
        let edges =
            || prop_oneof![Just(""), Just("\\\""), Just("\\\\"), Just(",}"), Just("\\n"), Just("\u{e9}")];
        (edges(), edges(), 0..3_u8).prop_map(|(before, behind, shape)| match shape {
            0 => format!("[\"{before}{CANARY}{behind}\"]"),
            1 => format!("{{\"inside\":\"{before}{CANARY}{behind}\"}}"),
            _ => format!("\"{before}{CANARY}{behind}\""),
        })
    }

    fn secret() -> impl Strategy<Value = String> {
        (secret_name(), blanks(), blanks(), secret_value())
            .prop_map(|(name, before, behind, value)| format!("\"{name}\"{before}:{behind}{value}"))
    }

    fn field() -> impl Strategy<Value = String> {
        let harmless = prop_oneof![
            Just("\"verbose\":false".to_owned()),
            Just("\"name\":\"pass\"".to_owned()),
            Just("\"x\":[1,{\"y\":null}]".to_owned()),
        ];
        let inside = secret().prop_map(|secret| format!("\"import\":{{{secret}}}"));
        prop_oneof![harmless, secret(), secret(), inside]
    }

    proptest! {
        /// Whole, cut off anywhere, or with a byte that does not belong there.
        #[test]
        fn no_secret_is_ever_shown(
            fields in prop::collection::vec(field(), 1..6),
            cut in any::<prop::sample::Index>(),
            stray in any::<Option<(prop::sample::Index, u8)>>(),
        ) {
            let text = format!("{{{}}}", fields.join(","));
            let shown = without_secrets(text.as_bytes());
            prop_assert!(!shown.contains(CANARY), "{text}: {shown}");
            prop_assert!(shown.ends_with('}'), "{text}: {shown}");
            let mut bytes = text.clone().into_bytes();
            if let Some((place, byte)) = stray {
                // Inside a name it would be another name.
                let place = place.index(bytes.len());
                if matches!(bytes[place], b'{' | b'}' | b'[' | b']' | b':' | b',' | b' ' | b'"') {
                    bytes[place] = if byte == b'"' { b'x' } else { byte };
                }
            }
            let shown = without_secrets(&bytes[..cut.index(bytes.len() + 1)]);
            prop_assert!(!shown.contains(CANARY), "{}: {shown}", bytes.escape_ascii());
        }
    }
}
