//! Bodies of the fuzz targets: each takes any bytes and panics when the crate contradicts a slower, independent
//! account of the same rules. `fuzz/` runs them under libFuzzer, `fuzz/bounded` on stable.

mod connect_model;
mod key_model;
mod parser_model;
mod proxy_model;

use crate::client::{ConnectOptions, ParseLimits, Parsed, parse};
use crate::headers as message_headers;
use crate::identity::public_key::{self, Role};
use crate::identity::signature;
use crate::proxy_protocol::{self as proxy, Beginning};
use crate::subject;
use crate::transform::Transform;
use parser_model::{Ending, Model, Transcript};
use proxy_model::Verdict;

/// A stream of client verbs. The first byte chooses the limit of the control line, the second that of the
/// payload (as a signed byte: negative is unlimited), the rest is the stream.
///
/// Checked: the parser on the whole stream, and fed byte by byte, agrees with the model on every verb, on the
/// error, and on the byte that proves it.
pub fn client_parser(input: &[u8]) {
    let [control_line, payload, stream @ ..] = input else { return };
    let limits = ParseLimits {
        control_line_max: usize::from(*control_line),
        payload_max: i64::from(payload.cast_signed()),
    };
    check_parser(stream, &limits);
}

/// See [`client_parser`].
pub(crate) fn check_parser(stream: &[u8], limits: &ParseLimits) {
    let expected = Model::run(stream, limits);
    let whole = parse_whole(stream, limits);
    assert_eq!(whole.verbs, expected.verbs, "verbs of {limits:?} {}", stream.escape_ascii());
    match (&whole.ending, &expected.ending) {
        // How far the parser had to look is not visible when it sees everything at once.
        (Ending::Failed { error, .. }, Ending::Failed { error: wanted, .. }) => {
            assert_eq!(error, wanted, "error of {limits:?} {}", stream.escape_ascii());
        }
        (found, wanted) => assert_eq!(found, wanted, "ending of {limits:?} {}", stream.escape_ascii()),
    }
    let grown = parse_growing(stream, limits);
    assert_eq!(grown, expected, "fed byte by byte, {limits:?} {}", stream.escape_ascii());
}

fn parse_whole<'a>(stream: &'a [u8], limits: &ParseLimits) -> Transcript<'a> {
    let mut verbs = Vec::new();
    let mut start = 0;
    loop {
        match parse(&stream[start..], limits) {
            Ok(Parsed::Op { op, consumed }) => {
                assert!(consumed > 0 && start + consumed <= stream.len());
                verbs.push(op);
                start += consumed;
            }
            Ok(Parsed::Incomplete { at_least }) => {
                assert!(at_least > stream.len() - start);
                return Transcript { verbs, ending: Ending::Waiting };
            }
            Err(error) => return Transcript { verbs, ending: Ending::Failed { error, seen: stream.len() } },
        }
    }
}

fn parse_growing<'a>(stream: &'a [u8], limits: &ParseLimits) -> Transcript<'a> {
    let mut verbs = Vec::new();
    let mut start = 0;
    let mut needed = 0;
    for end in 1..=stream.len() {
        match parse(&stream[start..end], limits) {
            Ok(Parsed::Op { op, consumed }) => {
                assert!(end - start >= needed, "{needed} bytes were said to be needed");
                assert_eq!(consumed, end - start, "a verb that was complete before was not reported");
                verbs.push(op);
                start = end;
                needed = 0;
            }
            Ok(Parsed::Incomplete { at_least }) => {
                assert!(at_least > end - start && at_least >= needed);
                needed = at_least;
            }
            Err(error) => return Transcript { verbs, ending: Ending::Failed { error, seen: end } },
        }
    }
    Transcript { verbs, ending: Ending::Waiting }
}

/// A block of headers. Checked: all readers agree with a split of the block into lines.
pub fn headers(input: &[u8]) {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    for byte in input {
        line.push(*byte);
        if line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            lines.push(std::mem::take(&mut line));
        }
    }
    let fields: Vec<(Vec<u8>, Vec<u8>)> = lines
        .iter()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
            let blanks = line[colon + 1..].iter().take_while(|byte| **byte == b' ').count();
            Some((line[..colon].to_vec(), line[colon + 1 + blanks..].to_vec()))
        })
        .collect();
    let found: Vec<(Vec<u8>, Vec<u8>)> =
        message_headers::iter(input).map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(found, fields);
    for (key, _) in &fields {
        let first = fields.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_slice());
        assert_eq!(message_headers::value(input, key), first);
    }
    assert_eq!(message_headers::value(input, b"no such key\r\n"), None);
    if let Some(status) = message_headers::status(input) {
        assert!(input.starts_with(format!("NATS/1.0 {status:03}").as_bytes()));
    }
}

