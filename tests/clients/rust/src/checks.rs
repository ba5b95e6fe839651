//! The lines that a scenario prints.

use std::cell::Cell;
use std::future::Future;
use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{Client, ConnectError, ConnectOptions, Event};
use tokio::sync::mpsc;

/// How long an expected message may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts and prints the checks that held.
#[derive(Default)]
pub struct Checks {
    count: Cell<usize>,
}

impl Checks {
    /// A check that held when `outcome` is `Ok`.
    pub fn held<T>(&self, name: &str, outcome: Result<T>) -> Result<T> {
        let value = outcome.with_context(|| name.to_owned())?;
        println!("ok {name}");
        self.count.set(self.count.get() + 1);
        Ok(value)
    }

    /// A check that compares.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&self, name: &str, found: T, expected: T) -> Result<()> {
        let outcome = || {
            ensure!(found == expected, "found {found:?}, expected {expected:?}");
            Ok(())
        };
        self.held(name, outcome())
    }

    /// How many held.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Asks for something to be done to the server and waits until it is.
    pub fn ask(&self, action: &str) -> Result<()> {
        println!("ask {action}");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        ensure!(line.trim() == "done", "asked for {action}, was told {line:?}");
        Ok(())
    }
}

/// Waits for `future`, not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, future).await.with_context(|| format!("{what} did not come"))
}

/// The next item of a stream, soon.
pub async fn next<S: futures_util::Stream + Unpin>(what: &str, stream: &mut S) -> Result<S::Item> {
    soon(what, futures_util::StreamExt::next(stream))
        .await?
        .with_context(|| format!("{what}: the stream ended"))
}

/// Waits until the server has handled everything that the client has sent so far, and the client has what the server
/// sent it until then. The library's `flush` waits for neither; the answer to a request that nobody receives takes the
/// same way as all else.
pub async fn barrier(client: &Client) -> Result<()> {
    let error =
        soon("an answer", client.request("nobody.barrier", "".into())).await?.expect_err("nobody is there");
    ensure!(error.kind() == async_nats::RequestErrorKind::NoResponders, "{error}");
    Ok(())
}

/// Options with as much patience as for anything else.
pub fn patient(options: ConnectOptions) -> ConnectOptions {
    options.connection_timeout(PATIENCE).request_timeout(Some(PATIENCE))
}

/// A connection without anything in particular.
///
/// # Errors
///
/// When it does not come about.
pub async fn plain(address: &str) -> Result<Client, ConnectError> {
    patient(ConnectOptions::new()).connect(address).await
}

/// The events of a connection, as they come.
pub fn observed(options: ConnectOptions) -> (ConnectOptions, mpsc::UnboundedReceiver<Event>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let options = options.event_callback(move |event| {
        // The receiver is gone when the scenario has seen enough.
        let _ = sender.send(event);
        async {}
    });
    (options, receiver)
}

/// Waits for an event that fits, soon; others are skipped.
pub async fn wait_for(
    what: &str,
    events: &mut mpsc::UnboundedReceiver<Event>,
    fits: impl Fn(&Event) -> bool,
) -> Result<Event> {
    soon(what, async {
        while let Some(event) = events.recv().await {
            if fits(&event) {
                return Ok(event);
            }
        }
        anyhow::bail!("the connection ended")
    })
    .await?
}

/// Checks that a connection can be used.
pub async fn talks(client: &Client) -> Result<()> {
    let mut subscription = client.subscribe("talk").await?;
    client.publish("talk", "x".into()).await?;
    next("a message to oneself", &mut subscription).await?;
    Ok(())
}
