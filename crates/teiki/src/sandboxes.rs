//! `teiki sandbox`: the stand-in gateway as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app::Setting;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::signals::Signals;

/// Start the stand-in gateway, with its own append-only book.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki sandbox --listen 127.0.0.1:9000 --book book.jsonl
  teiki sandbox --listen 127.0.0.1:0 --book book.jsonl --faults latency=5-20,drop-after=0.01 --seed 7

Tokens decide outcomes: sbx_ok, sbx_decline_insufficient_funds, sbx_decline_expired_card_until_20270401, …
The protocol, all tokens and all faults are in docs/sandbox.md.")]
pub struct SandboxArgs {
    /// Address to listen on; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR")]
    listen: SocketAddr,
    /// The book: a JSON Lines file that is only appended to.
    #[arg(long, value_name = "FILE")]
    book: PathBuf,
    /// Faults: comma-separated name=value.
    #[arg(long, value_name = "SPEC", default_value = "")]
    faults: String,
    /// Makes the faults of a run repeatable.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs `teiki sandbox` until it is asked to stop.
pub async fn run(setting: &Setting, args: SandboxArgs) -> Result<(), Failure> {
    let faults = args
        .faults
        .parse()
        .map_err(|error: sandbox::FaultsError| Failure::usage(format!("--faults: {error}")))?;
    let config = sandbox::Config { listen: args.listen, book: args.book, faults, seed: args.seed };
    let server = sandbox::start(config).await.map_err(|error| Failure::failed(error.to_string()))?;
    let mut signals = Signals::listen();
    match setting.format {
        Format::Json => output::write_line(&json!({"url": server.url()}).to_string())?,
        Format::Text => output::write_line(&format!("sandbox at {}; stop it with Ctrl-C", server.url()))?,
    }
    signals.next().await;
    server.stop().await;
    Ok(())
}
