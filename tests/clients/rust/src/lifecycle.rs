//! Reconnecting, lame duck mode.

use anyhow::{Context, Result};
use async_nats::{ConnectOptions, Event, RequestErrorKind};

use crate::checks::{Checks, barrier, next, observed, patient, talks, wait_for};

/// A server that ends and comes back on the same port.
pub async fn reconnect(checks: &Checks, address: &str) -> Result<()> {
    let (options, mut events) = observed(patient(ConnectOptions::new()));
    let client = options.connect(address).await.context("connect")?;
    wait_for("the first connection", &mut events, |event| *event == Event::Connected).await?;
    let mut subscription = client.subscribe("survives.*").await?;
    let mut group = client.queue_subscribe("survives.*", "q".to_owned()).await?;
    barrier(&client).await?;
    for round in 1..=2 {
        checks.ask("restart")?;
        wait_for("the end of the connection", &mut events, |event| *event == Event::Disconnected).await?;
        wait_for("the new connection", &mut events, |event| *event == Event::Connected).await?;
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
    checks.equal("no responders after it", answer.kind(), RequestErrorKind::NoResponders)?;
    client.force_reconnect().await?;
    wait_for("the connection made anew", &mut events, |event| *event == Event::Connected).await?;
    checks.held("a reconnect by one's own wish", talks(&client).await)
}

/// A server that announces its end.
pub async fn lame_duck(checks: &Checks, address: &str) -> Result<()> {
    let (options, mut events) = observed(patient(ConnectOptions::new()).max_reconnects(1));
    let client = options.connect(address).await.context("connect")?;
    // The announcement goes to clients that have had the answer to a PING; the library sends one when it connects.
    barrier(&client).await?;
    checks.ask("lame-duck")?;
    checks.held(
        "it is told",
        wait_for("the announcement", &mut events, |event| *event == Event::LameDuckMode).await,
    )?;
    checks.held("it works on meanwhile", talks(&client).await)?;
    checks.held("the end", wait_for("the end", &mut events, |event| *event == Event::Disconnected).await)?;
    Ok(())
}
