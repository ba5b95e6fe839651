//! The rules of the module's documentation, one by one, as upstream answered them.

use super::{ClientOp, ParseError, ParseLimits, Parsed, parse};
use crate::client::{ClosedReason, ProtocolError};
use crate::fuzzing::check_parser;
use ParseError::{ControlLineExceeded, PayloadExceeded, UnknownOperation, Violation};
use proptest::prelude::*;

const LIMITS: ParseLimits = ParseLimits { control_line_max: 4096, payload_max: 1_048_576 };

/// Parses a buffer that has to hold exactly one verb; whatever follows it has to be left alone.
#[track_caller]
fn whole(buffer: &[u8]) -> ClientOp<'_> {
    let parsed = parse(buffer, &LIMITS);
    let Ok(Parsed::Op { op, consumed }) = parsed else { panic!("{parsed:?}: {}", buffer.escape_ascii()) };
    assert_eq!(consumed, buffer.len(), "{}", buffer.escape_ascii());
    let longer = [buffer, b"\r\nPING\r\n"].concat();
    assert_eq!(parse(&longer, &LIMITS), Ok(Parsed::Op { op, consumed }));
    op
}

#[track_caller]
fn refused(buffer: &[u8], error: ParseError) {
    assert_eq!(parse(buffer, &LIMITS), Err(error), "{}", buffer.escape_ascii());
}

#[track_caller]
fn incomplete(buffer: &[u8]) -> usize {
    match parse(buffer, &LIMITS) {
        Ok(Parsed::Incomplete { at_least }) => at_least,
        other => panic!("{other:?}: {}", buffer.escape_ascii()),
    }
}

/// The error has to come with the last byte of the buffer, not earlier.
#[track_caller]
fn refused_at_last_byte(buffer: &[u8], error: ParseError) {
    refused(buffer, error);
    incomplete(&buffer[..buffer.len() - 1]);
}

fn publish<'a>(subject: &'a [u8], reply: Option<&'a [u8]>, message: &'a [u8]) -> ClientOp<'a> {
    ClientOp::Publish { subject, reply, header_bytes: None, message }
}

#[test]
fn verbs_are_known_by_their_first_wrong_byte() {
    let unknown = [
        "X", "\r", "\n", " ", "\t", "PX", "PIX", "PI ", "P\r", "PUX", "HX", "HM", "HPX", "M", "R", "L", "A",
        "+X", "+OX", "-X", "-EX", "SX", "SUX", "UX", "UNSUX", "CX", "CONNECX", "IX", "INFX", "\0", "\u{b}",
    ];
    for buffer in unknown {
        refused_at_last_byte(buffer.as_bytes(), UnknownOperation);
    }
    for buffer in
        ["", "P", "PI", "PIN", "PING", "pO", "h", "HPU", "+", "+o", "-", "-er", "CONNEC", "i", "UNSUB"]
    {
        assert_eq!(incomplete(buffer.as_bytes()), buffer.len() + 1);
    }
}

#[test]
fn some_verbs_need_a_blank_behind_them() {
    for verb in ["PUB", "HPUB", "SUB", "UNSUB", "-ERR"] {
        for next in ["x", "\r", "\n", "\0", "\u{b}"] {
            refused_at_last_byte(format!("{verb}{next}").as_bytes(), UnknownOperation);
        }
        incomplete(format!("{verb} ").as_bytes());
        incomplete(format!("{verb}\t").as_bytes());
    }
    assert_eq!(whole(b"CONNECT{}\r\n"), ClientOp::Connect(b"{}"));
    assert_eq!(whole(b"INFO{}\r\n"), ClientOp::Info(b"{}"));
    assert_eq!(whole(b"CONNECTX\n"), ClientOp::Connect(b"X"));
}

#[test]
fn case_does_not_count() {
    assert_eq!(whole(b"pUb a 1\r\nx\r\n"), publish(b"a", None, b"x"));
    assert_eq!(whole(b"ping\r\n"), ClientOp::Ping);
    assert_eq!(whole(b"Pong\n"), ClientOp::Pong);
    assert_eq!(whole(b"+ok\r\n"), ClientOp::Ok);
    assert_eq!(whole(b"-err 'x'\r\n"), ClientOp::Err(b"'x'"));
    assert_eq!(whole(b"sub a 1\r\n"), ClientOp::Subscribe { subject: b"a", queue: None, sid: b"1" });
    assert_eq!(whole(b"unsub 1\r\n"), ClientOp::Unsubscribe { sid: b"1", max: None });
    assert_eq!(whole(b"connect {}\r\n"), ClientOp::Connect(b"{}"));
    assert_eq!(
        whole(b"hPuB a 0 1\r\nx\r\n"),
        ClientOp::Publish { subject: b"a", reply: None, header_bytes: Some(0), message: b"x" }
    );
}