/// A public key (32 bytes), a nonce (15) and the text of a signature. Checked: what is accepted is a signature of the
/// key, written in one of the two alphabets.
pub fn signature(input: &[u8]) {
    let Some((key, rest)) = input.split_first_chunk::<32>() else { return };
    let Some((nonce, text)) = rest.split_at_checked(signature::NONCE_CHARACTERS) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if !signature::verify(key, nonce, text) {
        return;
    }
    let standard: String = text.replace('-', "+").replace('_', "/");
    let padded = format!("{}==", standard.trim_end_matches('='));
    let bytes = data_encoding::BASE64.decode(padded.as_bytes()).expect("64 bytes in base64");
    let parsed = ed25519_dalek::Signature::from_slice(&bytes).expect("64 bytes");
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).expect("it was used");
    ed25519_dalek::Verifier::verify(&key, nonce, &parsed).expect("a signature");
}

/// The argument of a CONNECT. Checked: what serde_json can read has the same meaning here, and merging twice is
/// merging once.
pub fn connect(input: &[u8]) {
    let mut options = ConnectOptions::default();
    let outcome = options.merge(input);
    if let Some(expected) = connect_model::merged(input) {
        match (&outcome, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(options, expected),
            (outcome, expected) => assert_eq!(outcome.is_ok(), expected.is_ok(), "{}", input.escape_ascii()),
        }
    }
    if outcome.is_ok() {
        let once = options.clone();
        assert_eq!(options.merge(input), Ok(()));
        assert_eq!(options, once);
    }
}

/// Source, destination and a published subject, a line each. Checked: what is built makes something of a subject
/// exactly when its source matches; the result does not depend on what was there before; and what an import moves can
/// be moved back.
pub fn transform(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (source, destination, literal) = (line(), line(), line().as_bytes());
    let built = [Transform::new(source, destination), Transform::for_import(source, destination)];
    for transform in built.iter().flatten() {
        let mut made = b"before".to_vec();
        let changed = transform.apply(literal, &mut made, 1);
        assert_eq!(changed, subject::matches(source.as_bytes(), literal));
        assert!(changed || made.len() == 6, "what does not match leaves nothing behind");
        assert!(made.starts_with(b"before"));
        let Some(back) = transform.reversed().filter(|_| changed) else { continue };
        if subject::matches(back.source(), &made[6..]) {
            let mut returned = Vec::new();
            assert!(back.apply(&made[6..], &mut returned, 1));
            assert_eq!(returned, literal, "{source} -> {destination}");
        }
    }
}

/// What a connection begins with when it may be a PROXY header. Checked: the verdict on each prefix is the model's;
/// once there is one it stays; what is missing or wrong is said in words.
pub fn proxy_protocol(input: &[u8]) {
    let mut settled = None;
    for end in 0..=input.len() {
        let prefix = &input[..end];
        let parsed = proxy::parse(prefix);
        let verdict = match &parsed {
            Ok(Beginning::Incomplete) => Verdict::Incomplete,
            Ok(Beginning::Absent) => Verdict::Absent,
            Ok(Beginning::Header { bytes, source }) => Verdict::Header(*bytes, *source),
            Err(_) => Verdict::Refused,
        };
        assert_eq!(verdict, proxy_model::verdict(prefix), "{}", prefix.escape_ascii());
        assert!(!proxy::missing(prefix).is_empty());
        if let Err(error) = &parsed {
            assert!(!error.to_string().is_empty() && error.to_string().len() < 1024);
        }
        match &settled {
            Some(before) => assert_eq!(&parsed, before, "{}", prefix.escape_ascii()),
            None if verdict != Verdict::Incomplete => settled = Some(parsed),
            None => {}
        }
    }
}

/// The text of a public key; behind a `!` what the text is made of: a byte of prefix and the key. Checked: it is
/// taken if and only if the model takes it, for one role at most.
pub fn public_key(input: &[u8]) {
    let text = match input.strip_prefix(b"!").and_then(|rest| rest.first_chunk::<33>()) {
        Some(body) => key_model::text(body),
        None => String::from_utf8_lossy(input).into_owned(),
    };
    let mut roles = 0;
    for role in [Role::Account, Role::User] {
        let key = public_key::decode(role, &text);
        assert_eq!(key, key_model::key(role, &text), "{role:?} {text:?}");
        roles += usize::from(key.is_some());
    }
    assert!(roles <= 1, "{text:?} has two roles");
}
