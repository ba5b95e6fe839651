//! `authorization { }`.

use crate::duration::parse_duration;
use crate::keys;
use crate::options::{Authorization, Credential, User};
use crate::reader::{Entry, Reader};
use crate::value::{Node, Position, Value};
use std::collections::HashSet;
use std::time::Duration;

/// Above this many seconds the timeout is probably a number whose unit was read as a suffix.
const TIMEOUT_SECONDS_HIGH: f64 = 60.0;

/// What bcrypt hashes begin with.
const BCRYPT_PREFIXES: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

/// Whether a password or token is a bcrypt hash.
pub fn is_bcrypt(secret: &str) -> bool {
    BCRYPT_PREFIXES.iter().any(|prefix| secret.starts_with(prefix))
}

/// What is said of a bcrypt hash, by the file or the command line.
pub const BCRYPT_NOT_SUPPORTED: &str = "bcrypt hashes are not supported by petrel yet: nobody could log in";

/// Reads the block; `None` when it is no block.
pub(crate) fn authorization(reader: &mut Reader, node: &Node) -> Option<Authorization> {
    let map = reader.map(node)?;
    let mut found = Authorization::default();
    reader.block(map, keys::AUTHORIZATION, |reader, entry| match entry.key {
        "user" => found.user = reader.string(entry.node),
        "pass" => found.password = secret(reader, entry.node),
        "token" => found.token = secret(reader, entry.node),
        "timeout" => found.timeout = timeout(reader, entry),
        "users" => found.users = users(reader, entry.node, &node.position),
        // The table and this list are one; see the test below.
        other => unreachable!("authorization key {other} is supported but not read"),
    });
    check_exclusive(reader, &node.position, &found);
    Some(found)
}

fn check_exclusive(reader: &mut Reader, position: &Position, found: &Authorization) {
    let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let single = said(&found.user) || said(&found.password);
    if single && said(&found.token) {
        reader.error(position, "Cannot have a user/pass and token");
    } else if found.users.is_some() && said(&found.user) {
        reader.error(position, "Can not have a single user/pass and a users array");
    } else if found.users.is_some() && said(&found.token) {
        reader.error(position, "Can not have a token and a users array");
    }
}

fn secret(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.string(node)?;
    if is_bcrypt(&text) {
        reader.error(&node.position, BCRYPT_NOT_SUPPORTED);
    }
    Some(text)
}

/// Seconds as a number, or a duration in words.
fn timeout(reader: &mut Reader, entry: &Entry<'_>) -> Option<Duration> {
    let position = &entry.node.position;
    let (seconds, shown) = match &entry.node.value {
        Value::Integer(seconds) => (*seconds as f64, seconds.to_string()),
        Value::Float(seconds) => (*seconds, seconds.to_string()),
        Value::String(text) => match parse_duration(text) {
            Ok(nanoseconds) => (nanoseconds as f64 / 1e9, text.clone()),
            Err(error) => {
                let text = format!("error parsing authorization config, 'timeout' {error}");
                reader.error(position, text);
                return None;
            }
        },
        _ => {
            reader.error(position, "error parsing authorization config, 'timeout' wrong type");
            return None;
        }
    };
    if seconds < 0.0 {
        reader.negative(entry);
        return None;
    }
    if seconds > TIMEOUT_SECONDS_HIGH {
        let why = format!(
            "timeout of {shown} ({seconds:.6} seconds) is high, consider keeping it under 60 seconds. possibly \
             caused by unquoted duration; use '1m' instead of 1m, for example"
        );
        reader.warn_field(position, entry.written, &why);
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn users(reader: &mut Reader, node: &Node, block: &Position) -> Option<Vec<User>> {
    let Value::Array(elements) = &node.value else {
        let text = format!("Expected users field to be an array, got {}", shown(&node.value));
        reader.error(&node.position, text);
        return None;
    };
    let mut users: Vec<User> = Vec::with_capacity(elements.len());
    let mut names = HashSet::new();
    for element in elements {
        let Some(user) = user(reader, element) else { continue };
        if !names.insert(user.name().to_owned()) {
            reader.error(block, format!("Duplicate user {:?} detected", user.name()));
        }
        users.push(user);
    }
    Some(users)
}

fn user(reader: &mut Reader, node: &Node) -> Option<User> {
    let Value::Map(map) = &node.value else {
        let text = format!("Expected user entry to be a map/struct, got {}", shown(&node.value));
        reader.error(&node.position, text);
        return None;
    };
    let errors_before = reader.problems.errors.len();
    let (mut name, mut password) = (None, None);
    reader.block(map, keys::USER, |reader, entry| match entry.key {
        "user" => name = reader.string(entry.node),
        "pass" => password = secret(reader, entry.node),
        other => unreachable!("user key {other} is supported but not read"),
    });
    match name {
        Some(name) if !name.is_empty() => Some(User {
            credential: Credential::Password { name, password: password.unwrap_or_default() },
            permissions: None,
            connection_types: None,
        }),
        _ => {
            // A key or value that was refused above has been told already.
            if reader.problems.errors.len() == errors_before {
                reader.error(&node.position, "User entry requires a user");
            }
            None
        }
    }
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) | Value::DateTime(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Array(_) => "an array".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}
