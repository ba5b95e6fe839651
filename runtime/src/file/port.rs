//! Between the tasks of a core and what carries their operations out.

use super::threads::FileThreads;
use super::{Operation, Outcome};
use crate::backend::Sockets;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The operations of one core's tasks.
#[derive(Debug, Default)]
pub(crate) struct FilePort {
    tickets: u64,
    /// Begun by tasks in this turn.
    submitted: VecDeque<(u64, Operation)>,
    /// Those that a future still waits for.
    waiting: BTreeMap<u64, Waiter>,
}

#[derive(Debug, Default)]
struct Waiter {
    waker: Option<Waker>,
    outcome: Option<Outcome>,
}

impl FilePort {
    fn submit(&mut self, operation: Operation) -> u64 {
        self.tickets += 1;
        self.submitted.push_back((self.tickets, operation));
        self.waiting.insert(self.tickets, Waiter::default());
        self.tickets
    }

    /// An operation ended; nobody may be left to hear of it.
    fn finish(&mut self, ticket: u64, outcome: Outcome) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.outcome = Some(outcome);
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }
}

/// An operation of a task.
pub(super) struct Under {
    port: Rc<RefCell<FilePort>>,
    operation: Option<Operation>,
    ticket: u64,
}

impl Under {
    pub(super) fn new(port: &Rc<RefCell<FilePort>>, operation: Operation) -> Under {
        Under { port: port.clone(), operation: Some(operation), ticket: 0 }
    }
}

impl Future for Under {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let port = self.port.clone();
        let mut port = port.borrow_mut();
        if let Some(operation) = self.operation.take() {
            self.ticket = port.submit(operation);
        }
        let waiter = port.waiting.get_mut(&self.ticket).expect("a future is not polled after its end");
        match waiter.outcome.take() {
            Some(outcome) => {
                port.waiting.remove(&self.ticket);
                Poll::Ready(outcome)
            }
            None => {
                waiter.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.port.borrow_mut().waiting.remove(&self.ticket);
    }
}

/// What carries operations out where the sockets' own queue does not.
pub(crate) enum FileDriver {
    /// Threads that may block.
    Threads(FileThreads),
    /// A simulated disk.
    #[cfg(feature = "sim")]
    Sim(crate::backend::sim::SimFiles),
}

/// A core's port with its driver.
pub(crate) struct PortDriver {
    pub(crate) port: Rc<RefCell<FilePort>>,
    driver: FileDriver,
}

impl PortDriver {
    pub(crate) fn new(driver: FileDriver) -> PortDriver {
        PortDriver { port: Rc::default(), driver }
    }

    /// Tells tasks what has ended. Runs before the turn's tasks.
    pub(crate) fn gather(&mut self, sockets: &mut Sockets) {
        while let Some((ticket, outcome)) = sockets.next_file_outcome() {
            self.port.borrow_mut().finish(ticket, outcome);
        }
        let ended = match &mut self.driver {
            FileDriver::Threads(threads) => threads.take_ended(),
            #[cfg(feature = "sim")]
            FileDriver::Sim(files) => files.take_ended(),
        };
        for (ticket, outcome) in ended {
            self.port.borrow_mut().finish(ticket, outcome);
        }
    }

    /// Begins what tasks have asked for. Runs after the turn's tasks.
    pub(crate) fn submit(&mut self, sockets: &mut Sockets) {
        loop {
            let next = self.port.borrow_mut().submitted.pop_front();
            let Some((ticket, operation)) = next else { return };
            let Some(operation) = sockets.begin_file_operation(ticket, operation) else { continue };
            match &mut self.driver {
                FileDriver::Threads(threads) => {
                    if let Some(outcome) = threads.begin(ticket, operation) {
                        self.port.borrow_mut().finish(ticket, outcome);
                    }
                }
                #[cfg(feature = "sim")]
                FileDriver::Sim(files) => files.begin(ticket, operation),
            }
        }
    }

    /// Whether something has ended that tasks were not told of. Asked before a core sleeps.
    pub(crate) fn has_work(&self) -> bool {
        match &self.driver {
            FileDriver::Threads(threads) => threads.has_ended(),
            #[cfg(feature = "sim")]
            FileDriver::Sim(files) => files.has_ended(),
        }
    }
}
