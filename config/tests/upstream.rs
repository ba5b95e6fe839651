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
        assert_eq!(check(text), expected, "{text:?}");
        count += 1;
    }
    assert!(count > 500, "only {count} files were compared");
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
    ] {
        assert_eq!(check(text), outcome, "{text:?}");
    }
}

#[test]
fn files_that_include_themselves_end() {
    struct Endless;
    impl Source for Endless {
        fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
            Ok(b"include again.conf".to_vec())
        }
        fn read_if_there(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
            Ok(None)
        }
        fn environment(&mut self, _: &str) -> Option<String> {
            None
        }
    }
    let error = load("c.conf", &mut Endless).unwrap_err().to_string();
    assert!(error.ends_with("files may not include each other deeper than 32"), "{error}");
}
