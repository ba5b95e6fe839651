//! A new configuration, in two steps, each taken by all cores before the next begins: first every core gets the new
//! accounts (a core may otherwise hear from a session of an account that it does not know), then the options change.

use crate::account::{Account, AccountId, Directory};
use crate::mail::Mail;
use crate::options::Options;
use crate::shard::Shard;
use petrel_protocol::client::ParseLimits;
use petrel_runtime::Io;
use std::sync::Arc;

impl Shard {
    /// Adds the accounts that are new.
    pub(crate) fn prepare_reload(&mut self, options: &Options) {
        for spec in options.directory.accounts().iter().skip(self.accounts.len()) {
            self.accounts.push(Account::new(spec, self.core_count, self.core.index(), self.key));
        }
    }

    /// Gives every account the edges that the new directory has for it.
    fn change_edges(&mut self, directory: &Directory) {
        for (index, spec) in directory.accounts().iter().enumerate() {
            let account = &mut self.accounts[index];
            let has_other_streams = account.edges.streams != spec.edges.streams;
            account.change_edges(&spec.edges);
            if has_other_streams {
                self.cast_all_shadows(AccountId(u16::try_from(index).expect("accounts are numbered by u16")));
            }
        }
    }

    /// Goes over to new options.
    pub(crate) fn reload(&mut self, options: Arc<Options>, io: &mut Io<'_, Mail>) {
        self.prepare_reload(&options);
        self.parse_limits = ParseLimits {
            control_line_max: options.limits.control_line_max,
            payload_max: options.limits.payload_max,
        };
        self.change_edges(&options.directory);
        self.options = options;
        self.reauthorize_all(io);
        self.enforce_connection_limits(io);
        self.check_pins(io);
    }
}
