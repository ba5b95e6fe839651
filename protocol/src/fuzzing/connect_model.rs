//! What a CONNECT means, read with serde_json.

use crate::client::ConnectOptions;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The fields of an object in order, repeated ones included.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object or null")
            }

            fn visit_unit<E>(self) -> Result<Fields, E> {
                Ok(Fields(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_any(Collect)
    }
}

/// What the options become, or that something has another type; `None` where serde_json has no say. It refuses
/// texts that Go takes (lone surrogates, bytes that are not UTF-8, numbers without end, deep nesting), and it
/// forgets what `-0` looked like and which fields of an inner object came twice.
pub(super) fn merged(text: &[u8]) -> Option<Result<ConnectOptions, ()>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    if !(value.is_object() || value.is_null()) {
        return Some(Err(()));
    }
    let Fields(fields) = serde_json::from_slice(text).ok()?;
    let mut options = ConnectOptions::default();
    let mut right = true;
    for (name, value) in fields {
        let name = fold(&name);
        match name.as_str() {
            "protocol" if value.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative()) => {
                return None;
            }
            "import" | "export" if value.is_object() => return None,
            _ => right &= merge_field(&mut options, &name, &value).is_some(),
        }
    }
    Some(if right { Ok(options) } else { Err(()) })
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('\u{17f}', "s").replace('\u{212a}', "k")
}

fn merge_field(options: &mut ConnectOptions, name: &str, value: &Value) -> Option<()> {
    if value.is_null() {
        return Some(());
    }
    let flag = match name {
        "verbose" => Some(&mut options.verbose),
        "pedantic" => Some(&mut options.pedantic),
        "echo" => Some(&mut options.echo),
        "tls_required" => Some(&mut options.tls_required),
        "headers" => Some(&mut options.headers),
        "no_responders" => Some(&mut options.no_responders),
        "new_account" => Some(&mut options.new_account),
        _ => None,
    };
    if let Some(flag) = flag {
        *flag = value.as_bool()?;
        return Some(());
    }
    let mut elsewhere = String::new();
    let text = match name {
        "name" => &mut options.name,
        "lang" => &mut options.lang,
        "version" => &mut options.version,
        "user" => &mut options.user,
        "pass" => &mut options.pass,
        "auth_token" => &mut options.auth_token,
        "nkey" => &mut options.nkey,
        "jwt" => &mut options.jwt,
        "sig" => &mut options.sig,
        "proxy_sig" => &mut options.proxy_sig,
        "account" => &mut options.account,
        "remote_account" => &mut elsewhere,
        "protocol" => {
            options.protocol = value.as_i64()?;
            return Some(());
        }
        "import" | "export" => return None,
        _ => return Some(()),
    };
    *text = value.as_str()?.to_owned();
    Some(())
}