#[test]
fn what_follows_ping_pong_and_ok_is_ignored() {
    for line in ["PING\n", "PING\r\n", "PINGxyz\r\n", "PING \r \r\r\n", "PING foo\n"] {
        assert_eq!(whole(line.as_bytes()), ClientOp::Ping);
    }
    assert_eq!(whole(b"PONGabc\r\n"), ClientOp::Pong);
    assert_eq!(whole(b"+OKxyz\r\n"), ClientOp::Ok);
}

#[test]
fn publishes_have_two_or_three_arguments_in_any_spacing() {
    let usual = publish(b"foo.bar", None, b"hello");
    for line in [
        "PUB foo.bar 5\r\n",
        "PUB foo.bar 5\n",
        "PUB  foo.bar  5\r\n",
        "PUB\tfoo.bar\t5\t\r\n",
        "PUB foo.bar 5 \r\n",
        "PUB foo.bar 005\r\n",
        "PUB foo.bar 000000005\r\n",
    ] {
        assert_eq!(whole(format!("{line}hello\r\n").as_bytes()), usual, "{line}");
    }
    let reply = publish(b"foo", Some(b"_INBOX.reply"), b"hello");
    for line in ["PUB foo _INBOX.reply 5\r\n", "PUB foo\t_INBOX.reply  5\n", "pub foo _INBOX.reply 05 \r\n"] {
        assert_eq!(whole(format!("{line}hello\r\n").as_bytes()), reply, "{line}");
    }
    // Digits and control characters are letters like any other in a subject.
    assert_eq!(whole(b"PUB 12 34 5\r\nhello\r\n"), publish(b"12", Some(b"34"), b"hello"));
    assert_eq!(whole(b"PUB 12 3x 5\r\nhello\r\n"), publish(b"12", Some(b"3x"), b"hello"));
    assert_eq!(
        whole(b"PUB a\x005\x0b b\x01 5\r\nhello\r\n"),
        publish(b"a\x005\x0b", Some(b"b\x01"), b"hello")
    );
    assert_eq!(whole(b"PUB \xff\xfe 0\r\n\r\n"), publish(b"\xff\xfe", None, b""));
    for line in ["PUB a\r\n", "PUB a b c 5\r\n", "PUB a b c d e 5\r\n", "PUB \r\n", "PUB a b\r\n"] {
        refused_at_last_byte(line.as_bytes(), Violation);
    }
}

#[test]
fn sizes_are_one_to_nine_digits() {
    for size in ["-1", "+1", "x", "0x5", "5x", "5.", "0000000005", "1000000000", "99999999999999999999999999"]
    {
        refused_at_last_byte(format!("PUB a {size}\r\n").as_bytes(), Violation);
        refused_at_last_byte(format!("HPUB a {size} 5\r\n").as_bytes(), Violation);
        refused_at_last_byte(format!("HPUB a 0 {size}\r\n").as_bytes(), Violation);
    }
}

#[test]
fn header_publishes_have_three_or_four_arguments() {
    let message = b"NATS/1.0\r\n\r\nhello";
    for line in ["HPUB a 12 17\r\n", "HPUB\ta 12  017 \n", "hpub a 012 17\r\n"] {
        assert_eq!(
            whole(&[line.as_bytes(), message, b"\r\n"].concat()),
            ClientOp::Publish { subject: b"a", reply: None, header_bytes: Some(12), message }
        );
    }
    for line in ["HPUB a 9 12 17\r\n", "HPUB a 9\t12 17\n"] {
        assert_eq!(
            whole(&[line.as_bytes(), message, b"\r\n"].concat()),
            ClientOp::Publish { subject: b"a", reply: Some(b"9"), header_bytes: Some(12), message }
        );
    }
    assert_eq!(
        whole(b"HPUB a r 0 0\r\n\r\n"),
        ClientOp::Publish { subject: b"a", reply: Some(b"r"), header_bytes: Some(0), message: b"" }
    );
    for line in [
        "HPUB a 5\r\n",
        "HPUB a b c 5 5\r\n",
        "HPUB a 6 5\r\n",
        "HPUB a 2000000 1000000\r\n",
        "HPUB a b 5\r\n",
    ] {
        refused_at_last_byte(line.as_bytes(), Violation);
    }
}

