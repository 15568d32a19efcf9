//! Opening invoices: amounts, dates, ends, refusals.

use super::*;
use crate::calendar::Unit;
use crate::subscription::CancelReason;
use crate::tax::TaxCategory;

fn account() -> AccountTerms {
    AccountTerms {
        zone: Zone::try_new("Asia/Tokyo").expect("a known zone"),
        charge_window: "09:00:00".parse().expect("a valid time"),
        tax_rounding: Rounding::Floor,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a valid instant")
}

fn monthly() -> Interval {
    Interval::try_new(Unit::Month, 1).expect("a valid count")
}

fn offer() -> Offer {
    Offer {
        plan: "basic".into(),
        amount: Money::yen(980),
        tax_category: TaxCategory::Standard,
        interval: monthly(),
        billing_day: None,
        instalments: None,
    }
}

fn line(offer: &Offer) -> Line {
    offer.line(1, None).expect("fits")
}

fn running(offer: &Offer, remaining: Option<u32>) -> Running<'_> {
    let anchor = Anchor { on: "2026-12-31".parse().expect("a valid date"), at: None, cycle: 0 };
    Running {
        state: State::Active,
        anchor,
        offer,
        quantity: 1,
        next_offer: None,
        next_offer_from: None,
        prorate: false,
        remaining,
    }
}

/// The due invoice of a cycle of `running`, as it was scheduled.
fn scheduled(running: &Running<'_>, cycle: u32) -> Scheduled {
    let account = account();
    let terms = Terms { account: &account, calendar: Calendar::Anchor };
    let period = terms.schedule(running.anchor, running.offer).cycle(cycle).expect("in range").period;
    Scheduled { cycle, period, amount: running.offer.amount, lines: vec![line(running.offer)] }
}

fn open_at(running: &Running<'_>, scheduled: &Scheduled, now: Timestamp) -> Result<Opening, Refused> {
    open(&Terms { account: &account(), calendar: Calendar::Anchor }, running, scheduled, now)
}

#[test]
fn opening_bills_the_cycle_and_schedules_the_next() {
    let offer = offer();
    let running = running(&offer, None);
    let due = scheduled(&running, 2);
    let opening = open_at(&running, &due, at("2027-02-28T00:00:00Z")).expect("due");
    assert_eq!(opening.tax, [TaxedSum { percent: Some(10), gross: Money::yen(980), tax: Money::yen(89) }]);
    let next = opening.next.expect("goes on");
    assert_eq!((next.cycle.number, next.cycle.on.to_string()), (3, "2027-03-31".to_owned()));
    assert_eq!(next.cycle.charge_at, at("2027-03-31T00:00:00Z"));
    assert_eq!((opening.state, opening.needs_charge), (State::Active, true));
    let then = Renewed { period: due.period, anchor: running.anchor, remaining: None, plan: None };
    assert_eq!(opening.then, then);
    assert_eq!(opening.entries.iter().map(|entry| entry.amount.minor).collect::<Vec<_>>(), [891, 89]);
}

#[test]
fn e27_after_an_outage_each_missed_cycle_keeps_its_own_date() {
    // Off from 30 March to 2 April with a daily plan: four debts, oldest first, each with its due day.
    let daily = Offer { interval: Interval::try_new(Unit::Day, 1).expect("a valid count"), ..offer() };
    let subscription = Running {
        anchor: Anchor { on: "2027-03-30".parse().expect("a valid date"), at: None, cycle: 0 },
        ..running(&daily, None)
    };
    let back = at("2027-04-02T00:30:00Z");
    let mut due = scheduled(&subscription, 0);
    let mut days = Vec::new();
    loop {
        match open_at(&subscription, &due, back) {
            Ok(opening) => {
                days.push(account().zone.day_of(opening.then.period.start).to_string());
                due = scheduled(&subscription, opening.next.expect("goes on").cycle.number);
            }
            Err(refused) => {
                assert!(matches!(refused, Refused::TooEarly { cycle: 4, .. }), "{refused}");
                break;
            }
        }
    }
    assert_eq!(days, ["2027-03-30", "2027-03-31", "2027-04-01", "2027-04-02"]);
}

#[test]
fn nothing_is_opened_before_its_period_starts() {
    let offer = offer();
    let running = running(&offer, None);
    for (now, is_due) in
        [("2027-01-30T14:59:59Z", false), ("2027-01-30T15:00:00Z", true), ("2027-01-30T15:00:01Z", true)]
    {
        let opened = open_at(&running, &scheduled(&running, 1), at(now));
        assert_eq!(opened.is_ok(), is_due, "{now}");
    }
}

#[test]
fn the_last_instalment_has_no_next_and_nothing_follows_it() {
    let offer = offer();
    let opened = |remaining| {
        let running = running(&offer, Some(remaining));
        open_at(&running, &scheduled(&running, 2), at("2027-02-28T00:00:00Z"))
    };
    let last = opened(1).expect("due");
    assert_eq!((last.next, last.then.remaining), (None, Some(0)));
    assert_eq!(opened(0), Err(Refused::NothingLeft));
    assert!(opened(2).expect("due").next.is_some());
}

