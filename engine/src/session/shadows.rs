//! Stream imports: a subscription reaches into the accounts whose streams its own account imports.

use crate::account::{AccountCounters, AccountId, StreamImport};
use crate::interest::Shadow;
use crate::mail::{Mail, Message, Origin};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::pattern;
use petrel_runtime::Io;
use std::sync::Arc;

impl Shard {
    /// Gives a subscription the shadows that its account's imports want, and takes away those that they no longer want.
    /// One that stays is not touched: nothing is missed meanwhile.
    pub(crate) fn cast_shadows(&mut self, account: AccountId, subscription: u32) {
        let interest = &self.accounts[account.index()].interest;
        let Some(found) = interest.subscriptions().get(subscription) else { return };
        if found.shadow().is_some() {
            return;
        }
        let subject = interest.subject_of(found);
        let (session, sid) = (found.session, found.sid.clone());
        let queue = found.queue().map(Box::<[u8]>::from);
        let cast = found.shadows().to_vec();
        let imports = &self.accounts[account.index()].edges.streams;
        let mut wanted: Vec<(Arc<StreamImport>, Vec<u8>)> = Vec::new();
        for import in imports {
            let mut there = Vec::new();
            if let Some(both) = pattern::intersection(&import.here, &subject)
                && import.outwards.apply(&both, &mut there, 0)
            {
                wanted.push((Arc::clone(import), there));
            }
        }
        let mut kept = Vec::new();
        for (exporter, key) in cast {
            match wanted.iter().position(|(import, there)| self.is_shadow_of(exporter, key, import, there)) {
                Some(index) => {
                    wanted.remove(index);
                    kept.push((exporter, key));
                }
                None => self.remove_shadow(exporter, key),
            }
        }
        for (import, there) in wanted {
            let exporter = import.exporter;
            let interest = &mut self.accounts[exporter.index()].interest;
            let (key, change) = interest.subscribe(session, &there, queue.as_deref(), &sid);
            if let Some(shadow) = interest.subscriptions_mut().get_mut(key) {
                shadow.become_shadow(Shadow { import, account, parent: subscription });
            }
            self.tell_cores(session, exporter, change);
            kept.push((exporter, key));
        }
        let subscriptions = self.accounts[account.index()].interest.subscriptions_mut();
        if let Some(found) = subscriptions.get_mut(subscription) {
            found.set_shadows(kept);
        }
    }

    fn is_shadow_of(&self, exporter: AccountId, key: u32, import: &StreamImport, there: &[u8]) -> bool {
        let interest = &self.accounts[exporter.index()].interest;
        let Some(shadow) = interest.subscriptions().get(key) else { return false };
        shadow.shadow().is_some_and(|shadow| *shadow.import == *import)
            && import.exporter == exporter
            && interest.subject_of(shadow) == there
    }

    /// Takes a shadow out of its index and tells the other cores.
    pub(crate) fn remove_shadow(&mut self, exporter: AccountId, key: u32) {
        if self.is_mutated(Mutation::ShadowsOutliveSubscription) {
            return;
        }
        if let Some((removed, change)) = self.accounts[exporter.index()].interest.unsubscribe(key) {
            self.tell_cores(removed.session, exporter, change);
        }
    }

    /// Gives a message that reached a shadow to the subscription that casts it, under the subject that it has there.
    #[cold]
    pub(crate) fn deliver_to_shadow(
        &mut self,
        key: u32,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        if self.is_mutated(Mutation::ShadowsFollowedHereOnly) && origin.core != self.core.0 {
            return false;
        }
        let subscriptions = self.accounts[origin.account.index()].interest.subscriptions();
        let Some(shadow) = subscriptions.get(key).and_then(|found| found.shadow()).cloned() else {
            return false;
        };
        let mut subject = Vec::with_capacity(message.subject.len() + 16);
        if !shadow.import.inwards.apply(message.subject, &mut subject, 0) {
            return false;
        }
        let before = self.accounts[shadow.account.index()].counters;
        let inside = Origin { account: shadow.account, ..*origin };
        let taken = self.deliver_to(shadow.parent, &inside, &Message { subject: &subject, ..*message }, io);
        if taken {
            self.book_to_exporter(origin.account, shadow.account, &before);
        }
        taken
    }

    /// What an importer's client was just sent counts as sent by the exporter's account, as upstream has it: messages
    /// belong to the account in which they find who wants them. `before` is what the importer had sent before.
    fn book_to_exporter(&mut self, exporter: AccountId, importer: AccountId, before: &AccountCounters) {
        let booked = &mut self.accounts[importer.index()].counters;
        let messages = booked.out_msgs - before.out_msgs;
        let bytes = booked.out_bytes - before.out_bytes;
        booked.out_msgs -= messages;
        booked.out_bytes -= bytes;
        let counters = &mut self.accounts[exporter.index()].counters;
        counters.out_msgs += messages;
        counters.out_bytes += bytes;
    }
}
