//! SIGTERM ends the webhook deliverer gracefully: what is under way is delivered, and what is left is told.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_under_way_is_delivered() -> anyhow::Result<()> {
    let url = target(post(async || tokio::time::sleep(Duration::from_millis(300)).await)).await?;
    assert_eq!(deliver_and_terminate(&url).await?, "delivered 1, given up 0\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_would_take_too_long_is_told() -> anyhow::Result<()> {
    let url = target(post((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], ""))).await?;
    let told = deliver_and_terminate(&url).await?;
    let (counts, letter) = told.split_once('\n').unwrap_or_default();
    assert_eq!(counts, "delivered 0, given up 1");
    let letter: Value = serde_json::from_str(letter)?;
    assert_eq!((&letter["outcome"], &letter["delivery"]["url"]), (&json!("cancelled"), &json!(url)));
    Ok(())
}

async fn target(route: axum::routing::MethodRouter) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", route)).await });
    Ok(url)
}

/// Has the program deliver to this target, and what it says after a SIGTERM.
async fn deliver_and_terminate(url: &str) -> anyhow::Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webhooks"));
    let mut service = command.args(["127.0.0.1:0", "1"]).stdout(Stdio::piped()).spawn()?;
    let mut stdout = BufReader::new(service.stdout.take().ok_or_else(|| anyhow::anyhow!("no output"))?);
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening on ").unwrap_or_default();

    let delivery = json!({ "url": url, "body": null });
    let answer =
        reqwest::Client::new().post(format!("http://{address}/deliver")).json(&delivery).send().await?;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    Command::new("kill").arg(service.id().to_string()).status()?;

    let mut rest = String::new();
    stdout.read_to_string(&mut rest)?;
    assert!(service.wait()?.success());
    Ok(rest)
}
