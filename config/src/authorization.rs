//! `authorization { }`.

use crate::duration::parse_duration;
use crate::keys;
use crate::options::Authorization;
use crate::permissions::permissions;
use crate::reader::{Entry, Reader};
use crate::users::{Known, users};
use crate::value::{Node, Position, Value};
use std::time::Duration;

/// Above this many seconds the timeout is probably a number whose unit was read as a suffix.
const TIMEOUT_SECONDS_HIGH: f64 = 60.0;

/// Reads the block; `None` when it is no block.
pub(crate) fn authorization(reader: &mut Reader, node: &Node, known: &mut Known) -> Option<Authorization> {
    let map = reader.map(node)?;
    let mut found = Authorization::default();
    reader.block(map, keys::AUTHORIZATION, |reader, entry| match entry.key {
        "user" => found.user = reader.string(entry.node),
        "pass" => found.password = reader.string(entry.node),
        "token" => found.token = reader.string(entry.node),
        "timeout" => found.timeout = timeout(reader, entry),
        "users" => {
            found.users = users(reader, entry.node, Some(&entry.node.position));
            known.add(reader, found.users.as_deref().unwrap_or_default(), &node.position);
        }
        "default_permissions" => found.default_permissions = permissions(reader, entry.node),
        // The table and this list are one; see the test of all keys.
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
