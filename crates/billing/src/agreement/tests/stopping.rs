//! Pause, cancel, delete: 6.8; failed renewals: 6.9; all requests with all states: 6.11; previews.

use super::*;
use crate::subscription::{Event, RenewalFailure};

const START: &str = "2027-01-31T06:00:00Z";

#[test]
fn a_pause_stops_the_schedule_and_costs_nothing() {
    let plan = plan();
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        book.pause();
        book.run("2028-01-01T00:00:00Z");
        assert_eq!((book.held.state, book.paid.len()), (State::Paused, 1));
        assert_eq!(pause(&book.held).map(|course| course.state), Err(Refused::AlreadyPaused));
    }
}

#[test]
fn a_cancel_runs_to_the_end_of_the_period_or_of_the_trial() {
    let (paid, free) = (plan(), Plan { trial_days: 14, ..plan() });
    for calendar in BOTH {
        for plan in [&paid, &free] {
            let book = Book::create(calendar, &new(plan), &[], START);
            let course = cancel(&book.terms, &book.held).expect("canceled");
            assert_eq!(course.state, State::Canceled(CancelReason::Requested));
            assert_eq!((course.ends_at, course.period), (Some(book.held.period.end), book.held.period));
            assert_eq!(course.upcoming, Upcoming::Off);
            let again = cancel(&book.terms, &Agreement { state: course.state, ..book.held });
            assert_eq!(again.map(|course| course.state), Err(Refused::AlreadyCanceled));
        }
    }
}

#[test]
fn a_canceled_one_is_not_renewed() {
    let plan = plan();
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.cancel();
    book.run("2028-01-01T00:00:00Z");
    assert_eq!(book.paid.len(), 1);
    assert_eq!(ends_at(book.held.state, book.held.period), Some(at("2027-02-28T06:00:00Z")));
    assert_eq!(ends_at(COMPLETED, book.held.period), None);
}

#[test]
fn a_cancel_after_the_last_instalment_has_an_end_that_comes_due() {
    let plan = Plan { instalments: Some(2), ..plan() };
    let end = "2027-03-31T06:00:00Z";
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        book.run("2027-02-28T06:00:00Z");
        book.held = Agreement { state: State::PastDue, open_invoices: 1, ..book.held };
        assert_eq!((book.held.remaining, book.scheduled.is_none()), (Some(0), true));
        let over = book.held.period.end;
        book.cancel();
        assert_eq!(book.next().cycle.period.start, over, "{calendar:?}");
        assert_eq!((over <= at(end), book.next().amount.minor), (true, 0));
        // Undone, the last instalment is paid and nothing is left of it.
        book.resume(&Resumption::default(), "2027-03-10T00:00:00Z").expect("resumed");
        assert_eq!((book.held.state, book.scheduled.is_none()), (COMPLETED, true));
    }
}

#[test]
fn a_cancel_after_a_last_instalment_that_failed_and_paused_ends_at_once() {
    let plan = Plan { instalments: Some(2), ..plan() };
    let mut book = Book::create(Calendar::Payjp, &new(&plan), &[], START);
    let before = book.held;
    book.run("2027-02-28T06:00:00Z");
    book.held =
        Agreement { state: State::Paused, scheduled: None, next_cycle: book.held.next_cycle, ..before };
    let course = cancel(&book.terms, &book.held).expect("canceled");
    let Upcoming::Replaced(next) = &course.upcoming else {
        panic!("nothing comes due");
    };
    assert_eq!((course.ends_at, next.cycle.charge_at), (Some(before.period.end), before.period.end));
    assert_eq!((course.remaining, next.amount.minor), (Some(1), 1_000));
}

#[test]
fn a_deletion_is_allowed_from_any_state() {
    for state in State::ALL {
        let reason = state.cancel_reason().unwrap_or(CancelReason::Requested);
        assert_eq!(deleted(state), State::Canceled(reason));
    }
}

#[test]
fn a_failed_renewal_is_past_due_or_pauses() {
    assert_eq!(RenewalFailure::Open.event(), Event::PaymentFailed);
    for (failure, state) in [(RenewalFailure::Open, State::PastDue), (RenewalFailure::Payjp, State::Paused)] {
        for before in [State::Trialing, State::Active, State::PastDue] {
            assert_eq!(before.after(failure.event()), Ok(state), "{failure:?} {before:?}");
        }
    }
}

