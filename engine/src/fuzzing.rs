//! Bodies of the fuzz targets: each takes any bytes and panics when the crate contradicts a slower, independent account
//! of the same rules. `fuzz/` runs them under libFuzzer, `fuzz/bounded` on stable; the tests below give them inputs of their form.

use crate::account::{Directory, Permissions, SubscribeVerdict};
use crate::session::authentication::{Identity, Presented, Verdict, authenticate};
use petrel_config as config;
use petrel_config::{ConnectionType, Credential, SubjectPermission};
use petrel_protocol::client::ConnectOptions;
use petrel_protocol::subject;

/// Lists of permissions and subjects that they are asked about, a line each. The first character of a line says what it
/// is: `+` and `-` allow and deny publishing, `a` and `d` subscribing (with a queue behind a blank), anything else asks.
///
/// Checked: the compiled lists agree with a look at each entry.
pub fn permissions(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut publish = SubjectPermission::default();
    let mut subscribe = SubjectPermission::default();
    let mut asked = Vec::new();
    for line in text.lines().take(40) {
        let Some((kind, rest)) = line.split_at_checked(1) else { continue };
        let mut words = rest.split_ascii_whitespace();
        let (subject, queue) = (words.next().unwrap_or_default(), words.next());
        if !subject::is_valid_subscription(subject.as_bytes()) {
            continue;
        }
        let is_entry = matches!(kind, "a" | "d");
        if is_entry && queue.is_some_and(|queue| !subject::is_valid_subscription(queue.as_bytes())) {
            // Such a file is refused.
            continue;
        }
        let entry = queue.map_or_else(|| subject.to_owned(), |queue| format!("{subject} {queue}"));
        match kind {
            "+" => publish.allow.get_or_insert_default().push(subject.to_owned()),
            "-" => publish.deny.push(subject.to_owned()),
            "a" => subscribe.allow.get_or_insert_default().push(entry),
            "d" => subscribe.deny.push(entry),
            _ => asked.push((subject.to_owned(), queue.map(str::to_owned))),
        }
    }
    let source = config::Permissions {
        publish: Some(publish.clone()),
        subscribe: Some(subscribe.clone()),
        responses: None,
    };
    let compiled = Permissions::compile(&source);
    for (subject, queue) in &asked {
        let told = compiled.may_publish(subject.as_bytes());
        assert_eq!(told, model::may_publish(&publish, subject), "PUB {subject} under {publish:?}");
        let told = compiled.subscribe(subject.as_bytes(), queue.as_deref().map(str::as_bytes));
        let expected = model::may_subscribe(&subscribe, subject, queue.as_deref());
        assert_eq!(
            told != SubscribeVerdict::Refused,
            expected,
            "SUB {subject} {queue:?} under {subscribe:?}"
        );
        if told == SubscribeVerdict::Allowed {
            // What is allowed without a filter must have nothing in it that is denied.
            for (literal, _) in asked.iter().filter(|(literal, _)| !subject::has_wildcard(literal.as_bytes()))
            {
                let is_got = subject::matches(subject.as_bytes(), literal.as_bytes());
                assert!(!(is_got && compiled.is_denied(literal.as_bytes())), "{literal} by {subject}");
            }
        }
    }
}

mod model {
    use super::SubjectPermission;

    fn covers(entry: &[&str], asked: &[&str], stars_cover_all: bool) -> bool {
        match (entry, asked) {
            ([], []) => true,
            ([">"], rest) => !rest.is_empty(),
            (["*", entry @ ..], [token, asked @ ..]) => {
                (stars_cover_all || *token != ">") && covers(entry, asked, stars_cover_all)
            }
            ([wanted, entry @ ..], [token, asked @ ..]) => {
                wanted == token && *token != ">" && covers(entry, asked, stars_cover_all)
            }
            _ => false,
        }
    }

    fn tokens(subject: &str) -> Vec<&str> {
        subject.split('.').collect()
    }

    fn entry_covers(entry: &str, asked: &str, stars_cover_all: bool) -> bool {
        covers(&tokens(entry), &tokens(asked), stars_cover_all)
    }

    pub(super) fn may_publish(list: &SubjectPermission, subject: &str) -> bool {
        let matched = |entry: &String| entry_covers(entry, subject, true);
        list.allow.as_ref().is_none_or(|allow| allow.iter().any(matched)) && !list.deny.iter().any(matched)
    }

