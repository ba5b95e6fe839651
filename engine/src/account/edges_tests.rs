//! What may lead from account to account; the texts are what upstream printed for the same configuration.

use super::Directory;
use petrel_config::{Account, Export, ExportKind, Import, Latency, Options, ResponseType};

fn export(subject: &str, is_service: bool) -> Export {
    let service = ExportKind::Service { response: ResponseType::Singleton, threshold: None, latency: None };
    Export {
        subject: subject.into(),
        accounts: None,
        account_token_position: None,
        allow_trace: false,
        kind: if is_service { service } else { ExportKind::Stream },
    }
}

fn import(account: &str, subject: &str, to: Option<&str>, is_service: bool) -> Import {
    Import {
        account: account.into(),
        subject: subject.into(),
        to: to.map(str::to_owned),
        prefix: None,
        allow_trace: false,
        share: false,
        is_service,
    }
}

fn account(name: &str, exports: Vec<Export>, imports: Vec<Import>) -> Account {
    Account { name: name.into(), exports, imports, ..Account::default() }
}

fn compile(accounts: Vec<Account>) -> Result<Directory, String> {
    let options = Options { accounts, ..Options::default() };
    Directory::compile(&options, None).map_err(|error| error.to_string())
}

/// E exports, I imports.
fn pair(exports: Vec<Export>, imports: Vec<Import>) -> Result<Directory, String> {
    compile(vec![account("E", exports, vec![]), account("I", vec![], imports), account("Z", vec![], vec![])])
}

fn refused(exports: Vec<Export>, imports: Vec<Import>) -> String {
    pair(exports, imports).expect_err("refused")
}

#[test]
fn what_is_not_offered_cannot_be_imported() {
    for (is_service, kind) in [(true, "service"), (false, "stream")] {
        let not_authorized =
            |subject: &str| format!("Error adding {kind} import {subject:?}: {kind} import not authorized");
        let private = Export { accounts: Some(vec!["Z".into()]), ..export("a", is_service) };
        assert_eq!(refused(vec![private], vec![import("E", "a", None, is_service)]), not_authorized("a"));
        let offered = || vec![export("a", is_service), export("a", !is_service)];
        assert_eq!(refused(offered(), vec![import("E", "b", None, is_service)]), not_authorized("b"));
        assert_eq!(
            refused(vec![export("a.b", is_service)], vec![import("E", "a.*", None, is_service)]),
            not_authorized("a.*")
        );
        let token = || Export { account_token_position: Some(2), ..export("a.*.c", is_service) };
        assert_eq!(
            refused(vec![token()], vec![import("E", "a.Q.c", None, is_service)]),
            not_authorized("a.Q.c")
        );
        pair(vec![token()], vec![import("E", "a.I.c", None, is_service)]).unwrap();
        pair(vec![export("a.*", is_service)], vec![import("E", "a.b", None, is_service)]).unwrap();
        let unknown = refused(vec![], vec![import("Q", "a", None, is_service)]);
        assert_eq!(unknown, format!("\"Q\" account not defined for {kind} import"));
        let no_token = Export { account_token_position: Some(2), ..export("a.b.c", is_service) };
        let wanted = format!("Error adding {kind} export \"a.b.c\": sublist: invalid subject");
        assert_eq!(refused(vec![no_token], vec![]), wanted);
    }
}

#[test]
fn the_same_import_twice_is_refused() {
    let services = vec![export("a.*", true), export("b.*", true)];
    let imports = vec![import("E", "a.*", Some("x.$1"), true), import("E", "b.*", Some("x.*"), true)];
    assert_eq!(
        refused(services, imports),
        "Error adding service import \"b.*\": duplicate service import subject \"x.*\", previously used in import for \
         account \"E\", subject \"a.*\""
    );
    let streams = vec![import("E", "a", None, false), import("E", "a", None, false)];
    let text = refused(vec![export("a", false)], streams);
    assert_eq!(text, "Error adding stream import \"a\": stream import already exists");
    let merged = vec![import("E", "a", Some("x"), false), import("E", "b", Some("x"), false)];
    pair(vec![export("a", false), export("b", false)], merged).unwrap();
}

