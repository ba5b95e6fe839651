//! Replaying conversations.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use super::{Action, Case, ConnectionAction, Conversation, SplitKind};
use crate::{PATIENCE, Random, Server, Split, Wire, http};

/// Runs all cases of a conversation against a server of its own.
///
/// # Errors
///
/// Says which lines failed, and how. All cases run, also after one that failed.
///
/// # Panics
///
/// When the server does not start or does not end well.
pub fn replay(conversation: &Conversation, split: SplitKind) -> Result<(), String> {
    let mut builder = Server::builder().config(&conversation.config);
    for argument in &conversation.arguments {
        builder = builder.argument(argument);
    }
    let mut server = builder.start();
    let mut problems = Vec::new();
    for (index, case) in conversation.cases.iter().enumerate() {
        if conversation.server_per_case && index > 0 {
            server = builder.start();
        }
        if let Err((line, problem)) = replay_case(case, conversation.pings_shown, &mut server, split) {
            let path = conversation.path.display();
            problems.push(format!("{path}:{line}: case \"{}\": {problem}", case.title));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// A connection of a case.
struct Talk {
    wire: Wire,
    /// The number that the server gave the connection in its first INFO.
    client_id: Option<u64>,
}

/// The connections of a case by name, and how new ones behave.
struct Talks {
    by_name: HashMap<String, Talk>,
    split: SplitKind,
    pings_shown: bool,
}

fn replay_case(
    case: &Case,
    pings_shown: bool,
    server: &mut Server,
    split: SplitKind,
) -> Result<(), (usize, String)> {
    let mut talks = Talks { by_name: HashMap::new(), split, pings_shown };
    for step in &case.steps {
        take_step(&step.action, &mut talks, server).map_err(|problem| (step.line, problem))?;
    }
    let last_line = case.steps.last().map_or(0, |step| step.line);
    for (name, talk) in &mut talks.by_name {
        let leftover = talk.wire.leftover();
        if !leftover.is_empty() {
            return Err((last_line, format!("{name} was sent more: \"{}\"", leftover.escape_ascii())));
        }
    }
    Ok(())
}

fn take_step(action: &Action, talks: &mut Talks, server: &mut Server) -> Result<(), String> {
    match action {
        Action::Connection(name, action) => connection_step(name, action, talks, server),
        Action::Wait(time) => {
            thread::sleep(*time);
            Ok(())
        }
        Action::Signal(signal) => {
            server.signal(*signal);
            Ok(())
        }
        Action::ServerExits(patience) => {
            let status = server.wait_until_ended(*patience);
            if status.success() { Ok(()) } else { Err(format!("the server ended with {status}")) }
        }
        Action::Get(path, expression) => poll(path, server, |body| expression.is_match(body.as_bytes()))
            .map_err(|last| {
                format!("{path} did not answer something like {expression}; last answer: {last}")
            }),
    }
}

fn connection_step(
    name: &str,
    action: &ConnectionAction,
    talks: &mut Talks,
    server: &Server,
) -> Result<(), String> {
    match action {
        ConnectionAction::Open => {
            let talk = talks.open(server)?;
            talks.by_name.insert(name.to_owned(), talk);
            return Ok(());
        }
        ConnectionAction::Refused => {
            return match Wire::open(server.address()) {
                Ok(_) => Err("the connection was accepted".to_owned()),
                Err(_) => Ok(()),
            };
        }
        _ => {}
    }
    if !talks.by_name.contains_key(name) {
        let mut talk = talks.open(server)?;
        let info = talk.wire.try_take_line().map_err(|mismatch| mismatch.to_string())?;
        talk.client_id = Some(client_id(&info).ok_or_else(|| format!("no client_id in {info}"))?);
        talks.by_name.insert(name.to_owned(), talk);
    }
    let talk = talks.by_name.get_mut(name).expect("just made if it was not there");
    let wire = &mut talk.wire;
    let outcome = match action {
        ConnectionAction::Open | ConnectionAction::Refused => unreachable!("handled above"),
        ConnectionAction::Send(bytes) => wire.try_send(bytes),
        ConnectionAction::Expect(pattern) => wire.try_expect(pattern),
        ConnectionAction::ExpectRepeated(bytes) => wire.try_expect_repeated(bytes),
        ConnectionAction::ExpectUnordered(patterns) => wire.try_expect_unordered(patterns),
        ConnectionAction::Closed => wire.try_expect_closed(),
        ConnectionAction::Nothing(quiet_ms) => wire.try_expect_nothing(*quiet_ms),
        ConnectionAction::Sync => {
            wire.try_send(b"PING\r\n").and_then(|()| wire.try_expect(&"PONG\r\n".into()))
        }
        ConnectionAction::HalfClose => {
            wire.half_close();
            Ok(())
        }
        ConnectionAction::Close => {
            talks.by_name.remove(name);
            Ok(())
        }
        ConnectionAction::Reset => {
            talks.by_name.remove(name).expect("made above").wire.reset();
            Ok(())
        }
        ConnectionAction::Reason(reason) => {
            let id =
                talk.client_id.ok_or("the reason of a connection whose INFO was not taken by the replay")?;
            return expect_reason(server, id, reason);
        }
    };
    outcome.map_err(|mismatch| mismatch.to_string())
}

impl Talks {
    fn open(&self, server: &Server) -> Result<Talk, String> {
        let mut wire = Wire::open(server.address()).map_err(|error| format!("connecting: {error}"))?;
        wire.set_split(match self.split {
            SplitKind::Whole => Split::Whole,
            SplitKind::Bytes => Split::Bytes,
            SplitKind::Chunks => Split::Chunks(Random::from_environment(1)),
        });
        wire.set_pings_shown(self.pings_shown);
        Ok(Talk { wire, client_id: None })
    }
}

fn client_id(info: &str) -> Option<u64> {
    let (_, rest) = info.split_once("\"client_id\":")?;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// Waits until the monitoring port lists the connection as closed for `reason`.
fn expect_reason(server: &Server, client_id: u64, reason: &str) -> Result<(), String> {
    let wanted = format!("\"reason\": \"{reason}\"");
    poll(&format!("/connz?state=closed&cid={client_id}"), server, |body| body.contains(&wanted))
        .map_err(|last| format!("connection {client_id} is not listed as closed for \"{reason}\": {last}"))
}

/// Asks until the body fits, or returns the last one.
fn poll(path: &str, server: &Server, fits: impl Fn(&str) -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = http::get(server.monitor_address(), path).map_err(|error| error.to_string())?.body;
        if fits(&body) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(body);
        }
        thread::sleep(Duration::from_millis(5));
    }
}
