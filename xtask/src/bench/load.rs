//! Clients that send one kind of request to a server for a while, one after another each, and how long answers took.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, redirect};
use serde::Serialize;
use tokio::task::JoinSet;

use super::Failed;
use super::measure::Milli;

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// GET of this path.
    Get(String),
    /// POST of this form to this path.
    Post(String, Vec<(&'static str, String)>),
}

impl Ask {
    /// The request to a server with a key.
    pub(crate) fn request(&self, client: &Client, url: &str, key: &str) -> RequestBuilder {
        let request = match self {
            Self::Get(path) => client.get(format!("{url}{path}")),
            Self::Post(path, form) => {
                // Ids and numbers: nothing to be escaped.
                let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let request = client.post(format!("{url}{path}"));
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.join("&"))
            }
        };
        request.basic_auth(key, Some(""))
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Answered {
    pub(crate) per_second: u64,
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
}

/// Who asks: a server, and a key for each client.
pub(crate) struct Clients<'a> {
    pub(crate) url: &'a str,
    pub(crate) keys: &'a [String],
    pub(crate) lasting: Duration,
}

impl Clients<'_> {
    /// Sends requests until the time is over. Error: an answer that is not 200.
    pub(crate) fn send(&self, ask: &Ask) -> Result<Answered, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let started = Instant::now();
        let mut took = runtime.block_on(async {
            let mut senders = JoinSet::new();
            for key in self.keys {
                let sender = sender(self.url.to_owned(), key.clone(), ask.clone(), started + self.lasting)?;
                senders.spawn(sender);
            }
            let mut took = Vec::new();
            while let Some(sender) = senders.join_next().await {
                took.extend(sender??);
            }
            Ok::<_, Failed>(took)
        })?;
        let elapsed = u64::try_from(started.elapsed().as_micros())?;
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).or(took.last()).copied().unwrap_or(0);
        let count = u64::try_from(took.len())?;
        Ok(Answered {
            per_second: Milli::of(count.saturating_mul(1_000), elapsed).0,
            p50_micros: at(50),
            p99_micros: at(99),
        })
    }
}

/// One client: the microseconds of each answer.
fn sender(
    url: String,
    key: String,
    ask: Ask,
    until: Instant,
) -> Result<impl Future<Output = Result<Vec<u64>, Failed>> + Send + 'static, Failed> {
    let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().tcp_nodelay(true).build()?;
    Ok(async move {
        let mut took = Vec::new();
        while Instant::now() < until {
            let begun = Instant::now();
            let answer = ask.request(&client, &url, &key).send().await?;
            let status = answer.status();
            let text = answer.text().await?;
            if !status.is_success() {
                return Err(format!("{ask:?} was answered with {status}: {text}").into());
            }
            took.push(u64::try_from(begun.elapsed().as_micros())?);
        }
        Ok(took)
    })
}