#[test]
fn cycles_are_refused() {
    for (is_service, kind) in [(true, "service"), (false, "stream")] {
        let node = |name: &str, from: &str| {
            account(name, vec![export("a", is_service)], vec![import(from, "a", None, is_service)])
        };
        let cycle = format!("Error adding {kind} import \"a\": import forms a cycle");
        assert_eq!(compile(vec![node("A", "B"), node("B", "A")]).unwrap_err(), cycle);
        assert_eq!(compile(vec![node("A", "B"), node("B", "C"), node("C", "A")]).unwrap_err(), cycle);
        compile(vec![node("A", "B"), node("B", "C"), account("C", vec![export("a", is_service)], vec![])])
            .unwrap();
    }
    let one = account("A", vec![export("a.*", true)], vec![import("B", "b.*", Some("a.*"), true)]);
    let other = account("B", vec![export("b.*", true)], vec![import("A", "a.x", Some("b.x"), true)]);
    let cycle = "Error adding service import \"a.x\": import forms a cycle";
    assert_eq!(compile(vec![one, other]).unwrap_err(), cycle);
}

#[test]
fn a_destination_must_carry_every_wildcard_and_nothing_else() {
    let failed = |kind: &str, subject: &str, from: &str, to: &str, why: &str| {
        format!(
            "Error adding {kind} import {subject:?}: failed to create mapping transform for {kind} import subject from \
             {from:?} to {to:?}: {why}"
        )
    };
    let text = |subject: &str, to: &str, is_service: bool| {
        refused(vec![export(subject, is_service)], vec![import("E", subject, Some(to), is_service)])
    };
    let unused = "invalid mapping destination: not using all of the token wildcard(s) in b.$1";
    assert_eq!(text("a.*.*", "b.$1", true), failed("service", "a.*.*", "b.$1", "a.*.*", unused));
    assert_eq!(text("a.*.*", "b.*", true), failed("service", "a.*.*", "b.*", "a.*.*", unused));
    assert_eq!(text("a.*.*", "b.$1", false), failed("stream", "a.*.*", "a.*.*", "b.$1", unused));
    assert_eq!(text("a.>", "b", true), failed("service", "a.>", "b", "a.>", "invalid subject"));
    let range = "invalid mapping destination: wildcard index out of range in $2: [2]";
    assert_eq!(text("a.*", "b.$2", false), failed("stream", "a.*", "a.*", "b.$2", range));
    for (subject, to) in [("a.*.*", "b.*.*"), ("a.>", "b.>"), ("a.*.*", "b.$2.$1")] {
        for is_service in [true, false] {
            pair(vec![export(subject, is_service)], vec![import("E", subject, Some(to), is_service)])
                .unwrap();
        }
    }
    pair(vec![export("a", true)], vec![import("E", "a", Some("b.*"), true)]).unwrap();
}

#[test]
fn latency_needs_one_answer_and_a_subject_of_its_own() {
    let measured = |subject: &str, results: &str, response: ResponseType| {
        let latency = Some(Latency { subject: results.into(), sampling_percent: 100 });
        Export { kind: ExportKind::Service { response, threshold: None, latency }, ..export(subject, true) }
    };
    let text =
        |subject: &str, results: &str, response| refused(vec![measured(subject, results, response)], vec![]);
    let sampling = "Error adding service latency sampling for";
    assert_eq!(
        text("a", "lat", ResponseType::Stream),
        format!("{sampling} \"a\" on subject \"lat\": bad service response type")
    );
    assert_eq!(
        text("a.*", "a.x", ResponseType::Singleton),
        format!("{sampling} \"a.*\" on subject \"a.x\": invalid publish subject")
    );
    pair(vec![measured("a", "lat", ResponseType::Singleton)], vec![]).unwrap();
}
