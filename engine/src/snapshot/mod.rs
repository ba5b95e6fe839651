//! What a core tells monitoring. Whatever can be long comes in pages: one order does a bounded amount of work, so
//! that a question about 50,000 connections never holds a core for longer than a few hundred of them.

mod accounts;
mod connections;
mod replies;
mod subscriptions;

pub use accounts::{AccountPage, AccountQuery, AccountSnapshot};
pub use connections::{ConnectionPage, ConnectionQuery, ConnectionSnapshot};
pub use replies::{ReplyCursor, ReplyPage, ReplyQuery, ReplySnapshot};
pub use subscriptions::{SubscriptionCursor, SubscriptionPage, SubscriptionQuery, SubscriptionSnapshot};
