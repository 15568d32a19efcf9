//! What an import refuses, and how it says so.

use super::merchant::Merchant;
use super::{CLOCK, HEADER, PLANS, ROWS, with_files};

/// The problems of one row after a good one.
fn problems_of(row: &str) -> Vec<String> {
    let merchant = with_files(Merchant::on_sqlite());
    merchant.write("subscribers.csv", format!("{HEADER}{ROWS}{row}\n"));
    let answer = merchant.import(&["--clock", CLOCK]);
    assert_eq!(merchant.counts(), "0|0|0|0|0|0|0|0|0");
    answer.problems().into_iter().map(str::to_owned).collect()
}

#[test]
fn dates_follow_the_anchor_and_the_right_ones_are_named() {
    let table = [
        ("2024-08-31,2027-02-30", "2027-02-30 is not a date; write it as 2027-02-28"),
        (
            "2024-08-31,2027-02-27",
            "2027-02-27 is not a charge date of plan basic from 2024-08-31 on; the nearest right dates are 2027-01-31 and 2027-02-28",
        ),
        (
            "2024-08-31,2027-01-15",
            "2027-01-15 is not a charge date of plan basic from 2024-08-31 on; the nearest right date is 2027-01-31",
        ),
        (
            "2024-08-31,2026-12-31",
            "2026-12-31 is before 2027-01-01, the day of the test clock; the nearest right date is 2027-01-31",
        ),
        (
            "2024-08-01,2026-12-01",
            "2026-12-01 is before 2027-01-01, the day of the test clock; the nearest right date is 2027-01-01",
        ),
        (
            "2027-03-31,2027-02-28",
            "2027-02-28 is not a charge date of plan basic from 2027-03-31 on; the nearest right date is 2027-03-31",
        ),
        ("9999-12-31,9999-12-31", "9999-12-31: the date is beyond the calendar"),
    ];
    for (dates, expected) in table {
        let row = format!("c9,伊藤,i@example.com,basic,{dates},,,sandbox,sbx_ok.c9,,,");
        assert_eq!(problems_of(&row), [format!("subscribers.csv:5: next_charge_on: {expected}")], "{dates}");
    }
}

#[test]
fn remaining_charges_are_given_exactly_where_there_are_instalments() {
    let table = [
        (
            "school",
            "",
            "is empty, but the plan school has 12 instalments; write how many charges are still to come, 1 to 12",
        ),
        ("school", "13", "must be 1 to 12, for the plan school has 12 instalments, not 13"),
        ("school", "0", "must be 1 to 1200, not 0"),
        ("basic", "3", "3, but the plan basic has no instalments; leave it empty"),
    ];
    for (plan, remaining, expected) in table {
        let row =
            format!("c9,伊藤,i@example.com,{plan},2026-12-20,2027-01-20,{remaining},,sandbox,sbx_ok.c9,,,");
        assert_eq!(problems_of(&row), [format!("subscribers.csv:5: remaining_charges: {expected}")]);
    }
}

#[test]
fn rows_must_agree_with_each_other_and_with_the_plans() {
    let table = [
        (
            "c1,山田,a@example.com,basic,2024-08-31,2027-01-31,,,sandbox,sbx_ok.c1,,,",
            "customer_id: customer c1, plan basic and billing_anchor 2024-08-31 are on line 2 already; a row is there once",
        ),
        (
            "c1,山本,a@example.com,basic,2024-08-30,2027-01-30,,,sandbox,sbx_ok.c1,,,",
            "name: 山本 here, but 山田 on line 2 for the same customer c1",
        ),
        (
            "c9,伊藤,i@example.com,gold,2024-08-31,2027-01-31,,,sandbox,sbx_ok.c9,,,",
            "plan_id: there is no plan gold, neither in the file of plans nor in the database",
        ),
        (
            "c9,伊藤,i@example.com,basic,2024-08-31,2027-01-31,,,stripe,tok,,,",
            "gateway: must be sandbox, not stripe",
        ),
    ];
    for (row, expected) in table {
        assert_eq!(problems_of(row), [format!("subscribers.csv:5: {expected}")]);
    }
}

