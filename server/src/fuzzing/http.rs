//! What reads requests to monitoring.

use super::monitor;
use crate::monitor::query::Query;
use crate::monitor::{
    Budget, accountz, accstatz, connz, healthz, internals, jsz, links, router, serve, subsz,
};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What stands behind the `?`. Checked: names and values are those of a decoder that goes byte by byte, numbers those of
/// a wider type; every endpoint reads its parameters or says in words what is wrong.
pub fn http_query(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let query = Query::parse(&text);
    let pairs: Vec<(String, String)> = text.split('&').filter_map(pair).collect();
    for (name, _) in &pairs {
        let first = pairs.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str());
        assert_eq!(query.text(name), first, "{name:?} of {text:?}");
        assert_eq!(query.integer(name).ok(), integer(first, i64::MIN.into()), "{name:?} of {text:?}");
        let unsigned = integer(first, 0).filter(|_| !first.starts_with(['+', '-']));
        let told = query.unsigned(name).ok();
        // An integer of 64 bits without a sign reaches further.
        assert!(
            told == unsigned.and_then(|number| u64::try_from(number).ok()) || told > Some(i64::MAX as u64)
        );
        let is_boolean = ["", "0", "1", "t", "f", "T", "F"].contains(&first)
            || ["true", "false"].into_iter().any(|word| {
                let (begin, rest) = word.split_at(1);
                first == word || first == word.to_uppercase() || first == begin.to_uppercase() + rest
            });
        assert_eq!(query.boolean(name).is_ok(), is_boolean, "{name:?} of {text:?}");
    }
    let told = [
        connz::Request::from_query(&query).err(),
        subsz::Request::from_query(&query).err(),
        accstatz::Request::from_query(&query).err(),
        healthz::Request::from_query(&query).err(),
        internals::QueueRequest::from_query(&query).err(),
        jsz::check_query(&query).err(),
        links::check_routez(&query).err(),
        links::check_gatewayz(&query).err(),
        links::check_leafz(&query).err(),
    ];
    assert!(told.iter().flatten().all(|error| !error.0.is_empty()), "{text:?}: {told:?}");
    let _ = accountz::from_query(&query);
}

/// A pair, when it can be read.
fn pair(text: &str) -> Option<(String, String)> {
    if text.is_empty() || text.contains(';') {
        return None;
    }
    let at = text.find('=').unwrap_or(text.len());
    let (name, value) = (&text[..at], text.get(at + 1..).unwrap_or(""));
    Some((decoded(name)?, decoded(value)?))
}

fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut at, mut out) = (0, Vec::new());
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits =
                bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            at += 3;
        } else {
            out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// What a text says as a number of 64 bits with a sign, from `least` on; nothing said is 0.
fn integer(text: &str, least: i128) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        None => return Some(0),
        Some(_) => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let number = if significant.is_empty() { 0 } else { significant.parse::<i128>().ok()? };
    i64::try_from(sign * number).ok().filter(|number| i128::from(*number) >= least)
}

/// How long the answer to a head that may be complete is waited for.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(200);

/// The status of an answer that waited for its turn in vain.
const BUSY: u16 = 503;

/// A connection to monitoring; the first byte says where the rest of it is split. Checked: what is answered is HTTP,
/// every answer can be made, and the first one does not depend on the split.
pub fn http_request(input: &[u8]) {
    let Some((place, request)) = input.split_first() else { return };
    let split = usize::from(*place).min(request.len());
    let whole = conversation(&[request]);
    let halves = conversation(&[&request[..split], &request[split..]]);
    if let (Some(whole), Some(halves)) = (whole, halves) {
        assert_eq!(whole, halves, "split at {split}: {}", request.escape_ascii());
    }
}

/// One for all runs: its threads take longer to start than a conversation takes.
static BUDGET: LazyLock<Option<Arc<Budget>>> = LazyLock::new(|| Budget::start().ok().map(Arc::new));

/// The status of the first answer, if one came in time and the machine had time for it.
fn conversation(parts: &[&[u8]]) -> Option<u16> {
    let router = router(&monitor(), BUDGET.as_ref()?);
    let Ok((mut client, server)) = UnixStream::pair() else { return None };
    let heard = std::thread::scope(|scope| {
        scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let opened =
                    server.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(server));
                if let Ok(stream) = opened {
                    serve(Box::new(stream), router).await;
                }
            });
        });
        talk(&mut client, parts).unwrap_or_default()
    });
    let text = String::from_utf8_lossy(&heard);
    assert!(!text.contains("this answer could not be made"), "{text}");
    if heard.is_empty() {
        return None;
    }
    let status =
        text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    assert!(status.is_some_and(|status| (200..600).contains(&status)), "{text}");
    status.filter(|status| *status != BUSY)
}

fn talk(client: &mut UnixStream, parts: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    for part in parts {
        // It may be refused before all of it is written.
        if client.write_all(part).is_err() {
            break;
        }
    }
    let mut heard = vec![0; 4096];
    let is_whole = parts.concat().windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r");
    let mut bytes = 0;
    if is_whole {
        client.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
        // No answer is no news: bytes of a head that is not complete.
        bytes = client.read(&mut heard).unwrap_or(0);
    }
    heard.truncate(bytes);
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(None)?;
    // What is cut off by the end is not looked at.
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    heard.extend_from_slice(&rest);
    Ok(heard)
}
