//! The acceptance cases of specs/billing-cases.md that are about dates, by their numbers, and the
//! properties that dates never go back and never skip.

use super::*;
use proptest::prelude::*;

fn date(text: &str) -> Date {
    text.parse().expect("a valid date")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a valid instant")
}

fn every(unit: Unit, count: i64) -> Interval {
    Interval::try_new(unit, count).expect("a valid count")
}

fn zone(name: &str) -> Zone {
    Zone::try_new(name).expect("a known zone")
}

#[track_caller]
fn check_dates(interval: Interval, anchor: &str, cycles: std::ops::RangeInclusive<u32>, expected: &[&str]) {
    let dates: Vec<String> =
        cycles.map(|k| interval.date_of(date(anchor), k).expect("in range").to_string()).collect();
    assert_eq!(dates, expected);
}

#[test]
fn e1_anchor_31_through_the_year() {
    check_dates(
        every(Unit::Month, 1),
        "2022-12-31",
        1..=15,
        &[
            "2023-01-31",
            "2023-02-28",
            "2023-03-31",
            "2023-04-30",
            "2023-05-31",
            "2023-06-30",
            "2023-07-31",
            "2023-08-31",
            "2023-09-30",
            "2023-10-31",
            "2023-11-30",
            "2023-12-31",
            "2024-01-31",
            "2024-02-29",
            "2024-03-31",
        ],
    );
}

#[test]
fn e2_billing_does_not_stop_after_a_short_month() {
    check_dates(every(Unit::Month, 1), "2017-01-31", 1..=3, &["2017-02-28", "2017-03-31", "2017-04-30"]);
    // Signed up on 2012-04-30 with billing day 31: the anchor is the 31st that April has clamped.
    check_dates(every(Unit::Month, 1), "2012-03-31", 1..=2, &["2012-04-30", "2012-05-31"]);
}

#[test]
fn e3_yearly_from_29_february() {
    check_dates(
        every(Unit::Year, 1),
        "2020-02-29",
        1..=4,
        &["2021-02-28", "2022-02-28", "2023-02-28", "2024-02-29"],
    );
}

#[test]
fn e4_anchors_30_and_28() {
    check_dates(every(Unit::Month, 1), "2023-01-30", 1..=3, &["2023-02-28", "2023-03-30", "2023-04-30"]);
    check_dates(every(Unit::Month, 1), "2024-01-30", 1..=2, &["2024-02-29", "2024-03-30"]);
    check_dates(every(Unit::Month, 1), "2023-01-28", 1..=3, &["2023-02-28", "2023-03-28", "2023-04-28"]);
}

#[test]
fn e6_elapsed_cycles_of_day_31() {
    let monthly = every(Unit::Month, 1);
    for (on, elapsed) in
        [("2024-01-01", 0), ("2024-02-15", 0), ("2024-02-29", 1), ("2024-03-30", 1), ("2024-03-31", 2)]
    {
        assert_eq!(monthly.elapsed_cycles(date("2024-01-31"), date(on)), elapsed, "{on}");
    }
}

#[test]
fn e12_the_local_day_counts_not_the_utc_day() {
    for (name, due) in [("Asia/Kolkata", "2024-03-01T18:30:00Z"), ("America/Bogota", "2024-03-02T05:00:00Z")]
    {
        let zone = zone(name);
        let schedule = Schedule {
            zone: &zone,
            charge_window: Time::midnight(),
            anchor: Anchor { on: date("2024-02-02"), at: None, cycle: 0 },
            interval: every(Unit::Month, 1),
            calendar: Calendar::Anchor,
            billing_day: None,
        };
        let cycle = schedule.cycle(1).expect("in range");
        assert_eq!(cycle.charge_at, at(due), "{name}");
        assert_eq!(cycle.on, date("2024-03-02"));
        assert_eq!(schedule.cycle(2).expect("in range").on, date("2024-04-02"));
    }
}