#[test]
fn a_stored_customer_keeps_name_and_address() {
    let merchant = with_files(Merchant::on_sqlite());
    merchant.import(&["--clock", CLOCK, "--json"]).counts();
    let row = "c2,鈴木 花子,b@example.com,basic,2026-12-31,2027-01-31,,,sandbox,sbx_ok.c2,,,\n";
    merchant.write("subscribers.csv", format!("{HEADER}{row}"));
    assert_eq!(
        merchant.import(&[]).problems(),
        ["subscribers.csv:2: name: 鈴木 花子 in the file, but the customer is stored with 鈴木"]
    );
}

#[test]
fn a_customer_does_not_live_in_two_times() {
    let merchant = with_files(Merchant::on_sqlite());
    let row =
        |anchor| format!("{HEADER}c2,鈴木,b@example.com,basic,{anchor},2927-01-31,,,sandbox,sbx_ok.c2,,,\n");
    merchant.write("subscribers.csv", row("2026-12-31"));
    merchant.import(&["--json"]).counts();
    merchant.write("subscribers.csv", row("2026-10-31"));
    assert_eq!(
        merchant.import(&["--clock", CLOCK]).problems(),
        [
            "subscribers.csv:2: customer_id: the customer was stored before the account had its test clock, and lives in real time; import into another account"
        ]
    );
}

#[test]
fn all_errors_of_both_files_are_reported_together() {
    let merchant = Merchant::on_sqlite();
    merchant.write("plans.csv", format!("{PLANS}\ngold,ゴールド,-1,jpy,standard,moon,1,0,0,\n"));
    let many = "c9,伊藤,i,nothing,2027-02-30,2027-01-31,,,sandbox,sbx_ok.c9,,,\n".repeat(60);
    // Who refers to a plan that was refused is not to blame.
    let gold = "c8,渡辺,w@example.com,gold,2024-08-31,2027-01-31,,,sandbox,sbx_ok.c8,,,\n";
    merchant.write("subscribers.csv", format!("{HEADER}\"c7\",\"二\n行\",w,basic\n\n{gold}{many}"));
    let answer = merchant.import(&["--clock", CLOCK]);
    let problems = answer.problems();
    assert!(
        answer.error.starts_with("teiki: nothing was imported, for the files have 183 errors:\n"),
        "{}",
        answer.error
    );
    assert_eq!(problems.len(), 101);
    assert_eq!(
        problems[..7],
        [
            "plans.csv:5: interval: must be day, week, month or year, not \"moon\"",
            "plans.csv:5: amount: must be 0 to 99999999, not -1",
            "subscribers.csv:2: the row has 4 fields, the header has 13",
            "subscribers.csv:6: email: i is not a mail address; write it as name@example.com",
            "subscribers.csv:6: billing_anchor: 2027-02-30 is not a date; write it as 2027-02-28",
            "subscribers.csv:6: plan_id: there is no plan nothing, neither in the file of plans nor in the database",
            "subscribers.csv:7: email: i is not a mail address; write it as name@example.com",
        ]
    );
    assert_eq!(problems[100], "and 83 more");
    assert_eq!(merchant.counts(), "0|0|0|0|0|0|0|0|0");
}

#[test]
fn a_row_that_is_refused_is_still_checked_to_its_end() {
    let row = "c1,山田,wrong,school,2026-10-20,2027-01-21,13,soon,paypal,,,42,";
    let problems = problems_of(row);
    let columns: Vec<&str> = problems.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(
        columns,
        [
            "email",
            "valid_until",
            "gateway",
            "payment_token",
            "card_last4",
            "customer_id",
            "remaining_charges",
            "next_charge_on"
        ]
    );
}

#[test]
fn a_reference_to_a_plan_whose_row_cannot_be_read_is_no_error() {
    let merchant = with_files(Merchant::on_sqlite());
    merchant.write("plans.csv", PLANS.replace("school,講座", "school"));
    assert_eq!(merchant.import(&[]).problems(), ["plans.csv:3: the row has 9 fields, the header has 10"]);
}

