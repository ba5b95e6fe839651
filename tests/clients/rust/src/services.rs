//! Services that can be discovered, with their figures.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::service::{Info, PingResponse, ServiceExt, Stats, error};
use async_nats::{Client, RequestErrorKind};
use futures_util::StreamExt;

use crate::checks::{Checks, barrier, next};
use crate::core::pair;

/// What so many instances answer, and a check that no more do.
async fn discovered(checks: &Checks, client: &Client, subject: &str, count: usize) -> Result<Vec<Vec<u8>>> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject.to_owned(), inbox, "".into()).await?;
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(next(subject, &mut answers).await?.payload.to_vec());
    }
    let more = tokio::time::timeout(Duration::from_millis(100), answers.next()).await;
    checks.equal(&format!("{count} answer {subject}"), more.is_err(), true)?;
    Ok(found)
}

/// Two instances of a service, one with an endpoint.
pub async fn services(checks: &Checks, address: &str) -> Result<()> {
    let (client, server) = pair(address).await?;
    let builder = || server.service_builder().description("adds numbers");
    let broken = |problem: async_nats::Error| anyhow::anyhow!("{problem}");
    let service = builder().start("adder", "1.2.3").await.map_err(broken)?;
    let second = builder().start("adder", "1.2.3").await.map_err(broken)?;
    let mut endpoint = service.group("math").endpoint("add").await.map_err(broken)?;
    barrier(&server).await?;
    tokio::spawn(async move {
        while let Some(request) = endpoint.next().await {
            let numbers: Result<Vec<i64>, _> = serde_json::from_slice(&request.message.payload);
            let answer = match numbers {
                Ok(numbers) => Ok(numbers.iter().sum::<i64>().to_string().into()),
                Err(_) => Err(error::Error { code: 400, status: "no numbers".to_owned() }),
            };
            request.respond(answer).await.expect("published");
        }
    });

    let id = service.info().await.id;
    let mut found = Vec::new();
    for ping in discovered(checks, &client, "$SRV.PING.adder", 2).await? {
        found.push(serde_json::from_slice::<PingResponse>(&ping)?.id);
    }
    let mut expected = vec![id.clone(), second.info().await.id];
    found.sort();
    expected.sort();
    checks.equal("every instance answers a ping", found, expected)?;
    discovered(checks, &client, "$SRV.PING", 2).await?;
    let info = discovered(checks, &client, &format!("$SRV.INFO.adder.{id}"), 1).await?.remove(0);
    let info: Info = serde_json::from_slice(&info)?;
    checks.equal(
        "its info",
        (info.version.as_str(), info.description.as_str()),
        ("1.2.3", "adds numbers"),
    )?;
    checks.equal("its endpoints", info.endpoints[0].subject.as_str(), "math.add")?;

    for number in 0..10 {
        let answer = client.request("math.add", format!("[{number},1]").into()).await?;
        ensure!(answer.payload == (number + 1).to_string(), "{answer:?}");
    }
    checks.held("ten requests", Ok(()))?;
    let wrong = client.request("math.add", "x".into()).await?;
    let code = wrong.headers.context("no headers")?.get("Nats-Service-Error-Code").map(ToString::to_string);
    checks.equal("an error", code.as_deref(), Some("400"))?;
    let stats = discovered(checks, &client, &format!("$SRV.STATS.adder.{id}"), 1).await?.remove(0);
    let stats: Stats = serde_json::from_slice(&stats)?;
    checks.equal("its figures", (stats.endpoints[0].requests, stats.endpoints[0].errors), (11, 1))?;

    service.stop().await.map_err(broken)?;
    barrier(&server).await?;
    let error = client.request("math.add", "[]".into()).await.expect_err("nobody is there");
    checks.equal(
        "a service that was stopped has no responders",
        error.kind(),
        RequestErrorKind::NoResponders,
    )?;
    discovered(checks, &client, "$SRV.PING.adder", 1).await?;
    Ok(())
}
