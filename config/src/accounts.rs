//! `accounts { }`.

use crate::check::GLOBAL;
use crate::exports::exports;
use crate::imports::imports;
use crate::keys;
use crate::mappings::mappings;
use crate::options::{Account, AccountLimits, Authorization, MessageTrace};
use crate::permissions::permissions;
use crate::reader::Reader;
use crate::sharing::{Sharing, check_sharing};
use crate::subject::is_literal;
use crate::users::{Known, users};
use crate::value::{Map, Node, Position, Value, in_order};
use petrel_protocol::identity::nkey::PUBLIC_KEY_CHARACTERS;
use petrel_protocol::identity::public_key::{self, Role};
use std::collections::HashSet;

/// What the accounts are read together with.
pub(crate) struct Around<'o> {
    pub(crate) authorization: &'o Authorization,
    pub(crate) no_system_account: bool,
    /// Users of `authorization`, and then of all accounts.
    pub(crate) known: Known,
}

/// Reads accounts: names in an array, or blocks by name. Upstream takes anything else for no accounts.
pub(crate) fn accounts(reader: &mut Reader, node: &Node, mut around: Around<'_>) -> Vec<Account> {
    match &node.value {
        Value::Array(elements) => names(reader, elements),
        Value::Map(map) => blocks(reader, node, map, &mut around),
        _ => {
            reader.notice(
                &node.position,
                "\"accounts\" is neither a block nor an array: there are no accounts",
            );
            Vec::new()
        }
    }
}

fn names(reader: &mut Reader, elements: &[Node]) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::with_capacity(elements.len());
    let mut known = HashSet::new();
    for element in elements {
        let Some(name) = reader.string(element) else { break };
        if is_reserved(reader, &name, &element.position) {
            continue;
        }
        if !known.insert(name.clone()) {
            reader.error(&element.position, format!("Duplicate Account Entry: {name}"));
            continue;
        }
        accounts.push(Account { name, ..Account::default() });
    }
    accounts
}

fn is_reserved(reader: &mut Reader, name: &str, position: &Position) -> bool {
    let is_reserved = name == GLOBAL;
    if is_reserved {
        reader.error(position, format!("{name:?} is a Reserved Account"));
    }
    is_reserved
}

fn blocks(reader: &mut Reader, node: &Node, map: &Map, around: &mut Around<'_>) -> Vec<Account> {
    let mut accounts = Vec::with_capacity(map.len());
    let mut sharing = Sharing::default();
    for (name, entry) in in_order(map) {
        // What a variable refers to is no account.
        if entry.used {
            continue;
        }
        let Value::Map(block) = &entry.value else {
            reader.error(&entry.position, "Expected map entries for accounts");
            continue;
        };
        if is_reserved(reader, name, &entry.position) {
            continue;
        }
        accounts.push(account(reader, name, block, around, &mut sharing));
    }
    // What passes between accounts is looked at when each of them is right.
    if reader.problems.errors.is_empty() {
        check_sharing(reader, &node.position, &accounts, &sharing, around.no_system_account);
    }
    accounts
}

fn account(
    reader: &mut Reader,
    name: &str,
    block: &Map,
    around: &mut Around<'_>,
    sharing: &mut Sharing,
) -> Account {
    let mut account = Account { name: name.to_owned(), ..Account::default() };
    reader.block(block, keys::ACCOUNT, |reader, entry| {
        let node = entry.node;
        match entry.key {
            "users" => {
                account.users = users(reader, node, None).unwrap_or_default();
                check_users(reader, &account, around, &node.position);
            }
            "default_permissions" => account.default_permissions = permissions(reader, node),
            "exports" => account.exports = exports(reader, node),
            "imports" => {
                let (imports, positions) = imports(reader, node);
                account.imports = imports;
                sharing.import_positions.insert(account.name.clone(), positions);
            }
            "mappings" => account.mappings = mappings(reader, node),
            "limits" => account.limits = limits(reader, node).unwrap_or_default(),
            "nkey" => account.nkey = nkey(reader, node),
            "msg_trace" => account.message_trace = message_trace(reader, entry.written, node),
            other => unreachable!("account key {other} is supported but not read"),
        }
    });
    account
}

/// Users of accounts do not go together with a single user or a token, and stand once.
fn check_users(reader: &mut Reader, account: &Account, around: &mut Around<'_>, position: &Position) {
    if account.users.is_empty() {
        return;
    }
    let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if said(&around.authorization.user) {
        reader.error(position, "Can not have a single user/pass and accounts");
    }
    if said(&around.authorization.token) {
        reader.error(position, "Can not have a token and accounts");
    }
    around.known.add(reader, &account.users, position);
}

