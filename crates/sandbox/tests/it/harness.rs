//! One sandbox on a free port with a book in a folder of its own, and the requests that tests send.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use sandbox::{BookLine, Config, Server, StartError, read_book};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time any test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Harness {
    folder: TempDir,
    faults: String,
    server: Option<Server>,
    client: Client,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("no error")
    }
}

pub(crate) async fn start(faults: &str) -> Harness {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let mut harness = Harness { folder, faults: faults.to_owned(), server: None, client };
    harness.server = Some(harness.try_start().await.unwrap());
    harness
}

/// A charge that only needs to differ where a test says so.
pub(crate) fn charge(token: &str) -> Value {
    json!({"token": token, "amount": 1200, "currency": "jpy", "reference": "ch_1"})
}

pub(crate) fn keyed(token: &str, key: &str) -> Value {
    with(charge(token), "idempotency_key", json!(key))
}

pub(crate) fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

impl Harness {
    pub(crate) async fn try_start(&self) -> Result<Server, StartError> {
        let faults = self.faults.parse().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        sandbox::start(Config { listen, book: self.book_path(), faults, seed: 7 }).await
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(crate) async fn restart(&mut self) {
        if self.server.is_some() {
            self.stop().await;
        }
        self.server = Some(self.try_start().await.unwrap());
    }

    pub(crate) async fn restart_with(&mut self, faults: &str) {
        self.stop().await;
        self.faults = faults.to_owned();
        self.restart().await;
    }

    pub(crate) fn book_path(&self) -> PathBuf {
        self.folder.path().join("book.jsonl")
    }

    pub(crate) fn book(&self) -> Vec<BookLine> {
        read_book(self.book_path()).unwrap()
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", self.server().url());
        self.client.post(url).json(body).timeout(PATIENCE).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.try_post(path, body).await.unwrap()).await
    }

    pub(crate) async fn charge(&self, body: &Value) -> Answer {
        self.post("/charges", body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.server().url());
        answer(self.client.get(url).timeout(PATIENCE).send().await.unwrap()).await
    }

    /// Sends a charge, again as long as its key is in progress: a line is in the file a moment before its key is free.
    pub(crate) async fn charge_when_free(&self, body: &Value) -> Answer {
        loop {
            let answer = self.charge(body).await;
            if answer.code() != "idempotency_in_progress" {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Sends a charge and leaves after a short while; the answer must not have come. As above while its key is in progress.
    pub(crate) async fn charge_and_give_up(&self, body: &Value) {
        let url = format!("{}/charges", self.server().url());
        loop {
            let request = self.client.post(&url).json(body).timeout(Duration::from_millis(150));
            match request.send().await {
                Err(error) => return assert!(error.is_timeout(), "the request failed: {error}"),
                Ok(response) => assert_eq!(answer(response).await.code(), "idempotency_in_progress"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the book has this many lines.
    pub(crate) async fn wait_for_lines(&self, count: usize) -> Vec<BookLine> {
        let poll = async {
            loop {
                let lines = self.book();
                if lines.len() >= count {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let lines = tokio::time::timeout(PATIENCE, poll).await.expect("the book never got its lines");
        assert_eq!(lines.len(), count);
        lines
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status();
    let text = response.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}
