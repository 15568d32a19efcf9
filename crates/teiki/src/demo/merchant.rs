//! The merchant of the demo: plans and subscribers as the two files that `teiki import` reads.
//!
//! Eight plans with their own intervals and taxes, Japanese names, anchors of three years back with many
//! month ends, and tokens of which six in a hundred fail, each in its own way. The same number of subscribers
//! gives the same files, byte for byte. Does not know the database; [`charge_day`] is the demo's own calendar,
//! written apart from `billing`, so that the audit has a second opinion.

use std::io;

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use super::directory::{self, Directory};
use super::{FIRST, LAST};
use crate::failure::Failure;

/// A plan as in plans.csv.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PlanRow {
    pub(super) id: String,
    name: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    tax_category: String,
    pub(super) interval: String,
    pub(super) interval_count: i32,
    trial_days: u32,
    setup_fee: u32,
    instalments: Option<u32>,
}

/// A running subscription as in subscribers.csv.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SubscriberRow {
    customer_id: String,
    name: String,
    email: String,
    pub(super) plan_id: String,
    pub(super) billing_anchor: Date,
    pub(super) next_charge_on: Date,
    pub(super) remaining_charges: Option<u32>,
    valid_until: Option<Date>,
    gateway: String,
    pub(super) payment_token: String,
    card_brand: String,
    card_last4: String,
    card_exp: String,
}

