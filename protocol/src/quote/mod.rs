//! Go's `%q`: what error texts show subjects in.

mod printable;

use crate::utf8;
use std::fmt::Write;

/// Quotes bytes as Go's `%q` quotes a string: double quotes, `\"` and `\\` escaped, non-printables as `\n`,
/// `\t`, `\x07`, `\u00ad` and so on, bytes that are not UTF-8 as `\xff`.
pub fn go_quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        match utf8::first_char(rest) {
            Some((character, width)) => {
                quote_char(&mut quoted, character);
                rest = &rest[width..];
            }
            None => {
                quote_byte(&mut quoted, byte);
                rest = &rest[1..];
            }
        }
    }
    quoted.push('"');
    quoted
}

fn quote_char(quoted: &mut String, character: char) {
    let code = u32::from(character);
    match character {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        _ if printable::is_printable(character) => quoted.push(character),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        '\x00'..'\x20' | '\x7f' => write_formatted(quoted, format_args!("\\x{code:02x}")),
        '\x20'..'\u{10000}' => write_formatted(quoted, format_args!("\\u{code:04x}")),
        '\u{10000}'.. => write_formatted(quoted, format_args!("\\U{code:08x}")),
    }
}

fn quote_byte(quoted: &mut String, byte: u8) {
    write_formatted(quoted, format_args!("\\x{byte:02x}"));
}

fn write_formatted(quoted: &mut String, arguments: std::fmt::Arguments<'_>) {
    quoted.write_fmt(arguments).expect("a String takes everything that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs in hexadecimal with what Go 1.26 printed for them with `%q`.
    const VECTORS: [(&str, &str); 27] = [
        ("", r#""""#),
        ("666f6f2e626172", r#""foo.bar""#),
        ("612062", r#""a b""#),
        ("6122625c63276460", r#""a\"b\\c'd`""#),
        ("0001060708090a0b0c0d0e1f", r#""\x00\x01\x06\a\b\t\n\v\f\r\x0e\x1f""#),
        ("7f", r#""\x7f""#),
        ("80ffc080", r#""\x80\xff\xc0\x80""#),
        ("c2a0c2adc3a9", r#""\u00a0\u00adé""#),
        ("e282", r#""\xe2\x82""#),
        ("61e282ac62", r#""a€b""#),
        ("e2808be2808de280a8e280a9efbbbf", r#""\u200b\u200d\u2028\u2029\ufeff""#),
        ("efbfbd", "\"\u{fffd}\""),
        ("eda080", r#""\xed\xa0\x80""#),
        ("f09f9880", r#""😀""#),
        ("f3a08081f3a08480", "\"\\U000e0001\u{e0100}\""),
        ("f48fbfbf", r#""\U0010ffff""#),
        ("f4908080", r#""\xf4\x90\x80\x80""#),
        ("cdb8cdb9", r#""\u0378\u0379""#),
        ("e38080", r#""\u3000""#),
        ("cc8178", "\"\u{301}x\""),
        ("ee8080", r#""\ue000""#),
        ("666f6f2e2a2e3e", r#""foo.*.>""#),
        ("244a532e4150492e3e", r#""$JS.API.>""#),
        ("e697a5e69cace8aa9e", r#""日本語""#),
        ("e19a80e28083", r#""\u1680\u2003""#),
        ("f09fabb8f09fabb9", "\"\u{1faf8}\\U0001faf9\""),
        ("d89c", r#""\u061c""#),
    ];

    #[test]
    fn go_quotes_the_same() {
        for (hex, expected) in VECTORS {
            let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
            assert_eq!(go_quote(&bytes), expected, "{hex}");
        }
    }

    #[test]
    fn go_prints_the_same_characters() {
        // FNV-1a over one byte for each scalar value in order, 1 if `strconv.IsPrint` holds, computed with Go 1.26.
        let mut hash: u64 = 14_695_981_039_346_656_037;
        let mut count = 0;
        for character in '\0'..=char::MAX {
            let printable = printable::is_printable(character);
            count += u32::from(printable);
            hash = (hash ^ u64::from(printable)).wrapping_mul(1_099_511_628_211);
        }
        assert_eq!((hash, count), (0x23cf_2c1e_d413_9389, 148_998));
    }
}
