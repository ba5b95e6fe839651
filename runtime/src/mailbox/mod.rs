//! Mail between cores.
//!
//! Each pair of cores has one mailbox in each direction. A sender numbers its mails to a receiver from 1;
//! order is kept. Mail that does not fit the ring waits in a spill list on the sender's side, so that work
//! already begun can always be finished; *new* work asks for room first.

mod port;
mod ring;

pub(crate) use port::{MailPort, RingPort, connect_cores};
