//! Credentials and permissions.

use anyhow::{Context, Result, ensure};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, RequestErrorKind, Subscriber};
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::checks::{Checks, barrier, next, observed, patient, plain, talks, wait_for};

/// The seed of a user that the server knows.
const SEED: &str = "SUADCIZ3TBX7BB7QTAJKXXCPFCAKH2JU6LQZ2UP63GLJ3FPH5ECEMHW3UA";

/// The seed of a user that it does not know.
const OTHER_SEED: &str = "SUAOEKQUYVE754EOH3KQ33H5U6PFJUAXVDCQCYPXLRD6IHVSTSRBY6XZUI";

/// A user and the password.
pub type User = (&'static str, &'static str);

/// The user that the scenarios expect where there is one alone.
pub const ALICE: User = ("alice", "w0nder");

/// A second user.
pub const BOB: User = ("bob", "bu1lder");

/// A third one.
pub const CAROL: User = ("carol", "s1nger");

fn with(user: User) -> ConnectOptions {
    patient(ConnectOptions::with_user_and_password(user.0.to_owned(), user.1.to_owned()))
}

/// A connection as a user.
pub async fn connect(user: User, address: &str) -> Result<Client> {
    with(user).connect(address).await.with_context(|| format!("connect as {}", user.0))
}

/// Checks that these options let a client in.
pub async fn let_in(checks: &Checks, name: &str, options: ConnectOptions, address: &str) -> Result<Client> {
    let client = options.connect(address).await.context(name.to_owned())?;
    checks.held(name, talks(&client).await)?;
    Ok(client)
}

/// Checks that these options do not let a client in.
pub async fn refused(checks: &Checks, name: &str, options: ConnectOptions, address: &str) -> Result<()> {
    match options.connect(address).await {
        Ok(_) => anyhow::bail!("{name}: it was let in"),
        Err(error) => checks.equal(name, error.kind(), ConnectErrorKind::AuthorizationViolation),
    }
}

/// A server that asks for a token.
pub async fn token(checks: &Checks, address: &str) -> Result<()> {
    let with = |token: &str| patient(ConnectOptions::with_token(token.to_owned()));
    let client = let_in(checks, "the right token", with("s3cret"), address).await?;
    checks.equal("credentials are asked for", client.server_info().auth_required, true)?;
    refused(checks, "a wrong token", with("wrong"), address).await?;
    refused(checks, "no token", patient(ConnectOptions::new()), address).await
}

/// A server that asks for a user and a password.
pub async fn user(checks: &Checks, address: &str) -> Result<()> {
    let_in(checks, "the right password", with(ALICE), address).await?;
    refused(checks, "a wrong one", with((ALICE.0, "wrong")), address).await?;
    refused(checks, "another user", with(("bob", ALICE.1)), address).await?;
    refused(checks, "nobody", patient(ConnectOptions::new()), address).await
}

/// A server that asks for a signature.
pub async fn nkey(checks: &Checks, address: &str) -> Result<()> {
    let with = |seed: &str| patient(ConnectOptions::with_nkey(seed.to_owned()));
    let_in(checks, "the right key", with(SEED), address).await?;
    refused(checks, "another key", with(OTHER_SEED), address).await?;
    refused(checks, "nobody", patient(ConnectOptions::new()), address).await
}

/// A server with a user for those who do not say who they are.
pub async fn no_auth_user(checks: &Checks, address: &str) -> Result<()> {
    let_in(checks, "without credentials", patient(ConnectOptions::new()), address).await?;
    let_in(checks, "with credentials", with(ALICE), address).await?;
    refused(checks, "with wrong ones", with((ALICE.0, "wrong")), address).await
}

/// Waits until what may have been refused was handled: the library's `flush` does not wait for the server, and a user
/// with few permissions cannot ask anybody.
async fn settled(
    client: &Client,
    subscription: Result<Subscriber, async_nats::SubscribeError>,
) -> Result<Subscriber> {
    let subscription = subscription?;
    client.flush().await?;
    Ok(subscription)
}

