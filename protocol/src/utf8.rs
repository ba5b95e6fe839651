//! UTF-8 as Go decodes it: character by character, a byte that begins no valid sequence counting alone.

/// The character that `bytes` begin with, and its length in bytes; `None` when the first byte begins no valid
/// sequence (Go then takes this one byte as an error and goes on behind it).
pub(crate) fn first_char(bytes: &[u8]) -> Option<(char, usize)> {
    let width = match bytes.first()? {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let character = std::str::from_utf8(bytes.get(..width)?).ok()?.chars().next()?;
    Some((character, width))
}

#[cfg(test)]
mod tests {
    use super::first_char;

    #[test]
    fn sequences_are_whole_or_nothing() {
        assert_eq!(first_char(b"a\xff"), Some(('a', 1)));
        assert_eq!(first_char("é".as_bytes()), Some(('é', 2)));
        assert_eq!(first_char("€x".as_bytes()), Some(('€', 3)));
        assert_eq!(first_char("😀".as_bytes()), Some(('😀', 4)));
        for bytes in [
            &b""[..],
            b"\xff",
            b"\x80",
            b"\xc0\x80",
            b"\xe2\x82",
            b"\xe2\x82x",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
        ] {
            assert_eq!(first_char(bytes), None, "{bytes:x?}");
        }
    }
}
