//! What a subject asks for.

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked<'s> {
    /// An endpoint of this server, or what it is to do.
    Server(&'s str),
    /// An endpoint of an account.
    Account {
        /// The account.
        name: &'s str,
        /// The endpoint.
        endpoint: &'s str,
    },
    /// The counters of all accounts.
    AllAccounts,
    /// Who the asker is.
    User,
    /// How many subscribers a subject has.
    Subscribers,
    /// Nothing that is known.
    Nothing,
}

/// Reads a subject. Accounts may have dots in their names.
pub fn asked(subject: &str) -> Asked<'_> {
    if let Some(rest) = subject.strip_prefix("$SYS.REQ.SERVER.") {
        return match rest.split_once('.') {
            None if rest == "PING" => Asked::Server("STATSZ"),
            None => Asked::Nothing,
            Some((_, endpoint)) => Asked::Server(endpoint),
        };
    }
    if let Some(rest) = subject.strip_prefix("$SYS.REQ.ACCOUNT.") {
        return match rest {
            "PING.STATZ" => Asked::AllAccounts,
            "NSUBS" => Asked::Subscribers,
            _ => match rest.rsplit_once('.') {
                Some((name, endpoint)) => Asked::Account { name, endpoint },
                None => Asked::Nothing,
            },
        };
    }
    match subject {
        "$SYS.DEBUG.SUBSCRIBERS" => Asked::Subscribers,
        _ if subject.starts_with("$SYS.REQ.USER.") && subject.ends_with("INFO") => Asked::User,
        _ => Asked::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart() {
        for (subject, expected) in [
            ("$SYS.REQ.SERVER.PING", Asked::Server("STATSZ")),
            ("$SYS.REQ.SERVER.PING.VARZ", Asked::Server("VARZ")),
            ("$SYS.REQ.SERVER.NABC.KICK", Asked::Server("KICK")),
            ("$SYS.REQ.ACCOUNT.PING.STATZ", Asked::AllAccounts),
            ("$SYS.REQ.ACCOUNT.A.CONNZ", Asked::Account { name: "A", endpoint: "CONNZ" }),
            ("$SYS.REQ.USER.INFO", Asked::User),
            ("$SYS.REQ.USER.A.INFO", Asked::User),
            ("$SYS.DEBUG.SUBSCRIBERS", Asked::Subscribers),
            ("$SYS.REQ.ACCOUNT.NSUBS", Asked::Subscribers),
            ("$SYS.REQ.SERVER.x", Asked::Nothing),
            ("a.b", Asked::Nothing),
        ] {
            assert_eq!(asked(subject), expected, "{subject}");
        }
    }
}
