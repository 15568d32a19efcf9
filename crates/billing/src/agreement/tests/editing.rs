//! The scheduled invoice moved, repriced and skipped by a person; previews of changes.

use super::*;
use crate::invoice::{LineKind, adjusted, total};

const START: &str = "2027-01-31T06:00:00Z";

#[test]
fn a_skipped_cycle_is_not_paid_and_the_next_one_stays_where_it_was() {
    let plan = plan();
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.skip().expect("skipped");
    assert_eq!(book.standing(), standing(State::Active, "2027-03-31T06:00:00Z", 1_000));
    assert_eq!(book.held.period, period(START, "2027-03-31T06:00:00Z"));
    // Once more, and on.
    book.skip().expect("skipped");
    book.run("2027-05-31T06:00:00Z");
    assert_eq!(
        book.charges(),
        charges(&[(START, 1_000), ("2027-04-30T06:00:00Z", 1_000), ("2027-05-31T06:00:00Z", 1_000)])
    );
}

#[test]
fn a_skip_forgoes_no_instalment_no_fee_and_no_switch() {
    let sold = Plan { trial_days: 10, setup_fee: Money::yen(500), instalments: Some(2), ..plan() };
    let other = Plan { setup_fee: Money::yen(500), instalments: Some(2), ..plus() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&sold), &[&other], START);
        let free = book.held.period;
        book.skip().expect("skipped");
        assert_eq!(book.held.state, State::Trialing);
        let until = book.next().cycle.period.start;
        assert_eq!(book.held.trial, Some(Period { end: until, ..free }));
        assert_eq!((book.next().amount.minor, book.held.remaining), (1_500, Some(2)));
        let reserve = Change { next_plan: Some(Some(&other)), ..Change::default() };
        book.update(&reserve, "2027-02-01T00:00:00Z").expect("reserved");
        book.skip().expect("skipped");
        book.run("2028-02-01T00:00:00Z");
        assert_eq!(book.paid.iter().map(|paid| paid.2).collect::<Vec<_>>(), [2_000, 1_500], "{calendar:?}");
    }
}

/// 1,000 yen for each of these, and three with a billing day.
fn rhythms() -> Vec<Plan> {
    let each = [
        (Unit::Day, 1),
        (Unit::Day, 10),
        (Unit::Week, 1),
        (Unit::Month, 1),
        (Unit::Month, 3),
        (Unit::Year, 1),
    ];
    let of = |(unit, count): (Unit, i64)| Plan {
        id: format!("{unit:?}_{count}"),
        interval: every(unit, count),
        ..plan()
    };
    let quarterly = Plan { id: "quarterly_15".into(), interval: every(Unit::Month, 3), ..on_day(15) };
    each.into_iter().map(of).chain([on_day(15), on_day(28), quarterly]).collect()
}

#[test]
fn after_a_skip_the_invoices_are_those_that_a_preview_had_after_it_also_where_a_plan_is_reserved() {
    let plans = rhythms();
    for calendar in BOTH {
        let pairs = plans.iter().flat_map(|one| plans.iter().map(move |other| (one, other)));
        let starts = ["2027-01-15T06:00:00Z", "2027-02-10T06:00:00Z"];
        for ((present, next), start) in pairs.flat_map(|pair| starts.map(|start| (pair, start))) {
            let mut book = Book::create(calendar, &new(present), &[next], start);
            if present.id != next.id {
                let reserve = Change { next_plan: Some(Some(next)), ..Change::default() };
                book.update(&reserve, start).expect("reserved");
            }
            let seen = |book: &Book<'_>, count| {
                let seen = preview(&book.terms, &book.held, book.next().clone(), count).expect("previewed");
                seen.iter()
                    .map(|next| (next.cycle.charge_at, next.cycle.period, next.amount))
                    .collect::<Vec<_>>()
            };
            let before = seen(&book, 5);
            book.skip().expect("skipped");
            assert_eq!(seen(&book, 4), before[1..], "{calendar:?} {} {} {start}", present.id, next.id);
            assert_eq!(book.held.period.end, before[1].1.start);
            // The reservation taken back, the present plan goes on from there.
            let clear = Change { next_plan: Some(None), ..Change::default() };
            book.update(&clear, start).expect("taken back");
            let back = seen(&book, 2);
            assert_eq!(back[0].1.start, before[1].1.start);
            assert_eq!(back[0].1.end, back[1].1.start);
            let length = back[0].1.end.duration_since(back[0].1.start);
            let days = match (present.interval.unit(), present.interval.count()) {
                (Unit::Day, count) => count,
                (Unit::Week, count) => 7 * count,
                (Unit::Month, count) => 31 * count,
                (Unit::Year, count) => 366 * count,
            };
            let longest = jiff::SignedDuration::from_hours(24 * days);
            assert!(length <= longest, "{calendar:?} {} {}: {length}", present.id, next.id);
        }
    }
}

