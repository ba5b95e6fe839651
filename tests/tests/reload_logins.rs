//! What a reload makes of the clients that are connected.

use petrel_tests::{Server, Wire};

const OPTIONS: &str = "\"verbose\":false,\"pedantic\":false";

fn connect(server: &Server, user: &str, password: &str) -> Wire {
    Wire::connect(server.address(), &format!("{{{OPTIONS},\"user\":\"{user}\",\"pass\":\"{password}\"}}"))
}

#[test]
fn who_may_not_be_here_any_more_is_closed() {
    let config = |users: &str| format!("authorization {{ users: [ {users} ] }}");
    let mut server = Server::builder()
        .config(&config(
            "{ user: same, password: s }, { user: changed, password: c }, { user: gone, password: g }",
        ))
        .start();
    let mut same = connect(&server, "same", "s");
    let mut changed = connect(&server, "changed", "c");
    let mut gone = connect(&server, "gone", "g");
    server.reload(&config("{ user: same, password: s }, { user: changed, password: other }"));
    changed.expect("-ERR 'Authorization Violation'\r\n");
    changed.expect_closed();
    gone.expect_closed();
    same.sync();
    connect(&server, "changed", "other").sync();
}

#[test]
fn permissions_change_at_once() {
    let config = |publish: &str, subscribe: &str| {
        format!(
            "authorization {{ users: [ {{ user: a, password: a }}, {{ user: b, password: b, permissions: {{ \
             publish: \"{publish}\", subscribe: {subscribe} }} }} ] }}"
        )
    };
    let mut server = Server::builder().config(&config("x", "\">\"")).start();
    let mut free = connect(&server, "a", "a");
    let mut bound = connect(&server, "b", "b");
    bound.send("SUB foo 1\r\nSUB bar qq 2\r\nSUB in.* 3\r\n");
    bound.sync();
    server.reload(&config("y", "{ allow: \"in.>\", deny: \"in.no\" }"));
    bound.expect("-ERR 'Permissions Violation for Subscription to \"foo\" (sid \"1\")'\r\n");
    bound.expect(
        "-ERR 'Permissions Violation for Subscription to \"bar\" using queue \"qq\" (sid \"2\")'\r\n",
    );
    bound.send("PUB x 1\r\n1\r\n");
    bound.expect("-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
    free.send("PUB foo 1\r\n1\r\nPUB in.no 1\r\n2\r\nPUB in.yes 1\r\n3\r\n");
    free.sync();
    bound.expect("MSG in.yes 3 1\r\n3\r\n");
    bound.sync();
    assert!(server.log().contains("Removed sub \"foo\" (sid \"1\") for User \"b\" - not authorized"));
}

#[test]
fn a_user_who_moves_to_another_account_is_closed() {
    let config = |first: &str, second: &str| {
        format!("accounts {{ A {{ users: [ {first} ] }}, B {{ users: [ {second} ] }} }}")
    };
    let user = |name: &str| format!("{{ user: {name}, password: p }}");
    let mut server = Server::builder().config(&config(&user("m"), &user("b"))).start();
    let mut moves = connect(&server, "m", "p");
    let mut stays = connect(&server, "b", "p");
    server.reload(&config(&user("x"), &[user("b"), user("m")].join(", ")));
    moves.expect_closed();
    stays.sync();
}

#[test]
fn a_token_that_comes_or_changes_closes_who_does_not_know_it() {
    let mut server = Server::builder().start();
    let mut anybody = Wire::connect(server.address(), &format!("{{{OPTIONS}}}"));
    server.reload("authorization { token: first }");
    anybody.expect("-ERR 'Authorization Violation'\r\n");
    anybody.expect_closed();
    let knows = format!("{{{OPTIONS},\"auth_token\":\"first\"}}");
    let mut knowing = Wire::connect(server.address(), &knows);
    server.reload("max_payload: 77\nauthorization { token: first }");
    knowing.sync();
    knowing.send("PUB x 78\r\n");
    knowing.expect("-ERR 'Maximum Payload Violation'\r\n");
    knowing.expect_closed();
    let mut knowing = Wire::connect(server.address(), &knows);
    server.reload("authorization { token: second }");
    knowing.expect("-ERR 'Authorization Violation'\r\n");
    knowing.expect_closed();
}

/// Which of some connections are open still: the others were told why.
fn left(wires: &mut [Wire], error: &str) -> usize {
    let mut open = 0;
    for wire in wires {
        wire.send("PING\r\n");
        match wire.take_line().as_str() {
            "PONG" => open += 1,
            line => assert_eq!(line, format!("-ERR '{error}'")),
        }
    }
    open
}

#[test]
fn a_lower_limit_of_an_account_ends_as_many_as_are_too_many() {
    let config = |limit: u32| {
        format!(
            "accounts {{ A {{ limits: {{ max_connections: {limit} }}, users: [ {{ user: a, password: a }} ] }} }}"
        )
    };
    let mut server = Server::builder().config(&config(6)).start();
    let mut wires: Vec<Wire> = (0..6).map(|_| connect(&server, "a", "a")).collect();
    server.reload(&config(2));
    assert_eq!(left(&mut wires, "maximum account active connections exceeded"), 2);
}

#[test]
fn a_limit_that_an_account_gets_counts_who_is_there() {
    let config =
        |limits: &str| format!("accounts {{ A {{ {limits} users: [ {{ user: a, password: a }} ] }} }}");
    let mut server = Server::builder().config(&config("")).start();
    let mut wires: Vec<Wire> = (0..5).map(|_| connect(&server, "a", "a")).collect();
    server.reload(&config("limits: { max_connections: 3 },"));
    assert_eq!(left(&mut wires, "maximum account active connections exceeded"), 3);
}

#[test]
fn a_lower_limit_of_connections_ends_as_many_as_are_too_many() {
    let mut server = Server::builder().start();
    let mut wires: Vec<Wire> =
        (0..5).map(|_| Wire::connect(server.address(), &format!("{{{OPTIONS}}}"))).collect();
    server.reload("max_connections: 3");
    assert_eq!(left(&mut wires, "maximum connections exceeded"), 3);
}