/// Checks that the next error that the server tells is a violation with these words.
pub async fn violation(
    checks: &Checks,
    name: &str,
    events: &mut UnboundedReceiver<Event>,
    words: &str,
) -> Result<()> {
    let event = wait_for(name, events, |event| matches!(event, Event::ServerError(_))).await?;
    let text = event.to_string().to_lowercase();
    ensure!(text.contains("permissions violation") && text.contains(&words.to_lowercase()), "{name}: {text}");
    checks.held(name, Ok(()))
}

/// What one user may and another may not.
pub async fn permissions(checks: &Checks, address: &str) -> Result<()> {
    let alice = connect(ALICE, address).await?;
    let (options, mut events) = observed(with(BOB));
    let bob = options.connect(address).await?;
    let mut seen = alice.subscribe("orders.>").await?;
    barrier(&alice).await?;
    bob.publish("orders.new", "1".into()).await?;
    checks.equal(
        "what may be published arrives",
        next("a message", &mut seen).await?.subject.as_str(),
        "orders.new",
    )?;
    for subject in ["other", "orders.secret"] {
        bob.publish(subject, "2".into()).await?;
        violation(checks, "a publish is refused", &mut events, &format!("publish to \"{subject}\"")).await?;
    }
    seen.unsubscribe().await?;
    barrier(&alice).await?;
    let mut in_force = settled(&bob, bob.subscribe("orders.*").await).await?;
    let nobody = bob.request("orders.nobody.here", "".into()).await.expect_err("nobody is there");
    checks.equal(
        "a request that may be sent has no responders",
        nobody.kind(),
        RequestErrorKind::NoResponders,
    )?;
    alice.publish("orders.secret", "3".into()).await?;
    alice.publish("orders.new", "4".into()).await?;
    let message = next("a message", &mut in_force).await?;
    checks.equal("a denied subject is left out of a wildcard", message.payload.as_ref(), b"4".as_slice())?;
    let _elsewhere = settled(&bob, bob.subscribe("elsewhere").await).await?;
    violation(checks, "a subscription is refused", &mut events, "subscription to \"elsewhere\"").await?;
    let mut worker = settled(&bob, bob.queue_subscribe("work.a", "workers".to_owned()).await).await?;
    let _ = bob.request("orders.nobody.here", "".into()).await;
    alice.publish("work.a", "5".into()).await?;
    let message = next("a message", &mut worker).await?;
    checks.equal("the group that is allowed", message.payload.as_ref(), b"5".as_slice())?;
    let _others = settled(&bob, bob.queue_subscribe("work.a", "others".to_owned()).await).await?;
    violation(checks, "another group is refused", &mut events, "using queue \"others\"").await?;
    bob.publish("orders.talk", "x".into()).await?;
    let message = next("a message", &mut in_force).await?;
    checks.equal("the connection lives", message.payload.as_ref(), b"x".as_slice())
}

/// A user that may only answer.
pub async fn allow_responses(checks: &Checks, address: &str) -> Result<()> {
    let alice = connect(ALICE, address).await?;
    let (options, mut events) = observed(with(CAROL));
    let carol = options.connect(address).await?;
    let mut service = settled(&carol, carol.subscribe("service.echo").await).await?;
    let answering = carol.clone();
    tokio::spawn(async move {
        while let Some(request) = service.next().await {
            let reply = request.reply.expect("a request has a reply");
            for answer in ["first", "second"] {
                answering.publish(reply.clone(), answer.into()).await.expect("published");
            }
        }
    });
    // The subscription is in force once a request is answered.
    let answer = loop {
        match alice.request("service.echo", "".into()).await {
            Err(error) if error.kind() == RequestErrorKind::NoResponders => tokio::task::yield_now().await,
            outcome => break outcome?,
        }
    };
    checks.equal("an answer is allowed", answer.payload.as_ref(), b"first".as_slice())?;
    violation(checks, "a second one is not", &mut events, "_inbox.").await?;
    carol.publish("other", "x".into()).await?;
    violation(checks, "nothing else is", &mut events, "publish to \"other\"").await
}

/// A request about oneself.
pub async fn user_info(checks: &Checks, address: &str) -> Result<()> {
    let client = plain(address).await?;
    let answer = client.request("$SYS.REQ.USER.INFO", "".into()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload)?;
    checks.equal("who one is", answer["data"]["account"].as_str(), Some("$G"))
}