#[test]
fn after_a_failed_renewal_that_pauses_a_resume_makes_the_only_new_bill() {
    let (basic, plus) = (plan(), plus());
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&basic), &[&plus], START);
        let reserve = Change { next_plan: Some(Some(&plus)), ..Change::default() };
        book.update(&reserve, "2027-02-01T00:00:00Z").expect("reserved");
        // The renewal of 02-28 was declined: its invoice is void, nothing of the subscription has moved, and the
        // invoice after it, which was scheduled when it was opened, is off the list.
        let before = book.held;
        book.run("2027-02-28T06:00:00Z");
        let next_cycle = book.held.next_cycle;
        let scheduled = book.held.scheduled;
        book.held = Agreement { state: State::Paused, scheduled, next_cycle, ..before };
        book.paid.pop();
        book.resume(&Resumption::default(), "2027-03-03T00:00:00Z").expect("resumed");
        // At the present plan's price, from now on; the switch stays for the next renewal.
        assert_eq!(book.charges(), charges(&[(START, 1_000), ("2027-03-03T00:00:00Z", 1_000)]));
        assert_eq!(book.held.period, period("2027-03-03T00:00:00Z", "2027-04-03T00:00:00Z"));
        assert_eq!(book.standing(), standing(State::Active, "2027-04-03T00:00:00Z", 1_500));
    }
}

#[test]
fn all_requests_with_all_states() {
    let (basic, plus) = (plan(), plus());
    let book = Book::create(Calendar::Anchor, &new(&basic), &[&plus], START);
    let trial = Some(period(START, "2027-02-28T06:00:00Z"));
    let (running, over) = (at("2027-02-10T00:00:00Z"), at("2027-03-10T00:00:00Z"));
    let mut table = String::new();
    for state in State::ALL {
        let open_invoices = i64::from(state == State::PastDue);
        let trial = if state == State::Trialing { trial } else { None };
        let held = Agreement { state, trial, open_invoices, ..book.held };
        let change = Change { plan: Some(&plus), ..Change::default() };
        let resumption = Resumption::default();
        for (name, answer) in [
            ("pause", pause(&held).map(|then| Step { due_now: DueNow::Nothing, then })),
            ("cancel", cancel(&book.terms, &held).map(|then| Step { due_now: DueNow::Nothing, then })),
            ("change plan", update(&book.terms, &held, &change, running)),
            ("resume in the period", resume(&book.terms, &held, &resumption, running)),
            ("resume after it", resume(&book.terms, &held, &resumption, over)),
        ] {
            let seen = match answer {
                Err(refused) => refused.code().to_owned(),
                Ok(step) => {
                    let due = match step.due_now {
                        DueNow::Nothing => "nothing due".to_owned(),
                        DueNow::Bill(bill) => format!("{} due", bill.amount.minor),
                        DueNow::OldestOpen => "oldest open due".to_owned(),
                    };
                    format!("{:?}, {due}", step.then.state)
                }
            };
            table.push_str(&format!("{state:?} + {name} = {seen}\n"));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_preview_is_what_will_be_charged() {
    let (basic, plus) = (on_day(31), Plan { id: "plus_31".into(), amount: Money::yen(1_500), ..on_day(31) });
    for calendar in BOTH {
        let asked =
            New { prorate: true, trial_end: Some(TrialEnd::At(at("2027-02-10T00:00:00Z"))), ..new(&basic) };
        let mut book = Book::create(calendar, &asked, &[&plus], START);
        let reserve = Change { next_plan: Some(Some(&plus)), quantity: Some(2), ..Change::default() };
        book.update(&reserve, "2027-02-01T00:00:00Z").expect("reserved");
        let invoices = preview(&book.terms, &book.held, book.next().clone(), 14).expect("previewed");
        book.run("2028-02-29T00:00:00Z");
        let seen: Vec<_> = invoices
            .iter()
            .map(|next| (next.cycle.charge_at, next.cycle.period, next.amount.minor))
            .collect();
        assert_eq!(seen.len(), 14);
        assert_eq!(seen, book.paid, "{calendar:?}");
    }
}

#[test]
fn a_preview_ends_with_the_last_instalment_and_is_empty_when_it_does_not_run() {
    let plan = Plan { instalments: Some(4), ..plan() };
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    let count = |book: &Book<'_>, asked| {
        preview(&book.terms, &book.held, book.next().clone(), asked).expect("previewed").len()
    };
    assert_eq!((count(&book, 10), count(&book, 2), count(&book, 0)), (3, 2, 0));
    book.pause();
    assert_eq!(count(&book, 10), 0);
    let endless = super::plan();
    let book = Book::create(Calendar::Anchor, &new(&endless), &[], START);
    assert_eq!(count(&book, 1_000), PREVIEW_MAX);
}
