//! Runs a target, bounded.

use crate::dictionary::words;
use crate::mutation::{Random, mutated};
use crate::targets::Target;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Where the mutations begin.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a target did not bear.
#[derive(Debug)]
pub enum Failure {
    /// There is nothing to begin with: what is missing.
    Unprepared(String),
    /// It panicked with this input.
    Panicked(Vec<u8>),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Unprepared(problem) => formatter.write_str(problem),
            Failure::Panicked(input) => write!(formatter, "with the input b\"{}\"", input.escape_ascii()),
        }
    }
}

/// The folder of corpora, dictionaries and targets.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Runs a target over its corpus and as many inputs made from it as it names.
///
/// # Errors
/// The first input that it panicked with.
pub fn run(target: &Target) -> Result<(), Failure> {
    let corpus = corpus(target.name).map_err(Failure::Unprepared)?;
    let words = all_words(target).map_err(Failure::Unprepared)?;
    let check = |input: &[u8]| {
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.body)(input)));
        outcome.map_err(|_| Failure::Panicked(input.to_vec()))
    };
    corpus.iter().try_for_each(|input| check(input))?;
    let mut random = Random(SEED);
    (0..target.inputs).try_for_each(|_| check(&mutated(&mut random, &corpus, &words, target.input_bytes_max)))
}

/// The corpus of a target, by the names of its files.
///
/// # Errors
/// What cannot be read.
pub fn corpus(target: &str) -> Result<Vec<Vec<u8>>, String> {
    let path = folder().join("corpus").join(target);
    let read = || -> std::io::Result<Vec<Vec<u8>>> {
        let files = std::fs::read_dir(&path)?.map(|file| Ok(file?.path()));
        let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
        // The order of a folder is not fixed, and the mutations depend on it.
        files.sort();
        files.iter().map(std::fs::read).collect()
    };
    match read() {
        Ok(corpus) if corpus.is_empty() => Err(format!("{} is empty", path.display())),
        Ok(corpus) => Ok(corpus),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn all_words(target: &Target) -> Result<Vec<Vec<u8>>, String> {
    let path = folder().join("dictionaries").join(format!("{}.dict", target.name));
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut words = words(&text)?;
    words.extend((target.further_words)());
    if words.is_empty() { Err(format!("{} has no words", path.display())) } else { Ok(words) }
}
