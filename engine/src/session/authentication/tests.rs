use super::*;
use petrel_config::{Account, Credential, Options};

fn connect(json: &str) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.merge(json.as_bytes()).unwrap();
    options
}

fn user(name: &str, password: &str) -> petrel_config::User {
    petrel_config::User {
        credential: Credential::Password { name: name.into(), password: password.into() },
        permissions: None,
        connection_types: None,
    }
}

fn present(directory: &Directory, json: &str) -> Verdict {
    let connect = connect(json);
    let presented =
        Presented { connect: &connect, nonce: None, kind: ConnectionType::Standard, certificate_names: None };
    authenticate(directory, &presented)
}

/// The name of who enters: `None` when nobody does.
fn enters(directory: &Directory, json: &str) -> Option<String> {
    match present(directory, json) {
        Verdict::Accepted(Identity::User(user)) => Some(user.name.to_string()),
        Verdict::Accepted(Identity::Token(_)) => Some("token".into()),
        Verdict::Accepted(Identity::Anybody) => Some("anybody".into()),
        _ => None,
    }
}

fn users(users: Vec<petrel_config::User>) -> Options {
    let mut options = Options::default();
    options.authorization.users = Some(users);
    options
}

fn compiled(options: &Options) -> Directory {
    Directory::compile(options, None).unwrap()
}

