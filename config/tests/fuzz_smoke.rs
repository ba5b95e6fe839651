//! A bounded run of every fuzz target on stable: the corpus as it is, then inputs mutated from it. The seed is
//! fixed, so that a failure comes again; the input is in the message of the panic.

use petrel_config::fuzzing;
use std::path::Path;

/// Inputs for each target besides the corpus.
const MUTATED_INPUTS: usize = 20_000;

/// Inputs longer than this are cut, to keep the run short.
const INPUT_BYTES_MAX: usize = 400;

#[test]
fn configuration() {
    let words: Vec<String> = petrel_config::keys::TOP
        .iter()
        .flat_map(|key| key.block.iter().chain([key]))
        .map(|key| format!("{} ", key.name()))
        .chain(
            ["{", "}", "[", "]", ": ", "\n", ", ", "$E", "true", "1", "\"5s\"", "a.*", ">", "A"]
                .map(str::to_owned),
        )
        .collect();
    run("configuration", fuzzing::configuration, &words);
}

#[test]
fn permissions() {
    let words = [".", "*", ">", " ", "\t", "\u{a0}", "a", "a.b", "q"].map(str::to_owned);
    run("permissions", fuzzing::permissions_entry, &words);
}

#[test]
fn mappings() {
    let words = ["\n", "+2a", "+da", "a.*", "*", ">", ".", "$1", "{{wildcard(1)}}", "{{partition(3,1)}}"]
        .map(str::to_owned);
    run("mappings", fuzzing::mapping_lines, &words);
}

fn run(target: &str, body: fn(&[u8]), words: &[String]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    // The order of a folder is not fixed, and the mutations depend on it.
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    corpus.iter().for_each(|input| body(input));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..MUTATED_INPUTS {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(input.len() + 1);
            let end = (at + random.below(8)).min(input.len());
            let word = words[random.below(words.len())].bytes();
            match random.below(4) {
                0 => drop(input.drain(at..end)),
                1 => drop(input.splice(at..at, word)),
                2 => drop(input.splice(at..end, word)),
                _ => input.insert(at, random.next().to_le_bytes()[0] & 0x7f),
            }
        }
        input.truncate(INPUT_BYTES_MAX);
        body(&input);
    }
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
}
