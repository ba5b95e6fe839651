//! What a client may know of itself (`$SYS.REQ.USER.INFO`).

use super::envelope::Outcome;
use crate::monitor::varz::nanoseconds;
use crate::monitor::{About, Monitor, json};
use petrel_config::{Permissions, ResponsePermission, SubjectPermission, User};
use petrel_engine::ConnectionQuery;
use serde::Serialize;

#[derive(Serialize)]
struct UserInfo<'a> {
    user: &'a str,
    account: &'a str,
    account_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<ShownPermissions<'a>>,
}

#[derive(Serialize)]
struct ShownPermissions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<ShownSubjects<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<ShownSubjects<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    responses: Option<ShownResponses>,
}

#[derive(Serialize)]
struct ShownSubjects<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allow: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    deny: &'a [String],
}

#[derive(Serialize)]
struct ShownResponses {
    max: i64,
    ttl: i64,
}

/// What a connection may know of itself.
pub fn user_info(monitor: &Monitor, cid: u64) -> Outcome {
    let query = ConnectionQuery { open: true, cid: Some(cid), ..ConnectionQuery::default() };
    let found = monitor.inquiry().connections(&query);
    // It may be gone by now: then nobody waits for an answer.
    let Some(connection) = found.first() else { return Outcome::Silent };
    let about = monitor.about();
    let user = connection.user.as_deref().unwrap_or("");
    Outcome::Data(json::compact(&UserInfo {
        user,
        account: &connection.account,
        account_name: &connection.account,
        permissions: permissions(&about, user, &connection.account).map(shown),
    }))
}

/// What is configured for a user, or for users of its account.
fn permissions<'a>(about: &'a About, user: &str, account: &str) -> Option<&'a Permissions> {
    let options = &about.options;
    let configured = options.accounts.iter().find(|configured| configured.name == account);
    let (users, default): (&[User], _) = match configured {
        Some(configured) => (&configured.users, &configured.default_permissions),
        None => (
            options.authorization.users.as_deref().unwrap_or_default(),
            &options.authorization.default_permissions,
        ),
    };
    let own = users.iter().find(|configured| configured.name() == user);
    own.and_then(|user| user.permissions.as_ref()).or(default.as_ref())
}

fn shown(permissions: &Permissions) -> ShownPermissions<'_> {
    fn subjects(permission: &SubjectPermission) -> ShownSubjects<'_> {
        ShownSubjects { allow: permission.allow.as_deref().unwrap_or_default(), deny: &permission.deny }
    }
    // Upstream's numbers for "no limit" are negative.
    let responses = |permission: ResponsePermission| ShownResponses {
        max: permission.max.map_or(-1, i64::from),
        ttl: permission.expires.map_or(-1, |time| i64::try_from(nanoseconds(time)).unwrap_or(i64::MAX)),
    };
    ShownPermissions {
        publish: permissions.publish.as_ref().map(subjects),
        subscribe: permissions.subscribe.as_ref().map(subjects),
        responses: permissions.responses.map(responses),
    }
}
