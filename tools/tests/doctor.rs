//! `petrel doctor` as it is called.

use std::process::{Command, Output};

fn doctor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_petrel")).arg("doctor").args(arguments).output().unwrap()
}

#[test]
fn every_check_is_told_once_and_a_healthy_machine_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(&[folder.path().to_str().unwrap(), "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    let expected = [
        "kernel",
        "io_uring",
        "seccomp",
        "descriptors",
        "memlock",
        "cpus",
        "cpu quota",
        "memory",
        "clock source",
        "clock sync",
        "file system",
        "direct I/O",
        "flush",
    ];
    assert_eq!(checks, expected);
    assert_eq!(output.status.success(), report["healthy"].as_bool().unwrap());
    for finding in report["findings"].as_array().unwrap() {
        let is_ok = finding["state"] == "OK";
        assert_eq!(is_ok, finding.get("advice").is_none(), "{finding}");
    }
}

#[test]
fn without_a_folder_none_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel"));
    let output = command.arg("doctor").current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("clock sync") && !text.contains("file system"), "{text}");
    assert!(text.trim_end().lines().last().unwrap().ends_with('.'), "{text}");
}

#[test]
fn what_fails_ends_badly_and_says_what_to_do() {
    let output = doctor(&["/nonexistent"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("FAIL  folder ") && text.contains("-> name a folder that exists"), "{text}");
}

#[test]
fn a_configuration_is_held_against_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    std::fs::write(&file, "max_connections: 10\npetrel { memory: 8000TB }\n").unwrap();
    let output = doctor(&[folder.path().to_str().unwrap(), "-c", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL  petrel.memory ") && text.contains("OK    max_connections"), "{text}");
}

#[test]
fn a_reader_that_has_gone_is_no_reason_to_panic() {
    let script = "{ \"$0\" doctor 2>&3; echo \"code $?\" >&3; } 3>&2 | true";
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_petrel")]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told == "code 0\n" || told == "code 1\n", "{told}");
}
