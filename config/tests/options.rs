//! From text to typed options.

use petrel_config::{
    Backend, Configuration, Cores, Credential, LoadError, Options, Source, User, WriteTimeout, keys, load,
    parse,
};
use std::time::Duration;

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

fn read(text: &str) -> Result<Configuration, LoadError> {
    load("nats.conf", &mut Text(text))
}

fn options(text: &str) -> Options {
    read(text).unwrap_or_else(|error| panic!("{text}: {error}")).options
}

fn errors(text: &str) -> String {
    read(text).map_or_else(|error| error.to_string(), |read| panic!("{text}: {:?}", read.options))
}

#[test]
fn every_supported_key_reaches_its_option() {
    let text = r#"
        listen: 127.0.0.1:4333
        http: "[::1]:8333"
        http_base_path: /nats
        server_name: petrel-1
        server_tags: ["A", "b", "a"]
        server_metadata { zone: z1 }
        client_advertise: "example.com:4222"
        max_connections: 100
        max_subscriptions: 7
        max_sub_tokens: 16
        max_control_line: 8KB
        max_payload: 2MB
        max_pending: 3MB
        ping_interval: "20s"
        ping_max: 5
        write_deadline: "3s"
        write_timeout: retry
        no_fast_producer_stall: true
        no_header_support: yes
        lame_duck_duration: "60s"
        lame_duck_grace_period: "5s"
        max_closed_clients: 50
        debug: on
        trace: true
        logtime: false
        logtime_utc: true
        log_file: "/var/log/nats.log"
        pid_file: '/run/nats.pid'
        authorization { users: [ {user: a, pass: b}, {username: c, password: d} ], timeout: 1.5 }
        petrel { cores: 2, memory: 256MB, backend: epoll }
    "#;
    let read = options(text);
    assert_eq!((read.host.as_deref(), read.port), (Some("127.0.0.1"), Some(4333)));
    assert_eq!((read.http_host.as_deref(), read.http_port), (Some("::1"), Some(8333)));
    assert_eq!(read.http_base_path.as_deref(), Some("/nats"));
    assert_eq!(read.server_name.as_deref(), Some("petrel-1"));
    assert_eq!(read.server_tags, ["a", "b"]);
    assert_eq!(read.server_metadata["zone"], "z1");
    assert_eq!(read.client_advertise.as_deref(), Some("example.com:4222"));
    assert_eq!((read.connections_max, read.subscriptions_max), (Some(100), Some(7)));
    assert_eq!((read.subscription_tokens_max, read.control_line_max), (Some(16), Some(8192)));
    assert_eq!((read.payload_max, read.pending_max), (Some(2 << 20), Some(3 << 20)));
    assert_eq!((read.ping_interval, read.ping_max), (Some(Duration::from_secs(20)), Some(5)));
    assert_eq!(read.write_deadline, Some(Duration::from_secs(3)));
    assert_eq!(read.write_timeout, WriteTimeout::Retry);
    assert!(read.no_fast_producer_stall && read.no_header_support);
    assert_eq!(read.lame_duck_duration, Some(Duration::from_secs(60)));
    assert_eq!(read.lame_duck_grace_period, Some(Duration::from_secs(5)));
    assert_eq!(read.closed_clients_max, Some(50));
    assert_eq!((read.log.debug, read.log.trace), (Some(true), Some(true)));
    assert_eq!((read.log.time, read.log.utc), (Some(false), Some(true)));
    assert_eq!(read.log.file.as_deref(), Some("/var/log/nats.log"));
    assert_eq!(read.pid_file.as_deref(), Some("/run/nats.pid"));
    let user = |name: &str, password: &str| User {
        credential: Credential::Password { name: name.into(), password: password.into() },
        permissions: None,
        connection_types: None,
    };
    assert_eq!(read.authorization.users, Some(vec![user("a", "b"), user("c", "d")]));
    assert_eq!(read.authorization.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(read.petrel.cores, Cores::Count(2));
    assert_eq!(read.petrel.memory_bytes, Some(256 << 20));
    assert_eq!(read.petrel.backend, Backend::Epoll);
}

/// Every supported key with a value of its type is taken: none stands in the table without a reader.
#[test]
fn every_supported_key_has_a_reader() {
    for key in keys::TOP.iter().filter(|key| key.state == keys::State::Supported) {
        for name in key.names {
            let values = ["1", "true", "\"5s\"", "\"40s\"", "default", "x", "{ }"];
            let taken = values.iter().any(|value| read(&format!("{name}: {value}")).is_ok());
            assert!(taken, "{name}");
        }
    }
}

#[test]
fn what_is_not_there_yet_stops_the_start() {
    for key in keys::TOP.iter().filter(|key| matches!(key.state, keys::State::NotYet(_))) {
        for name in key.names {
            let error = errors(&format!("{name} {{ a: b }}"));
            let begin = format!("nats.conf:1:0: {name:?} is not supported by petrel yet: without it ");
            assert!(error.starts_with(&begin), "{error}");
        }
    }
}

#[test]
fn what_is_not_there_yet_may_be_switched_off() {
    let text = "jetstream: disabled\nocsp: false\naccounts { A { jetstream: no } }\nmqtt {}\n";
    assert!(read("jetstream { enabled: false, store_dir: /data }").is_ok());
    assert_eq!(errors("jetstream { enable: off, junk: 1 }"), "nats.conf:1:25: unknown field \"junk\"\n");
    assert!(errors("jetstream { enabled: true }").contains("\"jetstream\" is not supported by petrel yet"));
    assert_eq!(
        errors(text),
        "nats.conf:4:1: \"mqtt\" is not supported by petrel yet: without it MQTT clients could not connect; remove it to start all the same\n"
    );
}

#[test]
fn what_is_ignored_without_harm_is_told() {
    let read = read("port: 4222\nprof_port: 6060\n").unwrap();
    let notices: Vec<String> = read.problems.notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices, ["nats.conf:2:1: \"prof_port\" is ignored: there are no Go profiles to serve"]);
    assert!(read.problems.warnings.is_empty());
}

