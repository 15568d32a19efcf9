//! Exports over HTTP: whose rows they are, and how they are sent.

mod rows;
mod sending;

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;
use teiki::exports::Subject;

use super::client::Client;

/// A file that was taken, as far as it came.
struct Taken {
    headers: HeaderMap,
    bytes: Vec<u8>,
    /// Whether its end came too.
    is_whole: bool,
}

/// Where an export is.
fn path(subject: &str, query: &str) -> String {
    format!("/v1/exports/{subject}{query}")
}

/// Takes a file to its end.
async fn take(client: &Client, subject: &str, query: &str) -> Taken {
    let response = client.begin(&path(subject, query)).await;
    assert_eq!(response.status().as_u16(), 200, "{response:?}");
    rest(response).await
}

/// Takes what is left of a file.
async fn rest(mut response: Response) -> Taken {
    let headers = response.headers().clone();
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend(chunk),
            Ok(None) => return Taken { headers, bytes, is_whole: true },
            Err(_) => return Taken { headers, bytes, is_whole: false },
        }
    }
}

impl Taken {
    /// The text of a file that came to its end.
    #[track_caller]
    fn text(self) -> String {
        assert!(self.is_whole, "the answer was cut off after {} bytes", self.bytes.len());
        String::from_utf8(self.bytes).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The rows of an export as objects.
pub(super) async fn rows(client: &Client, subject: &str) -> Vec<Value> {
    let text = take(client, subject, "?format=jsonl").await.text();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn subjects() -> [&'static str; Subject::ALL.len()] {
    Subject::ALL.map(Subject::as_str)
}
