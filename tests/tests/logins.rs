//! Logging in: nonces that are signed, and passwords that take their time without taking anybody else's.

use std::collections::HashSet;
use std::time::Instant;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ed25519_dalek::{Signer, SigningKey};
use petrel_tests::{Server, Wire};

/// The public key of the seed that is the bytes 0 to 31.
const NKEY: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

fn key() -> SigningKey {
    SigningKey::from_bytes(&std::array::from_fn(|index| u8::try_from(index).expect("32 bytes")))
}

/// Connects without CONNECT. Returns the nonce of INFO as well.
fn greeted(server: &Server) -> (Wire, String) {
    let mut wire = Wire::open(server.address()).expect("the server accepts a connection");
    let info = wire.take_info();
    let start = info.find("\"nonce\":\"").expect("INFO has a nonce") + 9;
    let nonce = info[start..].split('"').next().expect("a nonce ends").to_owned();
    (wire, nonce)
}

fn sign_in(wire: &mut Wire, signature: &str) {
    wire.send(format!("CONNECT {{\"verbose\":false,\"nkey\":\"{NKEY}\",\"sig\":\"{signature}\"}}\r\n"));
}

#[test]
fn who_signs_its_nonce_gets_in() {
    let server = Server::builder()
        .config(&format!(
            "authorization {{ users: [ {{ nkey: {NKEY}, permissions: {{ publish: \"x\" }} }} ] }}"
        ))
        .start();
    let (mut wire, nonce) = greeted(&server);
    sign_in(&mut wire, &BASE64URL_NOPAD.encode(&key().sign(nonce.as_bytes()).to_bytes()));
    wire.sync();
    wire.send("PUB y 1\r\n1\r\n");
    wire.expect("-ERR 'Permissions Violation for Publish to \"y\"'\r\n");
    let listed = server.monitor_json("/connz?auth=1");
    assert_eq!(listed["connections"][0]["authorized_user"], NKEY);

    let (mut standard, nonce) = greeted(&server);
    sign_in(&mut standard, &BASE64.encode(&key().sign(nonce.as_bytes()).to_bytes()));
    standard.sync();
    // It may say so again, but the nonce stays.
    sign_in(&mut standard, &BASE64.encode(&key().sign(nonce.as_bytes()).to_bytes()));
    standard.sync();

    let (mut other, other_nonce) = greeted(&server);
    assert_ne!(nonce, other_nonce);
    sign_in(&mut other, &BASE64URL_NOPAD.encode(&key().sign(nonce.as_bytes()).to_bytes()));
    other.expect("-ERR 'Authorization Violation'\r\n");
    other.expect_closed();
}

#[test]
fn no_nonce_comes_twice() {
    let server =
        Server::builder().config(&format!("authorization {{ users: [ {{ nkey: {NKEY} }} ] }}")).start();
    let nonces: HashSet<String> = (0..100).map(|_| greeted(&server).1).collect();
    assert_eq!(nonces.len(), 100);
    assert!(nonces.iter().all(|nonce| nonce.len() == 15));
}

/// A hash whose check takes some tenths of a second (cost 12, password `s3cret`): much longer than a round trip, on a machine
/// however busy.
const SLOW_HASH: &str = "$2b$12$abcdefghijklmnopqrstuuIkD3QUGeSzQARHziTZIsG4D8yrNpG.S";

#[test]
fn passwords_are_checked_while_others_go_on() {
    const CROWD: usize = 8;
    let server = Server::builder()
        .config(&format!(
            "authorization {{ timeout: 60, users: [ {{ user: slow, password: \"{SLOW_HASH}\" }}, {{ user: quick, password: q }} ] }}"
        ))
        .start();
    let mut quick = Wire::connect(server.address(), r#"{"verbose":false,"user":"quick","pass":"q"}"#);
    quick.sync();
    let mut crowd: Vec<Wire> = (0..CROWD)
        .map(|number| {
            let mut wire = Wire::open(server.address()).expect("the server accepts a connection");
            wire.take_info();
            // Each is wrong in its own way: none is spared by what another one found out.
            wire.send(format!(
                "CONNECT {{\"verbose\":false,\"user\":\"slow\",\"pass\":\"wrong {number}\"}}\r\nPING\r\n"
            ));
            wire
        })
        .collect();
    let mut right = Wire::open(server.address()).expect("the server accepts a connection");
    right.take_info();
    right.send(
        "CONNECT {\"verbose\":false,\"user\":\"slow\",\"pass\":\"s3cret\"}\r\nSUB a 1\r\nPUB a 2\r\nhi\r\n",
    );
    // Whoever had to wait for a check would be answered about once for each of them.
    let mut answers = 0;
    while crowd.iter_mut().any(|wire| wire.is_silent(0)) {
        quick.sync();
        answers += 1;
    }
    right.expect("MSG a 1 2\r\nhi\r\n");
    right.sync();
    for wire in &mut crowd {
        wire.expect("-ERR 'Authorization Violation'\r\n");
        wire.expect_closed();
    }
    println!("{answers} answers beside {CROWD} checks");
    assert!(answers > 2 * CROWD, "{answers} answers beside {CROWD} checks");
}

#[test]
fn who_was_right_once_gets_in_at_once() {
    let server = Server::builder()
        .config(&format!("authorization {{ timeout: 60, user: slow, password: \"{SLOW_HASH}\" }}"))
        .start();
    let connect = || {
        let start = Instant::now();
        let mut wire = Wire::connect(server.address(), r#"{"verbose":false,"user":"slow","pass":"s3cret"}"#);
        wire.sync();
        start.elapsed()
    };
    let first = connect();
    // The shortest: what else the machine does meanwhile is not the login's time.
    let later = (0..20).map(|_| connect()).min().expect("some logins");
    assert!(later * 2 < first, "{first:?} for the first, {later:?} for the quickest of the others");
}
