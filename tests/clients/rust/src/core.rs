//! Publish, subscribe, queue groups, requests, headers, drain.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{Client, ConnectOptions, HeaderMap};
use futures_util::StreamExt;

use crate::checks::{Checks, barrier, next, soon};

/// All of it, on two connections.
pub async fn run(checks: &Checks, address: &str) -> Result<()> {
    let publisher = ConnectOptions::new().name("publisher").connect(address).await.context("connect")?;
    let subscriber = ConnectOptions::new().name("subscriber").connect(address).await.context("connect")?;
    server_info(checks, &publisher)?;
    publish_and_subscribe(checks, &publisher, &subscriber).await?;
    wildcards(checks, &publisher, &subscriber).await?;
    queue_groups(checks, &publisher, &subscriber).await?;
    unsubscribe(checks, &publisher, &subscriber).await?;
    headers(checks, &publisher, &subscriber).await?;
    requests(checks, &publisher, &subscriber).await?;
    payload_limit(checks, &publisher).await?;
    no_echo(checks, address).await?;
    drain(checks, &publisher, subscriber).await
}

fn server_info(checks: &Checks, client: &Client) -> Result<()> {
    let info = client.server_info();
    checks.equal("the version that clients decide by", info.version.as_str(), "2.15.2")?;
    checks.equal("protocol 1", info.proto, 1)?;
    checks.equal("headers are supported", info.headers, true)?;
    checks.equal("a payload may have a mebibyte", info.max_payload, 1_048_576)?;
    checks.equal("the client's address", info.client_ip.as_str(), "127.0.0.1")?;
    ensure!(!info.go.is_empty() && info.client_id > 0, "{info:?}");
    checks.equal("is compatible with 2.10", client.is_server_compatible(2, 10, 0), true)
}

async fn publish_and_subscribe(checks: &Checks, publisher: &Client, subscriber: &Client) -> Result<()> {
    const MESSAGES: usize = 10_000;
    let mut subscription = subscriber.subscribe("orders.new").await?;
    barrier(subscriber).await?;
    for number in 0..MESSAGES {
        publisher.publish("orders.new", number.to_string().into()).await?;
    }
    checks.held("flush", publisher.flush().await.map_err(Into::into))?;
    for number in 0..MESSAGES {
        let message = next("a message", &mut subscription).await?;
        ensure!(message.payload == number.to_string(), "{message:?} in place of {number}");
        ensure!(message.subject.as_str() == "orders.new" && message.reply.is_none(), "{message:?}");
    }
    checks.held("publish and subscribe, in order", Ok(()))?;
    publisher.publish_with_reply("orders.new", "answers.here", "".into()).await?;
    publisher.flush().await?;
    let message = next("a message", &mut subscription).await?;
    checks.equal("an empty payload", message.payload.len(), 0)?;
    checks.equal("a reply subject", message.reply.context("no reply")?.as_str(), "answers.here")
}

async fn wildcards(checks: &Checks, publisher: &Client, subscriber: &Client) -> Result<()> {
    let mut star = subscriber.subscribe("weather.*.today").await?;
    let mut rest = subscriber.subscribe("weather.>").await?;
    barrier(subscriber).await?;
    for subject in ["weather.north.today", "weather.north", "weather.north.today.late", "weather"] {
        publisher.publish(subject, "".into()).await?;
    }
    publisher.flush().await?;
    checks.equal("a star", next("a message", &mut star).await?.subject.as_str(), "weather.north.today")?;
    for subject in ["weather.north.today", "weather.north", "weather.north.today.late"] {
        checks.equal("the rest", next("a message", &mut rest).await?.subject.as_str(), subject)?;
    }
    star.unsubscribe().await?;
    rest.unsubscribe().await?;
    checks.equal(
        "nothing else came",
        (star.next().await.is_none(), rest.next().await.is_none()),
        (true, true),
    )
}

async fn queue_groups(checks: &Checks, publisher: &Client, subscriber: &Client) -> Result<()> {
    const MESSAGES: usize = 300;
    let mut first = subscriber.queue_subscribe("jobs.*", "workers".to_owned()).await?;
    let mut second = publisher.queue_subscribe("jobs.>", "workers".to_owned()).await?;
    barrier(subscriber).await?;
    barrier(publisher).await?;
    for number in 0..MESSAGES {
        publisher.publish("jobs.one", number.to_string().into()).await?;
    }
    barrier(publisher).await?;
    barrier(subscriber).await?;
    first.drain().await?;
    second.drain().await?;
    let (first, second) = (first.collect::<Vec<_>>(), second.collect::<Vec<_>>());
    let (first, second) = soon("the end of both", async { tokio::join!(first, second) }).await?;
    checks.equal("a queue group gets each message once", first.len() + second.len(), MESSAGES)?;
    checks.equal("both members work", first.len().min(second.len()) > MESSAGES / 5, true)
}

