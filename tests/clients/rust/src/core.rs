//! Connecting, publish, subscribe, queue groups, requests, headers, drain.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, RequestErrorKind, StatusCode};
use futures_util::StreamExt;

use crate::checks::{Checks, barrier, next, observed, patient, plain, soon, wait_for};

/// Two connections.
pub async fn pair(address: &str) -> Result<(Client, Client)> {
    let publisher =
        patient(ConnectOptions::new()).name("publisher").connect(address).await.context("connect")?;
    let subscriber =
        patient(ConnectOptions::new()).name("subscriber").connect(address).await.context("connect")?;
    Ok((publisher, subscriber))
}

/// What is seen of the server, and servers that are not there.
pub async fn connecting(checks: &Checks, address: &str) -> Result<()> {
    let client = patient(ConnectOptions::new()).name("named").connect(address).await.context("connect")?;
    let info = client.server_info();
    checks.equal("the version that clients decide by", info.version.as_str(), "2.15.2")?;
    checks.equal("protocol 1", info.proto, 1)?;
    checks.equal("headers are supported", info.headers, true)?;
    checks.equal("a payload may have a mebibyte", info.max_payload, 1_048_576)?;
    checks.equal("no credentials are asked for", info.auth_required, false)?;
    checks.equal("no TLS is asked for", info.tls_required, false)?;
    checks.equal("the client's address", info.client_ip.as_str(), "127.0.0.1")?;
    ensure!(!info.go.is_empty() && info.client_id > 0, "{info:?}");
    checks.equal("is compatible with 2.10", client.is_server_compatible(2, 10, 0), true)?;
    let servers = ["nats://127.0.0.1:1".to_owned(), format!("nats://{address}")];
    let other = patient(ConnectOptions::new()).retain_servers_order().connect(servers.as_slice()).await;
    checks.held("the second server is taken when the first is not there", other.map_err(Into::into))?;
    let error = plain("127.0.0.1:1").await.expect_err("nobody listens");
    checks.equal("a connection refused is said", error.kind(), async_nats::ConnectErrorKind::Io)
}