#[test]
fn a_payload_ends_in_cr_lf_exactly() {
    for (line, bytes) in [
        ("PUB a 5\r\nhello", "X"),
        ("PUB a 5\r\nhello", "\n"),
        ("PUB a 5\r\nhello\r", "X"),
        ("PUB a 0\r\n", "X"),
        ("PUB a 0\n", "\n"),
    ] {
        refused_at_last_byte(format!("{line}{bytes}").as_bytes(), UnknownOperation);
    }
}

#[test]
fn the_length_needed_is_exact_once_the_line_is_there() {
    assert_eq!(incomplete(b"PUB a 5"), 8);
    for buffer in ["PUB a 5\r\n", "PUB a 5\r\nhe", "PUB a 5\r\nhello", "PUB a 5\r\nhello\r"] {
        assert_eq!(incomplete(buffer.as_bytes()), 16, "{buffer}");
    }
    assert_eq!(incomplete(b"PUB a 1048576\r\n"), 15 + 1_048_576 + 2);
    // One byte before that, a wrong end is already certain.
    assert_eq!(incomplete(b"PUB a 5\r\nhello"), 16);
    refused_at_last_byte(b"PUB a 5\r\nhello\n", UnknownOperation);
    assert_eq!(incomplete(b"HPUB a  12 17\n"), 14 + 17 + 2);
}

#[test]
fn a_size_above_the_limit_is_refused_with_the_line() {
    refused_at_last_byte(b"PUB a 1048577\r\n", PayloadExceeded);
    refused_at_last_byte(b"PUB a  1048577\r\n", PayloadExceeded);
    refused_at_last_byte(b"HPUB a 5 1048577\r\n", PayloadExceeded);
    refused_at_last_byte(b"PUB a b c 99999999\r\n", Violation);
    refused_at_last_byte(b"HPUB a 99999999 9999999999\r\n", Violation);
    let limits = ParseLimits { control_line_max: 4096, payload_max: 0 };
    assert_eq!(parse(b"PUB a 1\r\n", &limits), Err(PayloadExceeded));
    assert!(matches!(parse(b"PUB a 0\r\n\r\n", &limits), Ok(Parsed::Op { .. })));
    let unlimited = ParseLimits { control_line_max: 4096, payload_max: -1 };
    let parsed = parse(b"PUB a 999999999\r\n", &unlimited);
    assert_eq!(parsed, Ok(Parsed::Incomplete { at_least: 17 + 999_999_999 + 2 }));
}

#[test]
fn subscriptions_have_two_or_three_arguments() {
    let plain = ClientOp::Subscribe { subject: b"a.*", queue: None, sid: b"12" };
    for line in [
        "SUB a.* 12\r\n",
        "SUB a.* 12\n",
        "SUB  a.*\t12 \r\n",
        "SUB a.* 12\r \r\n",
        "SUB a.*\r12\r\n",
        "SUB \na.* 12\r\n",
    ] {
        assert_eq!(whole(line.as_bytes()), plain, "{line:?}");
    }
    assert_eq!(whole(b"SUB a q 1\r\n"), ClientOp::Subscribe { subject: b"a", queue: Some(b"q"), sid: b"1" });
    for line in ["SUB a\r\n", "SUB a b c d\r\n", "SUB a b c d e\r\n", "SUB \r\n"] {
        refused_at_last_byte(line.as_bytes(), Violation);
    }
}

#[test]
fn the_second_argument_of_unsub_is_never_wrong() {
    let max = |line: &'static str| match whole(line.as_bytes()) {
        ClientOp::Unsubscribe { sid: b"1", max } => max,
        other => panic!("{other:?}"),
    };
    assert_eq!(max("UNSUB 1 5\r\n"), Some(5));
    assert_eq!(max("UNSUB 1 0\r\n"), Some(0));
    assert_eq!(max("UNSUB 1 999999999\r\n"), Some(999_999_999));
    for line in ["UNSUB 1\r\n", "UNSUB 1 -1\r\n", "UNSUB 1 x\r\n", "UNSUB 1 1234567890\r\n"] {
        assert_eq!(max(line), None);
    }
    refused_at_last_byte(b"UNSUB 1 2 3\r\n", Violation);
    refused_at_last_byte(b"UNSUB \r\n", Violation);
}