/// What is offered, and to how many in a hundred.
struct Offer {
    id: &'static str,
    name: &'static str,
    amount: i64,
    tax: &'static str,
    interval: (&'static str, i32),
    instalments: Option<u32>,
    percent: u64,
}

#[rustfmt::skip]
const OFFERS: [Offer; 8] = [
    Offer { id: "basic", name: "ベーシック会員", amount: 980, tax: "standard", interval: ("month", 1), instalments: None, percent: 30 },
    Offer { id: "premium", name: "プレミアム会員", amount: 2_980, tax: "standard", interval: ("month", 1), instalments: None, percent: 16 },
    Offer { id: "coffee", name: "珈琲豆の定期便", amount: 2_160, tax: "reduced", interval: ("month", 1), instalments: None, percent: 18 },
    Offer { id: "vegetables", name: "旬の野菜セット", amount: 3_240, tax: "reduced", interval: ("week", 2), instalments: None, percent: 8 },
    Offer { id: "fruit", name: "季節の果物便", amount: 5_400, tax: "reduced", interval: ("month", 3), instalments: None, percent: 6 },
    Offer { id: "annual", name: "年間サポーター", amount: 9_800, tax: "standard", interval: ("year", 1), instalments: None, percent: 10 },
    Offer { id: "course", name: "農業講座（10回払い）", amount: 8_800, tax: "standard", interval: ("month", 1), instalments: Some(10), percent: 6 },
    Offer { id: "nursery", name: "園内保育料", amount: 12_000, tax: "exempt", interval: ("month", 1), instalments: None, percent: 6 },
];

/// Of every fifty subscribers those at these places have a token that fails: six in a hundred.
const FAILING_PLACES: [u32; 3] = [7, 23, 41];

/// How they fail, in turn. Where a date follows `until`, the customer has mended it by that day.
const FAILURES: [&str; 20] = [
    "decline_insufficient_funds_times_2",
    "decline_expired_card_until_20270401",
    "decline_insufficient_funds_times_1",
    "decline_do_not_honor_until_20270615",
    "decline_lost_card",
    "decline_insufficient_funds_times_2",
    "decline_limit_exceeded_times_1",
    "decline_expired_card",
    "decline_insufficient_funds_times_3",
    "decline_card_declined_times_3",
    "decline_processing_error_times_1",
    "decline_insufficient_funds_times_1",
    "decline_expired_card_until_20270901",
    "decline_authentication_required_until_20270301",
    "decline_insufficient_funds_times_2",
    "decline_do_not_honor_until_20270910",
    "decline_stolen_card",
    "decline_incorrect_card_data_until_20270601",
    "decline_limit_exceeded_times_2",
    "decline_expired_card_until_20270215",
];

/// Answers that get lost, by the place among the failing ones. Each costs a time-out of real time, and those of
/// one day wait together; so there are few, and they fall on two days.
const LOST: [(u32, &str, Date); 5] = [
    (2, "timeout_after_1", date(2026, 3, 15)),
    (5, "timeout_after_1", date(2026, 3, 15)),
    (8, "timeout_after_1", date(2026, 3, 15)),
    (11, "timeout_before_1", date(2026, 5, 20)),
    (14, "timeout_before_1", date(2026, 5, 20)),
];

#[rustfmt::skip]
const FAMILY_NAMES: [&str; 40] = [
    "佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤", "吉田", "山田", "佐々木", "山口", "松本",
    "井上", "木村", "林", "斎藤", "清水", "山崎", "森", "池田", "橋本", "阿部", "石川", "山下", "中島", "石井", "小川",
    "前田", "岡田", "長谷川", "藤田", "後藤", "近藤", "村上", "遠藤", "青木", "坂本",
];
#[rustfmt::skip]
const GIVEN_NAMES: [&str; 32] = [
    "陽菜", "美咲", "葵", "結衣", "さくら", "七海", "愛", "真由美", "恵子", "由美子", "優子", "久美子", "明美", "智子", "直子", "裕子",
    "蓮", "大翔", "陽翔", "翔太", "大輔", "健太", "拓也", "直樹", "誠", "浩", "隆", "健一", "哲也", "修", "悠真", "湊",
];
const BRANDS: [&str; 5] = ["Visa", "Mastercard", "JCB", "American Express", "Diners Club"];

/// Day `cycle` of a plan that began on `anchor`: counted from the anchor, so that a month end comes back.
/// `None` for an interval that is none, or beyond the calendar.
pub(super) fn charge_day(anchor: Date, (unit, count): (&str, i32), cycle: i32) -> Option<Date> {
    let many = i64::from(count) * i64::from(cycle);
    let span = match unit {
        "day" => Span::new().try_days(many),
        "week" => Span::new().try_weeks(many),
        "month" => Span::new().try_months(many),
        "year" => Span::new().try_years(many),
        _ => return None,
    };
    anchor.checked_add(span.ok()?).ok()
}

/// Writes both files.
pub(super) fn write(directory: &Directory, subscribers: u32) -> Result<(), Failure> {
    let plans = OFFERS.iter().map(plan_row);
    let people = (0..subscribers).map(subscriber_row);
    for (name, text) in [(directory::PLANS, to_csv(plans)), (directory::SUBSCRIBERS, to_csv(people))] {
        let text = text.map_err(|error| Failure::failed(format!("{name} cannot be written: {error}")))?;
        directory::write(&directory.file(name), &text)?;
    }
    Ok(())
}

fn to_csv<T: Serialize>(rows: impl Iterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}

fn plan_row(offer: &Offer) -> PlanRow {
    PlanRow {
        id: offer.id.to_owned(),
        name: offer.name.to_owned(),
        amount: offer.amount,
        currency: "jpy".to_owned(),
        tax_category: offer.tax.to_owned(),
        interval: offer.interval.0.to_owned(),
        interval_count: offer.interval.1,
        trial_days: 0,
        setup_fee: 0,
        instalments: offer.instalments,
    }
}

fn subscriber_row(number: u32) -> SubscriberRow {
    let mut dice = Dice(u64::from(number));
    let failing = failing_place(number);
    let lost = failing.and_then(|place| LOST.iter().find(|lost| lost.0 == place));
    // A lost answer is on the plan that everyone knows, so that its day is known too.
    let offer = if lost.is_some() { &OFFERS[0] } else { pick_offer(&mut dice) };
    let anchor = lost.map_or_else(|| pick_anchor(&mut dice, offer), |lost| lost.2);
    let (cycle, next) = first_due(anchor, offer);
    let rule = match (lost, failing) {
        (Some(lost), _) => lost.1,
        (None, Some(place)) => FAILURES[index(u64::from(place), FAILURES.len())],
        (None, None) => "ok",
    };
    let card_exp = if rule == "decline_expired_card" {
        "2026-12".to_owned()
    } else {
        format!("20{}-{:02}", 28 + dice.up_to(5), 1 + dice.up_to(12))
    };
    let family = FAMILY_NAMES[index(dice.next(), FAMILY_NAMES.len())];
    let given = GIVEN_NAMES[index(dice.next(), GIVEN_NAMES.len())];
    let issued = u32::try_from(cycle).unwrap_or(0);
    SubscriberRow {
        customer_id: format!("demo-{:05}", number + 1),
        name: format!("{family} {given}"),
        email: format!("demo-{:05}@example.com", number + 1),
        plan_id: offer.id.to_owned(),
        billing_anchor: anchor,
        next_charge_on: next,
        remaining_charges: offer.instalments.map(|all| all - issued.min(all - 1)),
        valid_until: None,
        gateway: "sandbox".to_owned(),
        payment_token: format!("sbx_{rule}.demo-{:05}", number + 1),
        card_brand: BRANDS[index(dice.next(), BRANDS.len())].to_owned(),
        card_last4: format!("{:04}", dice.up_to(10_000)),
        card_exp,
    }
}

/// The place of a subscriber among those that fail.
fn failing_place(number: u32) -> Option<u32> {
    let (fifty, place) = (number / 50, number % 50);
    let within = FAILING_PLACES.iter().position(|&failing| failing == place)?;
    let each = u32::try_from(FAILING_PLACES.len()).ok()?;
    Some(fifty * each + u32::try_from(within).ok()?)
}

fn pick_offer(dice: &mut Dice) -> &'static Offer {
    let mut left = dice.up_to(100);
    for offer in &OFFERS {
        if left < offer.percent {
            return offer;
        }
        left -= offer.percent;
    }
    &OFFERS[0]
}

