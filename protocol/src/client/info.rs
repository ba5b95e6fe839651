//! The INFO line.

use super::json::{self, Outcome, Reader};
use serde::{Deserialize, Serialize};

/// What the server tells a client about itself and the connection. Fields and their order are upstream's
/// (reference: protocol.md, section 2); petrel's own stand at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ServerInfo {
    pub server_id: String,
    pub server_name: String,
    pub version: String,
    pub proto: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub git_commit: String,
    pub go: String,
    pub host: String,
    pub port: u16,
    pub headers: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub auth_required: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub tls_required: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub tls_available: bool,
    pub max_payload: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub jetstream: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ip: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_id: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_ip: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub cluster_dynamic: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub ldm: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub connect_info: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remote_account: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub acc_is_sys: bool,
    #[serde(default, skip_serializing_if = "is_zero_i32")]
    pub api_lvl: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub xkey: String,
    /// Petrel's own version; clients ignore it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub petrel: String,
}

fn is_false(value: &bool) -> bool {
    !*value
}
fn is_zero(value: &u64) -> bool {
    *value == 0
}
fn is_zero_i32(value: &i32) -> bool {
    *value == 0
}

impl ServerInfo {
    /// Appends `INFO <json> \r\n` (with the blank before CRLF that upstream writes).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let json =
            serde_json::to_string(self).expect("strings, numbers and booleans always have a JSON form");
        out.reserve(json.len() + 16);
        out.extend_from_slice(b"INFO ");
        push_as_go(out, &json);
        out.extend_from_slice(b" \r\n");
    }
}

