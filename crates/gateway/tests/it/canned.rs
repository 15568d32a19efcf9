//! A server that counts requests and answers as it is told, byte by byte: what a raw connection can show.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const CAPABILITIES: &str = r#"{"idempotency":"strong","idempotency_window_ms":null,"lookup_by_reference":true,
    "lookup_lag_ms":0,"max_processing_ms":0,"rate_per_second":null,"too_many_requests_is_not_executed":true}"#;

/// What is done with one request after it was read whole.
pub(crate) enum Act {
    /// These bytes are sent; the connection stays open.
    Send(String),
    /// These bytes are sent and the connection is closed.
    SendAndClose(String),
}

/// Acts on `POST`s in turn; tells its capabilities to everyone, and to all else that it is not there.
pub(crate) struct Canned {
    pub(crate) url: String,
    posts: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Canned {
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(Mutex::new(Vec::new()));
        let acts = Arc::new(Mutex::new(VecDeque::from(acts)));
        let seen = Arc::clone(&posts);
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&acts), Arc::clone(&seen)));
            }
        });
        Self { url, posts, serving }
    }

    /// The head and body of every `POST` that arrived whole.
    pub(crate) fn posts(&self) -> Vec<String> {
        self.posts.lock().unwrap().clone()
    }

    /// Lets go of the port.
    pub(crate) async fn stop(self) {
        self.serving.abort();
        assert!(self.serving.await.unwrap_err().is_cancelled());
    }
}

/// An answer with a length, that keeps its connection.
pub(crate) fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

async fn serve(mut connection: TcpStream, acts: Arc<Mutex<VecDeque<Act>>>, posts: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut connection).await {
        let act = if request.starts_with("POST ") {
            posts.lock().unwrap().push(request);
            acts.lock().unwrap().pop_front().unwrap()
        } else if request.starts_with("GET /capabilities ") {
            let answer = json("200 OK", CAPABILITIES);
            Act::SendAndClose(answer.replacen("\r\n", "\r\nconnection: close\r\n", 1))
        } else {
            Act::Send(json(
                "404 Not Found",
                r#"{"error":{"type":"invalid_request_error","code":"not_found"}}"#,
            ))
        };
        let (bytes, closes) = match act {
            Act::Send(bytes) => (bytes, false),
            Act::SendAndClose(bytes) => (bytes, true),
        };
        if connection.write_all(bytes.as_bytes()).await.is_err() || closes {
            return;
        }
    }
}

/// One request, head and body; nothing if the client left first.
async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
