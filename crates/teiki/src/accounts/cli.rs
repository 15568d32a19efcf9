//! `teiki account create`.

use clap::{Args, Subcommand};

use super::Created;
use crate::app::{App, Missing, Setting};
use crate::failure::Failure;
use crate::{clock, output};

/// Make and show merchants' accounts.
#[derive(Debug, Args)]
pub struct AccountArgs {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Make an account and show its keys, once.
    #[command(after_help = "Example:\n  teiki account create 'みどり農園' --zone Asia/Tokyo --json")]
    Create {
        /// What the merchant is called.
        name: String,
        /// Where its days begin: a name of the time zone database.
        #[arg(long, default_value = "Asia/Tokyo")]
        zone: String,
    },
}

/// Runs `teiki account …`.
pub async fn run(setting: &Setting, args: AccountArgs) -> Result<(), Failure> {
    match args.command {
        AccountCommand::Create { name, zone } => {
            App::with(setting, Missing::Create, async |app| {
                let created = super::create(&app.db, &name, &zone, clock::now()).await?;
                output::print(app.format, &created, text)
            })
            .await
        }
    }
}

fn text(created: &Created) -> String {
    format!(
        "account {} ({})\n  test  {}\n        {}\n  live  {}\n        {}\nThe keys are shown only now: keep them in a safe place.\nNext: teiki import --account {} --plans plans.csv --subscribers subscribers.csv",
        created.account,
        created.name,
        created.test.secret_key,
        created.test.public_key,
        created.live.secret_key,
        created.live.public_key,
        created.account,
    )
}
