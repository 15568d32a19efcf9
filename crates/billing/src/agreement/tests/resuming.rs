//! Resuming: 6.8.

use super::*;

const START: &str = "2027-01-31T06:00:00Z";

fn as_it_is() -> Resumption {
    Resumption::default()
}

fn until(end: TrialEnd) -> Resumption {
    Resumption { trial_end: Some(end), prorate: None }
}

#[test]
fn while_the_period_runs_nothing_is_paid() {
    let plan = plan();
    for calendar in BOTH {
        for stop in [Book::pause, Book::cancel] {
            let mut book = Book::create(calendar, &new(&plan), &[], START);
            let before = (book.held, book.scheduled.clone());
            stop(&mut book);
            // `now` ends no trial where there is none.
            for resumption in [as_it_is(), until(TrialEnd::Now)] {
                let mut book = book.clone();
                book.resume(&resumption, "2027-02-28T05:59:59Z").expect("resumed");
                assert_eq!(
                    (book.held, book.scheduled.clone(), book.paid.len()),
                    (before.0, before.1.clone(), 1)
                );
            }
        }
    }
}

#[test]
fn a_period_that_is_charged_later_runs_already() {
    let plan = plan();
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        book.scheduled.as_mut().expect("one is scheduled").0.cycle.charge_at = at("2027-03-10T00:00:00Z");
        book.held.scheduled = Some(book.next().cycle);
        let before = (book.held, book.scheduled.clone());
        book.pause();
        let mut late = book.clone();
        book.resume(&as_it_is(), "2027-03-09T23:59:59Z").expect("resumed");
        assert_eq!((book.held, book.scheduled.clone(), book.paid.len()), (before.0, before.1, 1));
        // From then on it is paid at once.
        late.resume(&as_it_is(), "2027-03-10T00:00:00Z").expect("resumed");
        assert_eq!(late.charges(), charges(&[(START, 1_000), ("2027-03-10T00:00:00Z", 1_000)]));
    }
}

#[test]
fn in_its_trial_it_is_trialing_again_and_now_ends_it() {
    let plan = Plan { trial_days: 14, ..plan() };
    for calendar in BOTH {
        for stop in [Book::pause, Book::cancel] {
            let mut book = Book::create(calendar, &new(&plan), &[], START);
            let before = (book.held, book.scheduled.clone());
            stop(&mut book);
            let mut again = book.clone();
            again.resume(&as_it_is(), "2027-02-10T00:00:00Z").expect("resumed");
            assert_eq!((again.held, again.scheduled.clone()), before);
            book.resume(&until(TrialEnd::Now), "2027-02-10T00:00:00Z").expect("resumed");
            assert_eq!(book.charges(), charges(&[("2027-02-10T00:00:00Z", 1_000)]));
            assert_eq!(book.standing(), standing(State::Active, "2027-03-10T00:00:00Z", 1_000));
        }
    }
}

#[test]
fn a_given_trial_end_is_stored_exactly() {
    let plan = plan();
    for calendar in BOTH {
        for now in ["2027-02-01T00:00:00Z", "2027-05-01T00:00:00Z"] {
            let mut book = Book::create(calendar, &new(&plan), &[], START);
            book.pause();
            let end = at(now) + jiff::SignedDuration::from_secs(5_000);
            book.resume(&until(TrialEnd::At(end)), now).expect("resumed");
            assert_eq!(book.held.trial, Some(Period { start: at(now), end }));
            assert_eq!(book.standing(), standing(State::Trialing, &end.to_string(), 1_000));
            assert_eq!(book.paid.len(), 1);
        }
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        book.pause();
        let past = book.resume(&until(TrialEnd::At(at(START))), "2027-02-01T00:00:00Z");
        assert_eq!(past, Err(Refused::InvalidTrialEnd));
    }
}

