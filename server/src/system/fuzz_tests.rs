//! A bounded run of random inputs through everything that reads what others wrote: queries of monitoring, bodies and
//! headers of requests. The seed is fixed, so that a failure comes again.

use super::body::Body;
use super::filter::Filter;
use super::go_json::syntax_error;
use super::requests::header;
use super::subject::asked;
use crate::monitor::query::Query;
use crate::monitor::{accstatz, connz, healthz, internals, jsz, links, subsz};

const INPUTS: usize = 60_000;
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u12",
    "\\ud800",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e9",
    "99999999999999999999",
    " ",
    "\n",
    "\u{e4}",
    "\u{0}",
    "\"limit\"",
    "\"sort\"",
    "\"tags\"",
    "\"cid\":",
    "\"acc\"",
    "\"state\":",
    "\"subscriptions\":",
    "limit=",
    "subs=",
    "detail",
    "&",
    "=",
    ";",
    "%",
    "%41",
    "%zz",
    "+",
    "state=",
    "any",
    "sort=",
    "bytes_to",
    "offset=",
    "test=",
    "cid=",
    "$SYS.REQ.",
    "SERVER.",
    "ACCOUNT.",
    "PING",
    ".",
    "USER.INFO",
    "NATS/1.0\r\n",
    "\r\n",
    "Accept-Encoding: ",
    "Nats-Request-Info: ",
];

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn text(&mut self) -> String {
        (0..self.below(12)).map(|_| WORDS[self.below(WORDS.len())]).collect()
    }
}

#[test]
fn queries_are_read_or_refused() {
    let mut random = Random(1);
    for _ in 0..INPUTS {
        let query = Query::parse(&random.text());
        let _ = connz::Request::from_query(&query);
        let _ = subsz::Request::from_query(&query);
        let _ = accstatz::Request::from_query(&query);
        let _ = healthz::Request::from_query(&query);
        let _ = internals::QueueRequest::from_query(&query);
        let _ = jsz::check_query(&query);
        let _ = links::check_gatewayz(&query);
    }
}

#[test]
fn bodies_are_read_or_refused() {
    let mut random = Random(2);
    let mut read = 0;
    for _ in 0..INPUTS {
        let text = random.text();
        let Ok(mut body) = Body::parse(text.as_bytes(), "Connz", "ConnzOptions") else { continue };
        let _ = Filter::from_body(&mut body);
        let _ = connz::Request::from_body(&mut body);
        let _ = subsz::Request::from_body(&mut body);
        let _ = body.finish();
        read += 1;
    }
    assert!(read > 1000, "{read}");
}

/// What the scanner takes is what the reader takes.
#[test]
fn the_scanner_agrees_with_another_reader() {
    let mut random = Random(3);
    for _ in 0..INPUTS {
        let text = random.text();
        let read = serde_json::from_str::<serde_json::Value>(&text);
        // Go takes numbers and halves of surrogates that this reader refuses.
        let is_special = text.contains("\\u") || text.contains('9');
        assert!(read.is_ok() == syntax_error(text.as_bytes()).is_none() || is_special, "{text:?}: {read:?}");
    }
}

#[test]
fn subjects_and_headers_are_read() {
    let mut random = Random(4);
    for _ in 0..INPUTS {
        let text = random.text();
        let _ = asked(&text);
        let _ = header(text.as_bytes(), "Accept-Encoding");
    }
}
