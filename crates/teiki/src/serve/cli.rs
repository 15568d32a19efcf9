//! `teiki serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Config, serve};
use crate::app::{self, App, Missing, Setting};
use crate::failure::Failure;
use crate::secrets::KeyFile;

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
    /// The file of the key that secrets in the database are encrypted with, 64 hex digits; it is not in the database, so back
    /// it up too [default: secret.key in --data-dir, made when it is first needed]
    #[arg(long, env = "TEIKI_SECRET_KEY_FILE", value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Let webhook endpoints of test mode be http, on any port, and at private addresses such as this machine's; those of
    /// live mode never are. For trying things out: whoever has a test key can then reach what this server can reach
    #[arg(long)]
    allow_private_webhooks: bool,
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
        let config = Config {
            listen: args.listen,
            secret_key: KeyFile::new(args.secret_key_file, &setting.data_dir),
            data_dir: setting.data_dir.clone(),
            sandbox: args.sandbox,
            allow_private_webhooks: args.allow_private_webhooks,
        };
        serve(app.clone(), config).await
    })
    .await
}
