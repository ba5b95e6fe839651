//! Files and what upstream says of them, recorded from `nats-server -t -c c.conf` of version 2.15.2: the digest
//! of a valid file, else the messages. The petrel reading of each must be the same, to the byte.

use petrel_config::{Source, load};
use std::collections::HashMap;

/// What the recorded files refer to.
struct Recorded {
    text: Vec<u8>,
    files: HashMap<&'static str, &'static str>,
    environment: HashMap<&'static str, &'static str>,
}

impl Recorded {
    fn new(text: &str) -> Recorded {
        let files = HashMap::from([
            ("inc1.conf", "debug: true\nzzz: 1\n"),
            ("inc2.conf", "user: a\npass: b\n"),
            ("inc3.conf", "port: x y\n"),
            ("empty.conf", ""),
            ("j.conf", "debug: true\n"),
            ("sub/i.conf", "include j.conf\n"),
            ("sub/j.conf", "debug: true\n"),
            ("../orc/sub/j.conf", "debug: true\n"),
        ]);
        let environment = HashMap::from([
            ("E1", "4333"),
            ("E2", "abc"),
            ("E3", "123"),
            ("E4", "$E1"),
            ("E5", "$E5"),
            ("E6", "[a,b]"),
            ("E7", "{user:a,pass:b}"),
            ("E8", "a b"),
            ("E9", "4222 # x"),
            ("E10", ""),
            ("E11", "x\nfoo: 1"),
        ]);
        Recorded { text: text.as_bytes().to_vec(), files, environment }
    }
}

impl Source for Recorded {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        match (path, self.files.get(path)) {
            ("c.conf", _) => Ok(self.text.clone()),
            (_, Some(text)) => Ok(text.as_bytes().to_vec()),
            (".", None) => Err("read .: is a directory".to_owned()),
            (path, None) => Err(format!("open {path}: no such file or directory")),
        }
    }

    fn read_if_there(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        self.environment.get(name).map(|value| (*value).to_owned())
    }
}

/// The lines that a check of the file prints; upstream prints those of several errors in no order.
fn check(text: &str) -> Result<String, Vec<String>> {
    let lines = |text: String| {
        let mut lines: Vec<String> = text.trim_end_matches('\n').split('\n').map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    match load("c.conf", &mut Recorded::new(text)) {
        Ok(configuration) if configuration.problems.warnings.is_empty() => Ok(configuration.digest),
        Ok(configuration) => Err(lines(configuration.problems.to_string())),
        Err(error) => Err(lines(error.to_string())),
    }
}

#[test]
fn reads_every_recorded_file_as_upstream_does() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in include_str!("golden/upstream.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let expected = match case["digest"].as_str() {
            Some(digest) => Ok(digest.to_owned()),
            None => {
                let error = case["error"].as_str().unwrap();
                let mut lines: Vec<String> = error.split('\n').map(str::to_owned).collect();
                lines.sort_unstable();
                Err(lines)
            }
        };
        let found = check(text);
        if found != expected {
            wrong.push(format!("{text:?}\n  upstream {expected:?}\n  petrel   {found:?}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 1000, "only {count} files were compared");
}

/// Where petrel says something else on purpose.
#[test]
fn deviates_where_it_means_to() {
    let lines = |text: &str| Err(vec![text.to_owned()]);
    for (text, outcome) in [
        // Upstream takes negative times and then does nothing but fire timers.
        ("ping_interval: \"-1s\"", lines("c.conf:1:0: ping_interval must not be negative")),
        ("authorization { timeout: -1 }", lines("c.conf:1:16: timeout must not be negative")),
        // Upstream lets sizes overflow silently.
        ("max_pending: 10e", lines("integer '10e' is out of the range")),
        // Upstream adds a crash of its own reader to the message.
        (
            "authorization { user: 1 }",
            lines("c.conf:1:16: interface conversion: interface {} is int64, not string"),
        ),
        // Upstream cannot read lists from the environment here.
        (
            "server_tags: $E6",
            Ok("sha256:e09a48bacda8a05513e0da3231f1cef15d6c5fc6831f9a9b17c803c10209238c".to_owned()),
        ),
        // Upstream closes every connection of such an account.
        (
            "accounts { A { limits: {max_conn: -5} } }",
            lines("c.conf:1:24: max_conn must be -1 (unlimited) or not negative"),
        ),
        // Upstream takes this for no mapping.
        (
            "mappings { a: \"\" }",
            lines(
                "c.conf:1:11: Error adding mapping for \"a\" to \"\" : invalid mapping destination: invalid transform",
            ),
        ),
        ("tls { timeout: -1 }", lines("c.conf:1:6: timeout must not be negative")),
        // What rustls does not have.
        (
            "tls { cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA] }",
            lines("c.conf:1:22: cipher TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is not supported by petrel"),
        ),
        (
            "tls { allow_insecure_cipher_suites: true, cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA] }",
            lines(
                "c.conf:1:0: insecure cipher suites are not supported by petrel: TLS_RSA_WITH_AES_128_CBC_SHA",
            ),
        ),
        (
            "tls { curve_preferences: [CurveP521] }",
            lines("c.conf:1:26: curve preference CurveP521 is not supported by petrel"),
        ),
    ] {
        assert_eq!(check(text), outcome, "{text:?}");
    }
}

/// A source of which each file has the text that a function makes of its path.
struct Made<F>(F);

impl<F: Fn(&str) -> String> Source for Made<F> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        Ok((self.0)(path).into_bytes())
    }
    fn read_if_there(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
    fn environment(&mut self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn files_that_include_themselves_end() {
    let mut circle = Made(|path: &str| {
        format!("include ./{}", if path.ends_with("a.conf") { "b.conf" } else { "a.conf" })
    });
    assert_eq!(
        load("./a.conf", &mut circle).unwrap_err().to_string(),
        "error parsing include file './b.conf', error parsing include file './a.conf', the file includes itself"
    );
    let mut endless = Made(|path: &str| format!("include x{path}"));
    let error = load("c.conf", &mut endless).unwrap_err().to_string();
    assert!(error.ends_with("files may not include each other deeper than 32"), "{error}");
    // The same file twice, one after the other, is no circle.
    let mut twice = Made(
        |path: &str| if path == "c.conf" { "include d\ninclude d".into() } else { "debug: true".into() },
    );
    assert!(load("c.conf", &mut twice).is_ok());
}
