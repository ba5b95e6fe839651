//! Users, permissions, accounts, mappings and TLS, from text to typed options.

use petrel_config::{
    AccountLimits, CertificateFiles, ConnectionType, Credential, ExportKind, HandshakeFirst, Latency,
    MappingDestination, MessageTrace, Options, Permissions, ResponsePermission, ResponseType, Source, load,
};
use std::time::Duration;

const NKEY: &str = "UC5YEAYNXQV4VORSVEF7FYQHVBFIK36F6AZ3O7CIBA3KW33X6QHRSK2D";

/// A file without includes or variables.
struct Text<'a>(&'a str);

impl Source for Text<'_> {
    fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn read_if_there(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn environment(&mut self, _: &str) -> Option<String> {
        None
    }
}

fn options(text: &str) -> Options {
    load("nats.conf", &mut Text(text)).unwrap_or_else(|error| panic!("{text}: {error}")).options
}

fn error(text: &str) -> String {
    load("nats.conf", &mut Text(text)).map_or_else(|error| error.to_string(), |_| panic!("{text} is right"))
}

fn permissions(text: &str) -> Permissions {
    let file = format!("authorization {{ users: [ {{user: a, pass: b, permissions: {{ {text} }}}} ] }}");
    let users = options(&file).authorization.users.expect("there are users");
    users[0].permissions.clone().expect("there are permissions")
}

#[test]
fn users_prove_themselves_by_password_hash_or_key() {
    let text = format!(
        "authorization {{ users: [ {{user: a, pass: $2a$11$hash}}, {{nkey: {NKEY}}}, {{user: \"CN=x\"}} ] }}"
    );
    let users = options(&text).authorization.users.unwrap();
    let password = |name: &str, password: &str| Credential::Password {
        name: name.to_owned(),
        password: password.to_owned(),
    };
    let credentials: Vec<Credential> = users.into_iter().map(|user| user.credential).collect();
    // Credentials are not shown, not even here.
    let expected = [password("a", "$2a$11$hash"), Credential::Nkey(NKEY.to_owned()), password("CN=x", "")];
    assert!(credentials == expected);
}

#[test]
fn connection_types_in_any_case() {
    let types = |text: &str| {
        let file = format!("authorization {{ users: [ {{user: a, {text}}} ] }}");
        options(&file).authorization.users.unwrap()[0].connection_types.clone()
    };
    assert_eq!(
        types("clients: [standard, MQTT_ws ]"),
        Some(vec![ConnectionType::Standard, ConnectionType::MqttWebsocket])
    );
    assert_eq!(types("connection_types: in_process"), Some(vec![ConnectionType::InProcess]));
    assert_eq!(types("allowed_connection_types: [ ]"), None);
}

#[test]
fn permissions_in_every_form() {
    let allow = |found: &Permissions| found.publish.clone().and_then(|list| list.allow);
    let some =
        |subjects: &[&str]| Some(subjects.iter().map(|subject| (*subject).to_owned()).collect::<Vec<_>>());
    assert_eq!(allow(&permissions("publish: a.b")), some(&["a.b"]));
    assert_eq!(allow(&permissions("pub: [a, \"b.>\"]")), some(&["a", "b.>"]));
    assert_eq!(allow(&permissions("import: { allow: a }")), some(&["a"]));
    // An empty list is none.
    assert_eq!(allow(&permissions("publish: [ ]")), None);
    assert_eq!(allow(&permissions("publish: { allow: [ ], deny: x }")), None);
    let found = permissions("publish: { deny: [x, y] }, subscribe: [\"a q.*\", b]");
    assert_eq!(found.publish.unwrap().deny, ["x", "y"]);
    assert_eq!(found.subscribe.unwrap().allow, some(&["a q.*", "b"]));
    assert_eq!(found.responses, None);
}