#[test]
fn e13_summer_time_neither_moves_nor_drops_a_day() {
    let juneau = zone("America/Juneau");
    let signed_up = at("2015-09-01T08:01:00Z");
    let local = juneau.day_of(signed_up);
    let schedule = Schedule {
        zone: &juneau,
        charge_window: Time::midnight(),
        anchor: Anchor { on: local, at: Some("00:01:00".parse().expect("a valid time")), cycle: 0 },
        interval: every(Unit::Month, 1),
        calendar: Calendar::Anchor,
        billing_day: None,
    };
    for k in 0..18 {
        let cycle = schedule.cycle(k).expect("in range");
        assert_eq!(
            (juneau.day_of(cycle.period.start).day(), juneau.day_of(cycle.period.end).day()),
            (1, 1),
            "{k}"
        );
    }
    let los_angeles = zone("America/Los_Angeles");
    let in_the_gap = Schedule {
        zone: &los_angeles,
        anchor: Anchor {
            on: date("2015-03-08"),
            at: Some("02:00:00".parse().expect("a valid time")),
            cycle: 0,
        },
        ..schedule
    };
    assert_eq!(in_the_gap.cycle(0).expect("in range").period.start, at("2015-03-08T10:00:00Z"));
    for k in 0..25 {
        assert_eq!(los_angeles.day_of(in_the_gap.cycle(k).expect("in range").period.start).day(), 8, "{k}");
    }
    // A day named before the autumn change is that local day afterwards too: no one-day repair.
    let december = juneau.instant(date("2015-12-01"), Time::midnight()).expect("in range");
    assert_eq!(december, at("2015-12-01T09:00:00Z"));
    assert_eq!(juneau.day_of(december), date("2015-12-01"));
}

#[test]
fn the_charge_window_moves_only_anchors_without_a_time_of_day() {
    let tokyo = zone("Asia/Tokyo");
    let nine = "09:00:00".parse().expect("a valid time");
    let day_only = Schedule {
        zone: &tokyo,
        charge_window: nine,
        anchor: Anchor { on: date("2027-01-31"), at: None, cycle: 0 },
        interval: every(Unit::Month, 1),
        calendar: Calendar::Anchor,
        billing_day: None,
    };
    let cycle = day_only.cycle(0).expect("in range");
    assert_eq!(cycle.period.start, at("2027-01-30T15:00:00Z"));
    assert_eq!(cycle.charge_at, at("2027-01-31T00:00:00Z"));
    assert_eq!(cycle.period.end, at("2027-02-27T15:00:00Z"));
    let exact = Schedule {
        anchor: Anchor { at: Some("23:59:59".parse().expect("a valid time")), ..day_only.anchor },
        ..day_only
    };
    assert_eq!(exact.cycle(0).expect("in range").charge_at, at("2027-01-31T14:59:59Z"));
}

#[test]
fn a_day_off_the_schedule_names_its_neighbours() {
    let monthly = every(Unit::Month, 1);
    let anchor = date("2024-08-31");
    assert_eq!(monthly.cycle_on(anchor, date("2027-02-28")), Ok(30));
    assert_eq!(
        monthly.cycle_on(anchor, date("2027-02-27")),
        Err(NearestDates { before: Some(date("2027-01-31")), after: Some(date("2027-02-28")) })
    );
    assert_eq!(
        monthly.cycle_on(anchor, date("2024-08-30")),
        Err(NearestDates { before: None, after: Some(anchor) })
    );
    assert_eq!(every(Unit::Week, 2).cycle_on(date("2026-12-25"), date("2027-01-08")), Ok(1));
}

fn schedule<'a>(zone: &'a Zone, calendar: Calendar, on: &str, at: Option<&str>) -> Schedule<'a> {
    Schedule {
        zone,
        charge_window: "09:00:00".parse().expect("a valid time"),
        calendar,
        anchor: Anchor { on: date(on), at: at.map(|at| at.parse().expect("a valid time")), cycle: 0 },
        interval: every(Unit::Month, 1),
        billing_day: None,
    }
}

fn starts(schedule: &Schedule<'_>, cycles: std::ops::RangeInclusive<u32>) -> Vec<String> {
    cycles.map(|k| schedule.cycle(k).expect("in range").period.start.to_string()).collect()
}

