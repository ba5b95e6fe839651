//! Credentials, reconnecting, lame duck mode.

use anyhow::{Context, Result};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::mpsc;

use crate::checks::{Checks, barrier, next, soon};
use crate::{TOKEN, USER};

/// The events of a connection, as they come.
fn observed(options: ConnectOptions) -> (ConnectOptions, mpsc::UnboundedReceiver<Event>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let options = options.event_callback(move |event| {
        // The receiver is gone when the scenario has seen enough.
        let _ = sender.send(event);
        async {}
    });
    (options, receiver)
}

async fn wait_for(what: &str, events: &mut mpsc::UnboundedReceiver<Event>, wanted: Event) -> Result<()> {
    soon(what, async {
        while let Some(event) = events.recv().await {
            if event == wanted {
                return Ok(());
            }
        }
        anyhow::bail!("the connection ended")
    })
    .await?
}

async fn talks(client: &Client) -> Result<()> {
    let mut subscription = client.subscribe("talk").await?;
    client.publish("talk", "x".into()).await?;
    next("a message to oneself", &mut subscription).await?;
    Ok(())
}

fn kind(outcome: Result<Client, async_nats::ConnectError>) -> Result<ConnectErrorKind> {
    match outcome {
        Ok(_) => anyhow::bail!("it was let in"),
        Err(error) => Ok(error.kind()),
    }
}

/// A server that asks for a token.
pub async fn token(checks: &Checks, address: &str) -> Result<()> {
    let client = ConnectOptions::with_token(TOKEN.to_owned()).connect(address).await.context("connect")?;
    checks.held("the right token", talks(&client).await)?;
    let refused = kind(ConnectOptions::with_token("wrong".to_owned()).connect(address).await)?;
    checks.equal("a wrong token", refused, ConnectErrorKind::AuthorizationViolation)?;
    checks.equal(
        "no token",
        kind(async_nats::connect(address).await)?,
        ConnectErrorKind::AuthorizationViolation,
    )
}

/// A server that asks for a user and a password.
pub async fn user(checks: &Checks, address: &str) -> Result<()> {
    let as_user = |password: &str| {
        ConnectOptions::with_user_and_password(USER.0.to_owned(), password.to_owned())
            .connect(address.to_owned())
    };
    checks.held("the right password", talks(&as_user(USER.1).await?).await)?;
    checks.equal("a wrong one", kind(as_user("wrong").await)?, ConnectErrorKind::AuthorizationViolation)?;
    checks.equal(
        "nobody",
        kind(async_nats::connect(address).await)?,
        ConnectErrorKind::AuthorizationViolation,
    )
}

/// A server that ends and comes back on the same port.
pub async fn reconnect(checks: &Checks, address: &str) -> Result<()> {
    let (options, mut events) = observed(ConnectOptions::new());
    let client = options.connect(address).await.context("connect")?;
    wait_for("the first connection", &mut events, Event::Connected).await?;
    let mut subscription = client.subscribe("survives.*").await?;
    let mut group = client.queue_subscribe("survives.*", "q".to_owned()).await?;
    barrier(&client).await?;
    for round in 1..=3 {
        checks.ask("restart")?;
        wait_for("the end of the connection", &mut events, Event::Disconnected).await?;
        wait_for("the new connection", &mut events, Event::Connected).await?;
        client.publish("survives.restart", round.to_string().into()).await?;
        let message = next("a message after the restart", &mut subscription).await?;
        checks.equal(
            "a subscription survives a restart",
            message.payload.as_ref(),
            round.to_string().as_bytes(),
        )?;
        next("a message for the group after the restart", &mut group).await?;
    }
    let answer = client.request("nobody", "".into()).await.expect_err("nobody is there");
    checks.equal("no responders after it", answer.kind(), async_nats::RequestErrorKind::NoResponders)
}

/// A server that announces its end.
pub async fn lame_duck(checks: &Checks, address: &str) -> Result<()> {
    let (options, mut events) = observed(ConnectOptions::new().max_reconnects(1));
    let client = options.connect(address).await.context("connect")?;
    // The announcement goes to clients that have had the answer to a PING; the library sends one when it connects.
    barrier(&client).await?;
    checks.ask("lame-duck")?;
    checks.held("it is told", wait_for("the announcement", &mut events, Event::LameDuckMode).await)?;
    checks.held("it works on meanwhile", talks(&client).await)?;
    checks.held("the end", wait_for("the end", &mut events, Event::Disconnected).await)
}
