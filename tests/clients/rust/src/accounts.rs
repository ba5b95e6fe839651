//! Accounts, what they share, and mappings of subjects.

use anyhow::Result;
use async_nats::{Client, ConnectOptions, RequestErrorKind};
use futures_util::StreamExt;

use crate::access::{ALICE, BOB, CAROL, connect, refused};
use crate::checks::{Checks, barrier, next, patient, plain};

/// A subscription is ended, and its messages counted.
async fn count(mut subscription: async_nats::Subscriber) -> Result<usize> {
    subscription.unsubscribe().await?;
    Ok(subscription.count().await)
}

/// Answers what comes on a subject.
async fn serve(client: &Client, subject: &'static str, answers: &'static [&'static str]) -> Result<()> {
    let mut service = client.subscribe(subject).await?;
    let client = client.clone();
    barrier(&client).await?;
    tokio::spawn(async move {
        while let Some(request) = service.next().await {
            let reply = request.reply.expect("a request has a reply");
            for answer in answers {
                client.publish(reply.clone(), (*answer).into()).await.expect("published");
            }
        }
    });
    Ok(())
}

/// What is published in an account stays there.
pub async fn isolation(checks: &Checks, address: &str) -> Result<()> {
    let mut clients = Vec::new();
    for user in [ALICE, BOB, CAROL] {
        let client = connect(user, address).await?;
        let subscription = client.subscribe("same.subject").await?;
        barrier(&client).await?;
        clients.push((client, subscription, user.0));
    }
    for (client, _, name) in &clients {
        client.publish("same.subject", (*name).into()).await?;
        barrier(client).await?;
    }
    for (client, mut subscription, name) in clients {
        let message = next("a message", &mut subscription).await?;
        checks.equal("one's own account", message.payload.as_ref(), name.as_bytes())?;
        barrier(&client).await?;
        checks.equal("and no other", count(subscription).await?, 0)?;
    }
    let dave = patient(ConnectOptions::with_user_and_password("dave".to_owned(), "x".to_owned()));
    refused(checks, "a user of none", dave, address).await?;
    refused(checks, "nobody", patient(ConnectOptions::new()), address).await
}

/// An account imports what another publishes.
pub async fn streams(checks: &Checks, address: &str) -> Result<()> {
    let (alice, bob) = (connect(ALICE, address).await?, connect(BOB, address).await?);
    let carol = connect(CAROL, address).await?;
    let mut imported = bob.subscribe("from.a.events.*").await?;
    let mut every = bob.subscribe("from.>").await?;
    let foreign = carol.subscribe("from.>").await?;
    let foreign_as_published = carol.subscribe("events.>").await?;
    barrier(&bob).await?;
    barrier(&carol).await?;
    alice.publish_with_reply("events.one", "answers.here", "1".into()).await?;
    let message = next("a message", &mut imported).await?;
    checks.equal("a stream arrives under its prefix", message.subject.as_str(), "from.a.events.one")?;
    checks.equal("its reply as sent", message.reply.as_deref(), Some("answers.here"))?;
    let subject = next("a message", &mut every).await?.subject;
    checks.equal("by a wider subscription too", subject.as_str(), "from.a.events.one")?;
    bob.publish("from.a.events.one", "back".into()).await?;
    bob.publish("events.one", "back".into()).await?;
    barrier(&bob).await?;
    barrier(&carol).await?;
    let count = count(foreign).await? + count(foreign_as_published).await?;
    checks.equal("an account that does not import gets nothing", count, 0)
}

/// An account asks what another serves.
pub async fn services(checks: &Checks, address: &str) -> Result<()> {
    let (alice, bob) = (connect(ALICE, address).await?, connect(BOB, address).await?);
    let carol = connect(CAROL, address).await?;
    serve(&alice, "time.now", &["noon"]).await?;
    serve(&alice, "private.work", &["done"]).await?;
    serve(&alice, "parts", &["1", "2", "3"]).await?;
    for (subject, expected) in [("clock", "noon"), ("private.work", "done"), ("clock", "noon")] {
        let answer = bob.request(subject, "".into()).await?;
        checks.equal("a service of another account", answer.payload.as_ref(), expected.as_bytes())?;
    }
    let inbox = bob.new_inbox();
    let mut parts = bob.subscribe(inbox.clone()).await?;
    bob.publish_with_reply("parts", inbox, "".into()).await?;
    for expected in ["1", "2", "3"] {
        let part = next("a part", &mut parts).await?;
        checks.equal("several answers", part.payload.as_ref(), expected.as_bytes())?;
    }
    for subject in ["time.now", "clock", "private.work"] {
        let error = carol.request(subject, "".into()).await.expect_err("nobody is there");
        checks.equal(
            "nobody serves it where it is not imported",
            error.kind(),
            RequestErrorKind::NoResponders,
        )?;
    }
    Ok(())
}

/// Subjects that become others.
pub async fn mappings(checks: &Checks, address: &str) -> Result<()> {
    const MESSAGES: usize = 400;
    let client = plain(address).await?;
    let mut subscription = client.subscribe("new.*").await?;
    let old = client.subscribe("old.*").await?;
    client.publish("old.one", "1".into()).await?;
    checks.equal(
        "a mapped subject",
        next("a message", &mut subscription).await?.subject.as_str(),
        "new.one",
    )?;
    barrier(&client).await?;
    checks.equal("instead of the old one", count(old).await?, 0)?;
    let mut swapped = client.subscribe("swapped.>").await?;
    client.publish("swap.a.b", "2".into()).await?;
    let subject = next("a message", &mut swapped).await?.subject;
    checks.equal("tokens in another order", subject.as_str(), "swapped.b.a")?;
    let (first, second) = (client.subscribe("weighed.a").await?, client.subscribe("weighed.b").await?);
    for _ in 0..MESSAGES {
        client.publish("weighed", "x".into()).await?;
    }
    barrier(&client).await?;
    let counts = (count(first).await?, count(second).await?);
    checks.equal("weights lose nothing", counts.0 + counts.1, MESSAGES)?;
    checks.equal("both get their share", counts.0.min(counts.1) > MESSAGES / 4, true)?;
    serve(&client, "new.service", &["yes"]).await?;
    let answer = client.request("old.service", "".into()).await?;
    checks.equal("a mapped request", answer.payload.as_ref(), b"yes".as_slice())
}
