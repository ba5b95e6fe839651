//! Shadows: what a subscription is in the accounts whose streams its own account imports.
//!
//! A shadow is an ordinary entry of the exporter's index, so fan-out, other cores, queue groups and the 503 notice need
//! to know nothing of imports. Only delivery follows it to the subscription that casts it.

use super::subscription::{Extra, Subscription};
use crate::account::{AccountId, StreamImport};
use std::sync::Arc;

/// What a shadow belongs to.
#[derive(Clone)]
pub(crate) struct Shadow {
    /// By which import it came.
    pub(crate) import: Arc<StreamImport>,
    /// The account of the subscription that casts it.
    pub(crate) account: AccountId,
    /// That subscription. It outlives its shadows.
    pub(crate) parent: u32,
}

impl Subscription {
    /// What a shadow belongs to; `None`: it is an ordinary subscription.
    pub(crate) fn shadow(&self) -> Option<&Shadow> {
        self.extra().and_then(|extra| extra.shadow.as_ref())
    }

    /// Makes it a shadow.
    pub(crate) fn become_shadow(&mut self, shadow: Shadow) {
        self.is_shadow = true;
        self.extra_mut().shadow = Some(shadow);
    }

    /// The shadows that it casts: account and key.
    pub(crate) fn shadows(&self) -> &[(AccountId, u32)] {
        self.extra().map_or(&[], |extra: &Extra| &extra.shadows)
    }

    /// Notes the shadows that it casts.
    pub(crate) fn set_shadows(&mut self, shadows: Vec<(AccountId, u32)>) {
        if !shadows.is_empty() || self.extra().is_some() {
            self.extra_mut().shadows = shadows;
        }
    }
}
