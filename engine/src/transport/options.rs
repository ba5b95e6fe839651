//! TLS as the engine is told of it.

use super::certificate::{CertificateNames, FoundBy};
use super::distinguished_name::DistinguishedName;
use super::{ConnectionRate, SecureChannels};
use petrel_config::HandshakeFirst;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// TLS of the clients. New connections follow the newest; those that are open keep theirs, but for the pins.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Where channels come from.
    pub channels: Arc<dyn SecureChannels>,
    /// Nobody is taken without TLS.
    pub required: bool,
    /// When TLS begins.
    pub first: HandshakeFirst,
    /// How long a handshake may take.
    pub timeout: Duration,
    /// The certificate says which user a client is.
    pub maps_certificates: bool,
    /// Digests of public keys (SHA-256 of SubjectPublicKeyInfo) of which a client's certificate must have one. `None`:
    /// any. Handshakes are checked, and open connections when this changes.
    pub pinned: Option<BTreeSet<[u8; 32]>>,
    /// How many may begin a second; `None`: any number.
    pub rate: Option<Arc<ConnectionRate>>,
    /// Users whose name is a distinguished name.
    pub users_by_subject: SubjectIndex,
}

/// Finds users by a subject, whatever the order of its parts.
#[derive(Clone, Debug, Default)]
pub struct SubjectIndex {
    by_parts: BTreeMap<DistinguishedName, Vec<(DistinguishedName, String)>>,
}

impl SubjectIndex {
    /// The users among these whose name is a distinguished name.
    pub fn new<'n>(users: impl Iterator<Item = &'n str>) -> SubjectIndex {
        let mut index = SubjectIndex::default();
        for user in users {
            if let Some(name) = DistinguishedName::parse(user) {
                index.by_parts.entry(name.sorted()).or_default().push((name, user.to_owned()));
            }
        }
        index
    }

    /// The user with this subject: one with the same order goes before one with another.
    fn find(&self, subject: &DistinguishedName) -> Option<&str> {
        let users = self.by_parts.get(&subject.sorted())?;
        let same = users.iter().find(|(name, _)| name == subject).or_else(|| users.first());
        same.map(|(_, user)| user.as_str())
    }
}

impl TlsOptions {
    /// The user that a certificate stands for (reference: security.md, section 4). `is_user` knows all names.
    pub fn user_of(
        &self,
        names: &CertificateNames,
        is_user: impl Fn(&str) -> bool,
    ) -> Option<(String, FoundBy)> {
        let one_of =
            |names: &[String], by| names.iter().find(|name| is_user(name)).map(|name| (name.clone(), by));
        let by_subject = || {
            let user = self.users_by_subject.find(names.subject.as_ref()?)?;
            Some((user.to_owned(), FoundBy::Subject))
        };
        one_of(&names.emails, FoundBy::Email)
            .or_else(|| one_of(&names.dns_names, FoundBy::DnsName))
            .or_else(|| one_of(&names.uris, FoundBy::Uri))
            .or_else(by_subject)
            .or_else(|| one_of(names.text_with_components.as_slice(), FoundBy::Subject))
            .or_else(|| one_of(std::slice::from_ref(&names.text), FoundBy::Text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ChannelError, SecureChannel};

    #[derive(Debug)]
    struct None;

    impl SecureChannels for None {
        fn channel(&self) -> Result<Box<dyn SecureChannel>, ChannelError> {
            Err(ChannelError("none".into()))
        }
    }

    fn mapped(users: &[&str]) -> Option<String> {
        let options = TlsOptions {
            channels: Arc::new(None),
            required: true,
            first: HandshakeFirst::No,
            timeout: Duration::from_secs(2),
            maps_certificates: true,
            pinned: Option::None,
            rate: Option::None,
            users_by_subject: SubjectIndex::new(users.iter().copied()),
        };
        let names = CertificateNames {
            emails: vec!["bob@example.com".into()],
            dns_names: vec!["app.example.com".into()],
            uris: vec!["spiffe://x/y".into()],
            subject: DistinguishedName::parse("CN=app,OU=Unit,O=Org"),
            text_with_components: Option::None,
            text: "CN=app,OU=Unit,O=Org".into(),
        };
        options.user_of(&names, |name| users.contains(&name)).map(|(user, _)| user)
    }

    #[test]
    fn the_first_name_that_is_a_user_wins() {
        let all = ["CN=app,OU=Unit,O=Org", "spiffe://x/y", "app.example.com", "bob@example.com"];
        for count in (1..=all.len()).rev() {
            assert_eq!(mapped(&all[..count]).as_deref(), Some(all[count - 1]));
        }
        assert_eq!(mapped(&["x", "app", "CN=app"]), Option::None);
    }

    #[test]
    fn a_subject_is_found_in_any_order_and_best_in_its_own() {
        let (own, other) = ("CN=app, OU=Unit, O=Org", "O=Org,ou=Unit,CN=app");
        assert_eq!(mapped(&[other]).as_deref(), Some(other));
        assert_eq!(mapped(&[other, own]).as_deref(), Some(own));
        assert_eq!(mapped(&["O=org,OU=Unit,CN=app"]), Option::None, "values are compared as they are");
    }
}