/// Go escapes these characters in strings so that JSON can stand in HTML; in valid JSON they occur in strings
/// only.
fn push_as_go(out: &mut Vec<u8>, json: &str) {
    let mut rest = json;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut characters = tail.chars();
        let escaped: &[u8] = match characters.next() {
            Some('<') => b"\\u003c",
            Some('>') => b"\\u003e",
            Some('&') => b"\\u0026",
            Some('\u{2028}') => b"\\u2028",
            _ => b"\\u2029",
        };
        out.extend_from_slice(escaped);
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Whether upstream takes the argument of an INFO that a client sends: an object whose known fields have the
/// right types. The fields of every kind of INFO count, since upstream reads them all into one shape.
pub(crate) fn is_acceptable(argument: &[u8]) -> bool {
    json::document(argument, check_field).is_ok()
}

fn check_field(name: &str, value: &mut Reader<'_>) -> Outcome<()> {
    const INT: std::ops::RangeInclusive<i128> = i64::MIN as i128..=i64::MAX as i128;
    match name {
        "server_id" | "server_name" | "version" | "git_commit" | "go" | "host" | "ip" | "nonce"
        | "cluster" | "domain" | "client_ip" | "gateway" | "gateway_url" | "remote_account" | "xkey"
        | "compression" | "route_account" => value.string().map(drop),
        "headers" | "auth_required" | "tls_required" | "tls_verify" | "tls_available" | "jetstream"
        | "ldm" | "cluster_dynamic" | "connect_info" | "acc_is_sys" | "info_on_connect" | "lnoc"
        | "lnocu" | "gateway_nrp" | "gateway_iom" => value.boolean().map(drop),
        "connect_urls" | "ws_connect_urls" | "leafnode_urls" | "gateway_urls" => {
            value.array(|element| element.string().map(drop))
        }
        "proto" | "port" | "api_lvl" | "route_pool_size" | "route_pool_idx" => value.integer(INT).map(drop),
        "max_payload" => value.integer(i128::from(i32::MIN)..=i128::from(i32::MAX)).map(drop),
        "client_id" => value.integer(0..=i128::from(u64::MAX)).map(drop),
        "gossip_mode" | "gateway_cmd" => value.integer(0..=255).map(drop),
        "gateway_cmd_payload" => value.bytes(),
        "import" | "export" => json::subject_permission(value),
        _ => value.skip_value(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(info: &ServerInfo) -> String {
        let mut out = b"+OK\r\n".to_vec();
        info.encode(&mut out);
        String::from_utf8(out).unwrap().strip_prefix("+OK\r\n").unwrap().to_owned()
    }

    /// As the real binary sent it.
    const UPSTREAM: &str = concat!(
        r#"{"server_id":"NAVHOUGGNDQASUPJG4S22FCJWZNNAKK4CNRCNTEKOSVDRYFRCFD2Q73W","#,
        r#""server_name":"NAVHOUGGNDQASUPJG4S22FCJWZNNAKK4CNRCNTEKOSVDRYFRCFD2Q73W","version":"2.15.2","proto":1,"#,
        r#""go":"go1.26.8","host":"127.0.0.1","port":47027,"headers":true,"max_payload":1048576,"client_id":5,"#,
        r#""client_ip":"127.0.0.1","api_lvl":5,"xkey":"XC4BDFQZH7E3J2DJNRW2UZL7CSXD3ZEU77HTAYF7LTHG6WVNKOASVLSS"}"#,
    );

    /// The same of a server with JetStream, a cluster, an nkey user, a domain and `<`, `>` and `&` in its name.
    const UPSTREAM_CLUSTERED: &str = concat!(
        r#"{"server_id":"NAGZSJXVF7OBAAUIKK5ULTNGZUXPGSAEG3GA3YZTBCXALUWXZP25CWXX","#,
        r#""server_name":"a\u003cb\u003e\u0026c","version":"2.15.2","proto":1,"go":"go1.26.8","host":"1.2.3.4","#,
        r#""port":5555,"headers":true,"auth_required":true,"max_payload":1048576,"jetstream":true,"client_id":8,"#,
        r#""client_ip":"127.0.0.1","nonce":"zRHC9zF4TDaE0cM","cluster":"C1","domain":"hub","api_lvl":5,"#,
        r#""xkey":"XC4F42ZRMDWDLAFMG2DZZ3JVOFC2Q5BXFEJKNBHLJFA2Q6GQ4LWCH2GJ"}"#,
    );

    #[test]
    fn an_upstream_info_is_written_back_byte_for_byte() {
        for json in [UPSTREAM, UPSTREAM_CLUSTERED] {
            let info: ServerInfo = serde_json::from_str(json).unwrap();
            assert_eq!(encoded(&info), format!("INFO {json} \r\n"));
        }
    }

    #[test]
    fn absent_fields_are_left_out() {
        assert_eq!(
            encoded(&ServerInfo::default()),
            concat!(
                r#"INFO {"server_id":"","server_name":"","version":"","proto":0,"go":"","host":"","port":0,"#,
                r#""headers":false,"max_payload":0} "#,
                "\r\n"
            )
        );
    }

    #[test]
    fn characters_of_html_are_escaped_as_go_does() {
        let info = ServerInfo { server_name: "a<b>&\"\u{2028}\u{2029}é".into(), ..ServerInfo::default() };
        assert!(encoded(&info).contains(r#""server_name":"a\u003cb\u003e\u0026\"\u2028\u2029é""#));
    }

    #[test]
    fn an_info_of_a_client_has_to_be_json_of_the_right_types() {
        let taken = [
            "{}",
            "null",
            UPSTREAM,
            r#"{"zork":"x"}"#,
            "\n{}",
            r#"{"gateway_cmd_payload":[5]}"#,
            r#"{"PORT":3}"#,
        ];
        for argument in taken {
            assert!(is_acceptable(argument.as_bytes()), "{argument}");
        }
        let refused = [
            "garbage",
            "[]",
            "",
            "{} x",
            r#"{"port":"x"}"#,
            r#"{"max_payload":99999999999}"#,
            r#"{"client_id":-1}"#,
            r#"{"gossip_mode":300}"#,
            r#"{"connect_urls":[5]}"#,
            r#"{"gateway_cmd_payload":"x"}"#,
            r#"{"import":5}"#,
            r#"{"headers":1}"#,
        ];
        for argument in refused {
            assert!(!is_acceptable(argument.as_bytes()), "{argument}");
        }
    }
}