    pub(super) fn may_subscribe(list: &SubjectPermission, subject: &str, queue: Option<&str>) -> bool {
        let split = |entry: &'_ String| match entry.split_once(' ') {
            Some((subject, queue)) => (subject.to_owned(), Some(queue.to_owned())),
            None => (entry.clone(), None),
        };
        let means = |named: &str, queue: &str| {
            named == queue || (!queue.split('.').any(str::is_empty) && entry_covers(named, queue, true))
        };
        if let Some(allow) = &list.allow {
            let fitting: Vec<_> =
                allow.iter().map(split).filter(|(s, _)| entry_covers(s, subject, false)).collect();
            let named: Vec<&String> = fitting.iter().filter_map(|(_, queue)| queue.as_ref()).collect();
            let is_allowed = match queue {
                Some(queue) if !named.is_empty() => named.iter().any(|name| means(name, queue)),
                _ => fitting.iter().any(|(_, queue)| queue.is_none()),
            };
            if !is_allowed {
                return false;
            }
        }
        !list.deny.iter().map(split).any(|(entry, named)| {
            let is_named = match (named, queue) {
                (None, _) => true,
                (Some(named), Some(queue)) => means(&named, queue),
                (Some(_), None) => false,
            };
            is_named && entry_covers(&entry, subject, true)
        })
    }
}

/// The argument of a CONNECT, to a server that knows some users.
///
/// Checked: nobody gets in who did not show what that user has to show.
pub fn login(input: &[u8]) {
    const NKEY: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
    let user = |name: &str, password: &str| config::User {
        credential: Credential::Password { name: name.into(), password: password.into() },
        permissions: None,
        connection_types: None,
    };
    let nkey = config::User { credential: Credential::Nkey(NKEY.into()), ..user("", "") };
    let mut connect = ConnectOptions::default();
    if connect.merge(input).is_err() {
        return;
    }
    for no_auth_user in [None, Some("guest"), Some(NKEY)] {
        let mut options = config::Options::default();
        options.authorization.users = Some(vec![user("a", "one"), user("guest", "two"), nkey.clone()]);
        options.no_auth_user = no_auth_user.map(str::to_owned);
        let Ok(directory) = Directory::compile(&options, None) else { unreachable!("they fit together") };
        let presented = Presented {
            connect: &connect,
            nonce: Some(b"t7JizOt0NCelYQk"),
            kind: ConnectionType::Standard,
            certificate_names: None,
        };
        let silent = connect.user.is_empty() && connect.pass.is_empty() && connect.auth_token.is_empty();
        match authenticate(&directory, &presented) {
            Verdict::Refused => {}
            Verdict::Accepted(Identity::User(user)) => {
                let password = if *user.name == *"a" { "one" } else { "two" };
                let shows_password = *connect.user == *user.name && connect.pass == password;
                let is_nobody = silent && no_auth_user == Some(&*user.name);
                let signs = *user.name == *NKEY && connect.nkey == NKEY && !connect.sig.is_empty();
                let may = if user.is_nkey() { signs } else { shows_password };
                assert!(may || is_nobody, "{connect:?} is {:?}", user.name);
            }
            verdict => panic!("{verdict:?} for {connect:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = String> {
        let token = prop_oneof![4 => "[ab]", 2 => Just("*".to_owned()), 1 => Just(">".to_owned()), 1 => "[a-c*>.]{0,3}"];
        let subject = proptest::collection::vec(token.clone(), 1..4).prop_map(|tokens| tokens.join("."));
        let queue = prop_oneof![
            2 => Just(String::new()),
            1 => proptest::collection::vec(token, 1..3).prop_map(|tokens| format!(" {}", tokens.join("."))),
        ];
        ("[-+ad?]", subject, queue).prop_map(|(kind, subject, queue)| format!("{kind}{subject}{queue}"))
    }

    fn connect() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("a"),
            Just("one"),
            Just("guest"),
            Just("two"),
            Just(""),
            Just("UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"),
            Just("k0G3L2WE-gCJsTkKdjaUaxQFSuWrrIzPrdgxUNimgrYJuwQcWSwExNqqYwk1qWG1lmacQwh1POkUvo3Zrn_vCw"),
        ];
        let field = prop_oneof![
            Just("user"),
            Just("pass"),
            Just("auth_token"),
            Just("nkey"),
            Just("sig"),
            Just("jwt"),
            Just("account"),
            Just("name"),
        ];
        proptest::collection::vec((field, word), 0..5).prop_map(|fields| {
            let fields: Vec<String> =
                fields.iter().map(|(field, word)| format!("{field:?}:{word:?}")).collect();
            format!("{{{}}}", fields.join(","))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn permissions(lines in proptest::collection::vec(line(), 0..12)) {
            super::permissions(lines.join("\n").as_bytes());
        }

        #[test]
        fn login(json in connect()) {
            super::login(json.as_bytes());
        }

        #[test]
        fn any_bytes(input in proptest::collection::vec(any::<u8>(), 0..60)) {
            super::permissions(&input);
            super::login(&input);
        }
    }
}
