//! Real client libraries against the server: the programs of `tests/clients/`, each scenario against a server of its
//! own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use petrel_tests::{Server, ServerBuilder};
use rustix::process::Signal;

/// The folder of this package.
fn package_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target directory of the running test.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the path of the running test");
    // <target>/<profile>/deps/<test>
    program.ancestors().nth(3).expect("a test lies in target/<profile>/deps").to_owned()
}

/// Builds the Rust program, once, and returns its path.
fn rust_client() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = target_folder();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "petrel-client-async-nats", "--target-dir"])
            .arg(&target)
            .current_dir(package_folder())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the Rust client does not build");
        target.join("debug/petrel-client-async-nats")
    })
}

/// Builds the Go program, once, and returns its path; `None` on a machine without Go, which is an error where `CI` is
/// set.
fn go_client() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        if Command::new("go").arg("version").stdout(Stdio::null()).status().is_err() {
            let in_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
            assert!(!in_ci, "Go is not installed: the tests with nats.go cannot run, and here they must");
            return None;
        }
        let program = target_folder().join("petrel-client-nats-go");
        let status = Command::new("go")
            .arg("build")
            .arg("-o")
            .arg(&program)
            .arg(".")
            .current_dir(package_folder().join("clients/go"))
            .status()
            .expect("go runs");
        assert!(status.success(), "the Go client does not build");
        Some(program)
    });
    if program.is_none() {
        eprintln!("SKIPPED: GO IS NOT INSTALLED, NOTHING WAS TESTED WITH nats.go");
    }
    program.as_deref()
}

/// Runs a scenario of a program to its end and does to the server what it asks for.
#[track_caller]
fn run(program: &Path, scenario: &str, server: &mut Server) {
    let mut process = Command::new(program)
        .args([scenario, &server.address().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client program starts");
    let mut input = process.stdin.take().expect("a pipe");
    let output = BufReader::new(process.stdout.take().expect("a pipe"));
    for line in output.lines() {
        let line = line.expect("lines of text");
        println!("{line}");
        let Some(action) = line.strip_prefix("ask ") else { continue };
        match action {
            "restart" => server.restart(),
            "lame-duck" => server.signal(Signal::USR2),
            other => panic!("the client asks for {other}"),
        }
        writeln!(input, "done").expect("the client waits for this");
    }
    let status = process.wait().expect("the process is our child");
    assert!(status.success(), "scenario {scenario} of {} failed, see above", program.display());
}

fn with_token() -> ServerBuilder {
    Server::builder().config("authorization { token: \"s3cret\" }")
}

fn with_user() -> ServerBuilder {
    Server::builder().config("authorization { user: \"alice\", password: \"w0nder\" }")
}

fn with_short_lame_duck() -> ServerBuilder {
    Server::builder().config("lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"1s\"")
}

/// A test for each scenario and library.
macro_rules! scenarios {
    ($($rust:ident $go:ident $scenario:literal $server:expr;)*) => {$(
        #[test]
        fn $rust() {
            run(rust_client(), $scenario, &mut $server.start());
        }

        #[test]
        fn $go() {
            if let Some(program) = go_client() {
                run(program, $scenario, &mut $server.start());
            }
        }
    )*};
}

scenarios! {
    rust_core go_core "core" Server::builder();
    rust_token go_token "token" with_token();
    rust_user go_user "user" with_user();
    rust_reconnect go_reconnect "reconnect" Server::builder();
    rust_lame_duck go_lame_duck "lame-duck" with_short_lame_duck();
}
