//! What is seen of a server with a configuration: what `-t` says, whether it starts, INFO, `/varz`, files.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use petrel_tests::{binary_path, http};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};

use crate::place::Place;

/// A start may take this long, on a machine that is compiling something else meanwhile.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A stop may take this long before the process is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// A server that waits for TLS says nothing for this long once it has a connection.
const SILENCE: Duration = Duration::from_millis(500);

/// Without monitoring nobody tells whether it has the connection: then its silence has to last so many times as long.
const SILENCES_MAX: u32 = 20;

/// A server writes some files after its listeners are open: those that are expected are waited for, and for this long
/// whether there are others, or as long where nothing is known.
const FILES_DELAY: Duration = Duration::from_millis(200);

/// Fields of INFO whose value is another one each time: that they are there is all that counts.
const INFO_CHANGING: [&str; 8] =
    ["client_id", "go", "git_commit", "nonce", "port", "server_id", "connect_urls", "xkey"];

/// Fields of `/varz` that follow from the configuration.
const VARZ: [&str; 42] = [
    "auth_required",
    "auth_timeout",
    "client_connect_urls",
    "cluster",
    "connect_urls",
    "gateway",
    "host",
    "http_base_path",
    "http_host",
    "https_port",
    "jetstream",
    "leaf",
    "lame_duck_duration",
    "max_connections",
    "max_control_line",
    "max_payload",
    "max_pending",
    "max_subscriptions",
    "metadata",
    "mqtt",
    "ping_interval",
    "ping_max",
    "pinned_account_fails",
    "proto",
    "proxies",
    "server_name",
    "slow_consumers",
    "system_account",
    "tags",
    "tls_available",
    "tls_handshake_first",
    "tls_handshake_first_fallback",
    "tls_ocsp_peer_verify",
    "tls_required",
    "tls_timeout",
    "tls_verify",
    "trusted_operators_claim",
    "trusted_operators_jwt",
    "version",
    "websocket",
    "write_deadline",
    "feature_flags",
];

/// Everything that is seen; `expected` is what should be.
pub fn all(place: &Place, expected: &Value) -> Value {
    json!({ "check": check(place), "start": start(place, &expected["start"]["seen"]["files"]) })
}

