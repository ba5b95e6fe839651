//! What the server is asked on, and where it tells.

/// Endpoints of a server.
const SERVER_ENDPOINTS: &[&str] = &[
    "IDZ",
    "STATSZ",
    "VARZ",
    "SUBSZ",
    "CONNZ",
    "ROUTEZ",
    "GATEWAYZ",
    "LEAFZ",
    "ACCOUNTZ",
    "JSZ",
    "HEALTHZ",
    "PROFILEZ",
    "EXPVARZ",
    "IPQUEUESZ",
    "RAFTZ",
];
/// What one server is told to do.
const SERVER_ORDERS: &[&str] = &["RELOAD", "KICK", "LDM"];
/// Endpoints of an account.
const ACCOUNT_ENDPOINTS: &[&str] = &["SUBSZ", "CONNZ", "LEAFZ", "JSZ", "INFO", "STATZ", "CONNS"];

/// The subjects of the server's own subscriptions. One each, not patterns: whoever asks for something else is to
/// hear that nobody is there.
pub(super) fn subscribed(server_id: &str) -> Vec<String> {
    let mut subjects = vec!["$SYS.REQ.SERVER.PING".to_owned()];
    for endpoint in SERVER_ENDPOINTS {
        subjects.push(format!("$SYS.REQ.SERVER.PING.{endpoint}"));
        subjects.push(format!("$SYS.REQ.SERVER.{server_id}.{endpoint}"));
    }
    subjects.extend(SERVER_ORDERS.iter().map(|order| format!("$SYS.REQ.SERVER.{server_id}.{order}")));
    subjects.extend(ACCOUNT_ENDPOINTS.iter().map(|endpoint| format!("$SYS.REQ.ACCOUNT.*.{endpoint}")));
    for subject in
        ["$SYS.REQ.ACCOUNT.NSUBS", "$SYS.REQ.USER.INFO", "$SYS.REQ.USER.*.INFO", "$SYS.DEBUG.SUBSCRIBERS"]
    {
        subjects.push(subject.to_owned());
    }
    subjects
}

/// An event of an account's client.
pub(super) fn client_event(account: &str, event: &str) -> String {
    format!("$SYS.ACCOUNT.{account}.{event}")
}

/// Where the number of an account's connections is told.
pub(super) fn connection_counts(account: &str) -> [String; 2] {
    [format!("$SYS.SERVER.ACCOUNT.{account}.CONNS"), format!("$SYS.ACCOUNT.{account}.SERVER.CONNS")]
}

/// Where refused logins are told in the system account.
pub(super) fn login_refused(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.CLIENT.AUTH.ERR")
}

/// Where refused logins are told in the account concerned.
pub(super) const LOGIN_REFUSED: &str = "$SYS.ACCOUNT.CLIENT.AUTH.ERR";

#[cfg(test)]
mod tests {
    use super::subscribed;

    #[test]
    fn no_subject_is_subscribed_to_twice() {
        let mut subjects = subscribed("ID");
        subjects.sort_unstable();
        let count = subjects.len();
        subjects.dedup();
        assert_eq!(subjects.len(), count);
        assert!(
            subjects
                .iter()
                .all(|subject| petrel_protocol::subject::is_valid_subscription(subject.as_bytes()))
        );
    }
}
