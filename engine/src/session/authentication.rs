//! Whether a CONNECT may enter.

use crate::options::Authorization;
use petrel_protocol::client::ConnectOptions;

/// Who a client turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user's name, when it logged in with one.
    pub(crate) user: Option<String>,
}

/// Checks the credentials of a CONNECT. `None`: refused, whatever the cause; the client is not told which.
pub(crate) fn authenticate(authorization: &Authorization, connect: &ConnectOptions) -> Option<Identity> {
    // An account in CONNECT is a relic; upstream refuses any use of it.
    if !connect.account.is_empty() || connect.new_account {
        return None;
    }
    match authorization {
        Authorization::Open => Some(Identity { user: None }),
        Authorization::Token(token) => {
            is_equal(token.as_bytes(), connect.auth_token.as_bytes()).then_some(Identity { user: None })
        }
        Authorization::Users(users) => {
            let user = users.iter().find(|user| user.name == connect.user);
            // An unknown user costs the same comparison as a known one.
            let password = user.map_or("", |user| user.password.as_str());
            let matches = is_equal(password.as_bytes(), connect.pass.as_bytes());
            user.filter(|_| matches).map(|user| Identity { user: Some(user.name.clone()) })
        }
    }
}

/// Compares secrets in a time that depends on the length of what was presented only.
fn is_equal(secret: &[u8], presented: &[u8]) -> bool {
    let mut difference = usize::from(secret.len() != presented.len());
    for (index, byte) in presented.iter().enumerate() {
        let expected = secret.get(index).copied().unwrap_or(0);
        difference |= usize::from(std::hint::black_box(expected ^ byte));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::User;

    fn connect(json: &str) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        options.merge(json.as_bytes()).unwrap();
        options
    }

    #[test]
    fn a_token_must_be_equal() {
        let authorization = Authorization::Token("s3cret".into());
        assert!(authenticate(&authorization, &connect(r#"{"auth_token":"s3cret"}"#)).is_some());
        for wrong in
            [r#"{}"#, r#"{"auth_token":"s3cre"}"#, r#"{"auth_token":"s3crets"}"#, r#"{"pass":"s3cret"}"#]
        {
            assert!(authenticate(&authorization, &connect(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_user_needs_its_own_password() {
        let user = |name: &str, password: &str| User { name: name.into(), password: password.into() };
        let authorization = Authorization::Users(vec![user("a", "one"), user("b", "two")]);
        let identity = authenticate(&authorization, &connect(r#"{"user":"b","pass":"two"}"#)).unwrap();
        assert_eq!(identity.user.as_deref(), Some("b"));
        for wrong in [
            r#"{}"#,
            r#"{"user":"b","pass":"one"}"#,
            r#"{"user":"c","pass":""}"#,
            r#"{"user":"a"}"#,
            r#"{"pass":"one"}"#,
        ] {
            assert!(authenticate(&authorization, &connect(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn naming_an_account_is_refused() {
        assert!(authenticate(&Authorization::Open, &connect(r#"{"account":"A"}"#)).is_none());
        assert!(authenticate(&Authorization::Open, &connect(r#"{"new_account":true}"#)).is_none());
    }
}