#[test]
fn who_may_answer_may_publish_nothing_else() {
    let found = permissions("allow_responses: true");
    assert_eq!(found.responses, Some(ResponsePermission::DEFAULT));
    assert_eq!(found.publish.unwrap().allow, Some(Vec::new()));
    let found = permissions("publish: { deny: x }, allow_responses: { max: 5, expires: \"1m\" }");
    let publish = found.publish.unwrap();
    assert_eq!((publish.allow, publish.deny), (Some(Vec::new()), vec!["x".to_owned()]));
    let expected = ResponsePermission { max: Some(5), expires: Some(Duration::from_secs(60)) };
    assert_eq!(found.responses, Some(expected));
    let found = permissions("publish: a, allow_responses: { max: -1, ttl: \"-1s\" }");
    assert_eq!(found.publish.unwrap().allow, Some(vec!["a".to_owned()]));
    assert_eq!(found.responses, Some(ResponsePermission { max: None, expires: None }));
    let zero = permissions("allow_responses: { max: 0, expires: \"0s\" }");
    assert_eq!(zero.responses, Some(ResponsePermission::DEFAULT));
    let off = permissions("allow_responses: false");
    assert_eq!((off.responses, off.publish), (None, None));
}

#[test]
fn accounts_in_the_order_of_the_file() {
    let text = "
        authorization { default_permissions { publish: d }, users: [] }
        accounts {
          Z { users: [ {user: z} ], default_permissions { subscribe: s }
              limits { max_connections: 3, max_subs: -1, max_payload: 1KB, max_leafnodes: 0 }
              msg_trace { dest: t, sampling: \"10%\" } }
          A { nkey: AD2V74LPM32DGYBGNOK5W34P5QA5OYBRAVBQNLSKJM4ALGHWZ7IRJ2QS, trace_dest: t.t }
        }
        system_account: A
        no_auth_user: z
        mappings { m: n }
    ";
    let read = options(text);
    let names: Vec<&str> = read.accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["Z", "A"]);
    let account = &read.accounts[0];
    assert_eq!(account.users[0].name(), "z");
    assert!(account.default_permissions.is_some() && read.authorization.default_permissions.is_some());
    let limits = AccountLimits {
        connections_max: Some(3),
        subscriptions_max: None,
        payload_max: Some(1024),
        leafnodes_max: Some(0),
    };
    assert_eq!(account.limits, limits);
    let trace = |destination: &str, sampling_percent| {
        Some(MessageTrace { destination: destination.to_owned(), sampling_percent })
    };
    assert_eq!(account.message_trace, trace("t", 10));
    assert_eq!(read.accounts[1].message_trace, trace("t.t", 100));
    assert!(read.accounts[1].nkey.as_deref().is_some_and(|nkey| nkey.starts_with('A')));
    assert_eq!((read.system_account.as_deref(), read.no_auth_user.as_deref()), (Some("A"), Some("z")));
    assert_eq!(read.mappings.len(), 1);
    let listed = options("accounts: [B, A]");
    let names: Vec<&str> = listed.accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["B", "A"]);
}

#[test]
fn exports_are_streams_or_services() {
    let text = "accounts { A { exports: [
        { stream: \"s.*\", accounts: [B], account_token_position: 2 }
        { service: q, response: chunked, threshold: \"5s\", allow_trace: true }
        { service: r, latency: { sampling: headers, subject: l } }
        { service: t, latency: m }
        { accounts: [B] }
      ] }, B { } }";
    let exports = options(text).accounts[0].exports.clone();
    assert_eq!(exports.len(), 4);
    assert_eq!(exports[0].kind, ExportKind::Stream);
    assert_eq!(exports[0].accounts, Some(vec!["B".to_owned()]));
    assert_eq!(exports[0].account_token_position, Some(2));
    let service = |response, threshold, latency| ExportKind::Service { response, threshold, latency };
    let latency =
        |subject: &str, sampling_percent| Some(Latency { subject: subject.to_owned(), sampling_percent });
    assert_eq!(exports[1].kind, service(ResponseType::Chunked, Some(Duration::from_secs(5)), None));
    assert!(exports[1].allow_trace && exports[1].accounts.is_none());
    assert_eq!(exports[2].kind, service(ResponseType::Singleton, None, latency("l", 0)));
    assert_eq!(exports[3].kind, service(ResponseType::Singleton, None, latency("m", 100)));
}

