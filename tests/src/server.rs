//! A server process that a test owns.

mod log;
mod observe;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use log::Log;

/// The environment variable that names the binary to test.
const BINARY_VARIABLE: &str = "PETREL_TEST_SERVER";

/// The environment variable with further lines for every configuration: the suites as they are, on another number of
/// cores or another backend.
const CONFIG_VARIABLE: &str = "PETREL_TEST_CONFIG";

/// The line that says that all listeners are open. Test tools of users wait for the same words.
const READY_TEXT: &str = "Server is ready";

/// A start may take this long, on a machine that is compiling something else meanwhile.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A stop may take this long before the process is killed and the test fails.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// The ports that the harness gives to servers: below the range from which the system picks the ports of outgoing
/// connections, so that no client of another test takes one between the choice and the start.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// How to start a server. Made by [`Server::builder`].
#[derive(Clone, Debug, Default)]
pub struct ServerBuilder {
    config: String,
    arguments: Vec<String>,
    descriptors_max: Option<u32>,
    own_listen: bool,
}

impl ServerBuilder {
    /// Adds lines to the configuration file. The harness itself adds `listen` and `http`, both on free ports of
    /// 127.0.0.1. `$DIRECTORY` in the text becomes the temporary directory of the server.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    /// Adds an argument of the command line.
    #[must_use]
    pub fn argument(mut self, text: &str) -> Self {
        self.arguments.push(text.to_owned());
        self
    }

    /// Sets the limit of open descriptors of the process, soft and hard.
    #[must_use]
    pub fn descriptors_max(mut self, limit: u32) -> Self {
        self.descriptors_max = Some(limit);
        self
    }

    /// Leaves the host away: the configuration says `port` and `http_port` alone, so that the server listens on its
    /// default host.
    #[must_use]
    pub fn default_host(mut self) -> Self {
        self.own_listen = true;
        self
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When the binary is missing or the server does not become ready; the message holds its log.
    #[track_caller]
    pub fn start(&self) -> Server {
        self.try_start_anywhere().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// As [`ServerBuilder::start`], for a server that may refuse its configuration.
    ///
    /// # Errors
    ///
    /// When the server does not become ready; the text holds its log.
    ///
    /// # Panics
    ///
    /// When the binary is missing.
    #[track_caller]
    pub fn try_start_anywhere(&self) -> Result<Server, String> {
        const ATTEMPTS_MAX: u32 = 5;
        for _ in 0..ATTEMPTS_MAX {
            let ports = (free_port(), free_port());
            match self.try_start(ports.0, ports.1) {
                Ok(server) => return Ok(server),
                // Somebody else took the port after it was chosen.
                Err(log) if log.contains("in use") => {}
                Err(log) => return Err(format!("the server did not become ready; its log:\n{log}")),
            }
        }
        Err(format!("found no free port in {ATTEMPTS_MAX} attempts"))
    }

    /// Starts the server on given ports, as a restart does.
    fn try_start(&self, port: u16, monitor_port: u16) -> Result<Server, String> {
        let directory = TempDir::new().expect("a temporary directory");
        let config_path = self.write_config(directory.path(), port, monitor_port);
        let (process, log) = self.spawn(&config_path);
        let mut server = Server {
            builder: self.clone(),
            process,
            log,
            port,
            monitor_port,
            ended: None,
            judged: false,
            _directory: directory,
        };
        let outcome = server.wait_until_ready();
        if outcome.is_err() {
            server.judged = true;
            server.kill();
        }
        outcome.map(|()| server)
    }

    fn write_config(&self, directory: &Path, port: u16, monitor_port: u16) -> PathBuf {
        let listen = if self.own_listen {
            format!("port: {port}\nhttp_port: {monitor_port}\n")
        } else {
            format!("listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor_port}\"\n")
        };
        let everywhere = std::env::var(CONFIG_VARIABLE).unwrap_or_default();
        let config =
            format!("{everywhere}\n{}", self.config).replace("$DIRECTORY", &directory.display().to_string());
        let config_path = directory.join("server.conf");
        fs::write(&config_path, listen + &config).expect("the configuration file can be written");
        config_path
    }

    fn spawn(&self, config_path: &Path) -> (Child, Arc<Log>) {
        let binary = binary_path();
        let mut command = match self.descriptors_max {
            None => Command::new(&binary),
            Some(limit) => {
                // The shell sets both limits and becomes the server: the process id stays the same.
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\"")).arg(&binary);
                shell
            }
        };
        command.arg("-c").arg(config_path).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let log = Arc::new(Log::default());
        let output = process.stderr.take().expect("the error output is a pipe");
        let collector = Arc::clone(&log);
        thread::spawn(move || collector.collect(output));
        (process, log)
    }
}

/// A running server. When it is dropped it is told to end by SIGTERM, and the test fails when it does not end well:
/// in time, with code 0, and without a panic in its log.
pub struct Server {
    builder: ServerBuilder,
    process: Child,
    log: Arc<Log>,
    port: u16,
    monitor_port: u16,
    ended: Option<ExitStatus>,
    /// True when its end was judged already, or is not worth judging.
    judged: bool,
    _directory: TempDir,
}

