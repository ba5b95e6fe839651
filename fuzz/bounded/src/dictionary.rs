//! Words that inputs of a target are made of, in the form that libFuzzer reads with `-dict`.

/// Reads a dictionary: a word in double quotes on each line, behind a name and `=` if it has one; `\\`, `\"` and `\xNN`
/// stand for bytes; `#` begins a comment.
///
/// # Errors
/// The first line that is none of that.
pub fn words(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| word(line).ok_or_else(|| format!("not a line of a dictionary: {line}"))).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let (_, quoted) = line.split_once('"')?;
    let mut bytes = quoted.strip_suffix('"')?.bytes();
    let mut word = Vec::new();
    while let Some(byte) = bytes.next() {
        word.push(match byte {
            b'"' => return None,
            b'\\' => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                literal @ (b'\\' | b'"') => literal,
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_read_as_libfuzzer_does() {
        let text = "# A comment.\n\n\"PUB \"\nend=\"\\x0d\\x0a\"\n  \"\\\\\\\"\"\n";
        assert_eq!(words(text), Ok(vec![b"PUB ".to_vec(), b"\r\n".to_vec(), b"\\\"".to_vec()]));
        for wrong in ["PUB", "\"a", "\"a\"b\"", "\"\\n\"", "\"\\x1\"", "\"\\xzz\""] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
