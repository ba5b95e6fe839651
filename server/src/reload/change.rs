//! What is different between two configurations, and whether a running server can take it.

use super::table::{ROWS, Row, Rule};
use petrel_config::{Credential, Options};
use tracing::info;

/// An option that is only read at start has changed; its name and values as upstream tells them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config reload not supported for {field}: old={old}, new={new}")]
pub struct Fixed {
    /// Upstream's name of it.
    pub field: String,
    /// What it was.
    pub old: String,
    /// What it would be.
    pub new: String,
}

/// Something that a reload changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line in the log.
    pub text: String,
}

impl Change {
    /// Says it in the log.
    pub fn announce(&self) {
        info!("{}", self.text);
    }
}

/// What a reload from `old` to `new` changes, in the order in which it is told.
///
/// # Errors
/// When an option has changed that is only read at start.
pub fn changes(old: &Options, new: &Options) -> Result<Vec<Change>, Fixed> {
    let changed: Vec<&Row> = ROWS.iter().filter(|row| row.differs(old, new)).collect();
    if let Some(row) = changed.iter().find(|row| matches!(row.rule, Rule::Fixed)) {
        let (old, new) = ((row.show)(old), (row.show)(new));
        return Err(Fixed { field: row.field.to_owned(), old, new });
    }
    check_system_account(old, new)?;
    check_no_auth_user(old, new)?;
    // What no row covers stands still: an option may not be forgotten in silence.
    let mut reached = old.clone();
    ROWS.iter().for_each(|row| (row.copy)(new, &mut reached));
    if reached != *new {
        let unknown = "another value";
        return Err(Fixed { field: "an option".into(), old: "its value".into(), new: unknown.into() });
    }
    let told = |early: bool| {
        changed.iter().filter(move |row| row.is_told_early() == early).filter_map(|row| row.line(new))
    };
    let always = ["Reloaded: authorization users", "Reloaded: accounts"].map(str::to_owned);
    Ok(told(true).chain(always).chain(told(false)).map(|text| Change { text }).collect())
}

/// Without one, an account that a reload brings would become the system account by its name.
fn check_system_account(old: &Options, new: &Options) -> Result<(), Fixed> {
    let named = |options: &Options| options.system_account_name().unwrap_or_default().to_owned();
    let (old, new) = (named(old), named(new));
    if old == new { Ok(()) } else { Err(Fixed { field: "SystemAccount".into(), old, new }) }
}

/// Clients that came without credentials are this user: it cannot be unset while the user is still there.
fn check_no_auth_user(old: &Options, new: &Options) -> Result<(), Fixed> {
    let said = |options: &Options| options.no_auth_user.clone().unwrap_or_default();
    let name = said(old);
    if name.is_empty() || !said(new).is_empty() {
        return Ok(());
    }
    let users = new.authorization.users.iter().flatten();
    let mut users = users.chain(new.accounts.iter().flat_map(|account| &account.users));
    let stays = users
        .any(|user| matches!(&user.credential, Credential::Password { name: known, .. } if *known == name));
    if stays {
        return Err(Fixed { field: "NoAuthUser".into(), old: name, new: String::new() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lines(change: impl FnOnce(&mut Options)) -> Vec<String> {
        let mut new = Options::default();
        change(&mut new);
        let changes = changes(&Options::default(), &new).unwrap();
        let always = ["Reloaded: authorization users", "Reloaded: accounts"];
        changes
            .into_iter()
            .map(|change| change.text)
            .filter(|text| !always.contains(&text.as_str()))
            .collect()
    }

    fn refusal(change: impl FnOnce(&mut Options)) -> String {
        let mut new = Options::default();
        change(&mut new);
        changes(&Options::default(), &new).unwrap_err().to_string()
    }

    #[test]
    fn refusals_read_as_upstreams() {
        for (text, expected) in [
            (refusal(|new| new.host = Some("localhost".into())), "Host: old=0.0.0.0, new=localhost"),
            (refusal(|new| new.port = Some(4999)), "Port: old=4222, new=4999"),
            (refusal(|new| new.server_name = Some("b".into())), "ServerName: old=, new=b"),
            (refusal(|new| new.subscriptions_max = Some(5)), "MaxSubs: old=0, new=5"),
            (refusal(|new| new.pending_max = Some(5)), "MaxPending: old=67108864, new=5"),
            (
                refusal(|new| new.lame_duck_duration = Some(Duration::from_secs(40))),
                "LameDuckDuration: old=2m0s, new=40s",
            ),
            (refusal(|new| new.no_header_support = true), "NoHeaderSupport: old=false, new=true"),
            (refusal(|new| new.log.size_limit = Some(9)), "LogSizeLimit: old=0, new=9"),
            (refusal(|new| new.system_account = Some("X".into())), "SystemAccount: old=, new=X"),
            (refusal(|new| new.system_account = Some("$SYS".into())), "SystemAccount: old=, new=$SYS"),
        ] {
            assert_eq!(text, format!("config reload not supported for {expected}"));
        }
    }

    #[test]
    fn a_reload_makes_no_system_account() {
        let account = |name: &str| petrel_config::Account { name: name.into(), ..Default::default() };
        let old = Options { no_system_account: true, accounts: vec![account("A")], ..Options::default() };
        let new = Options { accounts: vec![account("A"), account("$SYS")], ..old.clone() };
        let refused = "config reload not supported for SystemAccount: old=, new=$SYS";
        assert_eq!(changes(&old, &new).unwrap_err().to_string(), refused);
        assert!(changes(&new, &new).is_ok());
    }

    #[test]
    fn lines_read_as_upstreams() {
        for (lines, expected) in [
            (lines(|new| new.log.debug = Some(true)), vec!["Reloaded: debug = true"]),
            (
                lines(|new| new.log.trace_headers = Some(true)),
                vec!["Reloaded: trace = true", "Reloaded: trace_headers = true"],
            ),
            (lines(|new| new.connections_max = Some(0)), vec!["Reloaded: max_connections = -1"]),
            (lines(|new| new.client_advertise = Some("x:1".into())), vec!["Reload: client_advertise = x:1"]),
            (
                lines(|new| new.no_fast_producer_stall = true),
                vec!["Reloaded: fast producers will not be stalled"],
            ),
            (
                lines(|new| new.ping_interval = Some(Duration::from_secs(3))),
                vec!["Reloaded: ping_interval = 3s"],
            ),
            (
                lines(|new| new.authorization.token = Some("s3cret".into())),
                vec!["Reloaded: authorization token"],
            ),
        ] {
            assert_eq!(lines, expected);
        }
    }

    #[test]
    fn what_is_said_only_in_other_words_is_no_change() {
        let mut new = Options { port: Some(4222), ping_max: Some(2), ..Options::default() };
        new.log.time = Some(true);
        assert_eq!(changes(&Options::default(), &new).unwrap().len(), 2);
    }

    #[test]
    fn the_user_without_credentials_stays_while_it_is_known() {
        let user = |name: &str| petrel_config::User {
            credential: Credential::Password { name: name.into(), password: "p".into() },
            permissions: None,
            connection_types: None,
        };
        let mut old = Options { no_auth_user: Some("x".into()), ..Options::default() };
        old.authorization.users = Some(vec![user("x")]);
        let mut new = Options { no_auth_user: None, ..old.clone() };
        let refused = changes(&old, &new).unwrap_err();
        assert_eq!(refused.to_string(), "config reload not supported for NoAuthUser: old=x, new=");
        new.authorization.users = Some(vec![user("z")]);
        assert!(changes(&old, &new).is_ok());
    }
}
