//! Whether a CONNECT may enter.

use crate::account::{AccountId, Directory, Proof};
use petrel_protocol::client::ConnectOptions;

/// Who a client turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user's name, when it logged in with one.
    pub(crate) user: Option<String>,
    /// Where it is.
    pub(crate) account: AccountId,
}

/// Checks the credentials of a CONNECT. `None`: refused, whatever the cause; the client is not told which. A list of
/// users goes before a token, as upstream looks at them; the file alone cannot say both, but the command line can add
/// one.
pub(crate) fn authenticate(directory: &Directory, connect: &ConnectOptions) -> Option<Identity> {
    // An account in CONNECT is a relic; upstream refuses any use of it.
    if !connect.account.is_empty() || connect.new_account {
        return None;
    }
    let anybody = Identity { user: None, account: AccountId::GLOBAL };
    if !directory.auth_required() {
        return Some(anybody);
    }
    if directory.has_users() {
        let user = directory.user(&connect.user)?;
        let matches = matches!(&user.proof, Proof::Password(password) if password.is(&connect.pass));
        return matches.then(|| Identity { user: Some(user.name.to_string()), account: user.account });
    }
    directory.token().filter(|token| token.is(&connect.auth_token)).map(|_| anybody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_config::{Credential, Options, User};

    fn connect(json: &str) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        options.merge(json.as_bytes()).unwrap();
        options
    }

    #[test]
    fn a_token_must_be_equal() {
        let mut options = Options::default();
        options.authorization.token = Some("s3cret".into());
        let directory = Directory::compile(&options, None).unwrap();
        assert!(authenticate(&directory, &connect(r#"{"auth_token":"s3cret"}"#)).is_some());
        for wrong in
            [r#"{}"#, r#"{"auth_token":"s3cre"}"#, r#"{"auth_token":"s3crets"}"#, r#"{"pass":"s3cret"}"#]
        {
            assert!(authenticate(&directory, &connect(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_user_needs_its_own_password() {
        let user = |name: &str, password: &str| User {
            credential: Credential::Password { name: name.into(), password: password.into() },
            permissions: None,
            connection_types: None,
        };
        let mut options = Options::default();
        options.authorization.users = Some(vec![user("a", "one"), user("b", "two")]);
        let directory = Directory::compile(&options, None).unwrap();
        let identity = authenticate(&directory, &connect(r#"{"user":"b","pass":"two"}"#)).unwrap();
        assert_eq!(identity.user.as_deref(), Some("b"));
        for wrong in [
            r#"{}"#,
            r#"{"user":"b","pass":"one"}"#,
            r#"{"user":"c","pass":""}"#,
            r#"{"user":"a"}"#,
            r#"{"pass":"one"}"#,
        ] {
            assert!(authenticate(&directory, &connect(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn naming_an_account_is_refused() {
        let directory = Directory::default();
        assert!(authenticate(&directory, &connect(r#"{"account":"A"}"#)).is_none());
        assert!(authenticate(&directory, &connect(r#"{"new_account":true}"#)).is_none());
    }
}
