//! The yen table of 6.6 row by row, its like in the anchor calendar, and refunds of 6.8.

use super::*;
use crate::tax::tax_of;

/// Creates with `prorate` at `now`, runs for a month, and compares the first charges.
#[track_caller]
fn check(calendar: Calendar, day: u8, trial_end: Option<&str>, now: &str, expected: &[(&str, i64)]) {
    let plan = on_day(day);
    let trial_end = trial_end.map(|end| TrialEnd::At(at(end)));
    let asked = New { trial_end, prorate: true, ..new(&plan) };
    let mut book = Book::create(calendar, &asked, &[], now);
    book.run_until(at(now) + jiff::SignedDuration::from_hours(24 * 35));
    let mut seen = book.charges();
    seen.truncate(expected.len());
    assert_eq!(seen, charges(expected));
}

#[test]
fn the_yen_table_in_payjp() {
    let check = |day, end, now, expected: &[(&str, i64)]| check(Calendar::Payjp, day, end, now, expected);
    // 08-27 12:00 in Japan: 5/31.
    check(1, None, "2018-08-27T03:00:00Z", &[("2018-08-27T03:00:00Z", 161), ("2018-09-01T00:00:00Z", 1_000)]);
    // 11-17: 14/30.
    check(1, None, "2015-11-17T03:00:00Z", &[("2015-11-17T03:00:00Z", 466)]);
    // The trap of the early morning: 03-01 00:00 in Japan is 02-28 in UTC; the full price follows at 09:00.
    check(1, None, "2019-02-28T15:00:00Z", &[("2019-02-28T15:00:00Z", 35), ("2019-03-01T00:00:00Z", 1_000)]);
    // With the advised trial_end: 31/31 at 03-02 00:00.
    check(
        1,
        Some("2019-03-01T15:00:00Z"),
        "2019-02-28T15:00:00Z",
        &[("2019-03-01T15:00:00Z", 1_000), ("2019-04-01T00:00:00Z", 1_000)],
    );
    // Created exactly at 09:00.
    check(
        1,
        None,
        "2019-03-01T00:00:00Z",
        &[("2019-03-01T00:00:00Z", 1_000), ("2019-04-01T00:00:00Z", 1_000)],
    );
    // Created 03-02 08:59:59 with trial_end 03-02 09:00: 30/31.
    check(1, Some("2019-03-02T00:00:00Z"), "2019-03-01T23:59:59Z", &[("2019-03-02T00:00:00Z", 967)]);
    // Billing day 31, clamped: 18/28 and 16/31.
    check(
        31,
        None,
        "2026-02-10T03:00:00Z",
        &[("2026-02-10T03:00:00Z", 642), ("2026-02-28T00:00:00Z", 1_000)],
    );
    check(
        31,
        None,
        "2026-03-15T03:00:00Z",
        &[("2026-03-15T03:00:00Z", 516), ("2026-03-31T00:00:00Z", 1_000)],
    );
}

#[test]
fn the_yen_table_in_the_anchor_calendar() {
    let check = |day, end, now, expected: &[(&str, i64)]| check(Calendar::Anchor, day, end, now, expected);
    check(1, None, "2018-08-27T03:00:00Z", &[("2018-08-27T03:00:00Z", 161), ("2018-09-01T00:00:00Z", 1_000)]);
    check(1, None, "2015-11-17T03:00:00Z", &[("2015-11-17T03:00:00Z", 466)]);
    // No trap: 03-01 00:00 in Japan is the billing day, and the next is a month later.
    check(
        1,
        None,
        "2019-02-28T15:00:00Z",
        &[("2019-02-28T15:00:00Z", 1_000), ("2019-04-01T00:00:00Z", 1_000)],
    );
    // One second before, 1/28; the full price follows in the charge window.
    check(1, None, "2019-02-28T14:59:59Z", &[("2019-02-28T14:59:59Z", 35), ("2019-03-01T00:00:00Z", 1_000)]);
    // A trial to 03-02 00:00 in Japan: 30/31, for the 2nd is begun.
    check(1, Some("2019-03-01T15:00:00Z"), "2019-02-28T15:00:00Z", &[("2019-03-01T15:00:00Z", 967)]);
    check(1, None, "2019-03-01T00:00:00Z", &[("2019-03-01T00:00:00Z", 1_000)]);
    check(
        31,
        None,
        "2026-02-10T03:00:00Z",
        &[("2026-02-10T03:00:00Z", 642), ("2026-02-28T00:00:00Z", 1_000)],
    );
    check(
        31,
        None,
        "2026-03-15T03:00:00Z",
        &[("2026-03-15T03:00:00Z", 516), ("2026-03-31T00:00:00Z", 1_000)],
    );
}

