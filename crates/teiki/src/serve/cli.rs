//! `teiki serve`.

use std::net::SocketAddr;

use clap::Args;

use super::{Config, serve};
use crate::app::{self, App, Missing, Setting};
use crate::failure::Failure;

/// Charge subscribers on time, and answer on an HTTP port.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki serve
  teiki serve --listen 0.0.0.0:8080 --database postgres://teiki@db/teiki --sandbox http://127.0.0.1:9000

GET /healthz says whether the scheduler and the database are well, GET /metrics is for Prometheus.")]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// In test mode, the sandbox to charge through; several servers on one database need the same one [default: one
    /// inside this process, its book in --data-dir]
    #[arg(long, value_name = "URL")]
    sandbox: Option<String>,
}

/// Runs `teiki serve`.
pub async fn run(setting: &Setting, args: ServeArgs) -> Result<(), Failure> {
    if cfg!(feature = "broken") {
        return Err(Failure::usage(
            "this program has protocols in it that charge twice, for `teiki proof kill --break`; serve with another build",
        ));
    }
    App::with(setting, Missing::Create, async |app| {
        let _lock = app::charging_lock(setting)?;
        let config =
            Config { listen: args.listen, data_dir: setting.data_dir.clone(), sandbox: args.sandbox };
        serve(app.clone(), config).await
    })
    .await
}