#[test]
fn payjp_drifts_by_utc_days_and_does_not_recover() {
    // The table of specs/payjp-v1.md 6.4: 2019-06-01 00:00 in Japan.
    let tokyo = zone("Asia/Tokyo");
    let drifting = schedule(&tokyo, Calendar::Payjp, "2019-05-31", Some("15:00:00"));
    let expected =
        ["2019-05-31T15:00:00Z", "2019-06-30T15:00:00Z", "2019-07-30T15:00:00Z", "2019-08-30T15:00:00Z"];
    assert_eq!(starts(&drifting, 0..=3), expected);
    let unix = [1_559_314_800, 1_561_906_800, 1_564_498_800, 1_567_177_200];
    assert_eq!(expected.map(|text| at(text).as_second()), unix);
    let cycle = drifting.cycle(2).expect("in range");
    assert_eq!((cycle.on, cycle.charge_at), (date("2019-07-31"), cycle.period.start), "the day is Japan's");
    // 29 February stays the 28th.
    let yearly = Schedule {
        interval: every(Unit::Year, 1),
        ..schedule(&tokyo, Calendar::Payjp, "2020-02-29", Some("06:00:00"))
    };
    assert_eq!(starts(&yearly, 1..=4)[3], "2024-02-28T06:00:00Z");
}

#[test]
fn a_billing_day_comes_back_in_both_calendars() {
    let tokyo = zone("Asia/Tokyo");
    for (calendar, expected, charged) in [
        (
            Calendar::Payjp,
            ["2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z", "2027-04-30T00:00:00Z"],
            "2027-02-28T00:00:00Z",
        ),
        (
            Calendar::Anchor,
            ["2027-02-27T15:00:00Z", "2027-03-30T15:00:00Z", "2027-04-29T15:00:00Z"],
            "2027-02-28T00:00:00Z",
        ),
    ] {
        let anchored = schedule(&tokyo, calendar, "2027-02-28", None);
        let days = Schedule { billing_day: Some(31), ..anchored };
        assert_eq!(starts(&days, 0..=2), expected);
        assert_eq!(days.cycle(0).expect("in range").charge_at, at(charged), "{calendar:?}");
        let yearly = Schedule { interval: every(Unit::Month, 12), ..days };
        assert_eq!(yearly.cycle(1).expect("in range").on, date("2028-02-29"));
    }
}

#[test]
fn billing_days_around_a_day() {
    for (on, day, before, after) in [
        ("2026-02-10", 31, "2026-01-31", "2026-02-28"),
        ("2026-02-28", 31, "2026-02-28", "2026-03-31"),
        ("2026-03-01", 1, "2026-03-01", "2026-04-01"),
        ("2028-02-28", 30, "2028-01-30", "2028-02-29"),
        ("2026-12-31", 15, "2026-12-15", "2027-01-15"),
    ] {
        let next = billing_day_after(date(on), day).expect("in range");
        let former = every(Unit::Month, 1).billing_day_before(next, day).expect("in range");
        assert_eq!((former, next), (date(before), date(after)), "{on}");
    }
}

#[test]
fn numbers_go_on_from_the_anchor_and_none_is_before_it() {
    let tokyo = zone("Asia/Tokyo");
    let first = schedule(&tokyo, Calendar::Anchor, "2027-01-31", None);
    let later = Schedule { anchor: Anchor { cycle: 7, ..first.anchor }, ..first };
    let cycle = later.cycle(9).expect("in range");
    assert_eq!(cycle, Cycle { number: 9, ..first.cycle(2).expect("in range") });
    assert_eq!(later.cycle(6), Err(CalendarError::BeforeAnchor { number: 6, anchor: 7 }));
}

#[test]
fn cycles_are_found_by_their_times() {
    let tokyo = zone("Asia/Tokyo");
    let days = schedule(&tokyo, Calendar::Anchor, "2027-01-31", None);
    for (until, first) in [
        ("2027-01-31T00:00:00Z", 0),
        ("2027-01-31T00:00:01Z", 1),
        ("2027-02-28T00:00:00Z", 1),
        ("2029-01-31T00:00:00Z", 24),
    ] {
        assert_eq!(days.first_not_charged_before(0, at(until)), first, "{until}");
    }
    assert_eq!(days.first_not_charged_before(5, at("2027-01-31T00:00:00Z")), 5);
    for (now, last) in
        [("2027-02-27T14:59:59Z", 0), ("2027-02-27T15:00:00Z", 1), ("2029-03-01T00:00:00Z", 25)]
    {
        assert_eq!(days.last_begun(0, at(now)), last, "{now}");
    }
    let part = Schedule { anchor: Anchor { cycle: 3, ..days.anchor }, ..days };
    assert_eq!(part.first_not_charged_before(2, at("2027-01-31T00:00:00Z")), 3, "a part before the anchor");
}

