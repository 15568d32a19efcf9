//! Opening invoices: amounts, dates, ends, refusals.

use super::*;
use crate::calendar::Unit;
use crate::subscription::CancelReason;
use crate::tax::TaxCategory;

fn terms() -> AccountTerms {
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
    }
}

fn running(remaining: Option<u32>) -> Running {
    let anchor = Anchor { on: "2026-12-31".parse().expect("a valid date"), at: None };
    Running { state: State::Active, anchor, remaining }
}

fn scheduled(cycle: u32) -> Scheduled {
    Scheduled { cycle, amount: Money::yen(980), lines: vec![offer().line()] }
}

#[test]
fn opening_bills_the_cycle_and_schedules_the_next() {
    let opening =
        open(&terms(), &offer(), &running(None), &scheduled(2), at("2027-02-28T00:00:00Z")).expect("due");
    assert_eq!(opening.tax, [TaxedSum { percent: Some(10), gross: Money::yen(980), tax: Money::yen(89) }]);
    assert_eq!(opening.cycle.on.to_string(), "2027-02-28");
    let next = opening.next.expect("goes on");
    assert_eq!((next.cycle.number, next.cycle.on.to_string()), (3, "2027-03-31".to_owned()));
    assert_eq!(next.cycle.charge_at, at("2027-03-31T00:00:00Z"));
    assert_eq!((opening.state, opening.remaining, opening.needs_charge), (State::Active, None, true));
    assert_eq!(opening.entries.iter().map(|entry| entry.amount.minor).collect::<Vec<_>>(), [891, 89]);
}

#[test]
fn e27_after_an_outage_each_missed_cycle_keeps_its_own_date() {
    // Off from 30 March to 2 April with a daily plan: four debts, oldest first, each with its due day.
    let daily = Offer { interval: Interval::try_new(Unit::Day, 1).expect("a valid count"), ..offer() };
    let subscription = Running {
        anchor: Anchor { on: "2027-03-30".parse().expect("a valid date"), at: None },
        ..running(None)
    };
    let back = at("2027-04-02T00:30:00Z");
    let mut due = scheduled(0);
    let mut days = Vec::new();
    loop {
        match open(&terms(), &daily, &subscription, &due, back) {
            Ok(opening) => {
                days.push(opening.cycle.on.to_string());
                due = scheduled(opening.next.expect("goes on").cycle.number);
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
    for (now, is_due) in
        [("2027-01-30T14:59:59Z", false), ("2027-01-30T15:00:00Z", true), ("2027-01-30T15:00:01Z", true)]
    {
        let opened = open(&terms(), &offer(), &running(None), &scheduled(1), at(now));
        assert_eq!(opened.is_ok(), is_due, "{now}");
    }
}

#[test]
fn the_last_instalment_has_no_next_and_nothing_follows_it() {
    let now = at("2027-02-28T00:00:00Z");
    let last = open(&terms(), &offer(), &running(Some(1)), &scheduled(2), now).expect("due");
    assert_eq!((last.next, last.remaining), (None, Some(0)));
    assert_eq!(open(&terms(), &offer(), &running(Some(0)), &scheduled(2), now), Err(Refused::NothingLeft));
    let one_more = open(&terms(), &offer(), &running(Some(2)), &scheduled(2), now).expect("due");
    assert!(one_more.next.is_some());
}

#[test]
fn what_does_not_run_or_does_not_add_up_is_refused() {
    let now = at("2027-02-28T00:00:00Z");
    let canceled = Running { state: State::Canceled(CancelReason::Requested), ..running(None) };
    assert!(matches!(open(&terms(), &offer(), &canceled, &scheduled(2), now), Err(Refused::NotLive(_))));
    let wrong = Scheduled { amount: Money::yen(981), ..scheduled(2) };
    assert_eq!(
        open(&terms(), &offer(), &running(None), &wrong, now),
        Err(Refused::AmountMismatch { amount: 981, lines: Some(980) })
    );
    let negative = Scheduled {
        amount: Money::yen(-980),
        lines: vec![Line { amount: -980, ..offer().line() }],
        ..scheduled(2)
    };
    assert!(matches!(
        open(&terms(), &offer(), &running(None), &negative, now),
        Err(Refused::AmountMismatch { .. })
    ));
}

#[test]
fn an_invoice_of_zero_needs_no_charge() {
    let free = Offer { amount: Money::yen(0), ..offer() };
    let due = Scheduled { amount: Money::yen(0), lines: vec![free.line()], cycle: 2 };
    let opening = open(&terms(), &free, &running(None), &due, at("2027-02-28T00:00:00Z")).expect("due");
    assert!(!opening.needs_charge && opening.entries.is_empty());
}

fn plan() -> Plan {
    Plan {
        id: "basic".into(),
        name: "Basic".into(),
        amount: Money::yen(980),
        tax_category: TaxCategory::Standard,
        interval: monthly(),
        trial_days: 0,
        setup_fee: Money::yen(5_000),
        instalments: Some(12),
    }
}

#[test]
fn a_sign_up_charges_now_or_on_schedule_or_after_its_trial() {
    let now = at("2027-01-31T06:00:00Z");
    let first = |plan: &Plan, charge| sign_up(&terms(), plan, charge, now).expect("in range");
    let at_once = first(&plan(), FirstCharge::Now);
    assert_eq!((at_once.first.cycle.charge_at, at_once.first.amount), (now, Money::yen(5_980)));
    assert_eq!((at_once.state, at_once.remaining), (State::Active, Some(12)));
    let on_schedule = first(&plan(), FirstCharge::Scheduled);
    assert_eq!(on_schedule.first.cycle.charge_at, at("2027-01-31T00:00:00Z"));
    assert_eq!(on_schedule.anchor.at, None);
    let trial = first(&Plan { trial_days: 14, ..plan() }, FirstCharge::Now);
    assert_eq!((trial.state, trial.first.cycle.charge_at), (State::Trialing, at("2027-02-14T06:00:00Z")));
    assert_eq!(trial.first.lines.len(), 2);
}
