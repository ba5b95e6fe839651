//! A configuration as large as a busy installation's is read in no time.

use petrel_config::{Source, load};
use std::fmt::Write;
use std::time::Duration;

const ACCOUNTS: usize = 1_000;
const USERS_OF_AN_ACCOUNT: usize = 10;

/// Of a processor, with optimization. Without it it takes longer.
const TIME_MAX: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(10) } else { Duration::from_millis(500) };

/// The processor time of this thread: what else the machine does meanwhile is not the reader's time.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts it");
    let used = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(used.expect("nanoseconds of the processor"))
}

struct Text(String);

impl Source for Text {
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

/// A thousand accounts of ten users each, half of them with permissions, with exports and imports.
fn generated() -> String {
    let mut text = "accounts {\n".to_owned();
    for account in 0..ACCOUNTS {
        writeln!(text, "  A{account} {{\n    users: [").unwrap();
        for user in 0..USERS_OF_AN_ACCOUNT {
            let permissions = if user % 2 == 0 {
                format!(
                    ", permissions: {{ publish: [\"a{account}.*\", \"b.>\"], subscribe: {{ deny: \"x q\" }}, \
                     allow_responses: true }}"
                )
            } else {
                String::new()
            };
            writeln!(text, "      {{ user: u{account}-{user}, pass: \"secret {user}\"{permissions} }}")
                .unwrap();
        }
        let from = (account + 1) % ACCOUNTS;
        writeln!(
            text,
            "    ]\n    exports: [ {{ stream: \"s{account}.>\" }} ]\n    imports: [ {{ stream: {{ account: \
             A{from}, subject: \"s{from}.x\" }}, prefix: from }} ]\n    mappings: {{ \"m.*\": \"n.$1\" }}\n  }}"
        )
        .unwrap();
    }
    text + "}\n"
}

#[test]
fn ten_thousand_users_are_read_in_no_time() {
    let mut source = Text(generated());
    // The best of three: the first reads memory that is new.
    let mut best = Duration::MAX;
    let mut read = None;
    for _ in 0..3 {
        let start = processor_time();
        let found = load("nats.conf", &mut source).unwrap_or_else(|error| panic!("{error}"));
        best = best.min(processor_time() - start);
        read = Some(found);
    }
    let (read, time) = (read.expect("it was read three times"), best);
    println!("{} bytes with {} accounts in {time:?}", source.0.len(), read.options.accounts.len());
    let users: usize = read.options.accounts.iter().map(|account| account.users.len()).sum();
    assert_eq!((read.options.accounts.len(), users), (ACCOUNTS, ACCOUNTS * USERS_OF_AN_ACCOUNT));
    assert!(time < TIME_MAX, "{time:?}");
}
