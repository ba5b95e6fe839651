//! `--signal`: one process of this program tells another what to do (reference: config.md, section 4).

use crate::files::system_text;
use petrel_protocol::quote::go_quote;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Names of processes that are servers.
const PROCESS_NAMES: &[&str] = &["nats-server", "petrel-server"];

/// Why no signal was sent, or not to all. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// More than one `=`.
    #[error("invalid signal parameters: [{0}]")]
    Parameters(String),
    /// No such command.
    #[error("unknown signal {0}")]
    Command(String),
    /// Not a process id, nor a file that holds one.
    #[error("invalid pid: {0}")]
    Process(String),
    /// No process was found.
    #[error("no nats-server processes running")]
    None,
    /// Which one is meant is not clear.
    #[error("multiple nats-server processes running:\n{0}")]
    Several(String),
    /// What the system said, process by process.
    #[error("{0}")]
    Kill(String),
}

/// Carries out `command` or `command=pid`, where `pid` may also be a file that holds it, or the beginning of process
/// ids before a `*`. Without it there must be one server on this machine. `processes` is `/proc`.
///
/// # Errors
/// See [`SendError`].
pub fn send(expression: &str, processes: &Path) -> Result<(), SendError> {
    let targets = targets(expression, processes, std::process::id())?;
    let mut failures = String::new();
    for process in targets.processes {
        let sent = i32::try_from(process)
            .ok()
            .and_then(Pid::from_raw)
            .map_or(Err(rustix::io::Errno::SRCH), |process| kill_process(process, targets.signal));
        if let Err(failure) = sent {
            let (command, why) = (targets.command, system_text(&failure.into()));
            // Writing into a string cannot fail.
            let _ = write!(failures, "\nsignal {} {process}: {why}", go_quote(command.as_bytes()));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(SendError::Kill(failures)) }
}

/// Who gets which signal.
#[derive(Debug, PartialEq, Eq)]
struct Targets<'e> {
    command: &'e str,
    signal: Signal,
    processes: Vec<u32>,
}

fn targets<'e>(expression: &'e str, folder: &Path, own: u32) -> Result<Targets<'e>, SendError> {
    let mut parts = expression.split('=');
    let command = parts.next().unwrap_or_default();
    let who = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    if !rest.is_empty() {
        return Err(SendError::Parameters(rest.join(" ")));
    }
    let processes = match who.strip_suffix('*') {
        Some(beginning) => beginning_with(beginning, folder, own)?,
        None if who.is_empty() => vec![the_only_one(folder, own)?],
        None => vec![process_id(who)?],
    };
    let signal = signal(command).ok_or_else(|| SendError::Command(go_quote(command.as_bytes())))?;
    Ok(Targets { command, signal, processes })
}

fn signal(command: &str) -> Option<Signal> {
    match command {
        "stop" => Some(Signal::KILL),
        "quit" => Some(Signal::INT),
        "term" => Some(Signal::TERM),
        "reopen" => Some(Signal::USR1),
        "reload" => Some(Signal::HUP),
        "ldm" => Some(Signal::USR2),
        _ => None,
    }
}

fn beginning_with(beginning: &str, folder: &Path, own: u32) -> Result<Vec<u32>, SendError> {
    if !beginning.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SendError::Process(beginning.to_owned()));
    }
    let mut found = servers(folder, own);
    found.retain(|process| process.to_string().starts_with(beginning));
    if found.is_empty() { Err(SendError::None) } else { Ok(found) }
}

fn the_only_one(folder: &Path, own: u32) -> Result<u32, SendError> {
    match servers(folder, own).as_slice() {
        [] => Err(SendError::None),
        [process] => Ok(*process),
        several => {
            let list: Vec<String> = several.iter().map(u32::to_string).collect();
            Err(SendError::Several(list.join("\n")))
        }
    }
}

/// A process id, or what a file says. Blanks and line ends around it are nothing, though upstream minds them. Zero and
/// negative numbers would be groups of processes, which nobody means.
fn process_id(text: &str) -> Result<u32, SendError> {
    let content = fs::read_to_string(text).unwrap_or_else(|_| text.to_owned());
    let content = content.trim();
    let id = content.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| SendError::Process(content.to_owned()))
}

/// The servers on this machine, this process not counted, in the order of their ids.
fn servers(folder: &Path, own: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<u32> = entries
        .filter_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let name = fs::read_to_string(folder.join(id.to_string()).join("comm")).ok()?;
            (id != own && PROCESS_NAMES.contains(&name.trim_end())).then_some(id)
        })
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(processes: &[(u32, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (id, name) in processes {
            let process = folder.path().join(id.to_string());
            fs::create_dir(&process).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
        }
        fs::write(folder.path().join("uptime"), "1").unwrap();
        folder
    }

    fn found(expression: &str, machine: &tempfile::TempDir) -> Result<(Signal, Vec<u32>), String> {
        let targets = targets(expression, machine.path(), 999);
        targets.map(|targets| (targets.signal, targets.processes)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_process_there_must_be_one_server() {
        let none = machine(&[(1, "init"), (999, "nats-server"), (5, "nats-server-x")]);
        assert_eq!(found("stop", &none), Err("no nats-server processes running".into()));
        let one = machine(&[(1, "init"), (20, "petrel-server"), (999, "petrel-server")]);
        assert_eq!(found("reload", &one), Ok((Signal::HUP, vec![20])));
        assert_eq!(found("reload=", &one), Ok((Signal::HUP, vec![20])));
        let two = machine(&[(120, "nats-server"), (20, "petrel-server")]);
        assert_eq!(found("ldm", &two), Err("multiple nats-server processes running:\n20\n120".into()));
        assert_eq!(found("ldm=1*", &two), Ok((Signal::USR2, vec![120])));
        assert_eq!(found("ldm=*", &two), Ok((Signal::USR2, vec![20, 120])));
        assert_eq!(found("ldm=7*", &two), Err("no nats-server processes running".into()));
        assert_eq!(found("ldm=x*", &two), Err("invalid pid: x".into()));
    }

    #[test]
    fn a_process_is_named_by_its_id_or_a_file() {
        let machine = machine(&[]);
        let file = machine.path().join("pid");
        fs::write(&file, "77\n").unwrap();
        for (command, signal) in [
            ("stop", Signal::KILL),
            ("quit", Signal::INT),
            ("term", Signal::TERM),
            ("reopen", Signal::USR1),
            ("reload", Signal::HUP),
            ("ldm", Signal::USR2),
        ] {
            assert_eq!(found(&format!("{command}=77"), &machine), Ok((signal, vec![77])));
        }
        assert_eq!(found(&format!("quit={}", file.display()), &machine), Ok((Signal::INT, vec![77])));
        for (expression, error) in [
            ("quit=nofile", "invalid pid: nofile"),
            ("quit=-5", "invalid pid: -5"),
            ("quit=0", "invalid pid: 0"),
            ("foo=1", "unknown signal \"foo\""),
            ("=1", "unknown signal \"\""),
            ("stop=abc=def", "invalid signal parameters: [def]"),
            ("stop=abc=d=e", "invalid signal parameters: [d e]"),
        ] {
            assert_eq!(found(expression, &machine), Err(error.into()), "{expression}");
        }
    }

    #[test]
    fn a_process_that_is_gone_is_told() {
        // Above the largest id that Linux gives.
        let error = send("reload=2147483647", Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.to_string(), "\nsignal \"reload\" 2147483647: no such process");
    }
}
