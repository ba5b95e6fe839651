//! Reading conversations.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::escape::unescape;
use super::{Action, Case, ConnectionAction, Conversation, SplitKind, Step};
use crate::Pattern;

/// How long the server may take to end by itself when the file does not say.
const EXIT_PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong with a file, with the line.
#[derive(Debug)]
pub struct ParseError {
    /// The line's number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl Conversation {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a line of it cannot be understood.
    pub fn read(path: &Path) -> Result<Self, ParseError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ParseError { line: 0, problem: error.to_string() })?;
        let mut conversation = Self {
            path: path.to_owned(),
            config: String::new(),
            arguments: Vec::new(),
            splits: SplitKind::ALL.to_vec(),
            not_yet: None,
            server_per_case: false,
            pings_shown: false,
            cases: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            conversation
                .add_line(number, line.trim_end())
                .map_err(|problem| ParseError { line: number, problem })?;
        }
        let empty = conversation.cases.iter().find(|case| case.steps.is_empty());
        if let Some(case) = empty {
            return Err(ParseError { line: 0, problem: format!("the case \"{}\" is empty", case.title) });
        }
        if conversation.cases.is_empty() {
            return Err(ParseError { line: 0, problem: "no case".to_owned() });
        }
        Ok(conversation)
    }

    fn add_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(title) = line.strip_prefix("== ") {
            self.cases.push(Case { title: title.to_owned(), steps: Vec::new() });
            return Ok(());
        }
        let Some(case) = self.cases.last_mut() else { return self.add_header(line) };
        let action = parse_action(line)?;
        // Lines of one connection in whatever order are one step.
        if let Action::Connection(name, ConnectionAction::ExpectUnordered(added)) = &action
            && let Some(Step { action: Action::Connection(last_name, last), .. }) = case.steps.last_mut()
            && let ConnectionAction::ExpectUnordered(patterns) = last
            && last_name == name
        {
            patterns.extend(added.iter().cloned());
            return Ok(());
        }
        case.steps.push(Step { line: number, action });
        Ok(())
    }

    fn add_header(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(": ").ok_or("expected `key: value` or `== title`")?;
        match key {
            "config" => {
                self.config.push_str(value);
                self.config.push('\n');
            }
            "arguments" => self.arguments.extend(value.split(' ').map(str::to_owned)),
            "splits" => {
                self.splits = value.split(' ').map(parse_split).collect::<Result<_, _>>()?;
            }
            "not yet" => self.not_yet = Some(value.to_owned()),
            "server" if value == "per case" => self.server_per_case = true,
            "pings" if value == "shown" => self.pings_shown = true,
            _ => return Err(format!("unknown header {line}")),
        }
        Ok(())
    }
}

fn parse_split(word: &str) -> Result<SplitKind, String> {
    let known = SplitKind::ALL.into_iter().find(|kind| kind.name() == word);
    known.ok_or_else(|| format!("unknown way of splitting {word}"))
}

fn parse_action(line: &str) -> Result<Action, String> {
    let (first, rest) = line.split_once(' ').ok_or("expected a name and what happens")?;
    match first {
        "wait" => Ok(Action::Wait(Duration::from_millis(parse_number(rest)?))),
        "server" => parse_server_action(rest),
        name => Ok(Action::Connection(name.to_owned(), parse_connection_action(rest)?)),
    }
}

fn parse_server_action(text: &str) -> Result<Action, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    match verb {
        "signal" => match rest {
            "USR2" => Ok(Action::Signal(Signal::USR2)),
            "TERM" => Ok(Action::Signal(Signal::TERM)),
            "INT" => Ok(Action::Signal(Signal::INT)),
            "HUP" => Ok(Action::Signal(Signal::HUP)),
            _ => Err(format!("unknown signal {rest}")),
        },
        "exits" if rest.is_empty() => Ok(Action::ServerExits(EXIT_PATIENCE)),
        "get" => {
            let (path, expression) = rest.split_once(" ~ ").ok_or("expected `get PATH ~ EXPRESSION`")?;
            let expression = regex::bytes::RegexBuilder::new(expression).unicode(false).build();
            Ok(Action::Get(path.to_owned(), expression.map_err(|error| error.to_string())?))
        }
        _ => Err(format!("unknown action of the server {text}")),
    }
}

fn parse_connection_action(text: &str) -> Result<ConnectionAction, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let line = |text: &str| unescape(text).map(|bytes| [bytes.as_slice(), b"\r\n"].concat());
    match verb {
        ">" => line(rest).map(ConnectionAction::Send),
        ">>" => unescape(rest).map(ConnectionAction::Send),
        "<" => Ok(ConnectionAction::Expect(line(rest)?.into())),
        "<<" => Ok(ConnectionAction::Expect(unescape(rest)?.into())),
        "<+" => line(rest).map(ConnectionAction::ExpectRepeated),
        "<*" => Ok(ConnectionAction::ExpectUnordered(vec![line(rest)?.into()])),
        "<~" => Pattern::try_line_matching(rest).map(ConnectionAction::Expect),
        "nothing" => parse_number(rest).map(ConnectionAction::Nothing),
        "reason" if !rest.is_empty() => Ok(ConnectionAction::Reason(rest.to_owned())),
        _ if !rest.is_empty() => Err(format!("unknown action {text}")),
        "open" => Ok(ConnectionAction::Open),
        "refused" => Ok(ConnectionAction::Refused),
        "closed" => Ok(ConnectionAction::Closed),
        "sync" => Ok(ConnectionAction::Sync),
        "close" => Ok(ConnectionAction::Close),
        "reset" => Ok(ConnectionAction::Reset),
        "half-close" => Ok(ConnectionAction::HalfClose),
        _ => Err(format!("unknown action {text}")),
    }
}

fn parse_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}
