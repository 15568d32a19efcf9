//! `teiki account`: accounts, their settings and their API keys.

use clap::{Args, Subcommand};

use super::Created;
use super::settings::Settings;
use crate::api_keys::{KeyKind, cli as keys};
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
    #[command(after_help = "Examples:
  teiki account create 'みどり農園' --zone Asia/Tokyo --json
  teiki account create 移行 --calendar payjp --renewal-failure payjp --rate-limits payjp")]
    Create {
        /// What the merchant is called.
        name: String,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Change settings of an account.
    #[command(after_help = "Example:
  teiki account set acct_… calendar=payjp charge_window=10:00 test_clock=

Settings: calendar (anchor, payjp), renewal_failure (open, payjp), zone, charge_window, test_clock, rate_limits (generous,
payjp), email. They affect what is made from then on; docs/api/differences.md says what they mean.")]
    Set {
        /// The account.
        account: String,
        /// Settings, as name=value; an empty value clears.
        #[arg(required = true, value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// List the API keys in use on one side of an account.
    #[command(after_help = "Example:
  teiki account keys acct_… --mode live --json

The keys themselves are not stored, so they cannot be shown.")]
    Keys {
        /// The account.
        account: String,
    },
    /// Make an API key and show it, once.
    #[command(after_help = "Example:
  teiki account key-create acct_… --mode live --kind secret --name 'shop server'

This also lets an owner in again who has lost every key.")]
    KeyCreate {
        /// The account.
        account: String,
        /// What it may do: everything, make tokens, or read.
        #[arg(long)]
        kind: KeyKind,
        /// What it is called, up to 100 characters.
        #[arg(long)]
        name: Option<String>,
    },
    /// Revoke an API key: from then on it opens nothing.
    #[command(after_help = "Example:
  teiki account key-revoke acct_… key_… --mode live

The last secret key of a mode is not revoked: make another one first.")]
    KeyRevoke {
        /// The account.
        account: String,
        /// The id of the key: key_….
        key: String,
    },
}

/// Settings of a new account.
#[derive(Debug, Args)]
struct Chosen {
    /// Where its days begin: a name of the time zone database [default: Asia/Tokyo]
    #[arg(long)]
    zone: Option<String>,
    /// How the boundaries of its subscriptions follow: anchor or payjp [default: anchor]
    #[arg(long)]
    calendar: Option<String>,
    /// What a failed renewal does: open or payjp [default: open]
    #[arg(long)]
    renewal_failure: Option<String>,
    /// The local time from which it charges what is due on a day [default: 09:00]
    #[arg(long, value_name = "HH:MM")]
    charge_window: Option<String>,
    /// How many requests its keys may make: generous or payjp [default: generous]
    #[arg(long)]
    rate_limits: Option<String>,
    /// Where its mails come from.
    #[arg(long)]
    email: Option<String>,
}

impl Chosen {
    fn pairs(self) -> Vec<(String, String)> {
        let all = [
            ("zone", self.zone),
            ("calendar", self.calendar),
            ("renewal_failure", self.renewal_failure),
            ("charge_window", self.charge_window),
            ("rate_limits", self.rate_limits),
            ("email", self.email),
        ];
        all.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect()
    }
}

/// Runs `teiki account …`.
pub async fn run(setting: &Setting, args: AccountArgs) -> Result<(), Failure> {
    match args.command {
        AccountCommand::Create { name, chosen } => {
            App::with(setting, Missing::Create, async |app| {
                let created = super::create(&app.db, &name, &chosen.pairs(), clock::now()).await?;
                output::print(app.format, &created, text)
            })
            .await
        }
        AccountCommand::Set { account, settings } => {
            let chosen = settings.iter().map(|setting| pair(setting)).collect::<Result<Vec<_>, _>>()?;
            App::with(setting, Missing::Refuse, async |app| {
                let id = super::get(&app.db, &account).await?.id;
                let changed = app.db.write(move |tx| super::change(tx, id, &chosen)).await?;
                let changed = changed.map_err(|wrong| Failure::usage(wrong.to_string()))?;
                output::print(app.format, &changed, shown)
            })
            .await
        }
        AccountCommand::Keys { account } => {
            App::with(setting, Missing::Refuse, async |app| keys::list(app, &account).await).await
        }
        AccountCommand::KeyCreate { account, kind, name } => {
            App::with(setting, Missing::Refuse, async |app| keys::create(app, &account, kind, name).await)
                .await
        }
        AccountCommand::KeyRevoke { account, key } => {
            App::with(setting, Missing::Refuse, async |app| keys::revoke(app, &account, key).await).await
        }
    }
}

fn pair(setting: &str) -> Result<(String, String), Failure> {
    match setting.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Failure::usage(format!("{setting:?} is not of the form name=value"))),
    }
}

fn shown(settings: &Settings) -> String {
    format!(
        "  calendar         {}\n  renewal_failure  {}\n  zone             {}\n  charge_window    {}\n  test_clock       {}\n  rate_limits      {}\n  email            {}",
        settings.calendar,
        settings.renewal_failure,
        settings.zone,
        settings.charge_window,
        settings.test_clock.as_deref().unwrap_or("none: real time"),
        settings.rate_limits,
        settings.email.as_deref().unwrap_or("none"),
    )
}

fn text(created: &Created) -> String {
    format!(
        "account {} ({})\n  test  {}\n        {}\n  live  {}\n        {}\nThe keys are shown only now: keep them in a safe place.\nNext: teiki import --account {} --plans plans.csv --subscribers subscribers.csv",
        created.account,
        created.name,
        created.test.secret_key.shown_once(),
        created.test.public_key.shown_once(),
        created.live.secret_key.shown_once(),
        created.live.public_key.shown_once(),
        created.account,
    )
}