#[test]
fn a_few_yen_are_charged_and_none_are_not() {
    let day = on_day(1);
    for (amount, due) in [(28, 1), (27, 0)] {
        let plan = Plan { amount: Money::yen(amount), ..day.clone() };
        let asked = New { prorate: true, ..new(&plan) };
        let book = Book::create(Calendar::Anchor, &asked, &[], "2027-02-28T03:00:00Z");
        assert_eq!(book.paid.iter().map(|paid| paid.2).sum::<i64>(), due);
        assert_eq!(book.standing(), standing(State::Active, "2027-03-01T00:00:00Z", amount));
    }
}

#[test]
fn a_share_is_taken_of_all_of_a_quantity_and_rounded_once() {
    let plan = on_day(1);
    let asked = New { quantity: 3, prorate: true, ..new(&plan) };
    let book = Book::create(Calendar::Payjp, &asked, &[], "2018-08-27T03:00:00Z");
    // 3 × 161 would be 483.
    assert_eq!(book.paid[0].2, 3_000 * 5 / 31);
}

#[test]
fn by_the_day_has_no_effect_without_a_billing_day() {
    let plan = plan();
    for calendar in BOTH {
        let asked = New { prorate: true, ..new(&plan) };
        let book = Book::create(calendar, &asked, &[], "2027-01-31T06:00:00Z");
        assert_eq!((book.paid[0].2, book.held.prorate), (1_000, true));
    }
}

fn paid(yen: i64, period: Period) -> Paid {
    let nothing = Money::yen(0);
    Paid {
        period,
        amount: Money::yen(yen),
        setup_fee: nothing,
        refunded: nothing,
        collected_at: period.start,
    }
}

#[track_caller]
fn refund(calendar: Calendar, paid: &Paid, now: &str) -> Option<i64> {
    let refund = refund_left(&terms(calendar), paid, at(now)).expect("allowed");
    refund.map(|refund| refund.amount.minor)
}

#[test]
fn a_deletion_gives_back_the_days_after_today() {
    let june = paid(1_000, period("2015-06-01T06:33:42Z", "2015-07-01T06:33:42Z"));
    for calendar in BOTH {
        for (now, yen) in [
            ("2015-06-01T06:33:42Z", Some(966)),
            ("2015-06-10T03:00:00Z", Some(666)),
            ("2015-06-29T03:00:00Z", Some(33)),
            ("2015-06-30T03:00:00Z", None),
            ("2015-07-01T06:33:41Z", None),
            ("2015-08-01T00:00:00Z", None),
        ] {
            assert_eq!(refund(calendar, &june, now), yen, "{calendar:?} {now}");
        }
    }
    // 23:30 of the 10th in UTC is the 11th in Japan.
    assert_eq!(refund(Calendar::Payjp, &june, "2015-06-10T23:30:00Z"), Some(666));
    assert_eq!(refund(Calendar::Anchor, &june, "2015-06-10T23:30:00Z"), Some(633));
}

#[test]
fn a_refund_is_never_more_than_is_left_and_not_after_180_days() {
    let june = paid(1_000, period("2015-06-01T06:33:42Z", "2015-07-01T06:33:42Z"));
    let partly = Paid { refunded: Money::yen(900), ..june };
    assert_eq!(refund(Calendar::Payjp, &partly, "2015-06-02T00:00:00Z"), Some(100));
    let wholly = Paid { refunded: Money::yen(1_000), ..june };
    assert_eq!(refund(Calendar::Payjp, &wholly, "2015-06-02T00:00:00Z"), None);
    let year = paid(12_000, period("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"));
    let left = |now| refund_left(&terms(Calendar::Payjp), &year, at(now));
    assert!(left("2027-06-30T00:00:00Z").is_ok());
    assert_eq!(left("2027-06-30T00:00:01Z"), Err(Refused::CannotProratedRefund));
}