#[test]
fn a_reserved_plan_whose_first_cycle_is_skipped_counts_from_the_cycle_after_it() {
    let weekly = Plan { id: "weekly".into(), interval: every(Unit::Week, 1), ..plan() };
    let monthly = plan();
    let mut book = Book::create(Calendar::Anchor, &new(&weekly), &[&monthly], "2027-01-24T06:00:00Z");
    let reserve = Change { next_plan: Some(Some(&monthly)), ..Change::default() };
    book.update(&reserve, "2027-01-25T00:00:00Z").expect("reserved");
    assert_eq!(book.next().cycle.period, period("2027-01-31T06:00:00Z", "2027-02-28T06:00:00Z"));
    book.skip().expect("skipped");
    // It keeps its time; and as it is the boundary that the plan begins at, the 31st does not come back.
    assert_eq!(book.next().cycle.period, period("2027-02-28T06:00:00Z", "2027-03-28T06:00:00Z"));
}

#[test]
fn with_a_plan_of_centuries_a_preview_ends_with_the_calendar_and_a_skip_is_refused() {
    let plan = Plan { interval: every(Unit::Year, 1_000), ..plan() };
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    let seen =
        |book: &Book<'_>| preview(&book.terms, &book.held, book.next().clone(), 12).map(|seen| seen.len());
    let mut left = seen(&book).expect("previewed");
    assert!((2..12).contains(&left), "{left}");
    while left > 1 {
        book.skip().expect("skipped");
        left -= 1;
        assert_eq!(seen(&book), Ok(left));
    }
    assert_eq!(book.skip(), Err(Refused::BeyondCalendar));
}

#[test]
fn a_day_that_a_person_set_is_kept_by_a_change_as_long_as_it_is_within_the_cycle() {
    let (monthly, weekly) = (plan(), Plan { id: "weekly".into(), interval: every(Unit::Week, 1), ..plan() });
    let reserve = |to| Change { next_plan: Some(to), ..Change::default() };
    for (moved, kept) in [("2027-03-03T00:00:00Z", true), ("2027-03-10T00:00:00Z", false)] {
        let mut book = Book::create(Calendar::Anchor, &new(&monthly), &[&weekly], START);
        book.scheduled.as_mut().expect("one is scheduled").0.cycle.charge_at = at(moved);
        book.held.scheduled = Some(book.next().cycle);
        book.update(&reserve(Some(&weekly)), "2027-02-01T00:00:00Z").expect("reserved");
        let expected = if kept { moved } else { "2027-02-28T06:00:00Z" };
        assert_eq!(book.next().cycle.charge_at, at(expected));
        book.run("2027-03-08T00:00:00Z");
        assert_eq!(
            book.charges(),
            charges(&[(START, 1_000), (expected, 1_000), ("2027-03-07T06:00:00Z", 1_000)])
        );
    }
    // And back: a day of the longer cycle is not one of the shorter.
    let mut book = Book::create(Calendar::Anchor, &new(&weekly), &[&monthly], START);
    book.update(&reserve(Some(&monthly)), "2027-02-01T00:00:00Z").expect("reserved");
    book.scheduled.as_mut().expect("one is scheduled").0.cycle.charge_at = at("2027-03-01T00:00:00Z");
    book.held.scheduled = Some(book.next().cycle);
    book.update(&reserve(None), "2027-02-01T00:00:00Z").expect("taken back");
    assert_eq!(book.next().cycle.charge_at, at("2027-02-07T06:00:00Z"));
}

#[test]
fn only_what_is_scheduled_and_runs_is_edited() {
    let plan = Plan { instalments: Some(1), ..plan() };
    let book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    assert_eq!(book.held.state, COMPLETED);
    for (state, refused) in [
        (State::Active, Refused::NothingScheduled),
        (State::Paused, Refused::AlreadyPaused),
        (COMPLETED, Refused::AlreadyCanceled),
        (State::Canceled(CancelReason::Requested), Refused::AlreadyCanceled),
    ] {
        let held = Agreement { state, ..book.held };
        assert_eq!(skip(&book.terms, &held).map(|course| course.state), Err(refused.clone()));
        assert_eq!(charge_window(&book.terms, &held), Err(refused));
    }
}

