//! The options of CONNECT.

use super::json::{self, Outcome, Reader};

/// What a client says about itself. Absent fields keep upstream's defaults: verbose, pedantic and echo are
/// true until a CONNECT says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ConnectOptions {
    pub verbose: bool,
    pub pedantic: bool,
    pub echo: bool,
    pub tls_required: bool,
    pub headers: bool,
    pub no_responders: bool,
    pub protocol: i64,
    pub name: String,
    pub lang: String,
    pub version: String,
    pub user: String,
    pub pass: String,
    pub auth_token: String,
    pub nkey: String,
    pub jwt: String,
    pub sig: String,
    pub proxy_sig: String,
    pub account: String,
    pub new_account: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            verbose: true,
            pedantic: true,
            echo: true,
            tls_required: false,
            headers: false,
            no_responders: false,
            protocol: 0,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            user: String::new(),
            pass: String::new(),
            auth_token: String::new(),
            nkey: String::new(),
            jwt: String::new(),
            sig: String::new(),
            proxy_sig: String::new(),
            account: String::new(),
            new_account: false,
        }
    }
}

/// The argument of CONNECT is not a JSON object of the right types: closed without a word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid CONNECT: {0}")]
pub struct ConnectError(pub String);

impl ConnectOptions {
    /// Parses the argument of CONNECT onto these options: fields it does not name keep their value (a second
    /// CONNECT changes what it names). Names match in any case, as in Go; unknown ones are ignored.
    ///
    /// # Errors
    /// When it is not a JSON object, or a known field has another type.
    pub fn merge(&mut self, json: &[u8]) -> Result<(), ConnectError> {
        json::document(json, |name, value| self.merge_field(name, value))
            .map_err(|error| ConnectError(format!("{} at byte {}", error.what, error.offset)))
    }

    fn merge_field(&mut self, name: &str, value: &mut Reader<'_>) -> Outcome<()> {
        match name {
            "verbose" => set(&mut self.verbose, value.boolean()?),
            "pedantic" => set(&mut self.pedantic, value.boolean()?),
            "echo" => set(&mut self.echo, value.boolean()?),
            "tls_required" => set(&mut self.tls_required, value.boolean()?),
            "headers" => set(&mut self.headers, value.boolean()?),
            "no_responders" => set(&mut self.no_responders, value.boolean()?),
            "new_account" => set(&mut self.new_account, value.boolean()?),
            "protocol" => {
                let protocol = value.integer(i128::from(i64::MIN)..=i128::from(i64::MAX))?;
                set(&mut self.protocol, protocol.and_then(|protocol| i64::try_from(protocol).ok()));
            }
            "name" => set(&mut self.name, value.string()?),
            "lang" => set(&mut self.lang, value.string()?),
            "version" => set(&mut self.version, value.string()?),
            "user" => set(&mut self.user, value.string()?),
            "pass" => set(&mut self.pass, value.string()?),
            "auth_token" => set(&mut self.auth_token, value.string()?),
            "nkey" => set(&mut self.nkey, value.string()?),
            "jwt" => set(&mut self.jwt, value.string()?),
            "sig" => set(&mut self.sig, value.string()?),
            "proxy_sig" => set(&mut self.proxy_sig, value.string()?),
            "account" => set(&mut self.account, value.string()?),
            // Routes and leafnodes send these; from a client only their types count.
            "import" | "export" => return json::subject_permission(value),
            "remote_account" => return value.string().map(drop),
            _ => return value.skip_value(),
        }
        Ok(())
    }
}

/// `null` leaves a field as it was.
fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(json: &[u8]) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        options.merge(json).unwrap_or_else(|error| panic!("{error}: {}", json.escape_ascii()));
        options
    }

    fn refused(json: &[u8]) -> bool {
        ConnectOptions::default().merge(json).is_err()
    }

    #[test]
    fn what_a_client_library_sends_is_taken() {
        let options = merged(
            br#"{"verbose":false,"pedantic":false,"tls_required":true,"echo":false,"headers":true,
            "no_responders":true,"protocol":1,"name":"n","lang":"rust","version":"1.2.3","user":"u","pass":"p",
            "auth_token":"t","nkey":"U","jwt":"e.y.J","sig":"s","proxy_sig":"x","account":"A","new_account":true}"#,
        );
        let expected = ConnectOptions {
            verbose: false,
            pedantic: false,
            echo: false,
            tls_required: true,
            headers: true,
            no_responders: true,
            protocol: 1,
            name: "n".into(),
            lang: "rust".into(),
            version: "1.2.3".into(),
            user: "u".into(),
            pass: "p".into(),
            auth_token: "t".into(),
            nkey: "U".into(),
            jwt: "e.y.J".into(),
            sig: "s".into(),
            proxy_sig: "x".into(),
            account: "A".into(),
            new_account: true,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn absent_and_null_fields_keep_their_value() {
        assert_eq!(merged(b"{}"), ConnectOptions::default());
        assert_eq!(merged(b"null"), ConnectOptions::default());
        let mut options = merged(br#"{"verbose":false,"name":"first","headers":true}"#);
        options.merge(br#"{"verbose":null,"name":null,"echo":false}"#).unwrap();
        assert!(!options.verbose && options.headers && !options.echo && options.pedantic);
        assert_eq!(options.name, "first");
    }

    #[test]
    fn names_match_in_any_case_and_the_last_counts() {
        assert!(!merged(br#"{"VERBOSE":false}"#).verbose);
        assert!(!merged("{\"verbo\u{17f}e\":false}".as_bytes()).verbose);
        assert!(merged(br#"{"verbose":false,"Verbose":true}"#).verbose);
        assert!(!merged(br#"{"Verbose":true,"verbose":false}"#).verbose);
        assert_eq!(merged(br#"{"\u006eame":"z"}"#).name, "z");
    }

    #[test]
    fn unknown_fields_are_skipped_whatever_they_hold() {
        assert_eq!(merged(br#"{"zork":[1,{"a":[]},null],"name":"ok","features":5}"#).name, "ok");
    }

    #[test]
    fn another_type_is_refused() {
        let fields = [
            "verbose",
            "pedantic",
            "echo",
            "tls_required",
            "headers",
            "no_responders",
            "new_account",
            "name",
            "lang",
            "version",
            "user",
            "pass",
            "auth_token",
            "nkey",
            "jwt",
            "sig",
            "proxy_sig",
            "account",
            "import",
            "export",
            "remote_account",
        ];
        for field in fields {
            assert!(refused(format!("{{\"{field}\":5}}").as_bytes()), "{field}");
        }
        let texts = [
            r#"{"protocol":1.0}"#,
            r#"{"protocol":1e0}"#,
            r#"{"protocol":"1"}"#,
            r#"{"protocol":true}"#,
            r#"{"protocol":99999999999999999999}"#,
            r#"{"verbose":"false"}"#,
            r#"{"import":{"Allow":5}}"#,
            r#"{"import":{"allow":[5]}}"#,
            r#"{"export":[]}"#,
            "[]",
            "",
            "\r",
            r#"{"name":"a","verbose":5,"lang":"x"}"#,
        ];
        for text in texts {
            assert!(refused(text.as_bytes()), "{text}");
        }
        assert_eq!(
            merged(br#"{"import":{"allow":["x"],"deny":null,"subject":5},"export":null}"#),
            merged(b"{}")
        );
        assert_eq!(merged(br#"{"protocol":9223372036854775807}"#).protocol, i64::MAX);
    }
}