/// As upstream says it, at the one that comes second.
#[test]
fn a_threshold_goes_by_one_of_its_names() {
    let text =
        "accounts { A { exports: [{service: a, response_threshold: \"1s\", response_time: \"2s\"}] } }";
    assert_eq!(error(text).trim_end(), "nats.conf:1:64: Duplicate response threshold detected");
}

#[test]
fn imports_say_where_they_come_from_and_where_they_go() {
    let text = "accounts { A { imports: [
        { stream: {account: B, subject: \"s.>\"}, prefix: p, allow_trace: true }
        { stream: {account: B, subject: \"s.*\"}, to: \"t.$1\" }
        { service: {account: B, subject: q}, to: z, share: true }
        { service: {account: B, subject: r} }
        { to: x }
      ] }, B { exports: [ {stream: \"s.>\"}, {service: q}, {service: r} ] } }";
    let imports = options(text).accounts[0].imports.clone();
    let shown: Vec<(&str, Option<&str>, Option<&str>, bool)> = imports
        .iter()
        .map(|import| {
            (import.subject.as_str(), import.to.as_deref(), import.prefix.as_deref(), import.is_service)
        })
        .collect();
    let expected = [
        ("s.>", Some("p.s.>"), Some("p"), false),
        ("s.*", Some("t.$1"), None, false),
        ("q", Some("z"), None, true),
        ("r", None, None, true),
    ];
    assert_eq!(shown, expected);
    assert!(imports[0].allow_trace && imports[2].share && !imports[3].share);
    assert!(imports.iter().all(|import| import.account == "B"));
}

#[test]
fn mappings_have_weights_and_clusters() {
    let text = "mappings { \"a.*\": \"b.$1\", c: [ {dest: d, weight: 40}, {destination: e, weight: \"60%\", cluster: X} ] }";
    let mappings = options(text).mappings;
    let destination = |subject: &str, weight_percent, cluster: &str| MappingDestination {
        subject: subject.to_owned(),
        weight_percent,
        cluster: cluster.to_owned(),
    };
    assert_eq!(mappings[0].source, "a.*");
    assert_eq!(mappings[0].destinations, [destination("b.$1", 100, "")]);
    assert_eq!(mappings[1].destinations, [destination("d", 40, ""), destination("e", 60, "X")]);
}

#[test]
fn tls_in_full() {
    let digest = "A".repeat(64);
    let text = format!(
        "tls {{ cert_file: c, key_file: k, ca_file: a, verify_and_map: true, timeout: 1.5, min_version: \"1.3\"
          cipher_suites: [TLS_AES_128_GCM_SHA256], curve_preferences: [X25519, CurveP256]
          pinned_certs: [\"{digest}\"], connection_rate_limit: 7, handshake_first: \"300ms\" }}
         allow_non_tls: true\nhttps: \"127.0.0.1:8443\"\nproxy_protocol: true"
    );
    let read = options(&text);
    let tls = read.tls.unwrap();
    let files = |cert: &str, key: &str| CertificateFiles { cert_file: cert.into(), key_file: key.into() };
    assert_eq!(tls.certificates, [files("c", "k")]);
    assert_eq!(tls.ca_file.as_deref(), Some("a"));
    assert!(tls.verify && tls.verify_and_map && tls.min_version_1_3);
    assert_eq!(tls.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(tls.cipher_suites, ["TLS_AES_128_GCM_SHA256"]);
    assert_eq!(tls.curve_preferences, ["X25519", "CurveP256"]);
    assert_eq!(tls.pinned_certs, Some(vec!["a".repeat(64)]));
    assert_eq!(tls.connection_rate_limit, 7);
    assert_eq!(tls.handshake_first, HandshakeFirst::Within(Duration::from_millis(300)));
    assert!(read.allow_non_tls && read.proxy_protocol);
    assert_eq!((read.https_host.as_deref(), read.https_port), (Some("127.0.0.1"), Some(8443)));
    let several = options(
        "tls { certs: [ {cert_file: a, key_file: b}, {cert_file: c, key_file: d} ], handshake_first: auto }",
    );
    let tls = several.tls.unwrap();
    assert_eq!(tls.certificates, [files("a", "b"), files("c", "d")]);
    assert_eq!((tls.handshake_first, tls.pinned_certs), (HandshakeFirst::AUTO, None));
}

#[test]
fn log_keys_reach_their_options() {
    let log = options(
        "log_size_limit: 1MB\nlogfile_max_num: 3\nsyslog: true\nremote_syslog: \"udp://h:1\"\ntrace_verbose: true\n\
         trace_headers: true\nmax_traced_msg_len: 9",
    )
    .log;
    assert_eq!((log.size_limit, log.files_max, log.traced_msg_len_max), (Some(1 << 20), Some(3), Some(9)));
    assert_eq!((log.syslog, log.trace_verbose, log.trace_headers), (Some(true), Some(true), Some(true)));
    assert_eq!(log.remote_syslog.as_deref(), Some("udp://h:1"));
}

#[test]
fn options_are_checked_together() {
    for (text, message) in [
        ("no_auth_user: a", "no_auth_user: \"a\" present, but users/nkeys are not defined"),
        (
            "no_auth_user: a\naccounts { A { users: [ {user: b} ] } }",
            "no_auth_user: \"a\" not present as user or nkey in authorization block or account configuration",
        ),
        ("http: 1\nhttps: 2\ntls { }", "can't specify both HTTP (1) and HTTPs (2) ports"),
        ("https_port: 2", "TLS cert and key required for HTTPS"),
    ] {
        assert_eq!(options(text).check().unwrap_err().to_string(), message);
    }
    for text in [
        "no_auth_user: a\naccounts { A { users: [ {user: a} ] } }",
        "system_account: A\naccounts { A { } }",
        "no_auth_user: \"\"",
    ] {
        assert_eq!(options(text).check(), Ok(()), "{text}");
    }
}

#[test]
fn the_system_account_is_one_that_is_there() {
    let missing = options("system_account: X\naccounts { A { } }").check_system_account().unwrap_err();
    assert_eq!(missing.to_string(), "error resolving system account: account missing");
    assert_eq!(options("system_account: A\naccounts { A { } }").check_system_account(), Ok(()));
    assert_eq!(options("system_account: \"$G\"").check_system_account(), Ok(()));
    for (text, name) in [
        ("", Some("$SYS")),
        ("system_account: \"\"", Some("$SYS")),
        ("system_account: A\naccounts { A { } }", Some("A")),
        ("system_account: \"$G\"", Some("$G")),
        ("no_system_account: true", None),
        // As upstream has it: what is configured is there.
        ("no_system_account: true\nsystem_account: A\naccounts { A { } }", Some("A")),
        ("no_system_account: true\naccounts { $SYS { } }", Some("$SYS")),
    ] {
        assert_eq!(options(text).system_account_name(), name, "{text}");
    }
}

#[test]
fn seeds_and_passwords_stay_out_of_errors() {
    let seed = format!("SA{}", "B".repeat(56));
    let text = error(&format!("accounts {{ A {{ nkey: {seed} }} }}"));
    assert!(text.contains("Not a valid public nkey for an account") && !text.contains(&seed), "{text}");
    let seed = format!("SU{}", "B".repeat(56));
    let text = error(&format!("authorization {{ users: [ {{nkey: {seed}}} ] }}"));
    assert!(!text.contains(&seed), "{text}");
}

#[test]
fn plain_passwords_are_worth_a_warning() {
    const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";
    for (text, is_plain) in [
        ("authorization { user: a, pass: b }".to_owned(), true),
        ("authorization { users: [ {user: a} ] }".to_owned(), true),
        ("authorization { users: [ {user: a, pass: \"$2a$abc\"} ] }".to_owned(), true),
        ("accounts { $SYS { users: [ {user: a, pass: b} ] } }".to_owned(), true),
        ("authorization { user: a }".to_owned(), false),
        ("authorization { token: t }".to_owned(), false),
        (format!("authorization {{ users: [ {{user: a, pass: {HASH}}}, {{nkey: {NKEY}}} ] }}"), false),
        ("tls { verify_and_map: true }\nauthorization { users: [ {user: a} ] }".to_owned(), false),
    ] {
        let expected: &[&str] =
            if is_plain { &["Plaintext passwords detected, use nkeys or bcrypt"] } else { &[] };
        assert_eq!(options(&text).advice(), expected, "{text}");
    }
}
