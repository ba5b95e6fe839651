//! A configuration file, from its name to typed options.

use crate::digest::digest;
use crate::keys::{self, find};
use crate::options::Options;
use crate::parser::{ParseError, Source, beside, parse, parse_file};
use crate::petrel_block::petrel_settings;
use crate::problem::{Problem, Problems};
use crate::reader::Reader;
use crate::top;
use crate::value::{Map, Position};

/// The file beside the configuration that may hold the settings of the `petrel` block, so that the
/// configuration itself stays valid for upstream.
const PETREL_FILE: &str = "petrel.conf";

/// A configuration that can be run.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The options of the file.
    pub options: Options,
    /// `sha256:` and the digest of the file.
    pub digest: String,
    /// The `petrel.conf` beside it, when there is one.
    pub petrel_file: Option<String>,
    /// Where the accounts stand, for what is found wrong with them later.
    pub accounts: Option<Position>,
    /// Where the `tls` block stands, for what is found wrong with its files later.
    pub tls: Option<Position>,
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

/// Reads the file `path`, all that it includes, and `petrel.conf` beside it.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &str, source: &mut dyn Source) -> Result<Configuration, LoadError> {
    let (_, read) = read(path, source)?;
    if read.problems.errors.is_empty() { Ok(read) } else { Err(LoadError::Options(read.problems)) }
}

pub(crate) fn read(path: &str, source: &mut dyn Source) -> Result<(Map, Configuration), ParseError> {
    let map = parse_file(path, source)?;
    let mut reader = Reader::default();
    if map.is_empty() {
        let text = format!("{path}: config has no values or is empty");
        reader.problems.warnings.push(Problem::new(None, text));
    }
    let mut options = top::options(&mut reader, &map);
    let petrel_file = read_petrel_file(path, source, &map, &mut reader, &mut options)?;
    let digest = digest(&map);
    let place = |wanted: &str| {
        let is_it = |name: &str| find(keys::TOP, name).is_some_and(|key| key.name() == wanted);
        map.iter().find(|(name, _)| is_it(name)).map(|(_, node)| node.position.clone())
    };
    let (accounts, tls) = (place("accounts"), place("tls"));
    Ok((map, Configuration { options, digest, petrel_file, accounts, tls, problems: reader.problems }))
}

/// Reads the settings beside the file, unless they stand in it already.
fn read_petrel_file(
    path: &str,
    source: &mut dyn Source,
    map: &Map,
    reader: &mut Reader,
    options: &mut Options,
) -> Result<Option<String>, ParseError> {
    let petrel_path = beside(path, PETREL_FILE);
    if petrel_path == beside(path, path.rsplit('/').next().unwrap_or(path)) {
        return Ok(None);
    }
    let Some(bytes) = source.read_if_there(&petrel_path).map_err(ParseError::Read)? else {
        return Ok(None);
    };
    let settings = parse(&petrel_path, &bytes, source)?;
    if let Some((_, node)) = map.iter().find(|(key, _)| key.eq_ignore_ascii_case("petrel")) {
        let text = format!("there are petrel settings here and in {petrel_path}: keep one of the two");
        reader.error(&node.position, text);
    }
    petrel_settings(reader, &settings, options);
    Ok(Some(petrel_path))
}
