//! Escapes in the texts of conversations.

/// The bytes that `text` stands for: `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN`, and `\*COUNT{TEXT}` for a text repeated.
///
/// # Errors
///
/// Says what is wrong with an escape.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut rest = text;
    let bytes = until(&mut rest, None)?;
    Ok(bytes)
}

/// Reads up to the unescaped `end`, or to the end of the text.
fn until(rest: &mut &str, end: Option<char>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut depth = 0_usize;
    while let Some(character) = rest.chars().next() {
        *rest = &rest[character.len_utf8()..];
        match character {
            '\\' => escape(rest, &mut bytes)?,
            '}' if end == Some('}') && depth == 0 => return Ok(bytes),
            _ => {
                // Braces inside a repeated text, as those of JSON, go in pairs.
                match character {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    match end {
        Some(end) => Err(format!("no {end} ends the repeated text")),
        None => Ok(bytes),
    }
}

fn escape(rest: &mut &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    let character = rest.chars().next().ok_or("a backslash at the end")?;
    *rest = &rest[character.len_utf8()..];
    match character {
        'r' => bytes.push(b'\r'),
        'n' => bytes.push(b'\n'),
        't' => bytes.push(b'\t'),
        '0' => bytes.push(0),
        '\\' => bytes.push(b'\\'),
        'x' => {
            let digits = rest.get(..2).ok_or("\\x needs two digits")?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|error| format!("\\x{digits}: {error}"))?);
            *rest = &rest[2..];
        }
        '*' => {
            let (count, tail) = rest.split_once('{').ok_or("\\* needs {text}")?;
            let count: usize = count.parse().map_err(|error| format!("\\*{count}: {error}"))?;
            *rest = tail;
            let unit = until(rest, Some('}'))?;
            bytes.extend(unit.repeat(count));
        }
        other => return Err(format!("unknown escape \\{other}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(unescape(r"a\r\n\t\0\\\x7f\xff{}").unwrap(), b"a\r\n\t\0\\\x7f\xff{}");
    }

    #[test]
    fn repeated_texts_nest_and_keep_pairs_of_braces() {
        assert_eq!(unescape(r"<\*2{a\*2{b}{}}>").unwrap(), b"<abb{}abb{}>");
    }

    #[test]
    fn broken_escapes_are_named() {
        for text in [r"\", r"\q", r"\x1", r"\xgg", r"\*2", r"\*a{b}", r"\*2{b"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
