//! What is wrong with a configuration, in upstream's form: `file:line:column: text`.

use crate::value::Position;
use std::fmt;

/// Something to tell the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is, as upstream says it; `None` for the file as a whole, and where upstream does not say it.
    pub position: Option<Position>,
    /// Where it is, also where upstream does not say it.
    pub place: Option<Position>,
    /// What it is.
    pub text: String,
}

impl Problem {
    /// Something at a place, if it has one.
    pub fn new(position: Option<Position>, text: impl Into<String>) -> Problem {
        Problem { place: position.clone(), position, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Some(position) => write!(formatter, "{position}: {}", self.text),
            None => formatter.write_str(&self.text),
        }
    }
}

/// All that was found while the options were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The server cannot start with these.
    pub errors: Vec<Problem>,
    /// The server starts, a check of the configuration fails, as upstream's does.
    pub warnings: Vec<Problem>,
    /// The server starts and the check succeeds: keys that are ignored without harm.
    pub notices: Vec<Problem>,
}

impl fmt::Display for Problems {
    /// One line each, warnings first.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.warnings.iter().chain(&self.errors) {
            writeln!(formatter, "{problem}")?;
        }
        Ok(())
    }
}