#[test]
fn a_token_must_be_equal() {
    let mut options = Options::default();
    options.authorization.token = Some("s3cret".into());
    let directory = compiled(&options);
    assert_eq!(enters(&directory, r#"{"auth_token":"s3cret"}"#).as_deref(), Some("token"));
    assert_eq!(enters(&directory, r#"{"auth_token":"s3cret","user":"x"}"#).as_deref(), Some("token"));
    for wrong in [r#"{}"#, r#"{"auth_token":"s3cre"}"#, r#"{"auth_token":"s3crets"}"#, r#"{"pass":"s3cret"}"#]
    {
        assert_eq!(enters(&directory, wrong), None, "{wrong}");
    }
}

#[test]
fn a_user_needs_its_own_password() {
    let directory = compiled(&users(vec![user("a", "one"), user("b", "two")]));
    assert_eq!(enters(&directory, r#"{"user":"b","pass":"two"}"#).as_deref(), Some("b"));
    for wrong in [
        r#"{}"#,
        r#"{"user":"b","pass":"one"}"#,
        r#"{"user":"c","pass":""}"#,
        r#"{"user":"a"}"#,
        r#"{"pass":"one"}"#,
    ] {
        assert_eq!(enters(&directory, wrong), None, "{wrong}");
    }
    assert!(compiled(&users(Vec::new())).auth_required());
    assert_eq!(enters(&compiled(&users(Vec::new())), "{}"), None);
}

#[test]
fn a_hash_is_not_compared_here() {
    let hash = "$2a$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";
    let directory = compiled(&users(vec![user("a", hash)]));
    let json = format!(r#"{{"user":"a","pass":"{hash}"}}"#);
    assert!(
        matches!(present(&directory, &json), Verdict::Check(Identity::User(_), secret) if secret.is(hash))
    );
}

#[test]
fn naming_an_account_is_refused() {
    let directory = Directory::default();
    assert_eq!(enters(&directory, r#"{"account":"A"}"#), None);
    assert_eq!(enters(&directory, r#"{"new_account":true}"#), None);
    assert_eq!(enters(&directory, r#"{"user":"zork"}"#).as_deref(), Some("anybody"));
}

#[test]
fn who_shows_nothing_is_the_no_auth_user() {
    let mut options = users(vec![user("guest", "g"), user("b", "two")]);
    options.no_auth_user = Some("guest".into());
    let directory = compiled(&options);
    assert_eq!(enters(&directory, "{}").as_deref(), Some("guest"));
    assert_eq!(enters(&directory, r#"{"user":"b","pass":"two"}"#).as_deref(), Some("b"));
    assert_eq!(enters(&directory, r#"{"nkey":"UX"}"#).as_deref(), Some("guest"), "nobody has an nkey here");
    for wrong in [r#"{"pass":"x"}"#, r#"{"auth_token":"x"}"#, r#"{"user":"guest"}"#, r#"{"user":"b"}"#] {
        assert_eq!(enters(&directory, wrong), None, "{wrong}");
    }
    assert!(directory.auth_required() && !directory.info_auth_required());
    assert!(without_connect(&directory, ConnectionType::Standard).is_some());
    options.no_auth_user = Some("nobody".into());
    let text = Directory::compile(&options, None).unwrap_err().to_string();
    assert!(text.starts_with("no_auth_user: \"nobody\" not present as user or nkey"));
}

#[test]
fn a_user_comes_by_the_connections_it_may() {
    let mut guest = user("guest", "g");
    guest.connection_types = Some(vec![ConnectionType::Websocket]);
    let mut options = users(vec![guest]);
    options.no_auth_user = Some("guest".into());
    let directory = compiled(&options);
    assert_eq!(enters(&directory, r#"{"user":"guest","pass":"g"}"#), None);
    assert_eq!(enters(&directory, "{}"), None);
    assert!(without_connect(&directory, ConnectionType::Standard).is_none());
    assert!(without_connect(&directory, ConnectionType::Websocket).is_some());
}

#[test]
fn where_only_the_system_account_has_users_anybody_enters() {
    let account =
        |name: &str| Account { name: name.into(), users: vec![user("admin", "s")], ..Account::default() };
    let mut options = Options { accounts: vec![account("$SYS")], ..Options::default() };
    let directory = compiled(&options);
    assert!(directory.auth_required() && directory.info_auth_required());
    assert_eq!(enters(&directory, "{}").as_deref(), Some("nats-anybody"));
    assert_eq!(enters(&directory, r#"{"user":"nats-anybody"}"#), None);
    let Verdict::Accepted(admin) = present(&directory, r#"{"user":"admin","pass":"s"}"#) else { panic!() };
    assert_eq!(admin.account(), directory.system());
    options.accounts.push(Account { name: "A".into(), ..Account::default() });
    assert_eq!(enters(&compiled(&options), "{}"), None);
    let options = Options { accounts: vec![account("A")], ..Options::default() };
    assert_eq!(enters(&compiled(&options), "{}"), None);
}

#[test]
fn a_certificate_names_the_user() {
    let directory = compiled(&users(vec![user("a@b.c", ""), user("host", "p")]));
    let verdict = |names: &[&str], json: &str| {
        let connect = connect(json);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate_names = Some(names.as_slice());
        let kind = ConnectionType::Standard;
        match authenticate(&directory, &Presented { connect: &connect, nonce: None, kind, certificate_names })
        {
            Verdict::Accepted(Identity::User(user)) => Some(user.name.to_string()),
            _ => None,
        }
    };
    assert_eq!(verdict(&["x", "a@b.c", "host"], "{}").as_deref(), Some("a@b.c"));
    assert_eq!(verdict(&["a@b.c"], r#"{"user":"host"}"#).as_deref(), Some("a@b.c"));
    assert_eq!(verdict(&["host"], "{}"), None);
    assert_eq!(verdict(&["host"], r#"{"pass":"p"}"#).as_deref(), Some("host"));
    assert_eq!(verdict(&[], r#"{"user":"host","pass":"p"}"#), None);
}

#[test]
fn a_reload_keeps_who_is_still_the_same() {
    let before = compiled(&users(vec![user("a", "one"), user("b", "two"), user("gone", "g")]));
    let after = compiled(&users(vec![user("a", "one"), user("b", "other")]));
    let fate_of = |name: &str, new: &Directory| {
        let identity = Identity::User(before.user(name).unwrap().clone());
        match fate(&identity, true, ConnectionType::Standard, new) {
            Fate::Stays(_) => "stays",
            Fate::Gone => "gone",
            Fate::Refused => "refused",
        }
    };
    assert_eq!(fate_of("a", &after), "stays");
    assert_eq!(fate_of("b", &after), "refused");
    assert_eq!(fate_of("gone", &after), "gone");
    assert_eq!(fate_of("a", &Directory::default()), "gone");
    let moved = Options {
        accounts: vec![Account { name: "A".into(), users: vec![user("a", "one")], ..Account::default() }],
        ..Options::default()
    };
    assert_eq!(fate_of("a", &Directory::compile(&moved, Some(&before)).unwrap()), "gone");
    let anybody = |is_named, new: &Directory| {
        matches!(fate(&Identity::Anybody, is_named, ConnectionType::Standard, new), Fate::Stays(_))
    };
    assert!(anybody(true, &Directory::default()) && !anybody(false, &after));
    let mut options = users(vec![user("guest", "g")]);
    options.no_auth_user = Some("guest".into());
    assert!(anybody(false, &compiled(&options)) && !anybody(true, &compiled(&options)));
}

mod nkeys {
    use super::*;

    const KEY: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
    /// By that key (its seed is the bytes 0 to 31) over the nonce; made with another implementation.
    const NONCE: &[u8] = b"t7JizOt0NCelYQk";
    const SIGNATURE: &str =
        "k0G3L2WE-gCJsTkKdjaUaxQFSuWrrIzPrdgxUNimgrYJuwQcWSwExNqqYwk1qWG1lmacQwh1POkUvo3Zrn_vCw";

    fn directory(no_auth_user: Option<&str>) -> Directory {
        let nkey = petrel_config::User { credential: Credential::Nkey(KEY.into()), ..user("", "") };
        let mut options = users(vec![nkey, user("u", "p")]);
        options.no_auth_user = no_auth_user.map(str::to_owned);
        compiled(&options)
    }

    fn enters(directory: &Directory, nonce: Option<&[u8]>, json: &str) -> bool {
        let connect = connect(json);
        let kind = ConnectionType::Standard;
        let presented = Presented { connect: &connect, nonce, kind, certificate_names: None };
        matches!(authenticate(directory, &presented), Verdict::Accepted(Identity::User(_)))
    }

    #[test]
    fn the_nonce_must_be_signed() {
        let directory = directory(None);
        let signed = format!(r#"{{"nkey":"{KEY}","sig":"{SIGNATURE}"}}"#);
        assert!(enters(&directory, Some(NONCE), &signed));
        assert!(!enters(&directory, Some(b"another"), &signed));
        assert!(!enters(&directory, None, &signed));
        // An nkey counts before a name, right or wrong.
        let both = format!(r#"{{"nkey":"{KEY}","sig":"{SIGNATURE}","user":"u","pass":"x"}}"#);
        assert!(enters(&directory, Some(NONCE), &both));
        for wrong in [
            format!(r#"{{"nkey":"{KEY}"}}"#),
            format!(r#"{{"nkey":"{KEY}","sig":"zz"}}"#),
            format!(r#"{{"nkey":"{KEY}","user":"u","pass":"p"}}"#),
            r#"{"nkey":"UQ","user":"u","pass":"p"}"#.into(),
        ] {
            assert!(!enters(&directory, Some(NONCE), &wrong), "{wrong}");
        }
        assert!(enters(&directory, Some(NONCE), r#"{"user":"u","pass":"p"}"#));
    }

    #[test]
    fn an_nkey_that_everybody_may_be_needs_no_signature() {
        let directory = directory(Some(KEY));
        assert!(enters(&directory, Some(NONCE), "{}"));
        assert!(enters(&directory, Some(NONCE), &format!(r#"{{"nkey":"{KEY}"}}"#)));
        assert!(!enters(&directory, Some(NONCE), r#"{"nkey":"UQ"}"#));
        assert!(!enters(&directory, Some(NONCE), r#"{"user":"u"}"#));
        assert!(without_connect(&directory, ConnectionType::Standard).is_none());
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let nkey = petrel_config::User { credential: Credential::Nkey("UZZ".into()), ..user("", "") };
        let text = Directory::compile(&users(vec![nkey]), None).unwrap_err().to_string();
        assert_eq!(text, "Not a valid public nkey for a user");
    }
}