async fn unsubscribe(checks: &Checks, publisher: &Client, subscriber: &Client) -> Result<()> {
    let mut limited = subscriber.subscribe("limited").await?;
    limited.unsubscribe_after(3).await?;
    let mut ended = subscriber.subscribe("limited").await?;
    ended.unsubscribe().await?;
    barrier(subscriber).await?;
    for _ in 0..10 {
        publisher.publish("limited", "x".into()).await?;
    }
    publisher.flush().await?;
    let received = soon("the end of the subscription", limited.count()).await?;
    checks.equal("unsubscribe after three messages", received, 3)?;
    checks.equal("unsubscribe at once", ended.next().await.is_none(), true)
}

async fn headers(checks: &Checks, publisher: &Client, subscriber: &Client) -> Result<()> {
    let mut subscription = subscriber.subscribe("with.headers").await?;
    barrier(subscriber).await?;
    let mut headers = HeaderMap::new();
    headers.append("Key", "one");
    headers.append("Key", "two");
    headers.insert("lower-case", "value with blanks");
    publisher.publish_with_headers("with.headers", headers.clone(), "body".into()).await?;
    publisher.flush().await?;
    let message = next("a message", &mut subscription).await?;
    checks.equal("headers arrive as sent", message.headers, Some(headers))?;
    checks.equal("beside their payload", message.payload.as_ref(), b"body".as_slice())
}

async fn requests(checks: &Checks, requester: &Client, responder: &Client) -> Result<()> {
    let mut service = responder.queue_subscribe("service.echo", "q".to_owned()).await?;
    barrier(responder).await?;
    let answering = responder.clone();
    let task = tokio::spawn(async move {
        while let Some(request) = service.next().await {
            let reply = request.reply.expect("a request has a reply");
            answering.publish(reply, request.payload).await.expect("published");
        }
    });
    for number in 0..500 {
        let text = format!("request {number}");
        let answer = requester.request("service.echo", text.clone().into()).await?;
        ensure!(answer.payload == text, "{answer:?}");
    }
    checks.held("500 requests and answers", Ok(()))?;
    let many = (0..200).map(|number| requester.request("service.echo", number.to_string().into()));
    let answers = soon("all answers", futures_util::future::join_all(many)).await?;
    let right = answers
        .iter()
        .enumerate()
        .filter(|(number, answer)| answer.as_ref().is_ok_and(|answer| answer.payload == number.to_string()));
    checks.equal("200 requests at a time", right.count(), 200)?;
    let mut headers = HeaderMap::new();
    headers.insert("Trace", "1");
    let answer = requester.request_with_headers("service.echo", headers, "h".into()).await?;
    checks.equal("a request with headers", answer.payload.as_ref(), b"h".as_slice())?;
    task.abort();
    let error = requester.request("nobody.here", "".into()).await.expect_err("nobody is there");
    checks.equal("no responders", error.kind(), async_nats::RequestErrorKind::NoResponders)
}

async fn payload_limit(checks: &Checks, client: &Client) -> Result<()> {
    let limit = client.max_payload();
    client.publish("large", vec![b'x'; limit].into()).await?;
    checks.held("the largest payload", barrier(client).await)?;
    let error = client.publish("large", vec![b'x'; limit + 1].into()).await.expect_err("too large");
    checks.equal("one byte more", error.kind(), async_nats::client::PublishErrorKind::MaxPayloadExceeded)?;
    checks.held("the connection lives", barrier(client).await)
}

async fn no_echo(checks: &Checks, address: &str) -> Result<()> {
    let client = ConnectOptions::new().no_echo().connect(address).await?;
    let mut own = client.subscribe("echo").await?;
    client.publish("echo", "x".into()).await?;
    barrier(&client).await?;
    let silent = tokio::time::timeout(Duration::from_millis(50), own.next()).await.is_err();
    checks.equal("without echo nothing of one's own arrives", silent, true)
}

async fn drain(checks: &Checks, publisher: &Client, subscriber: Client) -> Result<()> {
    const MESSAGES: usize = 1_000;
    let mut subscription = subscriber.subscribe("drained").await?;
    let other = subscriber.subscribe("drained.too").await?;
    barrier(&subscriber).await?;
    for _ in 0..MESSAGES {
        publisher.publish("drained", "x".into()).await?;
        publisher.publish("drained.too", "x".into()).await?;
    }
    barrier(publisher).await?;
    barrier(&subscriber).await?;
    subscription.drain().await?;
    let received = soon("the end of the drained subscription", subscription.count()).await?;
    checks.equal("draining a subscription loses nothing", received, MESSAGES)?;
    subscriber.drain().await?;
    let received = soon("the end of the drained connection", other.count()).await?;
    checks.equal("draining a connection loses nothing", received, MESSAGES)
}