#[test]
fn what_does_not_run_or_does_not_add_up_is_refused() {
    let offer = offer();
    let running = running(&offer, None);
    let now = at("2027-02-28T00:00:00Z");
    let due = scheduled(&running, 2);
    let canceled = Running { state: State::Canceled(CancelReason::Requested), ..running };
    assert!(matches!(open_at(&canceled, &due, now), Err(Refused::NotLive(_))));
    let wrong = Scheduled { amount: Money::yen(981), ..due.clone() };
    assert_eq!(
        open_at(&running, &wrong, now),
        Err(Refused::AmountMismatch { amount: 981, lines: Some(980) })
    );
    let lines = vec![Line { amount: -980, ..line(&offer) }];
    let negative = Scheduled { amount: Money::yen(-980), lines, ..due };
    assert!(matches!(open_at(&running, &negative, now), Err(Refused::AmountMismatch { .. })));
}

#[test]
fn an_invoice_of_zero_needs_no_charge() {
    let free = Offer { amount: Money::yen(0), ..offer() };
    let running = running(&free, None);
    let opening = open_at(&running, &scheduled(&running, 2), at("2027-02-28T00:00:00Z")).expect("due");
    assert!(!opening.needs_charge && opening.entries.is_empty());
}

#[test]
fn a_quantity_multiplies_the_next_price() {
    let offer = offer();
    let running = Running { quantity: 3, ..running(&offer, None) };
    let opening = open_at(&running, &scheduled(&running, 2), at("2027-02-28T00:00:00Z")).expect("due");
    let next = opening.next.expect("goes on");
    assert_eq!((next.amount, next.lines[0].quantity), (Money::yen(2_940), 3));
}

#[test]
fn a_switch_to_a_plan_of_the_same_interval_keeps_the_anchor() {
    let (old, new) = (offer(), Offer { plan: "plus".into(), amount: Money::yen(1_480), ..offer() });
    let running = Running { next_offer: Some(&new), ..running(&old, Some(5)) };
    let due = Scheduled { amount: Money::yen(1_480), lines: vec![line(&new)], ..scheduled(&running, 2) };
    let opening = open_at(&running, &due, at("2027-02-28T00:00:00Z")).expect("due");
    assert_eq!((opening.then.plan.as_deref(), opening.then.anchor), (Some("plus"), running.anchor));
    assert_eq!(opening.then.remaining, Some(4), "a count of its own is carried on");
    let next = opening.next.expect("goes on");
    assert_eq!((next.amount, next.cycle.on.to_string()), (Money::yen(1_480), "2027-03-31".to_owned()));
}

#[test]
fn a_plan_of_so_many_payments_is_paid_so_many_times_in_all() {
    for (before, next, left) in [
        ((Some(3), Some(2)), Some(3), Some(2)),
        ((Some(3), Some(2)), Some(6), Some(5)),
        ((Some(6), Some(2)), Some(3), Some(1)),
        // It begins to count, or goes on until it is canceled.
        ((None, None), Some(3), Some(3)),
        ((Some(3), Some(2)), None, None),
        // A count that an import has brought.
        ((None, Some(4)), None, Some(4)),
        ((None, Some(4)), Some(3), Some(3)),
        ((None, Some(4)), Some(12), Some(4)),
    ] {
        assert_eq!(carried(before, next), left, "{before:?} {next:?}");
    }
}

#[test]
fn a_switch_to_another_interval_counts_from_its_boundary() {
    let yearly = Interval::try_new(Unit::Year, 1).expect("a valid count");
    let (old, new) = (offer(), Offer { plan: "annual".into(), interval: yearly, ..offer() });
    let running = Running { next_offer: Some(&new), ..running(&old, None) };
    let opening = open_at(&running, &scheduled(&running, 2), at("2027-02-28T00:00:00Z")).expect("due");
    let anchor = Anchor { on: "2027-02-28".parse().expect("a valid date"), at: None, cycle: 2 };
    assert_eq!(opening.then.anchor, anchor);
    let next = opening.next.expect("goes on");
    assert_eq!((next.cycle.number, next.cycle.on.to_string()), (3, "2028-02-28".to_owned()));
}

#[test]
fn a_part_before_the_first_billing_day_is_followed_by_the_billing_day() {
    let offer = Offer { billing_day: Some(31), ..offer() };
    let anchor = Anchor { on: "2027-02-28".parse().expect("a valid date"), at: None, cycle: 1 };
    let running = Running { anchor, prorate: true, ..running(&offer, None) };
    let share = Share { days: 18, of_days: 28 };
    let part = offer.line(1, Some(share)).expect("fits");
    let period = Period { start: at("2027-02-10T03:00:00Z"), end: at("2027-02-27T15:00:00Z") };
    let due = Scheduled { cycle: 0, period, amount: Money::yen(630), lines: vec![part] };
    let opening = open_at(&running, &due, at("2027-02-10T03:00:00Z")).expect("due");
    assert_eq!((opening.then.period, opening.then.anchor), (period, anchor));
    let next = opening.next.expect("goes on").cycle;
    assert_eq!((next.number, next.period.start), (1, period.end));
    assert_eq!(next.period.end, at("2027-03-30T15:00:00Z"), "the 31st comes back");
    assert_eq!(next.charge_at, at("2027-02-28T00:00:00Z"));
}
