//! What petrel does not do yet, by the cases that wait for it.
//!
//! A case that stands here must fail against petrel: when it begins to hold, the test fails until the row is taken
//! out. Nothing is skipped, and the table cannot grow old.

use crate::library::Library;
use crate::scenarios;

/// Scenario and what it waits for, for every library.
const AWAITED: &[(&str, &str)] = &[];

/// Scenario and library, where only some libraries meet what is missing.
const AWAITED_BY: &[(&str, Library, &str)] = &[];

/// What a case waits for.
pub fn reason(library: Library, scenario: &str) -> Option<&'static str> {
    let for_all = AWAITED.iter().find(|(name, _)| *name == scenario).map(|(_, what)| *what);
    let for_one = AWAITED_BY.iter().find(|(name, by, _)| *name == scenario && *by == library);
    for_all.or(for_one.map(|(_, _, what)| *what))
}

/// Checks that every row names a scenario.
pub fn check_names() -> Result<(), String> {
    let scenarios = scenarios::all();
    let names = AWAITED.iter().map(|row| row.0).chain(AWAITED_BY.iter().map(|row| row.0));
    for name in names {
        if !scenarios.iter().any(|scenario| scenario.name == name) {
            return Err(format!("the table of what is awaited names {name}, which is no scenario"));
        }
    }
    Ok(())
}
