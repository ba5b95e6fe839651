//! A bounded run of every fuzz target on stable: the corpus as it is, then inputs mutated from it. The seed is
//! fixed, so that a failure comes again; the input is in the message of the panic.

use petrel_protocol::fuzzing;
use std::path::Path;

/// Inputs for each target besides the corpus.
const MUTATED_INPUTS: usize = 200_000;

/// Inputs longer than this are cut, to keep the run short.
const INPUT_BYTES_MAX: usize = 160;

#[test]
fn client_parser() {
    let words: &[&[u8]] = &[
        b"PUB ",
        b"HPUB ",
        b"SUB ",
        b"UNSUB ",
        b"PING",
        b"PONG",
        b"+OK",
        b"-ERR ",
        b"CONNECT ",
        b"INFO ",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"{}",
        b"0",
        b"1",
        b"5",
        b"12",
        b"000000001",
        b"999999999",
        b"1000000000",
        b"-1",
        b"a",
        b"foo.bar",
        b"*",
        b">",
    ];
    run("client_parser", fuzzing::client_parser, words);
}

#[test]
fn headers() {
    let words: &[&[u8]] =
        &[b"NATS/1.0", b"\r\n", b"\n", b"\r", b": ", b":", b" ", b"503", b"A", b"Nats-Msg-Id"];
    run("headers", fuzzing::headers, words);
}

#[test]
fn signature() {
    let words: &[&[u8]] = &[b"=", b"==", b"-", b"_", b"+", b"/", b"A", b"\0"];
    // Each costs a multiplication on the curve.
    run_for(MUTATED_INPUTS / 100, "signature", fuzzing::signature, words);
}

#[test]
fn connect() {
    let words: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\\",
        b"\\u",
        b"\\ud83d",
        b"\\ude00",
        b"null",
        b"true",
        b"false",
        b"0",
        b"-1",
        b"1e9",
        b".5",
        b"\"name\":",
        b"\"verbose\":",
        b"\"protocol\":",
        b"\"import\":",
        b"\"VERBOSE\":",
        b" ",
        b"\xff",
        b"\xe2\x84\xaa",
    ];
    run("connect", fuzzing::connect, words);
}

#[test]
fn transform() {
    let words: &[&[u8]] = &[
        b".",
        b"\n",
        b"*",
        b">",
        b"$1",
        b"$2",
        b"{{",
        b"}}",
        b"(",
        b")",
        b",",
        b"wildcard",
        b"partition(3,1)",
        b"split(1,-)",
        b"left(1,2)",
        b"slicefromright(1,2)",
        b"splitfromleft(2,1)",
        b"random(9)",
        b"-",
        b"a",
        b"b",
    ];
    run("transform", fuzzing::transform, words);
}

fn run(target: &str, body: fn(&[u8]), words: &[&[u8]]) {
    run_for(MUTATED_INPUTS, target, body, words);
}

fn run_for(inputs: usize, target: &str, body: fn(&[u8]), words: &[&[u8]]) {
    let corpus = corpus(target);
    for input in &corpus {
        body(input);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..inputs {
        let input = mutated(&mut random, &corpus, words);
        body(&input);
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    // The order of a folder is not fixed, and the mutations depend on it.
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// An input of the corpus with one to four changes.
fn mutated(random: &mut Random, corpus: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    let mut input = random.pick(corpus).clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(8)).min(input.len());
        match random.below(7) {
            0 => drop(input.drain(at..end)),
            1 => input.truncate(at),
            2 => input.insert(at, random.byte()),
            3 => drop(input.splice(at..at, random.pick(words).iter().copied())),
            4 => drop(input.splice(at..end, random.pick(words).iter().copied())),
            5 => {
                let other = random.pick(corpus);
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.byte();
                }
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