/// Order, empty payloads, reply subjects.
pub async fn publish_and_subscribe(checks: &Checks, address: &str) -> Result<()> {
    let (publisher, subscriber) = &pair(address).await?;
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

/// `*` and `>`.
pub async fn wildcards(checks: &Checks, address: &str) -> Result<()> {
    let (publisher, subscriber) = &pair(address).await?;
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

/// One member of a group gets a message, each group one.
pub async fn queue_groups(checks: &Checks, address: &str) -> Result<()> {
    let (publisher, subscriber) = &pair(address).await?;
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

/// At once, and after some messages.
pub async fn unsubscribe(checks: &Checks, address: &str) -> Result<()> {
    let (publisher, subscriber) = &pair(address).await?;
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

/// Headers as they were sent.
pub async fn headers(checks: &Checks, address: &str) -> Result<()> {
    let (publisher, subscriber) = &pair(address).await?;
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

/// One request after the other, and many at a time.
pub async fn requests(checks: &Checks, address: &str) -> Result<()> {
    let (requester, responder) = &pair(address).await?;
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
    let prefixed = patient(ConnectOptions::new()).custom_inbox_prefix("_MINE").connect(address).await?;
    let mut which = responder.subscribe("which.inbox").await?;
    let silent = responder.subscribe("silent").await?;
    barrier(responder).await?;
    let (answer, asked) = tokio::join!(prefixed.request("which.inbox", "".into()), async {
        let request = next("a request", &mut which).await?;
        let reply = request.reply.context("no reply subject")?;
        responder.publish(reply.clone(), "".into()).await?;
        anyhow::Ok(reply)
    });
    answer?;
    checks.equal("inboxes with a prefix", asked?.starts_with("_MINE."), true)?;
    let late = async_nats::Request::new().timeout(Some(Duration::from_millis(100)));
    let error = requester.send_request("silent", late).await.expect_err("nobody answers");
    checks.equal("an answer that does not come in time", error.kind(), RequestErrorKind::TimedOut)?;
    drop(silent);
    task.abort();
    Ok(())
}

/// Several answers to a request.
pub async fn request_many(checks: &Checks, address: &str) -> Result<()> {
    let (requester, responder) = &pair(address).await?;
    for name in ["a", "b", "c"] {
        let mut service = responder.subscribe("who.is.there").await?;
        let responder = responder.clone();
        tokio::spawn(async move {
            while let Some(request) = service.next().await {
                let reply = request.reply.expect("a request has a reply");
                responder.publish(reply, name.into()).await.expect("published");
            }
        });
    }
    barrier(responder).await?;
    let inbox = requester.new_inbox();
    let mut answers = requester.subscribe(inbox.clone()).await?;
    answers.unsubscribe_after(3).await?;
    requester.publish_with_reply("who.is.there", inbox, "".into()).await?;
    let mut found: Vec<_> = soon("all answers", answers.map(|answer| answer.payload).collect()).await?;
    found.sort();
    checks.equal("an answer of everybody", found, vec!["a".into(), "b".into(), "c".into()])
}

/// Requests that nobody takes.
pub async fn no_responders(checks: &Checks, address: &str) -> Result<()> {
    let client = plain(address).await?;
    let error = client.request("nobody.here", "".into()).await.expect_err("nobody is there");
    checks.equal("no responders", error.kind(), RequestErrorKind::NoResponders)?;
    let own = async_nats::Request::new().inbox(client.new_inbox());
    let error = client.send_request("nobody.here", own).await.expect_err("nobody is there");
    checks.equal("no responders, by an inbox of its own", error.kind(), RequestErrorKind::NoResponders)?;
    let mut subscription = client.subscribe("answers.here").await?;
    client.publish_with_reply("nobody.here", "answers.here", "".into()).await?;
    let message = next("the notice", &mut subscription).await?;
    checks.equal("the notice", message.status, Some(StatusCode::NO_RESPONDERS))
}

/// Payloads at the limit and over it.
pub async fn payload_limit(checks: &Checks, address: &str) -> Result<()> {
    let client = &plain(address).await?;
    let limit = client.max_payload();
    checks.equal("the configured limit", limit, 4096)?;
    client.publish("large", vec![b'x'; limit].into()).await?;
    checks.held("the largest payload", barrier(client).await)?;
    let error = client.publish("large", vec![b'x'; limit + 1].into()).await.expect_err("too large");
    checks.equal("one byte more", error.kind(), async_nats::client::PublishErrorKind::MaxPayloadExceeded)?;
    checks.held("the connection lives", barrier(client).await)
}

/// A connection that does not hear itself.
pub async fn no_echo(checks: &Checks, address: &str) -> Result<()> {
    let client = patient(ConnectOptions::new()).no_echo().connect(address).await?;
    let mut own = client.subscribe("echo").await?;
    client.publish("echo", "x".into()).await?;
    barrier(&client).await?;
    let silent = tokio::time::timeout(Duration::from_millis(50), own.next()).await.is_err();
    checks.equal("without echo nothing of one's own arrives", silent, true)
}

/// What a server says about a subscription that it refuses.
pub async fn invalid_subject(checks: &Checks, address: &str) -> Result<()> {
    let checked = plain(address).await?;
    let error = checked.publish("a b", "".into()).await.expect_err("a blank is no part of a subject");
    checks.equal(
        "the library refuses a blank",
        error.kind(),
        async_nats::client::PublishErrorKind::InvalidSubject,
    )?;
    let (options, mut events) = observed(patient(ConnectOptions::new()).skip_subject_validation(true));
    let client = options.connect(address).await?;
    let subscription = client.subscribe("a..b").await;
    let wanted = |event: &Event| matches!(event, Event::ServerError(error) if error.to_string().to_lowercase().contains("invalid subject"));
    if subscription.is_ok() {
        wait_for("the error", &mut events, wanted).await?;
    }
    checks.held("an invalid subject is said", barrier(&client).await)
}

/// A receiver that the library finds slow.
pub async fn slow_consumer(checks: &Checks, address: &str) -> Result<()> {
    let publisher = plain(address).await?;
    let (options, mut events) = observed(patient(ConnectOptions::new()).subscription_capacity(10));
    let subscriber = options.connect(address).await?;
    let mut subscription = subscriber.subscribe("flood").await?;
    barrier(&subscriber).await?;
    for _ in 0..100 {
        publisher.publish("flood", "x".into()).await?;
    }
    barrier(&publisher).await?;
    let told = wait_for("a word", &mut events, |event| matches!(event, Event::SlowConsumer(_))).await;
    checks.held("it is told that it is slow", told)?;
    barrier(&subscriber).await?;
    subscription.unsubscribe().await?;
    let received = soon("the end", subscription.count()).await?;
    checks.equal("it gets what it could hold", received, 10)
}

/// Draining loses nothing.
pub async fn drain(checks: &Checks, address: &str) -> Result<()> {
    let (publisher, subscriber) = &pair(address).await?;
    const MESSAGES: usize = 1_000;
    let mut subscription = subscriber.subscribe("drained").await?;
    let other = subscriber.subscribe("drained.too").await?;
    barrier(subscriber).await?;
    for _ in 0..MESSAGES {
        publisher.publish("drained", "x".into()).await?;
        publisher.publish("drained.too", "x".into()).await?;
    }
    barrier(publisher).await?;
    barrier(subscriber).await?;
    subscription.drain().await?;
    let received = soon("the end of the drained subscription", subscription.count()).await?;
    checks.equal("draining a subscription loses nothing", received, MESSAGES)?;
    subscriber.drain().await?;
    let received = soon("the end of the drained connection", other.count()).await?;
    checks.equal("draining a connection loses nothing", received, MESSAGES)
}
