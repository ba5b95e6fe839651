//! What happens where io_uring is denied, as container runtimes do it: by a seccomp filter.

mod common;

use common::Letter;
use petrel_runtime::{
    BackendChoice, BackendKind, Event, Io, LaunchError, LaunchOptions, Program, SocketId, launch,
    probe_io_uring,
};

/// Denies `io_uring_setup` with an error code to the calling thread and to those it starts from now on.
fn deny_io_uring(code: u32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        // The number of the call is the first field of what a filter sees.
        statement(load, 0),
        libc::sock_filter { jf: 1, ..statement(equal, libc::SYS_io_uring_setup as u32) },
        statement(answer, libc::SECCOMP_RET_ERRNO | code),
        statement(answer, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the first call takes no pointers; the second reads the program and its filter, both alive.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

struct Quiet;

impl Program for Quiet {
    type Mail = Letter;
    type Order = ();
    fn start(&mut self, io: &mut Io<'_, Letter>) {
        assert_eq!(io.backend(), BackendKind::Epoll);
        io.stop();
    }
    fn event(&mut self, _event: Event<'_, Letter, ()>, _io: &mut Io<'_, Letter>) {}
    fn finish_turn(&mut self, _io: &mut Io<'_, Letter>) {}
    fn panicked(&mut self, _socket: Option<SocketId>, _message: &str, _io: &mut Io<'_, Letter>) {}
}

#[test]
fn the_node_starts_on_epoll_and_says_why() {
    for (code, word) in [(libc::EPERM, "seccomp"), (libc::ENOSYS, "seccomp")] {
        // The filter dies with its thread.
        let thread = std::thread::spawn(move || {
            deny_io_uring(code as u32);
            let reason = probe_io_uring().unwrap_err();
            assert!(reason.contains(word), "{reason}");
            let auto = LaunchOptions::default();
            let node = launch(&auto, |_, _| Quiet).unwrap();
            assert_eq!(node.backend, BackendKind::Epoll);
            assert_eq!(node.backend_note.as_deref(), Some(reason.as_str()));
            node.join().unwrap();
            let insist = LaunchOptions { backend: BackendChoice::Uring, ..auto };
            match launch(&insist, |_, _| Quiet) {
                Err(LaunchError::UringDenied(why)) => assert_eq!(why, reason),
                _ => panic!("launched what is denied"),
            }
        });
        thread.join().unwrap();
    }
}
