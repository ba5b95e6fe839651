//! A configuration file, from its name to typed options.

use crate::digest::digest;
use crate::options::Options;
use crate::parser::{ParseError, Source, parse_file};
use crate::problem::{Problem, Problems};
use crate::reader::Reader;
use crate::top;

/// A configuration that can be run.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The options of the file.
    pub options: Options,
    /// `sha256:` and the digest of the file.
    pub digest: String,
    /// Warnings and notices; no errors.
    pub problems: Problems,
}

/// Why a configuration cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read or parsed.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Options are wrong; all of them are told, one a line.
    #[error("{0}")]
    Options(Problems),
}

/// Reads the file `path` and all that it includes.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &str, source: &mut dyn Source) -> Result<Configuration, LoadError> {
    let map = parse_file(path, source)?;
    let mut reader = Reader::default();
    if map.is_empty() {
        let text = format!("{path}: config has no values or is empty");
        reader.problems.warnings.push(Problem { position: None, text });
    }
    let options = top::options(&mut reader, &map);
    let problems = reader.problems;
    if !problems.errors.is_empty() {
        return Err(LoadError::Options(problems));
    }
    Ok(Configuration { options, digest: digest(&map), problems })
}
