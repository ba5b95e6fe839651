//! The table of features in `docs/reference/compatibility.md`: each feature has its row, each row a state, and each test
//! that a row names is there.

use std::fs;
use std::path::{Path, PathBuf};

/// The letters of the features, and how many each has: they are numbered from 1.
const FEATURES: &[(char, usize)] = &[
    ('P', 19),
    ('F', 14),
    ('A', 14),
    ('T', 4),
    ('M', 14),
    ('S', 21),
    ('B', 7),
    ('C', 20),
    ('K', 4),
    ('X', 7),
    ('H', 12),
    ('L', 5),
    ('G', 3),
    ('W', 3),
    ('Q', 4),
    ('O', 5),
    ('Z', 5),
];

/// The programs of `tests/clients`.
const LIBRARIES: &[(&str, &str)] = &[
    ("async_nats", "rust"),
    ("nats_go", "go"),
    ("nats_js", "javascript"),
    ("nats_py", "python"),
    ("jnats", "java"),
];

/// A line of the table.
#[derive(Debug)]
struct Row {
    feature: String,
    state: String,
    shown_by: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", feature, _, state, shown_by, ""] = cells[..]
            && feature.ends_with(|last: char| last.is_ascii_digit())
        {
            rows.push(Row {
                feature: feature.to_owned(),
                state: state.to_owned(),
                shown_by: shown_by.to_owned(),
            });
        }
    }
    rows
}

/// What is wrong with a row.
fn problem(row: &Row) -> Option<String> {
    let is_there = ["works", "partly"].iter().any(|word| row.state.starts_with(word));
    if !is_there && !row.state.starts_with("not yet") {
        return Some(format!("its state is {:?}", row.state));
    }
    if is_there && row.shown_by.is_empty() {
        return Some("nothing shows it".to_owned());
    }
    if !is_there && !row.shown_by.is_empty() {
        return Some("something shows what is not there yet".to_owned());
    }
    if row.state.starts_with("partly") && !row.state.contains(": ") {
        return Some("it does not say what is missing".to_owned());
    }
    let missing = row.shown_by.split(';').find_map(|group| missing(group.trim()));
    missing.map(|name| format!("there is no {name}"))
}

/// The first test of a group that is not there: `PLACE: NAME, NAME` or `NAME`.
fn missing(group: &str) -> Option<String> {
    let (place, names) = match group.split_once(": ") {
        Some((place, names)) => (place, names.split(", ").map(bare).collect::<Vec<String>>()),
        // Several programs may stand behind one another.
        None => {
            let names: Vec<String> = group.split(", ").map(bare).filter(|name| !name.is_empty()).collect();
            return names.into_iter().find(|name| program(name).is_none());
        }
    };
    names.into_iter().find(|name| !is_there(place, name)).map(|name| format!("{place}: {name}"))
}

/// A name without what explains it.
fn bare(name: &str) -> String {
    let name = name.split(" (").next().unwrap_or_default();
    let name = name.strip_prefix("scenario ").unwrap_or(name);
    name.trim_matches('`').trim_end_matches(".rs").to_owned()
}

fn is_there(place: &str, name: &str) -> bool {
    match place {
        "conversations" => is_conversation(name),
        "configurations" => text(&format!("tests/configurations/{name}.conf")).is_some(),
        "clients" => is_client_case(name),
        "scenario" | "scenarios" => is_scenario(name),
        "fuzz" => text(&format!("fuzz/fuzz_targets/{name}.rs")).is_some(),
        "unit" => text(&format!("{name}.rs")).is_some_and(|source| source.contains("#[test]")),
        "config" | "runtime" | "server" | "tools" => {
            let source = text(&format!("{place}/tests/{name}.rs"));
            source.is_some_and(|source| source.contains("#[test]") || source.contains("Trial::test"))
        }
        _ => program(place).is_some_and(|source| has_test(&source, name)),
    }
}

