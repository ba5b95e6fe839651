//! The scenarios, each with the configuration of its server. What is done in them stands in the programs.

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its name among the cases.
    pub name: &'static str,
    /// Its name for the programs: several scenarios may do the same with different servers.
    pub program_scenario: &'static str,
    /// Lines of the server's configuration; `$CERTIFICATES` becomes the folder of the certificates.
    pub config: &'static str,
}

impl Scenario {
    const fn new(name: &'static str, config: &'static str) -> Self {
        Self { name, program_scenario: name, config }
    }

    /// As another scenario, with another server.
    const fn like(name: &'static str, program_scenario: &'static str, config: &'static str) -> Self {
        Self { name, program_scenario, config }
    }
}

const LAME_DUCK: &str = r#"lame_duck_duration: "40s"
lame_duck_grace_period: "8s""#;

const NO_AUTH_USER: &str = r#"no_auth_user: guest
authorization { timeout: 20, users: [ { user: guest, password: "g" }, { user: alice, password: "w0nder" } ] }"#;

/// `alice` may do everything, `bob` some, `carol` only answer.
const PERMISSIONS: &str = r#"authorization { timeout: 20, users: [
  { user: alice, password: "w0nder" }
  { user: bob, password: "bu1lder", permissions: {
      publish: { allow: ["orders.>", "_INBOX.>"], deny: "orders.secret" }
      subscribe: { allow: ["orders.>", "_INBOX.>", "work.* workers"], deny: "orders.secret" } } }
  { user: carol, password: "s1nger", permissions: { subscribe: "service.>", allow_responses: true } }
] }"#;

/// `A` shares with `B`; `C` is alone.
const ACCOUNTS: &str = r#"accounts {
  A { users: [ { user: alice, password: "w0nder" } ]
      exports: [ { stream: "events.>" }
                 { service: "time.now" }
                 { service: "private.work", accounts: [B] }
                 { service: "parts", response_type: stream } ] }
  B { users: [ { user: bob, password: "bu1lder" } ]
      imports: [ { stream: { account: A, subject: "events.>" }, prefix: "from.a" }
                 { service: { account: A, subject: "time.now" }, to: "clock" }
                 { service: { account: A, subject: "private.work" } }
                 { service: { account: A, subject: "parts" } } ] }
  C { users: [ { user: carol, password: "s1nger" } ] }
}
authorization { timeout: 20 }"#;

const MAPPINGS: &str = r#"mappings {
  "old.*": "new.$1"
  "swap.*.*": "swapped.{{wildcard(2)}}.{{wildcard(1)}}"
  "weighed": [ { destination: "weighed.a", weight: 50% }, { destination: "weighed.b", weight: 50% } ]
}"#;

const TLS: &str = r#"tls { timeout: 20, cert_file: "$CERTIFICATES/server-cert.pem", key_file: "$CERTIFICATES/server-key.pem" }"#;

const TLS_OPTIONAL: &str = r#"allow_non_tls: true
tls { timeout: 20, cert_file: "$CERTIFICATES/server-cert.pem", key_file: "$CERTIFICATES/server-key.pem" }"#;

const TLS_VERIFY: &str = r#"tls { timeout: 20, cert_file: "$CERTIFICATES/server-cert.pem", key_file: "$CERTIFICATES/server-key.pem"
  ca_file: "$CERTIFICATES/ca.pem", verify: true }"#;

const TLS_FIRST: &str = r#"tls { timeout: 20, cert_file: "$CERTIFICATES/server-cert.pem", key_file: "$CERTIFICATES/server-key.pem"
  handshake_first: true }"#;

/// As `openssl req -x509` makes it: async-nats refuses such a server, by its own rules.
const TLS_SELF_SIGNED: &str = r#"tls { timeout: 20, cert_file: "$CERTIFICATES/lone-cert.pem", key_file: "$CERTIFICATES/lone-key.pem" }"#;

const TLS_MAP: &str = r#"tls { timeout: 20, cert_file: "$CERTIFICATES/server-cert.pem", key_file: "$CERTIFICATES/server-key.pem"
  ca_file: "$CERTIFICATES/ca.pem", verify_and_map: true }
authorization { timeout: 21, users: [ { user: "alice@petrel.test", permissions: { publish: { deny: "secret" } } } ] }"#;

/// The user's key belongs to the seed that the programs know.
const NKEY: &str = r#"authorization { timeout: 20, users: [ { nkey: UBYYMUGI5EQDL5UJNAGKEJAGIFH5SJ7RKBIZ4RTAMDHTTOZF62LO6CP6 } ] }"#;

const TOKEN_BCRYPT: &str =
    r#"authorization { timeout: 20, token: "$2a$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG" }"#;

const USER_BCRYPT: &str = r#"authorization { timeout: 20, user: alice, password: "$2a$04$OXZZ8roiMCH4rKs/Ss0bbeylKXN5hP8FToTMlQYNPz7RV6qA8g3tm" }"#;

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("connect", ""),
        Scenario::new("publish", ""),
        Scenario::new("wildcards", ""),
        Scenario::new("queue_groups", ""),
        Scenario::new("unsubscribe", ""),
        Scenario::new("headers", ""),
        Scenario::new("requests", ""),
        Scenario::new("request_many", ""),
        Scenario::new("no_responders", ""),
        Scenario::new("payload_limit", "max_payload: 4096"),
        Scenario::new("no_echo", ""),
        Scenario::new("invalid_subject", ""),
        Scenario::new("drain", ""),
        Scenario::new("slow_consumer", ""),
        Scenario::new("reconnect", ""),
        Scenario::new("lame_duck", LAME_DUCK),
        Scenario::new("services", ""),
        Scenario::new("user_info", ""),
        Scenario::new("token", r#"authorization { timeout: 20, token: "s3cret" }"#),
        Scenario::like("token_bcrypt", "token", TOKEN_BCRYPT),
        Scenario::new("user", r#"authorization { timeout: 20, user: alice, password: "w0nder" }"#),
        Scenario::like("user_bcrypt", "user", USER_BCRYPT),
        Scenario::new("nkey", NKEY),
        Scenario::new("no_auth_user", NO_AUTH_USER),
        Scenario::new("permissions", PERMISSIONS),
        Scenario::new("allow_responses", PERMISSIONS),
        Scenario::new("accounts", ACCOUNTS),
        Scenario::new("account_streams", ACCOUNTS),
        Scenario::new("account_services", ACCOUNTS),
        Scenario::new("mappings", MAPPINGS),
        Scenario::new("tls", TLS),
        Scenario::new("tls_optional", TLS_OPTIONAL),
        Scenario::new("tls_verify", TLS_VERIFY),
        Scenario::new("tls_first", TLS_FIRST),
        Scenario::new("tls_self_signed", TLS_SELF_SIGNED),
        Scenario::new("tls_map", TLS_MAP),
    ]
}
