//! The configuration files of `tests/configurations/`, as users have them: what the server says about each, whether it
//! starts, and what can be seen of it then.
//!
//! Beside each `NAME.conf` lies `NAME.json` with what must be seen. It was recorded from the server that petrel
//! replaces: `PETREL_TEST_SERVER=... PETREL_TEST_RECORD=1` writes these files anew, without `PETREL_TEST_RECORD` the
//! same binary must hold against them. In the files stand the ports and folders of users: while a test runs, 4222, 8222
//! and the like are free ports, 0.0.0.0 is 127.0.0.1, and `/etc/nats` is a temporary folder, with certificates in it.

mod awaited;
mod observe;
mod place;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use petrel_tests::is_petrel;
use serde_json::{Map, Value};

use place::Place;

/// The environment variable that has what is seen recorded instead of compared.
const RECORD_VARIABLE: &str = "PETREL_TEST_RECORD";

/// Most of a test is waiting: more of them run at a time than there are cores.
const THREADS: usize = 6;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the folder of the configurations")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut trials = vec![awaited::trial(&names)];
    for name in names {
        let kind = awaited::rows(&name).iter().find(|row| row.configuration == name).map(|row| row.what);
        let trial = Trial::test(name.clone(), move || judge(&name));
        trials.push(match kind {
            Some(what) => trial.with_kind(format!("not yet: {what}")),
            None => trial,
        });
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The folder of the configurations.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations")
}

/// Compares what is seen with what was recorded, by the table of what is awaited.
fn judge(name: &str) -> Result<(), Failed> {
    let place = Place::new(&folder(), name);
    let path = folder().join(format!("{name}.json"));
    if std::env::var_os(RECORD_VARIABLE).is_some() {
        let found = observe::all(&place, &Value::Null);
        let text = serde_json::to_string_pretty(&found).expect("JSON can be written") + "\n";
        return fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()).into());
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let expected: Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = observe::all(&place, &expected);
    let mut differences = Vec::new();
    compare("", &expected, &found, &mut differences);
    let rows = if is_petrel() { awaited::rows(name) } else { Vec::new() };
    let mut problems: Vec<String> = rows
        .iter()
        .filter(|row| {
            // What a narrower row explains says nothing about this one.
            let is_explained =
                |path: &str| rows.iter().any(|other| other.path.len() > row.path.len() && other.covers(path));
            row.can_be_seen(&expected, &found)
                && !differences.iter().any(|one| row.covers(&one.path) && !is_explained(&one.path))
        })
        .map(|row| {
            format!("{}: as it must be now: the row \"{}\" of awaited.rs is true no more", row.path, row.what)
        })
        .collect();
    problems.extend(
        differences
            .iter()
            .filter(|one| !rows.iter().any(|row| row.covers(&one.path)))
            .map(ToString::to_string),
    );
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// Something that is not as it was recorded.
struct Difference {
    /// Where, as a JSON pointer.
    path: String,
    expected: Value,
    found: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: expected {}, found {}", self.path, self.expected, self.found)
    }
}

/// Adds everything that differs.
fn compare(path: &str, expected: &Value, found: &Value, differences: &mut Vec<Difference>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let mut keys: Vec<&String> = expected.keys().chain(found.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let of = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}/{key}"), &of(expected), &of(found), differences);
            }
        }
        _ if expected == found => {}
        _ => differences.push(Difference {
            path: path.to_owned(),
            expected: expected.clone(),
            found: found.clone(),
        }),
    }
}
