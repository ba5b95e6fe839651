//! Whatever the bytes, reading them ends without a panic and within bounds.

use petrel_config::{Source, load};
use proptest::prelude::*;

/// A file, which may include itself, and an environment that refers to itself.
struct Bytes(Vec<u8>);

impl Source for Bytes {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if path.len().is_multiple_of(2) { Ok(self.0.clone()) } else { Err("no such file".to_owned()) }
    }

    fn read_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.read(path).ok())
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        match name {
            "A" => Some("[$B, $B]".to_owned()),
            "B" => Some("{x: $C}".to_owned()),
            "C" => Some("1".to_owned()),
            "D" => Some(String::from_utf8_lossy(&self.0).into_owned()),
            _ => None,
        }
    }
}

fn read(bytes: &[u8]) {
    match load("ab", &mut Bytes(bytes.to_vec())) {
        Ok(configuration) => assert_eq!(configuration.digest.len(), "sha256:".len() + 64),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Pieces of files: what the grammar knows, in any order.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static [u8]> = vec![
        b"port",
        b"server_name",
        b"authorization",
        b"users",
        b"user",
        b"pass",
        b"petrel",
        b"cores",
        b"memory",
        b"listen",
        b"jetstream",
        b"X",
        b"$X",
        b"$A",
        b"$D",
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b")",
        b"\n)\n",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b"=",
        b":",
        b",",
        b";",
        b"#",
        b"//",
        b"/",
        b"\"",
        b"'",
        b"\\",
        b"\\x",
        b"\\x41",
        b"4222",
        b"-1",
        b"1.5",
        b"512MB",
        b"8e",
        b"2025-01-02T03:04:05Z",
        b"127.0.0.1:1",
        b"true",
        b"off",
        b"include ",
        b"ab",
        b"abc",
        b"\0",
        b"\xff",
        b"\xe2\x82",
        b"\xc3\xa9",
        b"5s",
        b"\"1h\"",
    ];
    prop_oneof![
        8 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_of_pieces(pieces in proptest::collection::vec(piece(), 0..40)) {
        read(&pieces.concat());
    }

    #[test]
    fn files_of_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }
}

#[test]
fn deep_files_are_refused() {
    for open in ["[", "{a:", "a{", "a: [ {"] {
        read(open.repeat(100_000).as_bytes());
    }
    let error = load("ab", &mut Bytes(format!("a: {}", "[".repeat(600)).into_bytes())).unwrap_err();
    assert!(error.to_string().starts_with("blocks and arrays may not nest deeper than 512"), "{error}");
}

#[test]
fn variables_that_double_are_refused() {
    let mut text = "V0: [ 1, 1 ]\n".to_owned();
    for level in 1..40 {
        text += &format!("V{level}: [ $V{0}, $V{0} ]\n", level - 1);
    }
    let error = load("ab", &mut Bytes(text.into_bytes())).unwrap_err();
    assert_eq!(error.to_string(), "the configuration has more than 1000000 values");
}
