//! A start where hardly any file may be open.

mod support;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Client, PATIENCE, Server};

/// What a server needs, that it says itself when it is too much.
fn too_few(limit: u32, needed: u32) -> String {
    format!(
        "[FTL] only {limit} files may be open and the server needs {needed} to serve a client: raise the limit (ulimit \
         -n, LimitNOFILE= in the unit, --ulimit nofile= for a container)"
    )
}

/// Starts under a limit; nothing but the standard files is inherited.
fn limited(limit: u32, arguments: &[&str]) -> Child {
    // A shell can close files whose numbers have one digit; others are rare.
    let close: String = (3..10).map(|number| format!("exec {number}>&-; ")).collect();
    let script = format!("{close}ulimit -n {limit}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, support::binary(), "-a", "127.0.0.1", "-p", "-1", "-T=false"]);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The files that a process has open, without those that it has from whoever runs the test.
fn own_files(process: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    let is_own = |target: &std::path::PathBuf| {
        ["socket:", "anon_inode:"].iter().any(|kind| target.to_string_lossy().starts_with(kind))
    };
    3 + targets.filter(is_own).count()
}

/// A client, unless the server has said twice that it cannot accept anybody, which it does once a second, and has not
/// accepted this one.
fn let_in(server: &Server) -> Option<Client> {
    let errors = || server.log().matches("Temporary Client Accept Error").count();
    let before = errors();
    Client::connect_unless(server.port, || errors() >= before + 2)
}

#[test]
fn it_serves_somebody_or_says_what_it_lacks() {
    let (mut served, mut ways) = (Vec::new(), Vec::new());
    for limit in [6, 8, 9, 10, 12, 16, 20, 32, 64] {
        let server = match Server::of_child(limited(limit, &[])) {
            Ok(server) => server,
            Err(said) => {
                assert!(
                    limit < 9 && said.lines().last().unwrap().ends_with(&too_few(limit, 9)),
                    "{limit}: {said}"
                );
                continue;
            }
        };
        let gave_way = format!("[WRN] Only {limit} files may be open: running ");
        ways.push((limit, server.log().contains(&gave_way)));
        // More clients than there is room for: those who come first are served.
        let clients: Vec<Client> = (0..limit).map_while(|_| let_in(&server)).collect();
        served.push((limit, clients.len()));
        for mut client in clients {
            client.send("CONNECT {\"verbose\":false}\r\nPING\r\n");
            client.wait_for("PONG\r\n");
        }
    }
    // Every core needs some: how many it starts with depends on the machine. Who gives way at a limit does so at a lower one.
    assert!(ways.is_sorted_by_key(|(_, gave_way)| !gave_way), "{ways:?}");
    if std::thread::available_parallelism().unwrap().get() == 2 {
        assert!(ways.iter().all(|(limit, gave_way)| *gave_way == (*limit < 64)), "{ways:?}");
    }
    let least = served.first().copied();
    assert_eq!(least, Some((9, 1)), "{served:?}");
    assert!(served.iter().is_sorted_by_key(|(_, clients)| *clients), "{served:?}");
    assert!(served.iter().all(|(limit, clients)| *limit < 20 || *clients >= 10), "{served:?}");
}

#[test]
fn what_is_counted_is_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    let check = |backend: &str, cores: u32, monitoring: &str, expected: usize| {
        fs::write(&path, format!("petrel {{ cores: {cores}, backend: {backend} }}")).unwrap();
        let server = Server::of_child(limited(64, &["-c", path.to_str().unwrap(), "-m", monitoring]));
        let server = server.unwrap_or_else(|said| panic!("{said}"));
        // Some are open for a moment only.
        let end = Instant::now() + PATIENCE;
        let count = || own_files(server.id());
        while count() > expected {
            assert!(Instant::now() < end, "{} files are open, {expected} are counted", count());
            std::thread::sleep(Duration::from_millis(20));
        }
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(20));
            assert!(count() >= expected, "{} files are open, {expected} are counted", count());
        }
    };
    check("epoll", 1, "0", 6 + 2);
    check("epoll", 1, "-1", 6 + 2 + 4);
    if let Err(reason) = petrel_runtime::probe_io_uring() {
        eprintln!("io_uring is not counted: {reason}");
        return;
    }
    check("uring", 1, "0", 6 + 6);
}
