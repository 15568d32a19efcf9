//! The subscribers of a benchmark: an account and its running subscriptions, made by `teiki account create` and
//! `teiki import`, so that they are what a merchant's would be.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use db::{DatabaseUrl, Db, Options};
use indicatif::ProgressBar;
use jiff::civil::Date;
use serde_json::Value;
use teiki::{outbox, progress};

use super::{Failed, process, teiki_program};

/// Rows of one file: what one import takes.
const FILE_ROWS: u64 = 250_000;

const PLANS: &str = "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments\n\
                     basic-monthly,ベーシック月額,980,jpy,standard,month,1,0,0,\n";
const HEADER: &str = "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,gateway,\
                      payment_token,card_brand,card_last4,card_exp\n";

/// Who is to be made.
pub(crate) struct Crowd {
    pub(crate) count: u64,
    /// They are due in so many groups of neighbours, one on each day from `first_on`.
    pub(crate) groups: u64,
    pub(crate) first_on: Date,
    /// Where the account's test clock starts; without it they live in real time.
    pub(crate) clock: Option<String>,
}

/// Makes them in the empty database at `url`, with nothing left in the outbox. Returns the account's id.
pub(crate) fn make(url: &str, folder: &Path, crowd: &Crowd, is_quiet: bool) -> Result<String, Failed> {
    let teiki = || -> Result<Command, Failed> {
        let mut command = Command::new(teiki_program()?);
        command.args(["--json", "--database", url, "--data-dir"]).arg(folder);
        Ok(command)
    };
    let created = process::output(teiki()?.args(["account", "create", "ベンチマーク"]))?;
    let created: Value = serde_json::from_str(&created)?;
    let account = created["account"].as_str().ok_or("no account was made")?.to_owned();
    let (plans, subscribers) = (folder.join("plans.csv"), folder.join("subscribers.csv"));
    std::fs::write(&plans, PLANS)?;
    let bar = progress::bar("importing subscribers", Some(crowd.count), is_quiet);
    for from in (0..crowd.count).step_by(usize::try_from(FILE_ROWS)?) {
        let until = crowd.count.min(from + FILE_ROWS);
        write_subscribers(&subscribers, crowd, from, until)?;
        let mut command = teiki()?;
        command.args(["import", "--account", &account]).arg("--plans").arg(&plans);
        command.arg("--subscribers").arg(&subscribers);
        if let Some(clock) = &crowd.clock {
            command.args(["--clock", clock]);
        }
        process::output(&mut command)?;
        bar.set_position(until);
    }
    deliver(url)?;
    bar.finish_and_clear();
    Ok(account)
}

fn write_subscribers(path: &Path, crowd: &Crowd, from: u64, until: u64) -> Result<(), Failed> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(HEADER.as_bytes())?;
    let mut line = String::new();
    for number in from..until {
        let group = i64::try_from(number * crowd.groups / crowd.count)?;
        let due = crowd.first_on.checked_add(jiff::Span::new().try_days(group)?)?;
        let anchor = due.checked_sub(jiff::Span::new().try_years(2)?)?;
        line.clear();
        writeln!(
            line,
            "c{number:07},顧客{number:07},user{number:07}@example.com,basic-monthly,{anchor},{due},,,sandbox,\
             sbx_ok.c{number:07},Visa,4242,2032-08"
        )?;
        file.write_all(line.as_bytes())?;
    }
    Ok(file.flush()?)
}

/// Delivers the events of the import, and closes the database so that it can be copied.
fn deliver(url: &str) -> Result<(), Failed> {
    let url: DatabaseUrl = url.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let db = Db::open(&url, &Options::default()).await?;
        outbox::drain(&db).await?;
        db.close().await;
        Ok(())
    })
}

/// A bar for the rounds of a run.
pub(crate) fn rounds_bar(rounds: usize, is_quiet: bool) -> ProgressBar {
    progress::bar("rounds", u64::try_from(rounds).ok(), is_quiet)
}