/// The source of a program in `tests/tests/`, or of a scenario that is named without its place.
fn program(name: &str) -> Option<String> {
    let found =
        text(&format!("tests/tests/{name}.rs")).or_else(|| text(&format!("tests/tests/{name}/main.rs")));
    found.or_else(|| is_scenario(name).then(String::new))
}

/// Whether a source has a test function of this name.
fn has_test(source: &str, name: &str) -> bool {
    source.split("#[test]").skip(1).any(|behind| {
        let declaration = behind.lines().find(|line| line.trim_start().starts_with("fn "));
        declaration.is_some_and(|line| line.trim_start().starts_with(&format!("fn {name}(")))
    })
}

fn is_conversation(name: &str) -> bool {
    let Some(beginning) = name.strip_suffix('*') else {
        return text(&format!("tests/conversations/{name}.txt")).is_some();
    };
    let files = fs::read_dir(root().join("tests/conversations")).expect("the folder of the conversations");
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with(beginning))
}

fn is_client_case(name: &str) -> bool {
    let Some((library, scenario)) = name.split_once("::") else { return false };
    let folder = LIBRARIES.iter().find(|(known, _)| *known == library).map(|(_, folder)| *folder);
    let has_library =
        library == "*" || folder.is_some_and(|folder| root().join("tests/clients").join(folder).is_dir());
    let scenarios = text("tests/tests/clients/scenarios.rs").expect("the scenarios of the clients");
    has_library
        && ["new", "like"].iter().any(|made| scenarios.contains(&format!("Scenario::{made}(\"{scenario}\"")))
}

fn is_scenario(name: &str) -> bool {
    let files =
        fs::read_dir(root().join("tests/scenarios/src/scenario")).expect("the folder of the scenarios");
    let named = format!("name: \"{name}\"");
    files.flatten().any(|file| fs::read_to_string(file.path()).is_ok_and(|source| source.contains(&named)))
}

#[test]
fn every_row_is_there_and_every_test_it_names() {
    let rows = rows(&text("docs/reference/compatibility.md").expect("the page"));
    let expected =
        FEATURES.iter().flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}")));
    let found: Vec<&str> = rows.iter().map(|row| row.feature.as_str()).collect();
    assert_eq!(found, expected.collect::<Vec<String>>());
    let problems: Vec<String> = rows
        .iter()
        .filter_map(|row| problem(row).map(|problem| format!("{}: {problem}", row.feature)))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_is_wrong_with_a_row_is_found() {
    let row = |state: &str, shown_by: &str| Row {
        feature: "P1".to_owned(),
        state: state.to_owned(),
        shown_by: shown_by.to_owned(),
    };
    for (state, shown_by) in [
        ("works", "conversations: info, auth_*; ordering: each_subscriber_sees_each_publisher_in_order"),
        ("works", "clients: *::connect, nats_go::tls; scenario `stall`; logins; requests (whole file)"),
        ("partly: more follows", "server: start; unit: server/src/system/service; fuzz: headers"),
        ("not yet", ""),
    ] {
        assert_eq!(problem(&row(state, shown_by)), None, "{state} {shown_by}");
    }
    for (state, shown_by, wrong) in [
        ("done", "logins", "its state is \"done\""),
        ("works", "", "nothing shows it"),
        ("partly", "logins", "it does not say what is missing"),
        ("not yet", "logins", "something shows what is not there yet"),
        ("works", "conversations: info, nope", "there is no conversations: nope"),
        ("works", "ordering: nope", "there is no ordering: nope"),
        ("works", "nope", "there is no nope"),
        ("works", "clients: *::nope", "there is no clients: *::nope"),
        ("works", "clients: nope::tls", "there is no clients: nope::tls"),
        ("works", "scenario: nope", "there is no scenario: nope"),
        ("works", "server: nope", "there is no server: nope"),
    ] {
        assert_eq!(problem(&row(state, shown_by)).as_deref(), Some(wrong));
    }
}