/// A day of the last three years; one in ten is a month end. Instalments began at most six months ago.
fn pick_anchor(dice: &mut Dice, offer: &Offer) -> Date {
    let days = if offer.instalments.is_some() { 180 } else { 1_090 };
    let back = i64::try_from(1 + dice.up_to(days)).unwrap_or(1);
    let day = FIRST.saturating_sub(back.days());
    if dice.up_to(10) == 0 { day.last_of_month() } else { day }
}

/// The first charge in the year of the demo, and how many came before it.
fn first_due(anchor: Date, offer: &Offer) -> (i32, Date) {
    (0..)
        .map_while(|cycle| charge_day(anchor, offer.interval, cycle).map(|day| (cycle, day)))
        .find(|(_, day)| *day >= FIRST)
        .unwrap_or((0, LAST))
}

/// A place in a list of `length` that is not empty.
fn index(number: u64, length: usize) -> usize {
    usize::try_from(number).unwrap_or(0) % length
}

/// Numbers that look thrown and are not: SplitMix64 (Steele, Lea, Flood 2014), seeded by the subscriber.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to `limit - 1`.
    fn up_to(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_in_a_hundred_fail_and_all_offers_add_up_to_a_hundred() {
        let failing = (0..2_000).filter(|&number| failing_place(number).is_some()).count();
        assert_eq!(failing, 120);
        assert_eq!(OFFERS.iter().map(|offer| offer.percent).sum::<u64>(), 100);
    }

    #[test]
    fn answers_get_lost_five_times_on_two_days() {
        let rows: Vec<_> = (0..2_000).map(subscriber_row).collect();
        let lost: Vec<_> = rows
            .iter()
            .filter(|row| row.payment_token.starts_with("sbx_timeout_"))
            .map(|row| row.next_charge_on)
            .collect();
        let (first, second) = (date(2027, 1, 15), date(2027, 1, 20));
        assert_eq!(lost, [first, first, first, second, second]);
    }

    #[test]
    fn the_same_number_gives_the_same_files_and_every_plan_is_used() {
        let rows = || to_csv((0..300).map(subscriber_row)).expect("memory takes it");
        assert_eq!(rows(), rows());
        let text = String::from_utf8(rows()).expect("UTF-8");
        assert!(OFFERS.iter().all(|offer| text.contains(&format!(",{},", offer.id))));
    }

    #[test]
    fn a_month_end_comes_back() {
        let days: Vec<_> =
            (1..4).filter_map(|cycle| charge_day(date(2026, 12, 31), ("month", 1), cycle)).collect();
        assert_eq!(days, [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31)]);
        assert_eq!(charge_day(date(2026, 12, 31), ("moon", 1), 1), None);
    }
}