#[test]
fn a_card_number_is_refused_wherever_it_stands_and_never_shown() {
    let good = "c9,伊藤,i@example.com,basic,2024-08-31,2027-01-31,,,sandbox,sbx_ok.c9,Visa,4242,2030-08";
    for column in 0..13 {
        let mut fields: Vec<&str> = good.split(',').collect();
        fields[column] = "4111 1111-1111　1111";
        let problems = problems_of(&fields.join(","));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("looks like a card number"), "{problems:?}");
        assert!(!problems[0].contains("1111"), "{problems:?}");
    }
    let merchant = with_files(Merchant::on_sqlite());
    merchant.write("plans.csv", PLANS.replace("ベーシック月額", "４１１１１１１１１１１１１１１１"));
    let answer = merchant.import(&["--clock", CLOCK, "--json"]);
    assert_eq!(answer.code, 2);
    assert!(answer.error.contains("plans.csv:2: name: looks like a card number"), "{}", answer.error);
    assert!(!answer.error.contains("1111") && !answer.error.contains("１１１１"), "{}", answer.error);
}

#[test]
fn live_subscriptions_need_a_real_gateway_and_real_time() {
    let merchant = with_files(Merchant::on_sqlite());
    let answer = merchant.import(&["--mode", "live"]);
    assert_eq!(answer.problems().len(), 3);
    assert_eq!(
        answer.problems()[0],
        "subscribers.csv:2: gateway: sandbox moves no money, so it is for --mode test only"
    );
    let answer = merchant.import(&["--mode", "live", "--clock", CLOCK]);
    assert_eq!(answer.code, 2);
    assert_eq!(answer.error, "teiki: --clock is for --mode test; live subscriptions follow real time\n");
}

#[test]
fn bad_input_is_answered_with_one_sentence() {
    let merchant = with_files(Merchant::on_sqlite());
    std::fs::create_dir(merchant.place.file("folder")).expect("a folder");
    merchant.write("empty.csv", "");
    merchant.write("broken.csv", b"id\n\xFF\xFF\n");
    let account = merchant.account.as_str();
    let stranger = "acct_000000000000000000000000000";
    let table: [(&[&str], &str); 8] = [
        (&[account, "none.csv", "subscribers.csv"], "none.csv: there is no such file"),
        (&[account, "folder", "subscribers.csv"], "folder: this is a folder, not a file"),
        (
            &[account, "empty.csv", "subscribers.csv"],
            "empty.csv: the file is empty; its first line is id,name,",
        ),
        (
            &[account, "broken.csv", "subscribers.csv"],
            "broken.csv:2: not UTF-8, and the file is not Shift_JIS",
        ),
        (&[account, "subscribers.csv", "subscribers.csv"], "subscribers.csv:1: unknown column customer_id; "),
        (&[stranger, "plans.csv", "subscribers.csv"], "there is no account acct_0000"),
        (&["nobody", "plans.csv", "subscribers.csv"], "account: \"nobody\" is not an id"),
        (
            &[account, "plans.csv", "subscribers.csv", "--clock", "2027-01-01"],
            "--clock: 2027-01-01 is not an instant with an offset; write it as 2027-01-01T00:00:00+09:00",
        ),
    ];
    for (args, expected) in table {
        let (account, plans, subscribers, more) = (args[0], args[1], args[2], &args[3..]);
        let fixed = ["import", "--account", account, "--plans", plans, "--subscribers", subscribers];
        let answer = merchant.run(&[&fixed, more].concat());
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(answer.error.contains(expected), "{expected}: {}", answer.error);
        assert_eq!(answer.out, "");
    }
    let missing = merchant.import(&["--database", "sqlite:nowhere.db"]);
    assert_eq!(missing.code, 1);
    assert!(missing.error.contains("nowhere.db"), "{}", missing.error);
    assert!(!merchant.place.file("nowhere.db").exists());
    assert_eq!(merchant.counts(), "0|0|0|0|0|0|0|0|0");
}