#[test]
fn a_number_of_seconds_warns_and_works() {
    let read = read("ping_interval: 20").unwrap();
    assert_eq!(read.options.ping_interval, Some(Duration::from_secs(20)));
    assert_eq!(read.problems.warnings.len(), 1);
}

#[test]
fn secrets_are_not_shown() {
    let text = "authorization { users: [ {user: alice, pass: s3cret} ] }";
    let shown = format!("{:?}", options(text));
    assert!(shown.contains("alice") && !shown.contains("s3cret"), "{shown}");
    let shown = format!("{:?}", options("authorization { token: s3cret }"));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn cores_are_a_number_or_cpus() {
    for (text, cores) in [
        ("1", Cores::Count(1)),
        ("[0, 2 ]", Cores::List(vec![0, 2])),
        ("[\"1\", \"3\"]", Cores::List(vec![1, 3])),
        ("\"0-2,5\"", Cores::List(vec![0, 1, 2, 5])),
        ("\"3\"", Cores::List(vec![3])),
    ] {
        assert_eq!(options(&format!("petrel {{ cores: {text} }}")).petrel.cores, cores, "{text}");
    }
    for text in ["0", "-1", "[ ]", "\"\"", "\"2-1\"", "[0, 0 ]", "\"x\"", "true", "5000", "\"0-99999\""] {
        let error = errors(&format!("petrel {{ cores: {text} }}"));
        assert!(error.contains("petrel.cores must be"), "{text}: {error}");
    }
}

#[test]
fn the_petrel_block_is_checked() {
    assert!(errors("petrel { memory: 1MB }").contains("petrel.memory must be at least"));
    assert!(errors("petrel { backend: kqueue }").contains("petrel.backend must be"));
    assert!(errors("petrel { journal: x }").contains("unknown field \"journal\""));
}

#[test]
fn the_configurations_of_journeys_parse() {
    let first = r#"
server_name: nats-3d8d9273b2de
port: 4222
http_port: 8222
cluster {
  name: tasks-cluster
  port: 6222
  routes: ["nats-route://[fdaa:0:1::3]:6222","nats-route://[fdaa:0:1::4]:6222",]
}
jetstream {
  store_dir: /data/jetstream
  max_memory_store: 512MB
}
authorization {
  token: s3cret-t0ken_unquoted
}
"#;
    let second = r#"
server_name=host-172-16-0-155
listen: 0.0.0.0:4222
http: 8222
accounts {
  $SYS {
    users = [
      { user: "admin",
        pass: "$2a$11$abc"
      }
    ]
  }
}
cluster {
  name: C1
  listen: 0.0.0.0:4248
  routes = [

      nats-route://172.16.0.155:4248
      nats-route://172.16.0.157:4248
  ]
}
"#;
    for (text, routes) in [(first, 2), (second, 2)] {
        let map = parse("nats.conf", text.as_bytes(), &mut Text("")).unwrap();
        let petrel_config::Value::Map(cluster) = &map["cluster"].value else { panic!("no map") };
        let petrel_config::Value::Array(list) = &cluster["routes"].value else { panic!("no array") };
        assert_eq!(list.len(), routes);
    }
    assert!(errors(first).contains("\"cluster\" is not supported by petrel yet"));
}

/// A configuration and a `petrel.conf` beside it.
struct Beside(&'static str, &'static str);

impl Source for Beside {
    fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn read_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        assert_eq!(path, "/etc/nats/petrel.conf");
        Ok(Some(self.1.as_bytes().to_vec()))
    }

    fn environment(&mut self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn petrel_settings_may_stand_beside_the_file() {
    let path = "/etc/nats/nats.conf";
    let read = load(path, &mut Beside("port: 4222", "cores: 1\nbackend: epoll")).unwrap();
    assert_eq!((read.options.petrel.cores, read.options.petrel.backend), (Cores::Count(1), Backend::Epoll));
    assert_eq!(read.petrel_file.as_deref(), Some("/etc/nats/petrel.conf"));
    // The digest stays what upstream says of the file.
    assert_eq!(read.digest, "sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e");

    let both = load(path, &mut Beside("port: 4222\npetrel { cores: 1 }", "cores: 1")).unwrap_err();
    let expected = "/etc/nats/nats.conf:2:1: there are petrel settings here and in /etc/nats/petrel.conf: keep \
                    one of the two\n";
    assert_eq!(both.to_string(), expected);
    let wrong = load(path, &mut Beside("port: 4222", "port: 1")).unwrap_err();
    assert_eq!(wrong.to_string(), "/etc/nats/petrel.conf:1:0: unknown field \"port\"\n");
}