#[test]
fn the_first_byte_of_an_argument_is_never_a_line_end() {
    assert_eq!(whole(b"CONNECT\n{}\r\n"), ClientOp::Connect(b"\n{}"));
    assert_eq!(whole(b"CONNECT\r\n"), ClientOp::Connect(b"\r"));
    assert_eq!(whole(b"INFO \n{}\n"), ClientOp::Info(b"\n{}"));
    assert_eq!(whole(b"PUB \na 5\r\nhello\r\n"), publish(b"\na", None, b"hello"));
    assert_eq!(whole(b"PUB \ra 5\r\nhello\r\n"), publish(b"\ra", None, b"hello"));
    assert_eq!(whole(b"-ERR \r\n"), ClientOp::Err(b"\r"));
}

#[test]
fn a_cr_inside_the_argument_drops_the_byte_before_lf() {
    assert_eq!(whole(b"PUB a\rb 55\nhello\r\n"), publish(b"a\rb", None, b"hello"));
    assert_eq!(whole(b"PUB a\r 5 \nhello\r\n"), publish(b"a\r", None, b"hello"));
    assert_eq!(whole(b"SUB a\rb 12\n"), ClientOp::Subscribe { subject: b"a", queue: Some(b"b"), sid: b"1" });
    assert_eq!(whole(b"CONNECT a\rbc\n"), ClientOp::Connect(b"a\rb"));
    for line in ["PUB a\r 5\n", "PUB a 5\r\r\n", "PUB a \r5\r\n", "PUB a 55\r \n"] {
        refused_at_last_byte(line.as_bytes(), Violation);
    }
}

#[test]
fn an_argument_beyond_the_limit_is_refused_as_soon_as_it_is_certain() {
    let subject = |length: usize| "a".repeat(length);
    whole(format!("PUB {} 1\r\nx\r\n", subject(4094)).as_bytes());
    whole(format!("PUB a 1{}\r\nx\r\n", " ".repeat(4093)).as_bytes());
    refused(format!("PUB {} 1\r\nx\r\n", subject(4095)).as_bytes(), ControlLineExceeded);
    refused(format!("PUB a 1{}\r\nx\r\n", " ".repeat(4094)).as_bytes(), ControlLineExceeded);
    for verb in ["PUB ", "HPUB ", "SUB ", "UNSUB ", "-ERR ", "CONNECT ", "CONNECT", "INFO", "PUB \t "] {
        refused_at_last_byte(format!("{verb}{}", subject(4097)).as_bytes(), ControlLineExceeded);
        refused_at_last_byte(format!("{verb}\r{}", subject(4096)).as_bytes(), ControlLineExceeded);
        refused_at_last_byte(format!("{verb}a\r{}", subject(4096)).as_bytes(), ControlLineExceeded);
        incomplete(format!("{verb}{}\r", subject(4096)).as_bytes());
    }
    // Before the count of arguments and before sizes.
    refused(format!("SUB {} b c d e f\r\n", subject(4097)).as_bytes(), ControlLineExceeded);
    refused(format!("PUB {} x\r\n", subject(4097)).as_bytes(), ControlLineExceeded);
    refused(format!("PUB {} 99999999\r\n", subject(4097)).as_bytes(), ControlLineExceeded);
}

#[test]
fn ignored_bytes_have_the_limit_of_the_control_line() {
    for verb in ["PING", "PONG", "+OK"] {
        whole(format!("{verb}{}\r\n", "x".repeat(4096)).as_bytes());
        refused_at_last_byte(format!("{verb}{}", "x".repeat(4097)).as_bytes(), ControlLineExceeded);
    }
    whole(format!("PUB {}a 0\r\n\r\n", " ".repeat(4096)).as_bytes());
    refused_at_last_byte(format!("PUB {}", " ".repeat(4097)).as_bytes(), ControlLineExceeded);
}

#[test]
fn an_info_of_a_client_is_json_or_a_violation() {
    assert_eq!(whole(b"INFO {\"port\":4222}\r\n"), ClientOp::Info(b"{\"port\":4222}"));
    assert_eq!(whole(b"INFO null\r\n"), ClientOp::Info(b"null"));
    for line in ["INFO garbage\r\n", "INFO\r\n", "INFO []\r\n", "INFO {} x\r\n", "INFO {\"port\":\"x\"}\r\n"]
    {
        refused_at_last_byte(line.as_bytes(), Violation);
    }
}