#[test]
fn a_set_up_fee_is_never_a_part_of_the_refund() {
    let june = paid(1_500, period("2015-06-01T06:33:42Z", "2015-07-01T06:33:42Z"));
    let now = "2015-06-10T03:00:00Z";
    for (setup_fee, refunded, yen) in [
        (0, 0, Some(1_000)),
        (500, 0, Some(666)),
        (500, 600, Some(666)),
        (500, 900, Some(600)),
        (1_500, 0, None),
        // A person had set the bill to less than the fee.
        (2_000, 0, None),
    ] {
        let paid = Paid { setup_fee: Money::yen(setup_fee), refunded: Money::yen(refunded), ..june };
        assert_eq!(refund(Calendar::Payjp, &paid, now), yen, "{setup_fee} {refunded}");
    }
}

#[test]
fn e9_started_and_deleted_on_the_same_day_keeps_the_used_day() {
    // 5,000 with 20 % tax on top, by the calendar month, from 8 February 2023: 4,500 and 4,285 back.
    let plan = Plan { amount: Money::yen(6_000), ..on_day(1) };
    for (calendar, now) in [
        (Calendar::Payjp, "2023-02-08T00:00:01Z"),
        (Calendar::Payjp, "2023-02-08T23:59:59Z"),
        (Calendar::Anchor, "2023-02-07T15:00:01Z"),
        (Calendar::Anchor, "2023-02-08T14:59:59Z"),
    ] {
        let asked = New { prorate: true, ..new(&plan) };
        let book = Book::create(calendar, &asked, &[], now);
        assert_eq!(book.paid[0].2, 4_500, "{now}");
        assert_eq!(refund(calendar, &paid(4_500, book.held.period), now), Some(4_285), "{now}");
    }
    let tax = tax_of(&[(Some(20), Money::yen(4_285))], Rounding::Floor).expect("fits");
    assert_eq!(tax[0].tax.minor, 714);
}

#[test]
fn e10_a_credit_after_rounding_is_within_what_was_paid() {
    // 20,000 with 25 % tax on top, deleted 40 minutes after the start.
    let month = paid(25_000, period("2024-04-01T00:20:00Z", "2024-05-01T00:20:00Z"));
    assert_eq!(refund(Calendar::Payjp, &month, "2024-04-01T01:00:00Z"), Some(24_166));
    let tax = tax_of(&[(Some(25), Money::yen(24_166))], Rounding::Floor).expect("fits");
    assert_eq!((24_166 - tax[0].tax.minor, tax[0].tax.minor), (19_333, 4_833));
}

#[test]
fn e8_leading_and_trailing_parts_together() {
    // From 01-01, billing day 15, to 02-27 (2011): 14/31, 1, 12/28. The amount divides by all of these.
    let whole = 31 * 28;
    let plan = Plan { amount: Money::yen(whole), ..on_day(15) };
    for (calendar, start, last_day) in [
        (Calendar::Payjp, "2011-01-01T00:00:00Z", "2011-02-26T12:00:00Z"),
        (Calendar::Anchor, "2010-12-31T15:00:00Z", "2011-02-26T12:00:00Z"),
    ] {
        let asked = New { prorate: true, ..new(&plan) };
        let mut book = Book::create(calendar, &asked, &[], start);
        book.run(last_day);
        let yen: Vec<_> = book.paid.iter().map(|paid| paid.2).collect();
        assert_eq!(yen, [whole * 14 / 31, whole, whole], "{calendar:?}");
        let back = refund(calendar, &paid(whole, book.held.period), last_day).expect("days are left");
        assert_eq!(whole - back, whole * 12 / 28, "{calendar:?}");
    }
}