#[test]
fn after_its_period_it_is_paid_now_and_counts_from_now() {
    let plan = Plan { instalments: Some(3), ..plan() };
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&plan), &[], START);
        book.pause();
        book.resume(&as_it_is(), "2027-02-28T06:00:00Z").expect("resumed");
        assert_eq!(book.paid.len(), 2, "the end of the period is not in it");
        book.pause();
        book.resume(&as_it_is(), "2027-06-05T01:02:03.5Z").expect("resumed");
        assert_eq!(book.held.period, period("2027-06-05T01:02:03Z", "2027-07-05T01:02:03Z"));
        assert_eq!((book.paid[2].2, book.held.remaining, book.held.state), (1_000, Some(0), COMPLETED));
    }
}

#[test]
fn with_a_billing_day_it_is_paid_up_to_the_day() {
    let plan = on_day(15);
    for (calendar, prorate, yen) in [
        (Calendar::Payjp, None, 1_000),
        (Calendar::Anchor, None, 1_000),
        // From 06-05 to 06-15 are 10 of 31 days; at 20:00 UTC it is the 6th in Japan.
        (Calendar::Payjp, Some(true), 322),
        (Calendar::Anchor, Some(true), 290),
    ] {
        let mut book = Book::create(calendar, &new(&plan), &[], "2027-01-20T00:00:00Z");
        book.run("2027-02-20T00:00:00Z");
        book.pause();
        book.resume(&Resumption { prorate, ..as_it_is() }, "2027-06-05T20:00:00Z").expect("resumed");
        assert_eq!(book.paid[1].2, yen, "{calendar:?} {prorate:?}");
        assert_eq!(book.held.prorate, prorate.unwrap_or(false));
        assert_eq!(book.standing(), standing(State::Active, "2027-06-15T00:00:00Z", 1_000));
    }
}

#[test]
fn with_a_billing_day_a_given_trial_end_is_moved_to_it() {
    let plan = on_day(15);
    let end = until(TrialEnd::At(at("2027-06-20T00:00:00Z")));
    for (calendar, moved) in
        [(Calendar::Payjp, "2027-07-15T00:00:00Z"), (Calendar::Anchor, "2027-07-14T15:00:00Z")]
    {
        let mut book = Book::create(calendar, &new(&plan), &[], "2027-01-20T00:00:00Z");
        book.pause();
        book.resume(&end, "2027-06-05T00:00:00Z").expect("resumed");
        assert_eq!(book.held.trial, Some(period("2027-06-05T00:00:00Z", moved)));
        assert_eq!(book.standing(), standing(State::Trialing, "2027-07-15T00:00:00Z", 1_000));
    }
}

#[test]
fn prorate_that_changes_in_a_trial_redraws_its_first_charge() {
    let plan = on_day(15);
    let asked =
        New { trial_end: Some(TrialEnd::At(at("2027-02-20T00:00:00Z"))), prorate: true, ..new(&plan) };
    for (calendar, moved) in
        [(Calendar::Payjp, "2027-03-15T00:00:00Z"), (Calendar::Anchor, "2027-03-14T15:00:00Z")]
    {
        let mut book = Book::create(calendar, &asked, &[], START);
        assert_eq!(book.next().cycle.charge_at, at("2027-02-20T00:00:00Z"));
        book.pause();
        let whole = Resumption { prorate: Some(false), ..as_it_is() };
        book.resume(&whole, "2027-02-01T00:00:00Z").expect("resumed");
        assert_eq!(book.held.trial, Some(period(START, moved)), "{calendar:?}");
        assert_eq!(book.standing(), standing(State::Trialing, "2027-03-15T00:00:00Z", 1_000));
    }
}

#[test]
fn a_resume_never_applies_the_next_plan() {
    let (basic, plus) = (plan(), plus());
    for calendar in BOTH {
        let mut book = Book::create(calendar, &new(&basic), &[&plus], START);
        let reserve = Change { next_plan: Some(Some(&plus)), ..Change::default() };
        book.update(&reserve, "2027-02-01T00:00:00Z").expect("reserved");
        book.pause();
        book.resume(&as_it_is(), "2027-06-05T00:00:00Z").expect("resumed");
        assert_eq!((book.paid[1].2, book.held.plan.id.as_str()), (1_000, "basic"));
        book.run("2027-07-05T00:00:00Z");
        assert_eq!((book.paid[2].2, book.held.plan.id.as_str()), (1_500, "plus"));
    }
}

