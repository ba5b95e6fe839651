//! What a published subject is beside a subject of its account: a service of another one, or the answer of such a
//! service. It is found when a result is built, so a cached look-up costs nothing for it.

use crate::account::ServiceImport;
use crate::fixed_seeds::FixedSeeds;
use crate::route::service_reply;
use hashbrown::HashMap;
use petrel_protocol::subject;
use smallvec::SmallVec;
use std::sync::Arc;

/// What leads out of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// Services, as places in the account's list of imports.
    pub(crate) services: SmallVec<[u16; 2]>,
    /// The core that knows whose request this answers.
    pub(crate) owner: Option<u16>,
}

/// The service imports of an account, to be found by subject.
#[derive(Default)]
pub(super) struct ServiceIndex {
    literals: HashMap<Box<[u8]>, u16, FixedSeeds>,
    patterns: Vec<(Box<[u8]>, u16)>,
}

impl ServiceIndex {
    pub(super) fn new(services: &[Arc<ServiceImport>]) -> ServiceIndex {
        let mut index = ServiceIndex::default();
        for (place, import) in services.iter().enumerate() {
            // More than that are refused when they are compiled.
            let place = u16::try_from(place).expect("imports are numbered by u16");
            if subject::has_wildcard(&import.here) {
                index.patterns.push((import.here.clone(), place));
            } else {
                index.literals.insert(import.here.clone(), place);
            }
        }
        index
    }

    /// What a subject is beside a subject of its account; usually nothing.
    pub(super) fn find(&self, subject: &[u8]) -> Option<Box<Beyond>> {
        let mut beyond = Beyond { services: SmallVec::new(), owner: service_reply::owner(subject) };
        beyond.services.extend(self.literals.get(subject).copied());
        let matching = self.patterns.iter().filter(|(pattern, _)| subject::matches(pattern, subject));
        beyond.services.extend(matching.map(|(_, place)| *place));
        (beyond.owner.is_some() || !beyond.services.is_empty()).then(|| Box::new(beyond))
    }
}
