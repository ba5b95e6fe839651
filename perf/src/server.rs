//! A server that is started for one run, on loopback and its defaults.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_runtime::end_with_this_thread;
use petrel_tools::bench::{Memory, ProcessMeter};

use crate::certificates::Certificates;
use crate::confinement::{MemoryBound, on_cores};

/// How long a server may take until it accepts.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to end when asked.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);
/// How long a monitoring page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a page that are read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Lines of a server's log that are shown when it fails.
const LOG_LINES: usize = 10;

/// A running server; it ends when this is dropped, and with the thread that started it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    files: Files,
    monitor_port: u16,
    /// The authority that its clients are to trust, where they speak TLS.
    tls_ca: Option<PathBuf>,
}

/// What belongs to one server among the temporary files; it goes with this.
#[derive(Debug)]
struct Files {
    log: PathBuf,
    /// The configuration file of a server that was given one.
    config: Option<PathBuf>,
}

impl Server {
    /// Starts `binary` on a free port and its defaults, on `cores` if given, and under `bound` if given. With
    /// `certificates` all its clients speak TLS.
    ///
    /// # Errors
    /// When it does not start, ends at once, or does not accept in time; with the end of its log.
    pub fn start(
        binary: &Path,
        cores: Option<&[usize]>,
        bound: Option<&MemoryBound>,
        certificates: Option<&Certificates>,
    ) -> Result<Self> {
        let port = free_port()?;
        let files = Files::new(port, certificates.map(Certificates::server_lines).as_deref())?;
        let mut command = match bound {
            None => Command::new(binary),
            Some(bound) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{} && exec \"$0\" \"$@\"", bound.shell_line())]).arg(binary);
                shell
            }
        };
        command.args(Self::arguments(port));
        if let Some(config) = &files.config {
            command.arg("-c").arg(config);
        }
        let mut server = Self::launch(command, binary, cores, port, files)?;
        server.tls_ca = certificates.map(Certificates::authority);
        Ok(server)
    }

    /// Starts `binary` with a configuration file: where to listen, monitoring included, and `config`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn configured(binary: &Path, cores: Option<&[usize]>, config: &str) -> Result<Self> {
        let (port, monitor_port) = (free_port()?, free_port()?);
        let files = Files::new(port, Some(&(Self::listen_lines(port, monitor_port) + config)))?;
        let mut command = Command::new(binary);
        command.arg("-c").args(&files.config);
        let mut server = Self::launch(command, binary, cores, port, files)?;
        server.monitor_port = monitor_port;
        Ok(server)
    }

    fn launch(
        mut command: Command,
        binary: &Path,
        cores: Option<&[usize]>,
        port: u16,
        files: Files,
    ) -> Result<Self> {
        let output = File::create(&files.log).with_context(|| format!("the log {}", files.log.display()))?;
        // Nobody else would end it when this program is killed.
        end_with_this_thread(&mut command);
        command.stdin(Stdio::null()).stdout(output.try_clone().context("the log")?).stderr(output);
        let child = on_cores(cores, || {
            command.spawn().with_context(|| format!("{} does not start", binary.display()))
        })?;
        let mut server = Self { child, port, files, monitor_port: 0, tls_ca: None };
        server.wait_until_ready().with_context(|| format!("{}", binary.display()))?;
        Ok(server)
    }

    fn listen_lines(port: u16, monitor_port: u16) -> String {
        format!("listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor_port}\"\n")
    }

    /// Writes the configuration file anew and asks for a reload.
    ///
    /// # Errors
    /// When there is none, or the server has ended.
    pub fn reload(&self, config: &str) -> Result<()> {
        let path = self.files.config.as_ref().context("a server without a configuration file")?;
        fs::write(path, Self::listen_lines(self.port, self.monitor_port) + config)?;
        kill(Pid::from_raw(self.pid()), Signal::SIGHUP).context("the server has ended")
    }

    /// The answer of the monitoring port to a GET, its head left out.
    ///
    /// # Errors
    /// When it does not answer within ten seconds.
    pub fn page(&self, path: &str) -> Result<String> {
        let mut answer = String::new();
        self.ask(path)?.read_to_string(&mut answer).with_context(|| format!("{path} is not answered"))?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
        check_head(path, head)?;
        Ok(body.to_owned())
    }

    /// The length of such an answer, its head included. It is read and forgotten piece by piece: gathering megabytes
    /// would take the processor from a generator that runs beside this.
    ///
    /// # Errors
    /// As [`Server::page`].
    pub fn page_bytes(&self, path: &str) -> Result<usize> {
        let mut stream = self.ask(path)?;
        let mut piece = [0; PIECE_BYTES];
        let mut bytes = 0;
        loop {
            let count = stream.read(&mut piece).with_context(|| format!("{path} is not answered"))?;
            if bytes == 0 {
                check_head(path, &String::from_utf8_lossy(&piece[..count]))?;
            }
            if count == 0 {
                return Ok(bytes);
            }
            bytes += count;
        }
    }

    fn ask(&self, path: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.monitor_port)).context("monitoring")?;
        stream.set_read_timeout(Some(PAGE_TIMEOUT))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).context("monitoring")?;
        Ok(stream)
    }

    /// The command line's options: where to listen, all else as by default.
    pub fn arguments(port: u16) -> [String; 4] {
        ["-a".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()]
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The authority that its clients are to trust, a file in PEM; without one they speak no TLS.
    pub fn tls_ca(&self) -> Option<&Path> {
        self.tls_ca.as_deref()
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Its memory now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<Memory> {
        ProcessMeter::new(self.pid()).and_then(|meter| meter.memory()).context("the server has ended")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(&self.files.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended at once ({status}):\n{}", self.log_end());
            }
            if greets(self.port) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        bail!("does not accept within {} s:\n{}", START_TIMEOUT.as_secs(), self.log_end())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Files {
    /// Names for the files of the server on `port`, and the configuration file if there is one.
    fn new(port: u16, config: Option<&str>) -> Result<Self> {
        let name = std::env::temp_dir().join(format!("petrel-perf-{}-{port}", std::process::id()));
        let (log, path) = (name.with_extension("log"), name.with_extension("conf"));
        if let Some(text) = config {
            fs::write(&path, text).context("the configuration file")?;
        }
        Ok(Self { log, config: config.map(|_| path) })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in [Some(&self.log), self.config.as_ref()].into_iter().flatten() {
            let _ = fs::remove_file(file);
        }
    }
}

/// That an answer is a good one.
fn check_head(path: &str, head: &str) -> Result<()> {
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(())
}

/// A connection is accepted and greeted with `INFO`.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut greeting = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"INFO "
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .context("a free port")?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_no_server_is_told_with_its_log() {
        let error = Server::start(Path::new("/bin/echo"), None, None, None).expect_err("echo ends");
        assert!(format!("{error:#}").contains("-a 127.0.0.1 -p"), "{error:#}");
        let error = Server::start(Path::new("/nonexistent"), None, None, None).expect_err("does not exist");
        assert!(format!("{error:#}").contains("does not start"), "{error:#}");
    }
}
