//! The proof's subscribers, as the two files that `teiki import` reads.
//!
//! Ten monthly cycles for each, over the turn of a year and the end of a leap February. Anchors stand on
//! ordinary days and on those at the end of a month that some months do not have.

use std::fmt::Write as _;
use std::path::Path;

use crate::failure::Failure;

/// Where the test clock starts: the month of the first cycle, in Tokyo.
pub(super) const CLOCK: &str = "2027-12-01T00:00:00+09:00";
/// Where it ends: the month of the tenth cycle.
pub(super) const UNTIL: &str = "2028-09-30T23:59:59+09:00";
/// The last day on which a cycle counts.
pub(super) const LAST_DAY: &str = "2028-09-30";
/// Cycles of each subscriber until then.
pub(super) const CYCLES: u64 = 10;

/// The month of the first cycle; like those of the anchors it has 31 days.
const FIRST: &str = "2027-12";
const ANCHOR_MONTHS: [&str; 5] = ["2027-10", "2027-07", "2026-12", "2025-03", "2024-01"];
const ANCHOR_DAYS: [&str; 11] = ["01", "05", "10", "15", "20", "25", "27", "28", "29", "30", "31"];
/// One subscriber in so many is on the plan that ends with the tenth cycle.
const INSTALMENTS_EVERY: usize = 8;

const PLANS: &str =
    "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments
monthly,Every month,1200,jpy,standard,month,1,,,
instalments,Ten times,3980,jpy,reduced,month,1,,,10
";
const COLUMNS: &str = "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,\
                       gateway,payment_token,card_brand,card_last4,card_exp";

/// Writes `plans.csv` and `subscribers.csv` for so many subscribers.
pub(super) fn write(plans: &Path, subscribers: &Path, count: u64) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::failed(format!("{path} cannot be written: {error}"))
    };
    std::fs::write(plans, PLANS).map_err(failed(plans))?;
    std::fs::write(subscribers, rows(count)).map_err(failed(subscribers))
}

fn rows(count: u64) -> String {
    let mut text = format!("{COLUMNS}\n");
    let months = ANCHOR_MONTHS.iter().cycle();
    let days = ANCHOR_DAYS.iter().cycle();
    let plans =
        (0..INSTALMENTS_EVERY).map(|i| if i == 0 { ("instalments", "10") } else { ("monthly", "") }).cycle();
    for (((number, month), day), (plan, remaining)) in (1..=count).zip(months).zip(days).zip(plans) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "p{number:07},Proof {number},p{number:07}@example.com,{plan},{month}-{day},{FIRST}-{day},{remaining},,\
             sandbox,sbx_ok.p{number:07},Visa,4242,2035-12"
        );
    }
    text
}