impl Server {
    /// A server still to be configured.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// A server with the default configuration.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where the monitoring port listens.
    pub fn monitor_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.monitor_port).into()
    }

    /// The port of clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of the process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Sends a signal to the process.
    ///
    /// # Panics
    ///
    /// When the process has been waited for already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "the server has ended");
        let id = Pid::from_raw(self.process.id().cast_signed()).expect("process ids are above zero");
        kill_process(id, signal).expect("the process is ours");
    }

    /// Writes another configuration (as [`ServerBuilder::config`] takes it), has the server read it, and waits until it
    /// says that it did.
    ///
    /// # Panics
    ///
    /// When it does not say so in time.
    #[track_caller]
    pub fn reload(&mut self, config: &str) {
        const DONE: &str = "Reloaded server configuration";
        let times = |log: &str| log.matches(DONE).count();
        let before = times(&self.log());
        self.builder.config = format!("{config}\n");
        self.builder.write_config(self._directory.path(), self.port, self.monitor_port);
        self.signal(Signal::HUP);
        let deadline = Instant::now() + crate::PATIENCE;
        while times(&self.log()) == before {
            assert!(Instant::now() < deadline, "the server did not reload; its log:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    ///
    /// When it does not before `patience` has passed.
    #[track_caller]
    pub fn wait_until_ended(&mut self, patience: Duration) -> ExitStatus {
        match self.try_wait(patience) {
            Some(status) => status,
            None => panic!("the server is still running after {patience:?}; its log:\n{}", self.log()),
        }
    }

    /// Stops the server as the drop does and starts it again with the same configuration on the same ports. Its
    /// temporary directory is a new one.
    ///
    /// # Panics
    ///
    /// When it does not end well or does not become ready again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        let server = match self.builder.try_start(self.port, self.monitor_port) {
            Ok(server) => server,
            Err(log) => panic!("the server did not become ready again; its log:\n{log}"),
        };
        *self = server;
    }

    /// Ends the server by SIGTERM.
    ///
    /// # Panics
    ///
    /// When it does not end in time, or not with code 0, or its log holds a panic.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Err(problem) = self.end() {
            panic!("{problem}; its log:\n{}", self.log());
        }
    }

    fn end(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.judged, true) {
            return Ok(());
        }
        if self.ended.is_none() && self.try_wait(Duration::ZERO).is_none() {
            self.signal(Signal::TERM);
        }
        let Some(status) = self.try_wait(STOP_PATIENCE) else {
            self.kill();
            return Err(format!("the server did not end within {STOP_PATIENCE:?} of SIGTERM and was killed"));
        };
        self.log.wait_until_complete();
        if !status.success() {
            return Err(format!("the server ended with {status}"));
        }
        if self.log().contains("panic") {
            return Err("the server's log holds a panic".to_owned());
        }
        Ok(())
    }

    fn kill(&mut self) {
        // An error means that it has ended meanwhile.
        let _ = self.process.kill();
        self.ended = self.process.wait().ok();
    }

    fn try_wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while self.ended.is_none() {
            self.ended = self.process.try_wait().expect("the process is our child");
            if self.ended.is_some() || Instant::now() >= deadline {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.ended
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if self.log.wait_for(READY_TEXT, Duration::from_millis(20)) {
                return Ok(());
            }
            if self.try_wait(Duration::ZERO).is_some() {
                self.log.wait_until_complete();
                return Err(self.log());
            }
            if Instant::now() > deadline {
                return Err(format!("{}(no line \"{READY_TEXT}\" after {START_PATIENCE:?})", self.log()));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let outcome = self.end();
        if thread::panicking() {
            eprintln!("log of the server:\n{}", self.log.tail());
        } else if let Err(problem) = outcome {
            panic!("{problem}; its log:\n{}", self.log.tail());
        }
    }
}

/// The binary to test: the one that `PETREL_TEST_SERVER` names, else `petrel-server` beside the running test.
///
/// # Panics
///
/// When there is none; the message says how to build it.
#[track_caller]
pub fn binary_path() -> PathBuf {
    let path = match std::env::var_os(BINARY_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => {
            // target/<profile>/deps/<test>-<hash>
            let program = std::env::current_exe().expect("the path of the running test");
            let profile =
                program.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
            profile.join("petrel-server")
        }
    };
    assert!(
        path.is_file(),
        "there is no server at {}: build it with `cargo build -p petrel-server` (in the profile of the tests), or \
         name another one in {BINARY_VARIABLE}",
        path.display()
    );
    path
}

/// Whether the server under test is petrel: it says so in its first lines, and nowhere where a client decides by it.
///
/// # Panics
///
/// When it does not start.
pub fn is_petrel() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| Server::start().log().contains("(petrel "))
}

/// A port on which nobody listens at the moment.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let size = u32::from(PORTS.end - PORTS.start);
    // Test programs that run at the same time begin at different places.
    let base = std::process::id().wrapping_mul(97);
    for _ in 0..size {
        let offset = base.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % size;
        let port = PORTS.start + u16::try_from(offset).expect("below the size of the range");
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {PORTS:?}")
}