#[test]
fn an_invoice_is_charged_within_its_cycle_and_not_on_the_day_of_the_next() {
    let last = Plan { instalments: Some(2), ..plan() };
    let annual = Plan { id: "annual".into(), interval: every(Unit::Year, 1), ..plan() };
    let (by_instant, by_day) = (plan(), on_day(31));
    let window = |book: &Book<'_>| charge_window(&book.terms, &book.held).expect("a window");
    let book = |plan| Book::create(Calendar::Anchor, &new(plan), &[&annual], START);
    let february = "2027-02-28T06:00:00Z";
    // Midnight in Tokyo.
    let until = "2027-03-30T15:00:00Z";
    assert_eq!(window(&book(&by_instant)), period(february, until));
    assert_eq!(window(&book(&last)), period(february, until));
    assert_eq!(window(&book(&by_day)), period("2027-02-27T15:00:00Z", until));
    let mut switched = book(&by_instant);
    let reserve = Change { next_plan: Some(Some(&annual)), ..Change::default() };
    switched.update(&reserve, "2027-02-01T00:00:00Z").expect("reserved");
    assert_eq!(window(&switched), period(february, "2028-02-27T15:00:00Z"));
}

#[test]
fn an_amount_that_a_person_sets_is_the_lines_and_one_that_makes_up_for_the_rest() {
    let offer = Offer::from(&plan());
    let lines = vec![offer.line(2, None).expect("fits")];
    for (amount, adjustment) in [(2_000, None), (1_500, Some(-500)), (2_500, Some(500)), (0, Some(-2_000))] {
        let once = adjusted(&lines, Money::yen(amount)).expect("fits");
        assert_eq!(total(&once, Money::yen(0)), Some(Money::yen(amount)));
        let of_it = once.iter().find(|line| line.kind == LineKind::Adjustment).map(|line| line.amount);
        assert_eq!((of_it, once.len()), (adjustment, if adjustment.is_some() { 2 } else { 1 }));
        let again = adjusted(&adjusted(&lines, Money::yen(7_777)).expect("fits"), Money::yen(amount));
        assert_eq!(again, Some(once), "a former adjustment is replaced");
    }
    for (yen, is_valid) in [
        (-1, false),
        (0, true),
        (1, false),
        (49, false),
        (50, true),
        (99_999_999, true),
        (100_000_000, false),
    ] {
        assert_eq!(valid_amount(Money::yen(yen)).is_ok(), is_valid, "{yen}");
    }
}

#[test]
fn a_preview_of_a_change_is_what_the_change_then_does() {
    let (basic, plus) = (plan(), plus());
    let annual = Plan { id: "annual".into(), interval: every(Unit::Year, 1), ..plan() };
    let now = "2027-02-10T00:00:00Z";
    let changes = [
        Change { plan: Some(&plus), ..Change::default() },
        Change { next_plan: Some(Some(&annual)), ..Change::default() },
        Change { quantity: Some(3), ..Change::default() },
        Change { trial_end: Some(TrialEnd::At(at("2027-03-10T00:00:00Z"))), ..Change::default() },
    ];
    for calendar in BOTH {
        for change in &changes {
            let mut book = Book::create(calendar, &new(&basic), &[&plus, &annual], START);
            let step = update(&book.terms, &book.held, change, at(now)).expect("planned");
            let found = |id: &String| *book.plans.iter().find(|plan| plan.id == *id).expect("known");
            let plans = (found(&step.then.plan), step.then.next_plan.as_ref().map(found));
            let changed = after(&book.held, &step.then, plans);
            let first = match &step.then.upcoming {
                Upcoming::Edited(next) | Upcoming::Replaced(next) => next.clone(),
                Upcoming::Kept | Upcoming::Off | Upcoming::Void => book.next().clone(),
            };
            let seen = preview(&book.terms, &changed, first, 3).expect("previewed");
            book.update(change, now).expect("changed");
            let paid = book.paid.len();
            book.run("2031-01-01T00:00:00Z");
            let then: Vec<_> = book.paid[paid..paid + 3].to_vec();
            let seen: Vec<_> = seen
                .iter()
                .map(|next| (next.cycle.charge_at, next.cycle.period, next.amount.minor))
                .collect();
            assert_eq!(seen, then, "{calendar:?} {change:?}");
        }
    }
}
