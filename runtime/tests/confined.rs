//! The server within the seccomp profile of `deploy/seccomp`: all that it calls is in there, io_uring included.
//!
//! It needs the server's program: that of `PETREL_TEST_SERVER`, else the one that was built beside this test.
#![cfg(target_arch = "x86_64")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names of system calls and their numbers on this machine. The profile may name none that is not here.
const NUMBERS: &[(&str, libc::c_long)] = &[
    ("accept", libc::SYS_accept),
    ("accept4", libc::SYS_accept4),
    ("access", libc::SYS_access),
    ("arch_prctl", libc::SYS_arch_prctl),
    ("bind", libc::SYS_bind),
    ("brk", libc::SYS_brk),
    ("capget", libc::SYS_capget),
    ("capset", libc::SYS_capset),
    ("chdir", libc::SYS_chdir),
    ("clock_getres", libc::SYS_clock_getres),
    ("clock_gettime", libc::SYS_clock_gettime),
    ("clock_nanosleep", libc::SYS_clock_nanosleep),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("close", libc::SYS_close),
    ("close_range", libc::SYS_close_range),
    ("connect", libc::SYS_connect),
    ("dup", libc::SYS_dup),
    ("dup2", libc::SYS_dup2),
    ("dup3", libc::SYS_dup3),
    ("epoll_create1", libc::SYS_epoll_create1),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("epoll_pwait", libc::SYS_epoll_pwait),
    ("epoll_wait", libc::SYS_epoll_wait),
    ("eventfd2", libc::SYS_eventfd2),
    ("execve", libc::SYS_execve),
    ("exit", libc::SYS_exit),
    ("exit_group", libc::SYS_exit_group),
    ("faccessat", libc::SYS_faccessat),
    ("faccessat2", libc::SYS_faccessat2),
    ("fallocate", libc::SYS_fallocate),
    ("fchown", libc::SYS_fchown),
    ("fcntl", libc::SYS_fcntl),
    ("fdatasync", libc::SYS_fdatasync),
    ("fstat", libc::SYS_fstat),
    ("fstatfs", libc::SYS_fstatfs),
    ("fsync", libc::SYS_fsync),
    ("ftruncate", libc::SYS_ftruncate),
    ("futex", libc::SYS_futex),
    ("getcwd", libc::SYS_getcwd),
    ("getdents64", libc::SYS_getdents64),
    ("getegid", libc::SYS_getegid),
    ("geteuid", libc::SYS_geteuid),
    ("getgid", libc::SYS_getgid),
    ("getpeername", libc::SYS_getpeername),
    ("getpgid", libc::SYS_getpgid),
    ("getpgrp", libc::SYS_getpgrp),
    ("getpid", libc::SYS_getpid),
    ("getppid", libc::SYS_getppid),
    ("getpriority", libc::SYS_getpriority),
    ("getrandom", libc::SYS_getrandom),
    ("getrusage", libc::SYS_getrusage),
    ("getsockname", libc::SYS_getsockname),
    ("getsockopt", libc::SYS_getsockopt),
    ("gettid", libc::SYS_gettid),
    ("gettimeofday", libc::SYS_gettimeofday),
    ("getuid", libc::SYS_getuid),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("io_uring_register", libc::SYS_io_uring_register),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("ioctl", libc::SYS_ioctl),
    ("kill", libc::SYS_kill),
    ("listen", libc::SYS_listen),
    ("lseek", libc::SYS_lseek),
    ("lstat", libc::SYS_lstat),
    ("madvise", libc::SYS_madvise),
    ("membarrier", libc::SYS_membarrier),
    ("mkdir", libc::SYS_mkdir),
    ("mkdirat", libc::SYS_mkdirat),
    ("mlock", libc::SYS_mlock),
    ("mmap", libc::SYS_mmap),
    ("mprotect", libc::SYS_mprotect),
    ("mremap", libc::SYS_mremap),
    ("munlock", libc::SYS_munlock),
    ("munmap", libc::SYS_munmap),
    ("nanosleep", libc::SYS_nanosleep),
    ("newfstatat", libc::SYS_newfstatat),
    ("open", libc::SYS_open),
    ("openat", libc::SYS_openat),
    ("pipe", libc::SYS_pipe),
    ("pipe2", libc::SYS_pipe2),
    ("poll", libc::SYS_poll),
    ("ppoll", libc::SYS_ppoll),
    ("prctl", libc::SYS_prctl),
    ("pread64", libc::SYS_pread64),
    ("preadv", libc::SYS_preadv),
    ("prlimit64", libc::SYS_prlimit64),
    ("pselect6", libc::SYS_pselect6),
    ("pwrite64", libc::SYS_pwrite64),
    ("pwritev", libc::SYS_pwritev),
    ("read", libc::SYS_read),
    ("readlink", libc::SYS_readlink),
    ("readlinkat", libc::SYS_readlinkat),
    ("readv", libc::SYS_readv),
    ("recvfrom", libc::SYS_recvfrom),
    ("recvmmsg", libc::SYS_recvmmsg),
    ("recvmsg", libc::SYS_recvmsg),
    ("rename", libc::SYS_rename),
    ("renameat", libc::SYS_renameat),
    ("renameat2", libc::SYS_renameat2),
    ("restart_syscall", libc::SYS_restart_syscall),
    ("rseq", libc::SYS_rseq),
    ("rt_sigaction", libc::SYS_rt_sigaction),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("rt_sigreturn", libc::SYS_rt_sigreturn),
    ("rt_sigtimedwait", libc::SYS_rt_sigtimedwait),
    ("sched_getaffinity", libc::SYS_sched_getaffinity),
    ("sched_getattr", libc::SYS_sched_getattr),
    ("sched_setaffinity", libc::SYS_sched_setaffinity),
    ("sched_setattr", libc::SYS_sched_setattr),
    ("sched_yield", libc::SYS_sched_yield),
    ("select", libc::SYS_select),
    ("sendmmsg", libc::SYS_sendmmsg),
    ("sendmsg", libc::SYS_sendmsg),
    ("sendto", libc::SYS_sendto),
    ("set_robust_list", libc::SYS_set_robust_list),
    ("set_tid_address", libc::SYS_set_tid_address),
    ("setgid", libc::SYS_setgid),
    ("setgroups", libc::SYS_setgroups),
    ("setpgid", libc::SYS_setpgid),
    ("setpriority", libc::SYS_setpriority),
    ("setresgid", libc::SYS_setresgid),
    ("setresuid", libc::SYS_setresuid),
    ("setsockopt", libc::SYS_setsockopt),
    ("setuid", libc::SYS_setuid),
    ("shutdown", libc::SYS_shutdown),
    ("sigaltstack", libc::SYS_sigaltstack),
    ("socket", libc::SYS_socket),
    ("socketpair", libc::SYS_socketpair),
    ("stat", libc::SYS_stat),
    ("statfs", libc::SYS_statfs),
    ("statx", libc::SYS_statx),
    ("sysinfo", libc::SYS_sysinfo),
    ("tgkill", libc::SYS_tgkill),
    ("time", libc::SYS_time),
    ("timerfd_create", libc::SYS_timerfd_create),
    ("timerfd_settime", libc::SYS_timerfd_settime),
    ("umask", libc::SYS_umask),
    ("uname", libc::SYS_uname),
    ("unlink", libc::SYS_unlink),
    ("unlinkat", libc::SYS_unlinkat),
    ("vfork", libc::SYS_vfork),
    ("wait4", libc::SYS_wait4),
    ("waitid", libc::SYS_waitid),
    ("write", libc::SYS_write),
    ("writev", libc::SYS_writev),
];

