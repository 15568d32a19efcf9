//! Properties of any sequence of requests.

use proptest::prelude::*;

use super::*;

/// Divides by 28, 29, 30 and 31, so that no share is rounded.
const EXACT: i64 = 4 * 7 * 29 * 15 * 31;

#[derive(Clone, Copy, Debug)]
enum Request {
    Pause,
    Cancel,
    Resume,
    ResumeInTrial,
    Change,
    Reserve,
    EndTrial,
    SetTrial,
    Skip,
    Quantity(u32),
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Pause),
        Just(Request::Cancel),
        Just(Request::Resume),
        Just(Request::ResumeInTrial),
        Just(Request::Change),
        Just(Request::Reserve),
        Just(Request::EndTrial),
        Just(Request::SetTrial),
        Just(Request::Skip),
        (1_u32..5).prop_map(Request::Quantity),
    ]
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    prop_oneof![Just(Calendar::Anchor), Just(Calendar::Payjp)]
}

fn seconds(from: Timestamp, hours: i64, seconds: i64) -> Timestamp {
    from + jiff::SignedDuration::from_secs(hours * 3_600 + seconds)
}

fn ask(book: &mut Book<'_>, request: Request, plans: (Change<'_>, Change<'_>), now: Timestamp) {
    let end = TrialEnd::At(seconds(now, 24 * 9, 1));
    let trial = |trial_end| Change { trial_end: Some(trial_end), ..Change::default() };
    let resumption = |trial_end| Resumption { trial_end, prorate: None };
    let held = book.held;
    let step = match request {
        Request::Pause => pause(&held).map(|then| Step { due_now: DueNow::Nothing, then }),
        Request::Cancel => cancel(&book.terms, &held).map(|then| Step { due_now: DueNow::Nothing, then }),
        Request::Resume => resume(&book.terms, &held, &resumption(None), now),
        Request::ResumeInTrial => resume(&book.terms, &held, &resumption(Some(end)), now),
        Request::Change => update(&book.terms, &held, &plans.0, now),
        Request::Reserve => update(&book.terms, &held, &plans.1, now),
        Request::EndTrial => update(&book.terms, &held, &trial(TrialEnd::Now), now),
        Request::SetTrial => update(&book.terms, &held, &trial(end), now),
        Request::Skip => skip(&book.terms, &held).map(|then| Step { due_now: DueNow::Nothing, then }),
        Request::Quantity(count) => {
            let change = Change { quantity: Some(count), ..Change::default() };
            update(&book.terms, &held, &change, now)
        }
    };
    match step {
        Ok(step) => book.apply(&step, now),
        Err(refused) => assert!(!matches!(refused, Refused::Bill(_)), "{request:?}: {refused}"),
    }
}

proptest! {
    /// The book itself asserts that no cycle comes twice, that periods touch, and that bills add up.
    #[test]
    fn no_sequence_of_requests_charges_early_twice_or_for_two_periods_at_once(
        calendar in any_calendar(),
        billing_day in prop::option::of(1_u8..=31),
        prorate in any::<bool>(),
        trial_days in prop_oneof![Just(0_u32), 1_u32..40],
        instalments in prop_oneof![Just(None), (1_u32..6).prop_map(Some)],
        start in 0_i64..31_536_000,
        requests in prop::collection::vec((any_request(), 1_i64..1_200), 1..12),
    ) {
        let first = Plan { billing_day, trial_days, instalments, ..plan() };
        let second = Plan { id: "plus".into(), amount: Money::yen(1_500), ..plan() };
        let third = Plan { id: "annual".into(), interval: every(Unit::Year, 1), ..plan() };
        let asked = New { prorate, ..new(&first) };
        let mut now = seconds(at("2027-01-01T00:00:00Z"), 0, start);
        let mut book = Book::create(calendar, &asked, &[&second, &third], &now.to_string());
        for (request, hours) in requests {
            now = seconds(now, hours, 7);
            book.run_until(now);
            let change = if book.held.plan.id == second.id { &first } else { &second };
            let reserve = if book.held.plan.id == third.id { &first } else { &third };
            let plans = (
                Change { plan: Some(change), ..Change::default() },
                Change { next_plan: Some(Some(reserve)), ..Change::default() },
            );
            ask(&mut book, request, plans, now);
            if let Some((next, true)) = &book.scheduled {
                prop_assert!(book.held.state.is_live() && book.held.remaining != Some(0));
                prop_assert!(next.cycle.charge_at >= book.held.period.end);
                prop_assert!(book.held.trial.is_none_or(|trial| next.cycle.charge_at >= trial.end));
                let period = draw::scheduled(&book.terms, &book.held).expect("drawn").expect("scheduled");
                prop_assert_eq!(&draw::draw(&book.terms, &book.held, &period).expect("drawn").next, next);
            }
        }
        for paid in &book.paid {
            prop_assert!(paid.1.start <= paid.0 && paid.1.start < paid.1.end);
        }
        for pair in book.paid.windows(2) {
            prop_assert!(pair[0].1.start < pair[1].1.start, "one period is paid for once");
        }
    }

    /// What is collected by the day is the days of service, however often it was paused, canceled and resumed inside a
    /// period on the way.
    #[test]
    fn e8_the_sum_never_changes_with_the_order_of_calls(
        calendar in any_calendar(),
        day in 1_u8..=31,
        start in 0_i64..700,
        length in 0_i64..200,
        stops in prop::collection::vec((0_i64..200, any::<bool>()), 0..6),
    ) {
        let plan = Plan { amount: Money::yen(EXACT), ..on_day(day) };
        let asked = New { prorate: true, ..new(&plan) };
        // Noon in Japan: the same day in both calendars.
        let begin = seconds(at("2027-01-01T03:00:00Z"), 24 * start, 0);
        let last = seconds(begin, 24 * length, 0);
        let mut book = Book::create(calendar, &asked, &[], &begin.to_string());
        let mut stops: Vec<_> = stops.into_iter().map(|(after, pauses)| (seconds(begin, 24 * after, 3), pauses)).collect();
        stops.sort_unstable();
        for (now, pauses) in stops.into_iter().filter(|stop| stop.0 < last) {
            book.run_until(now);
            if pauses { book.pause() } else { book.cancel() }
            book.resume(&Resumption::default(), &now.to_string()).expect("resumed");
        }
        book.run_until(last);
        let &(collected_at, period, yen) = book.paid.last().expect("the first part is paid");
        let nothing = Money::yen(0);
        let paid = Paid { period, amount: Money::yen(yen), setup_fee: nothing, refunded: nothing, collected_at };
        let refund = refund_left(&book.terms, &paid, last).expect("allowed");
        let kept = book.paid.iter().map(|paid| paid.2).sum::<i64>() - refund.map_or(0, |refund| refund.amount.minor);
        prop_assert_eq!(kept, worth(begin, length + 1, day));
    }
}

/// Each day of service at the price of a day of its own billing period, counted one by one.
fn worth(begin: Timestamp, days: i64, billing_day: u8) -> i64 {
    let first = TOKYO.zone.day_of(begin);
    (0..days)
        .map(|day| {
            let on = first.checked_add(jiff::Span::new().days(day)).expect("in range");
            let end = crate::calendar::billing_day_after(on, billing_day).expect("in range");
            let start = every(Unit::Month, 1).billing_day_before(end, billing_day).expect("in range");
            EXACT / i64::from((end - start).get_days())
        })
        .sum()
}
