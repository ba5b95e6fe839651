//! What the programs print, and who reads it.

use std::process::Command;

#[test]
fn a_reader_that_has_gone_is_no_reason_to_panic() {
    // The list is short enough for a pipe: it must be gone before anything is written.
    let script = "{ sleep 0.2; \"$0\" --list 2>&3; echo \"code $?\" >&3; } 3>&2 | true";
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_compare")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "code 0\n");
}