/// What the profile allows.
fn allowed() -> Vec<u32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/seccomp/petrel.json");
    let profile: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(profile["defaultErrnoRet"], libc::EPERM);
    let mut numbers = Vec::new();
    for rule in profile["syscalls"].as_array().unwrap() {
        assert_eq!(rule["action"], "SCMP_ACT_ALLOW");
        for name in rule["names"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let number = NUMBERS.iter().find(|(known, _)| *known == name);
            let (_, number) =
                number.unwrap_or_else(|| panic!("{name} is no system call that this test knows"));
            numbers.push(u32::try_from(*number).unwrap());
        }
    }
    numbers
}

/// A filter that allows these calls and answers EPERM to all others.
fn filter(allowed: &[u32]) -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    // The number of the call is the first field of what a filter sees.
    let mut filter = vec![statement(load, 0)];
    for number in allowed {
        filter.push(libc::sock_filter { jf: 1, ..statement(equal, *number) });
        filter.push(statement(answer, libc::SECCOMP_RET_ALLOW));
    }
    filter.push(statement(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    filter
}

fn server() -> Option<PathBuf> {
    let named = std::env::var_os("PETREL_TEST_SERVER").map(PathBuf::from);
    let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("petrel-server"));
    named.or_else(beside).filter(|path| path.exists())
}