/// A seed (`S...`, private) in place of a public key must not get into a log.
fn is_seed(text: &str) -> bool {
    text.starts_with('S') && text.len() > PUBLIC_KEY_CHARACTERS
}

fn nkey(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = match &node.value {
        Value::String(nkey) if public_key::decode(Role::Account, nkey).is_some() => {
            return Some(nkey.clone());
        }
        Value::String(nkey) if is_seed(nkey) => "Not a valid public nkey for an account: a seed".to_owned(),
        Value::String(nkey) => format!("Not a valid public nkey for an account: {nkey:?}"),
        other => format!("Not a valid public nkey for an account: {}", other.shown()),
    };
    reader.error(&node.position, text);
    None
}

fn limits(reader: &mut Reader, node: &Node) -> Option<AccountLimits> {
    let Value::Map(map) = &node.value else {
        let text = format!("Expected account limits to be a map/struct, got {}", node.value.shown());
        reader.error(&node.position, text);
        return None;
    };
    let mut limits = AccountLimits::default();
    let unknown = |written: &str| format!("Unknown field {written:?} parsing account limits");
    reader.block_saying(map, keys::ACCOUNT_LIMITS, unknown, |reader, entry| {
        let Some(number) = reader.integer(entry.node) else { return };
        let limit = u64::try_from(number).ok();
        if limit.is_none() && number != -1 {
            // Upstream would let nobody in, or nothing through.
            let text = format!("{} must be -1 (unlimited) or not negative", entry.written);
            reader.error(&entry.node.position, text);
        }
        match entry.key {
            "max_connections" => limits.connections_max = limit,
            "max_subscriptions" => limits.subscriptions_max = limit,
            "max_payload" => limits.payload_max = limit,
            "max_leafnodes" => limits.leafnodes_max = limit,
            other => unreachable!("limits key {other} is supported but not read"),
        }
    });
    Some(limits)
}

fn message_trace(reader: &mut Reader, written: &str, node: &Node) -> Option<MessageTrace> {
    let map = match &node.value {
        Value::String(destination) => {
            let destination = trace_destination(reader, destination, &node.position)?;
            return Some(MessageTrace { destination, sampling_percent: 100 });
        }
        Value::Map(map) => map,
        other => {
            let kind = other.kind();
            let text = format!(
                "Expected account message trace {written:?} to be a string or a map/struct, got {kind}"
            );
            reader.error(&node.position, text);
            return None;
        }
    };
    let errors_before = reader.problems.errors.len();
    let (mut destination, mut sampling_percent) = (None, None);
    let unknown =
        |field: &str| format!("Unknown field {field:?} parsing account message trace map/struct {written:?}");
    reader.block_saying(map, keys::MESSAGE_TRACE, unknown, |reader, entry| match entry.key {
        "dest" => match &entry.node.value {
            Value::String(subject) => {
                destination = trace_destination(reader, subject, &entry.node.position);
            }
            other => {
                let text = format!("Field {:?} should be a string, got {}", entry.written, other.kind());
                reader.error(&entry.node.position, text);
            }
        },
        "sampling" => sampling_percent = trace_sampling(reader, entry.written, entry.node),
        other => unreachable!("msg_trace key {other} is supported but not read"),
    });
    if reader.problems.errors.len() > errors_before {
        return None;
    }
    if destination.is_none() && sampling_percent.is_some() {
        let text = "Trace destination sampling ignored since no destination was set";
        reader.warn(&node.position, text);
    }
    Some(MessageTrace { destination: destination?, sampling_percent: sampling_percent.unwrap_or(100) })
}

fn trace_destination(reader: &mut Reader, subject: &str, position: &Position) -> Option<String> {
    if is_literal(subject) {
        return Some(subject.to_owned());
    }
    reader.error(position, format!("Trace destination {subject:?} is not valid"));
    None
}

fn trace_sampling(reader: &mut Reader, written: &str, node: &Node) -> Option<u8> {
    let number = match &node.value {
        Value::Integer(number) => *number,
        Value::String(text) => match text.strip_suffix('%').unwrap_or(text).parse() {
            Ok(number) => number,
            Err(_) => {
                let text = format!("Invalid trace destination sampling value {text:?}");
                reader.error(&node.position, text);
                return None;
            }
        },
        other => {
            let kind = other.kind();
            let text = format!(
                "Trace destination sampling field {written:?} should be an integer or a percentage, got {kind}"
            );
            reader.error(&node.position, text);
            return None;
        }
    };
    let percent = u8::try_from(number).ok().filter(|percent| (1..=100).contains(percent));
    if percent.is_none() {
        // The spelling is upstream's.
        let text = format!("Ttrace destination sampling value {number} is invalid, needs to be [1..100]");
        reader.error(&node.position, text);
    }
    percent
}