#[test]
fn errors_have_their_texts_and_reasons() {
    let told = [
        (UnknownOperation, Some(ProtocolError::UnknownProtocolOperation)),
        (ControlLineExceeded, Some(ProtocolError::MaximumControlLineExceeded)),
        (PayloadExceeded, Some(ProtocolError::MaximumPayloadViolation)),
    ];
    for (error, text) in told {
        assert_eq!(text.as_ref().and_then(ProtocolError::closed_reason), Some(error.closed_reason()));
        assert_eq!(error.told(), text);
    }
    assert_eq!((Violation.told(), Violation.closed_reason()), (None, ClosedReason::ProtocolViolation));
}

/// Pieces that put a stream together: verbs, blanks, line ends and arguments, most of them in the right place.
fn verb() -> impl Strategy<Value = Vec<u8>> {
    let blank =
        || prop_oneof![8 => Just(" "), 1 => Just("\t"), 1 => Just("  "), 1 => Just(""), 1 => Just("\r")];
    let word = || prop_oneof!["[a-z.*>]{1,12}", "[0-9]{1,3}", Just("a\rb".to_owned()), Just("\n".to_owned())];
    let line_end = || prop_oneof![6 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r\r\n"), 1 => Just("\r")];
    let name = prop_oneof![
        4 => Just("PUB"), 3 => Just("HPUB"), 2 => Just("SUB"), 1 => Just("UNSUB"), 1 => Just("PING"), 1 => Just("pong"),
        1 => Just("+OK"), 1 => Just("-ERR"), 1 => Just("CONNECT"), 1 => Just("INFO"), 1 => Just("Pub"), 1 => Just("HMSG"),
    ];
    let arguments = proptest::collection::vec((blank(), word()), 0..4);
    let payload = proptest::collection::vec(any::<u8>(), 0..20);
    let distance = prop_oneof![8 => Just(0_i8), 1 => -2_i8..3];
    (name, arguments, blank(), line_end(), payload, distance, any::<bool>()).prop_map(
        |(name, arguments, blank, line_end, payload, distance, json)| {
            let mut line = name.as_bytes().to_vec();
            for (blank, word) in arguments {
                line.extend_from_slice(blank.as_bytes());
                line.extend_from_slice(word.as_bytes());
            }
            line.extend_from_slice(blank.as_bytes());
            match name.to_ascii_uppercase().as_str() {
                "PUB" | "HPUB" => {
                    let size = payload.len() as i64 + i64::from(distance);
                    if name == "HPUB" {
                        line.extend_from_slice(format!(" {}", payload.len() / 2).as_bytes());
                    }
                    line.extend_from_slice(format!(" {size}{line_end}").as_bytes());
                    line.extend_from_slice(&payload);
                    line.extend_from_slice(b"\r\n");
                }
                "INFO" if json => line.extend_from_slice(format!("{{}}{line_end}").as_bytes()),
                _ => line.extend_from_slice(line_end.as_bytes()),
            }
            line
        },
    )
}

/// A stream of verbs with a few bytes changed.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 0..3);
    (proptest::collection::vec(verb(), 1..5), changes).prop_map(|(verbs, changes)| {
        let mut stream = verbs.concat();
        for (index, byte, change) in changes {
            if stream.is_empty() {
                break;
            }
            let at = index.index(stream.len());
            match change {
                0 => stream[at] = byte,
                1 => stream.insert(at, byte),
                _ => drop(stream.remove(at)),
            }
        }
        stream
    })
}

fn limits() -> impl Strategy<Value = ParseLimits> {
    let control_line_max = prop_oneof![4 => Just(4096_usize), 1 => 0_usize..40];
    let payload_max = prop_oneof![4 => Just(1_048_576_i64), 1 => -1_i64..20];
    (control_line_max, payload_max)
        .prop_map(|(control_line_max, payload_max)| ParseLimits { control_line_max, payload_max })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn streams_agree_with_the_model_whole_and_byte_by_byte(stream in stream(), limits in limits()) {
        check_parser(&stream, &limits);
    }

    #[test]
    fn any_bytes_agree_with_the_model(stream in proptest::collection::vec(any::<u8>(), 0..64), limits in limits()) {
        check_parser(&stream, &limits);
    }

    #[test]
    fn letters_of_verbs_agree_with_the_model(stream in "(pub|hpub|sub|ping|connect|info|-err|\\+ok)?[ a0-9\r\n\t]{0,40}", limits in limits()) {
        check_parser(stream.as_bytes(), &limits);
    }
}
