//! Orders from control-plane threads to cores.

use crate::wake::Wake;
use crossbeam_channel::{Receiver, Sender};
use std::collections::VecDeque;
use std::sync::Arc;

/// Sends orders to one core. Clones share the queue.
pub struct OrderSender<O> {
    queue: Sender<O>,
    wake: Arc<Wake>,
}

impl<O> Clone for OrderSender<O> {
    fn clone(&self) -> Self {
        OrderSender { queue: self.queue.clone(), wake: self.wake.clone() }
    }
}

impl<O: Send + 'static> OrderSender<O> {
    /// Queues an order and wakes the core. False when the core has stopped.
    pub fn send(&self, order: O) -> bool {
        let queued = self.queue.send(order).is_ok();
        if queued {
            self.wake.notify();
        }
        queued
    }
}

/// The core's end.
pub(crate) struct OrderInbox<O> {
    queue: Receiver<O>,
}

impl<O> OrderInbox<O> {
    /// Whether an order waits.
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Moves what waits to the list that a turn works on.
    pub(crate) fn collect(&self, orders: &mut VecDeque<O>) {
        orders.extend(self.queue.try_iter().take(self.queue.len()));
    }
}

/// The two ends of a core's queue of orders.
pub(crate) fn order_queue<O>(wake: Arc<Wake>) -> (OrderSender<O>, OrderInbox<O>) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    (OrderSender { queue: sender, wake }, OrderInbox { queue: receiver })
}