fn command(place: &Place) -> Command {
    let mut command = Command::new(binary_path());
    command.arg("-c").arg(place.file()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What `-t` says.
fn check(place: &Place) -> Value {
    let output = command(place).arg("-t").output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    json!({ "code": output.status.code(), "says": lines(place, &said) })
}

/// Lines that say nothing about the configuration: what follows from a wrong value in upstream's own memory, and what
/// petrel says about options that it reads and has no use for.
const ASIDE: [&str; 2] = ["runtime error: ", "\" is ignored: "];

fn lines(place: &Place, said: &str) -> Vec<String> {
    let is_aside = |line: &&str| ASIDE.iter().any(|words| line.contains(words));
    place
        .at_home(said)
        .lines()
        .filter(|line| !line.is_empty() && !is_aside(line))
        .map(str::to_owned)
        .collect()
}

/// Starts the server, looks at it and ends it.
fn start(place: &Place, files: &Value) -> Value {
    let mut process = command(place).spawn().expect("the binary runs");
    let mut errors = process.stderr.take().expect("the error output is a pipe");
    let said = thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until then is what counts.
        let _ = errors.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let seen = match wait_until_listening(&mut process, place.client_port) {
        Outcome::Listening => {
            let (info, varz) = (info(place), varz(place));
            let deadline = Instant::now() + START_PATIENCE;
            while files.is_array()
                && json!(place.new_files(process.id())) != *files
                && Instant::now() < deadline
            {
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(FILES_DELAY);
            Some(json!({ "files": place.new_files(process.id()), "info": info, "varz": varz }))
        }
        Outcome::Ended => None,
        Outcome::Neither => Some(json!("it neither listens nor ends")),
    };
    let code = end(&mut process);
    let said = said.join().expect("the reader does not panic");
    match seen {
        Some(seen) => json!({ "seen": seen, "warnings": warnings(place, &said), "ends_with": code }),
        None => json!({ "refuses": errors_of(place, &said), "ends_with": code }),
    }
}

enum Outcome {
    Listening,
    Ended,
    Neither,
}

fn wait_until_listening(process: &mut Child, port: u16) -> Outcome {
    let deadline = Instant::now() + START_PATIENCE;
    while Instant::now() < deadline {
        if process.try_wait().expect("the process is our child").is_some() {
            return Outcome::Ended;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Outcome::Listening;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Outcome::Neither
}

/// Ends the process by SIGTERM and returns its exit code.
fn end(process: &mut Child) -> Option<i32> {
    let id = Pid::from_raw(process.id().cast_signed()).expect("process ids are above zero");
    if process.try_wait().expect("the process is our child").is_none() {
        kill_process(id, Signal::TERM).expect("the process is ours");
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().expect("the process is our child") {
            return status.code();
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = process.kill();
    process.wait().expect("the process is our child").code()
}

/// The warnings of a log, sorted: their order among others is nobody's promise.
fn warnings(place: &Place, said: &str) -> Vec<String> {
    let mut found: Vec<String> =
        lines(place, said).into_iter().filter(|line| line.starts_with("[WRN]")).collect();
    found.sort();
    found
}

/// What a server says that refuses to start, without the lines of a start that went well so far.
fn errors_of(place: &Place, said: &str) -> Vec<String> {
    lines(place, said)
        .into_iter()
        .filter(|line| !["[INF]", "[WRN]", "[DBG]"].iter().any(|level| line.starts_with(level)))
        .collect()
}

/// INFO as it is sent to a new client; nothing where the server waits for TLS.
fn info(place: &Place) -> Value {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, place.client_port).into();
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(SILENCE)).expect("a timeout above zero");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let (mut had, mut silences) = (false, 0);
    while reader.read_line(&mut line).is_err() {
        silences += 1;
        // What it had to say it has said when it has had the connection for that long.
        if had || silences == SILENCES_MAX {
            return Value::Null;
        }
        had = has_connections(place);
    }
    // It may lose patience meanwhile: closing without a word is silence too.
    if line.is_empty() {
        return Value::Null;
    }
    let text = line.strip_prefix("INFO ").unwrap_or(&line);
    let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else { return json!(line) };
    if fields.get("server_name") == fields.get("server_id") {
        fields.insert("server_name".to_owned(), json!("*"));
    }
    for (name, value) in &mut fields {
        if INFO_CHANGING.contains(&name.as_str()) {
            *value = json!("*");
        }
    }
    // Which build it is.
    fields.remove("git_commit");
    fields.remove("petrel");
    Value::Object(fields)
}

/// What the monitoring port answers to `path`, wherever its base is.
fn monitor(place: &Place, path: &str) -> Option<http::Answer> {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, place.monitor_port).into();
    let get = |path: &str| http::get(address, path).ok().filter(|answer| answer.status == 200);
    get(path).or_else(|| get(&format!("/nats{path}")))
}

/// Whether the server is known to have a connection of a client.
fn has_connections(place: &Place) -> bool {
    let connz = monitor(place, "/connz").and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    connz.is_some_and(|connz| connz["num_connections"].as_u64() > Some(0))
}

/// The fields of `/varz` that follow from the configuration; nothing without monitoring.
fn varz(place: &Place) -> Value {
    let Some(answer) = monitor(place, "/varz") else { return Value::Null };
    let Ok(Value::Object(fields)) = serde_json::from_str(&place.at_home(&answer.body)) else {
        return json!(answer.body);
    };
    let named = fields.get("server_name") != fields.get("server_id");
    let mut fields: Map<String, Value> =
        fields.into_iter().filter(|(name, _)| VARZ.contains(&name.as_str())).collect();
    if !named {
        fields.insert("server_name".to_owned(), json!("*"));
    }
    Value::Object(fields)
}