/// Starts a program that the filter holds from its first instruction on, as container runtimes do.
fn start(program: &PathBuf, arguments: &[&str], mut filter: Vec<libc::sock_filter>) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::piped());
    let confine = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: the first call takes no pointers; the second reads the program and its filter, both alive.
        let confined = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
        };
        if confined { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec only two system calls are made, and no memory is allocated.
    unsafe { command.pre_exec(confine) };
    command.spawn().unwrap()
}

/// Reads the log up to a line; returns that line.
fn wait_for(log: &mut impl BufRead, text: &str) -> String {
    let mut read = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "no {text:?} in\n{read}");
        read.push_str(&line);
        if line.contains(text) {
            return line;
        }
    }
}

fn port(line: &str) -> u16 {
    line.trim_end().rsplit_once(':').unwrap().1.parse().unwrap()
}

fn converse(port: u16, request: &str, answer: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut received, mut buffer) = (String::new(), [0; 4096]);
    while !received.contains(answer) {
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "no {answer:?} in {received}");
        received.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

fn lives_within(backend: &str, name: &str) {
    let Some(program) = server() else {
        eprintln!("skipped: no petrel-server is built; set PETREL_TEST_SERVER");
        return;
    };
    let folder = std::env::temp_dir().join(format!("petrel-confined-{}-{backend}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("nats.conf");
    let shown = folder.display();
    let text = format!(
        "host: 127.0.0.1\nport: -1\nhttp_port: -1\npid_file: \"{shown}/pid\"\nports_file_dir: \"{shown}\"\n\
         petrel {{ backend: {backend} }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut child = start(&program, &["-c", config.to_str().unwrap()], filter(&allowed()));
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let http = port(&wait_for(&mut log, "Starting http monitor on "));
    let cores = wait_for(&mut log, "Running ");
    assert!(cores.trim_end().ends_with(&format!(" with {name}")), "{cores}");
    let clients = port(&wait_for(&mut log, "Listening for client connections on "));
    wait_for(&mut log, "Server is ready");
    assert_eq!(std::fs::read_to_string(folder.join("pid")).unwrap(), child.id().to_string());
    let payload = "x".repeat(100_000);
    let publish =
        format!("CONNECT {{\"verbose\":false}}\r\nSUB a 1\r\nPUB a 100000\r\n{payload}\r\nPING\r\n");
    converse(clients, &publish, "PONG\r\n");
    for path in ["varz", "connz", "metrics", "healthz"] {
        converse(http, &format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "200 OK");
    }
    let signal = |number| {
        // SAFETY: no pointers; the child was not waited for, so the id is still its.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, number) }, 0);
    };
    signal(libc::SIGHUP);
    wait_for(&mut log, "Reloaded server configuration (");
    signal(libc::SIGTERM);
    wait_for(&mut log, "Server Exiting..");
    assert!(child.wait().unwrap().success());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_server_lives_within_the_profile_on_io_uring() {
    lives_within("uring", "io_uring");
}

#[test]
fn the_server_lives_within_the_profile_on_epoll() {
    lives_within("epoll", "epoll");
}

#[test]
fn the_filter_forbids_what_the_profile_does_not_name() {
    let numbers: Vec<u32> =
        allowed().into_iter().filter(|number| *number != libc::SYS_listen as u32).collect();
    let Some(program) = server() else { return };
    let mut child = start(&program, &["-a", "127.0.0.1", "-p", "-1"], filter(&numbers));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{log}");
    assert!(log.to_lowercase().contains("operation not permitted"), "{log}");
}

/// The health check of the compose file, as the container would run it: beside the server, within the profile.
#[test]
fn the_health_check_lives_within_the_profile() {
    let shell = PathBuf::from("/bin/bash");
    if !shell.exists() {
        eprintln!("skipped: there is no bash");
        return;
    }
    let check = "exec 3<>/dev/tcp/127.0.0.1/4222 && read -r -t 2 line <&3 && [[ $line == INFO* ]]";
    let compose = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/compose/compose.yaml");
    assert!(std::fs::read_to_string(compose).unwrap().contains(&check.replace('$', "$$")));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // With more patience: it is what it calls that counts here.
    let port = listener.local_addr().unwrap().port().to_string();
    let here = check.replace("4222", &port).replace("-t 2 ", "-t 60 ");
    for (greeting, is_healthy) in [("INFO {}\r\n", true), ("HTTP/1.1 400\r\n", false)] {
        let mut child = start(&shell, &["-c", &here], filter(&allowed()));
        listener.accept().unwrap().0.write_all(greeting.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().success(), is_healthy, "{greeting}");
    }
}
