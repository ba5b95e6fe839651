//! `users [ ]`, of `authorization` and of accounts.

use crate::keys;
use crate::options::{ConnectionType, Credential, Permissions, User};
use crate::permissions::permissions;
use crate::reader::{Entry, Reader};
use crate::value::{Map, Node, Position, Value, in_order};
use petrel_protocol::identity::public_key::{self, Role};
use std::collections::HashSet;

/// Reads the users. Of what is no array, upstream says where it is in one of the two places only: `position`.
pub(crate) fn users(reader: &mut Reader, node: &Node, position: Option<&Position>) -> Option<Vec<User>> {
    let Value::Array(elements) = &node.value else {
        let text = format!("Expected users field to be an array, got {}", node.value.shown());
        reader.error_at(position, &node.position, text);
        return None;
    };
    let mut users = Vec::with_capacity(elements.len());
    for element in elements {
        users.extend(user(reader, element));
    }
    Some(users)
}

/// Names and keys of users, each of which may stand once in the whole configuration.
#[derive(Default)]
pub(crate) struct Known(HashSet<String>);

impl Known {
    /// Adds users, and tells of those that are there already at `position`.
    pub(crate) fn add(&mut self, reader: &mut Reader, users: &[User], position: &Position) {
        // Upstream looks at keys before names.
        let is_nkey = |user: &&User| matches!(user.credential, Credential::Nkey(_));
        let (nkeys, named): (Vec<&User>, Vec<&User>) = users.iter().partition(is_nkey);
        for (kind, users) in [("nkey", nkeys), ("user", named)] {
            for user in users {
                if !self.0.insert(user.name().to_owned()) {
                    reader.error(position, format!("Duplicate {kind} {:?} detected", user.name()));
                }
            }
        }
    }
}

/// What stands in the block of a user.
#[derive(Default)]
struct Found {
    name: Option<String>,
    password: Option<String>,
    nkey: Option<String>,
    permissions: Option<Permissions>,
    connection_types: Option<Vec<ConnectionType>>,
}

fn user(reader: &mut Reader, node: &Node) -> Option<User> {
    let Value::Map(map) = &node.value else {
        let text = format!("Expected user entry to be a map/struct, got {}", node.value.shown());
        reader.error(&node.position, text);
        return None;
    };
    let errors_before = reader.problems.errors.len();
    let mut found = Found::default();
    reader.block(map, keys::USER, |reader, entry| found.read(reader, entry));
    let position = first_key(map).unwrap_or(&node.position);
    match found.credential() {
        Ok(credential) => Some(User {
            credential,
            permissions: found.permissions,
            connection_types: found.connection_types,
        }),
        Err(text) => {
            // A key or value that was refused above has been told already.
            if reader.problems.errors.len() == errors_before {
                reader.error(position, text);
            }
            None
        }
    }
}

/// Upstream names the key it happened to look at last.
fn first_key(map: &Map) -> Option<&Position> {
    in_order(map).first().map(|(_, node)| &node.position)
}

impl Found {
    fn read(&mut self, reader: &mut Reader, entry: &Entry<'_>) {
        match entry.key {
            "user" => self.name = reader.string(entry.node),
            "pass" => self.password = reader.string(entry.node),
            "nkey" => self.nkey = reader.string(entry.node),
            "permissions" => self.permissions = permissions(reader, entry.node),
            "allowed_connection_types" => self.connection_types = connection_types(reader, entry.node),
            other => unreachable!("user key {other} is supported but not read"),
        }
    }

    fn credential(&mut self) -> Result<Credential, &'static str> {
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let named = said(&self.name) || said(&self.password);
        match self.nkey.take().filter(|nkey| !nkey.is_empty()) {
            Some(nkey) if public_key::decode(Role::User, &nkey).is_none() => {
                Err("Not a valid public nkey for a user")
            }
            Some(_) if named => Err("Nkey users do not take usernames or passwords"),
            Some(nkey) => Ok(Credential::Nkey(nkey)),
            None if said(&self.name) => Ok(Credential::Password {
                name: self.name.take().unwrap_or_default(),
                password: self.password.take().unwrap_or_default(),
            }),
            None => Err("User entry requires a user"),
        }
    }
}

fn connection_types(reader: &mut Reader, node: &Node) -> Option<Vec<ConnectionType>> {
    let refuse = |reader: &mut Reader, position: &Position, place: &str, value: &Value| {
        let kind = value.kind();
        let text = format!("error parsing allowed connection types: unsupported type{place} {kind}");
        reader.error(position, text);
        None
    };
    let words = match &node.value {
        Value::String(word) => vec![word.as_str()],
        Value::Array(elements) => {
            let mut words = Vec::with_capacity(elements.len());
            for element in elements {
                let Value::String(word) = &element.value else {
                    return refuse(reader, &element.position, " in array", &element.value);
                };
                words.push(word.as_str());
            }
            words
        }
        other => return refuse(reader, &node.position, "", other),
    };
    let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
    let types: Vec<ConnectionType> = upper.iter().filter_map(|word| connection_type(word)).collect();
    if types.len() < upper.len() {
        let wrong: Vec<&String> = upper.iter().filter(|word| connection_type(word).is_none()).collect();
        let list: Vec<String> = wrong.iter().map(|word| format!("{word:?}")).collect();
        reader.error(&node.position, format!("invalid connection types [{}]", list.join(" ")));
        return None;
    }
    // An empty list is none.
    (!types.is_empty()).then_some(types)
}

fn connection_type(word: &str) -> Option<ConnectionType> {
    Some(match word {
        "STANDARD" => ConnectionType::Standard,
        "WEBSOCKET" => ConnectionType::Websocket,
        "LEAFNODE" => ConnectionType::Leafnode,
        "LEAFNODE_WS" => ConnectionType::LeafnodeWebsocket,
        "MQTT" => ConnectionType::Mqtt,
        "MQTT_WS" => ConnectionType::MqttWebsocket,
        "IN_PROCESS" => ConnectionType::InProcess,
        _ => return None,
    })
}