#[test]
fn what_runs_is_refused_and_what_has_ended_too() {
    let plan = plan();
    let book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    let asked = |state, now| {
        let held = Agreement { state, ..book.held };
        resume(&book.terms, &held, &as_it_is(), at(now)).map(|step| step.then.state)
    };
    for state in [State::Trialing, State::Active, State::PastDue] {
        assert_eq!(asked(state, "2027-02-01T00:00:00Z"), Err(Refused::SubscriptionWorked), "{state:?}");
    }
    assert_eq!(asked(COMPLETED, "2027-02-01T00:00:00Z"), Err(Refused::AlreadyCanceled));
    let canceled = State::Canceled(CancelReason::Requested);
    assert_eq!(asked(canceled, "2027-02-28T05:59:59Z"), Ok(State::Active));
    assert_eq!(asked(canceled, "2027-02-28T06:00:00Z"), Err(Refused::AlreadyCanceled));
}

#[test]
fn an_open_invoice_is_paid_now_and_period_and_anchor_are_kept() {
    let plan = plan();
    for calendar in BOTH {
        for state in [State::PastDue, State::Paused, State::Canceled(CancelReason::Requested)] {
            for (open_invoices, then) in [(1, State::Active), (2, State::PastDue)] {
                let mut book = Book::create(calendar, &new(&plan), &[], START);
                book.run("2027-02-28T06:00:00Z");
                book.held = Agreement { state, open_invoices, ..book.held };
                let before = book.held;
                let step = resume(&book.terms, &book.held, &as_it_is(), at("2027-03-10T00:00:00Z"))
                    .expect("resumed");
                assert_eq!((&step.due_now, &step.then.upcoming), (&DueNow::OldestOpen, &Upcoming::Kept));
                book.apply(&step, at("2027-03-10T00:00:00Z"));
                assert_eq!(book.held, Agreement { state: then, open_invoices: open_invoices - 1, ..before });
            }
        }
    }
}

#[test]
fn cycles_that_lay_in_the_pause_are_left_out_and_the_running_one_comes_due() {
    let plan = plan();
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.run("2027-02-28T06:00:00Z");
    book.held.open_invoices = 1;
    book.pause();
    book.resume(&as_it_is(), "2027-06-10T00:00:00Z").expect("resumed");
    assert_eq!(book.next().cycle.period, period("2027-05-31T06:00:00Z", "2027-06-30T06:00:00Z"));
    book.run("2027-06-10T00:00:00Z");
    assert_eq!(book.paid.len(), 3);
    assert_eq!(book.next().cycle.charge_at, at("2027-06-30T06:00:00Z"));
}

#[test]
fn the_last_open_instalment_completes() {
    let plan = Plan { instalments: Some(2), ..plan() };
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.run("2027-02-28T06:00:00Z");
    book.held = Agreement { state: State::PastDue, open_invoices: 1, ..book.held };
    book.resume(&as_it_is(), "2027-03-10T00:00:00Z").expect("resumed");
    assert_eq!(book.held.state, COMPLETED);
    // All was collected while it was paused.
    book.held = Agreement { state: State::Paused, open_invoices: 0, ..book.held };
    book.resume(&as_it_is(), "2027-06-10T00:00:00Z").expect("resumed");
    assert_eq!((book.held.state, book.paid.len()), (COMPLETED, 2));
}

#[test]
fn a_trial_while_an_invoice_is_open_is_refused() {
    let plan = plan();
    let mut book = Book::create(Calendar::Anchor, &new(&plan), &[], START);
    book.held = Agreement { state: State::PastDue, open_invoices: 1, ..book.held };
    let end = until(TrialEnd::At(at("2027-03-01T00:00:00Z")));
    assert_eq!(book.resume(&end, "2027-02-10T00:00:00Z"), Err(Refused::InvalidTrialEnd));
    assert_eq!(book.resume(&until(TrialEnd::Now), "2027-02-10T00:00:00Z"), Ok(()));
}
