//! The floor of the API: a bare axum handler that answers every request with one text, and does nothing else.

use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use clap::Args;

use super::Failed;
use super::process::Server;

#[derive(Args)]
pub(crate) struct BareArguments {
    /// The file whose text is the answer.
    #[arg(long)]
    answer: std::path::PathBuf,
}

/// Serves until it is killed; prints where.
pub(crate) fn serve(arguments: &BareArguments) -> Result<(), Failed> {
    let answer = std::fs::read_to_string(&arguments.answer)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", serde_json::json!({"url": format!("http://{}", listener.local_addr()?)}));
        let handler = move || async move { ([(CONTENT_TYPE, "application/json")], answer).into_response() };
        axum::serve(listener, Router::new().fallback(handler)).await?;
        Ok(())
    })
}

/// Starts it as a process of its own.
pub(crate) fn start(answer: &Path) -> Result<Server, Failed> {
    let answer = answer.to_str().ok_or("the scratch folder's name is not UTF-8")?;
    Server::start(
        &std::env::current_exe()?,
        &["bench", "round", "bare", "--answer", answer],
        Stdio::inherit(),
    )
}
