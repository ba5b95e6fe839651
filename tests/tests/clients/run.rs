//! One case: a server, a client program, and what the program asks to be done to the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use petrel_tests::Server;
use rustix::process::Signal;

use crate::library::Program;
use crate::scenarios::Scenario;

/// A case may take this long in all. The programs themselves wait at most a minute for anything.
const CASE_PATIENCE: Duration = Duration::from_secs(300);

/// Starts the scenario's server and runs the program against it.
///
/// # Errors
///
/// What the program said, when not all of its checks held, or the server's log, when it did not start or not end well.
pub fn case(program: &Program, scenario: &Scenario, certificates: &Path) -> Result<(), String> {
    let folder = certificates.display().to_string();
    let builder = Server::builder().config(&scenario.config.replace("$CERTIFICATES", &folder));
    let mut server = builder.try_start_anywhere()?;
    let outcome = talk(program, scenario, &folder, &mut server);
    let end = catch_unwind(AssertUnwindSafe(|| server.stop()));
    let log = server.log();
    outcome.map_err(|said| format!("{said}\nlog of the server:\n{log}"))?;
    end.map_err(|_| format!("the server did not end well; its log:\n{log}"))
}

/// Runs the program to its end and does to the server what it asks for.
fn talk(program: &Program, scenario: &Scenario, folder: &str, server: &mut Server) -> Result<(), String> {
    let address = server.address().to_string();
    let mut process = program
        .command()
        .args([scenario.program_scenario, &address, folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the client program does not start: {error}"))?;
    let mut errors = process.stderr.take().expect("a pipe");
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = errors.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut said = String::new();
    let outcome = converse(&mut process, &mut said, server);
    if outcome.is_err() {
        let _ = process.kill();
    }
    let status = process.wait().expect("the process is our child");
    let errors = errors.join().expect("the reader does not panic");
    match outcome {
        Ok(()) if status.success() => Ok(()),
        Ok(()) => Err(format!("the program ended with {status}; it said:\n{said}{errors}")),
        Err(problem) => Err(format!("{problem}; the program said:\n{said}{errors}")),
    }
}

fn converse(process: &mut Child, said: &mut String, server: &mut Server) -> Result<(), String> {
    let deadline = Instant::now() + CASE_PATIENCE;
    let mut input = process.stdin.take().expect("a pipe");
    let output = process.stdout.take().expect("a pipe");
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        let line = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("the program did not end within {CASE_PATIENCE:?}"));
            }
        };
        said.push_str(&line);
        said.push('\n');
        let Some(action) = line.strip_prefix("ask ") else { continue };
        act(action, server)?;
        // A program that has ended meanwhile is judged by its exit status.
        let _ = writeln!(input, "done");
    }
}

/// Does to the server what a program asks for.
fn act(action: &str, server: &mut Server) -> Result<(), String> {
    match action {
        "restart" => catch_unwind(AssertUnwindSafe(|| server.restart()))
            .map_err(|_| "the server could not be restarted".to_owned()),
        "lame-duck" => {
            server.signal(Signal::USR2);
            Ok(())
        }
        other => Err(format!("the program asks for {other}, which nobody knows")),
    }
}
