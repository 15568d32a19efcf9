//! The floor of charging over HTTP: a bare keep-alive client that sends the requests teiki has sent, and does nothing else.
//!
//! A sandbox answers a repeated key from memory, so the first letter of key and reference is another one; all else is the
//! same, byte for byte. Answers are read to their end and must be 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use db::{DatabaseUrl, Db, Options};
use jiff::Timestamp;
use reqwest::{Client, redirect};
use serde::Serialize;
use tokio::task::JoinSet;

use super::Failed;

/// A request as the adapter of the sandbox writes it.
#[derive(Serialize)]
struct ChargeBody {
    token: String,
    amount: i64,
    currency: String,
    reference: String,
    capture: bool,
    idempotency_key: String,
    billing_time: Timestamp,
}

/// The bodies of all charges in a database.
pub(crate) fn bodies(url: &str) -> Result<Vec<Vec<u8>>, Failed> {
    let url: DatabaseUrl = url.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let rows = runtime.block_on(async {
        let db = Db::open(&url, &Options::default()).await?;
        let rows = db
            .read(|tx| {
                tx.query(
                    "select m.gateway_token, c.amount, c.currency, c.id, c.idempotency_key, c.billing_at
                     from charges c join payment_methods m on m.slot = c.slot and m.id = c.payment_method_id
                     order by c.slot, c.id",
                    &[],
                )
            })
            .await?;
        db.close().await;
        Ok::<_, Failed>(rows)
    })?;
    rows.iter()
        .map(|row| {
            let body = ChargeBody {
                token: row.text(0)?,
                amount: row.i64(1)?,
                currency: row.text(2)?,
                reference: renamed(row.str(3)?),
                capture: true,
                idempotency_key: renamed(row.str(4)?),
                billing_time: Timestamp::from_microsecond(row.i64(5)?)?,
            };
            Ok(serde_json::to_vec(&body)?)
        })
        .collect()
}

fn renamed(text: &str) -> String {
    let rest = text.get(1..).unwrap_or_default();
    format!("x{rest}")
}

/// Sends all requests, so many at a time, and gives the microseconds that it took.
pub(crate) fn send(sandbox: &str, bodies: &Arc<Vec<Vec<u8>>>, concurrency: usize) -> Result<u64, Failed> {
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(concurrency)
        .build()?;
    let url = format!("{sandbox}/charges");
    let runtime = tokio::runtime::Runtime::new()?;
    let started = Instant::now();
    runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..concurrency {
            let (client, url, bodies, next) =
                (client.clone(), url.clone(), Arc::clone(bodies), Arc::clone(&next));
            senders.spawn(async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request =
                        client.post(&url).header("content-type", "application/json").body(body.clone());
                    request.send().await?.error_for_status()?.bytes().await?;
                }
                Ok::<_, reqwest::Error>(())
            });
        }
        while let Some(sender) = senders.join_next().await {
            sender??;
        }
        Ok::<_, Failed>(())
    })?;
    Ok(u64::try_from(started.elapsed().as_micros())?)
}