#[test]
fn stored_names_read_back() {
    for calendar in [Calendar::Anchor, Calendar::Payjp] {
        assert_eq!(calendar.as_str().parse(), Ok(calendar));
    }
    assert!("julian".parse::<Calendar>().is_err());
}

#[test]
fn limits_are_named() {
    assert_eq!(Interval::try_new(Unit::Day, 0), Err(CalendarError::CountOutOfRange(0)));
    assert_eq!(Interval::try_new(Unit::Day, 1_001), Err(CalendarError::CountOutOfRange(1_001)));
    assert_eq!(every(Unit::Year, 1_000).date_of(date("2020-01-01"), 9), Err(CalendarError::OutOfRange));
    assert!(Zone::try_new("Asia/Edo").is_err());
    for (given, name) in [("utc", "UTC"), ("asia/TOKYO", "Asia/Tokyo"), ("Asia/Tokyo", "Asia/Tokyo")] {
        assert_eq!(zone(given).name(), name);
    }
}

fn any_interval() -> impl Strategy<Value = Interval> {
    (prop_oneof![Just(Unit::Day), Just(Unit::Week), Just(Unit::Month), Just(Unit::Year)], 1_i64..13)
        .prop_map(|(unit, count)| every(unit, count))
}

fn any_date() -> impl Strategy<Value = Date> {
    (0_i64..40_000).prop_map(|days| date("1990-01-01").checked_add(Span::new().days(days)).expect("in range"))
}

proptest! {
    #[test]
    fn dates_never_go_back_and_never_skip(interval in any_interval(), anchor in any_date(), cycle in 0_u32..400) {
        let this = interval.date_of(anchor, cycle).expect("in range");
        let next = interval.date_of(anchor, cycle + 1).expect("in range");
        prop_assert!(this < next);
        let days = i64::from((next - this).get_days());
        let (least, most) = match interval.unit() {
            Unit::Day => (1, 1),
            Unit::Week => (7, 7),
            Unit::Month => (28, 31),
            Unit::Year => (365, 366),
        };
        prop_assert!((least * interval.count()..=most * interval.count()).contains(&days));
        prop_assert_eq!(interval.cycle_on(anchor, this), Ok(cycle));
        prop_assert_eq!(interval.elapsed_cycles(anchor, this), cycle);
        prop_assert_eq!(interval.elapsed_cycles(anchor, next.yesterday().expect("in range")), cycle);
    }

    #[test]
    fn drifting_dates_are_those_of_single_steps(interval in any_interval(), from in any_date(), steps in 0_u32..60) {
        let mut date = from;
        for _ in 0..steps {
            date = interval.date_of(date, 1).expect("in range");
        }
        prop_assert_eq!(interval.drifting_date(from, steps), Ok(date));
    }

    #[test]
    fn periods_touch_and_contain_their_charge(interval in any_interval(), anchor in any_date(), cycle in 0_u32..100, name in prop_oneof![Just("Asia/Tokyo"), Just("America/New_York"), Just("Europe/London"), Just("America/Juneau")], time in prop_oneof![Just(None), Just(Some("01:30:00")), Just(Some("02:30:00"))], calendar in prop_oneof![Just(Calendar::Anchor), Just(Calendar::Payjp)], day in prop::option::of(1_u8..=31)) {
        let zone = zone(name);
        let schedule = Schedule {
            zone: &zone,
            charge_window: "09:00:00".parse().expect("a valid time"),
            calendar,
            anchor: Anchor { on: anchor, at: time.map(|time| time.parse().expect("a valid time")), cycle: 5 },
            interval,
            billing_day: day.filter(|_| interval.unit() == Unit::Month),
        };
        let number = 5 + cycle;
        let (this, next) = (schedule.cycle(number).expect("in range"), schedule.cycle(number + 1).expect("in range"));
        prop_assert_eq!(this.period.end, next.period.start);
        prop_assert!(this.period.start <= this.charge_at && this.charge_at < this.period.end);
        prop_assert!(this.period.start < this.period.end && this.on < next.on);
        prop_assert_eq!(schedule.last_begun(5, this.period.start), number);
        prop_assert_eq!(schedule.first_not_charged_before(5, this.charge_at), number);
    }
}
