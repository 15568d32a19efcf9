//! `teiki import` through the built binary: what is stored, what is refused, what a repeat does.

use crate::imports::merchant::{Merchant, create_account};

mod merchant;
mod refusals;
mod store;

const CLOCK: &str = "2027-01-01T00:00:00+09:00";
const PLANS: &str = "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments\n\
    basic,ベーシック月額,980,jpy,standard,month,1,14,500,\n\
    school,講座12回払い,24800,jpy,exempt,month,1,0,0,12\n";
const HEADER: &str = "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,gateway,payment_token,card_brand,card_last4,card_exp\n";
const ROWS: &str = "c1,山田,a@example.com,basic,2024-08-31,2027-02-28,,2027-12-31,sandbox,sbx_ok.c1,Visa,4242,2030-02\n\
    c1,山田,a@example.com,school,2026-10-20,2027-01-20,8,,sandbox,sbx_ok.c1b,,,\n\
    c2,鈴木,b@example.com,basic,2027-01-01,2027-01-01,,,sandbox,sbx_ok.c2,JCB,0005,2030-08\n";

fn subscribers() -> String {
    format!("{HEADER}{ROWS}")
}

/// With the two files above, not yet imported.
fn with_files(merchant: Merchant) -> Merchant {
    merchant.write("plans.csv", PLANS);
    merchant.write("subscribers.csv", subscribers());
    merchant
}

fn import_and_import_again(merchant: Merchant) {
    let merchant = with_files(merchant);
    let first = merchant.import(&["--clock", CLOCK, "--json"]);
    assert_eq!(first.counts(), (2, 0, 3, 0, 2));
    let stored = "2|2|3|3|3|3|3|3|1";
    assert_eq!(merchant.counts(), stored);

    // The same again, also when the clock has passed all of its dates.
    assert_eq!(merchant.import(&["--clock", CLOCK, "--json"]).counts(), (0, 2, 0, 3, 0));
    merchant.move_clock_by_a_year();
    assert_eq!(merchant.import(&["--json"]).counts(), (0, 2, 0, 3, 0));
    assert_eq!(merchant.counts(), stored);

    // A changed row, a changed plan, and a new row before the clock: all are named, nothing is stored.
    merchant.write("plans.csv", PLANS.replace("980", "1280"));
    let changed = ROWS.replace("sbx_ok.c2", "sbx_ok.c3").replace("c2,鈴木", "c2,佐藤");
    let late = "c3,高橋,c@example.com,basic,2024-08-31,2027-02-28,,,sandbox,sbx_ok.c3,,,\n";
    merchant.write("subscribers.csv", format!("{HEADER}{changed}{late}"));
    assert_eq!(
        merchant.import(&[]).problems(),
        [
            "plans.csv:2: amount: 1280 in the file, but the plan basic is stored with 980; give other terms another id",
            "subscribers.csv:4: name: 佐藤 in the file, but the row was imported with 鈴木; an import changes nothing that is stored",
            "subscribers.csv:4: payment_token: sbx_ok.c3 in the file, but the row was imported with sbx_ok.c2; an import changes nothing that is stored",
            "subscribers.csv:5: next_charge_on: 2027-02-28 is before 2028-01-01, the day of the test clock; the nearest right date is 2028-01-31",
        ]
    );
    assert_eq!(merchant.counts(), stored);
}

#[test]
fn the_same_file_again_changes_nothing_on_sqlite() {
    import_and_import_again(Merchant::on_sqlite());
}

#[test]
fn the_same_file_again_changes_nothing_on_postgres() {
    import_and_import_again(Merchant::on_postgres());
}

fn import_onto_a_clock_that_the_account_left(merchant: Merchant) {
    let merchant = with_files(merchant);
    merchant.import(&["--clock", CLOCK, "--json"]).counts();
    merchant.move_clock_by_a_day();
    let of =
        |id: &str| format!("{id},高橋,c@example.com,basic,2027-01-10,2027-01-10,,,sandbox,sbx_ok.{id},,,\n");
    let more = |ids: &[&str]| {
        let rows: String = ids.iter().map(|id| of(id)).collect();
        merchant.write("subscribers.csv", format!("{HEADER}{ROWS}{rows}"));
        merchant.import(&["--clock", CLOCK, "--json"]).counts()
    };
    // It goes on where it stands.
    merchant.run(&["account", "set", &merchant.account, "test_clock="]).text();
    assert_eq!(more(&["c3"]), (0, 2, 1, 3, 1));
    assert_eq!(merchant.clocks(), "1798815600000000|real 0, clock 3");
    // A deleted one stays deleted, with those who lived by it: another begins.
    merchant.delete_clock();
    assert_eq!(more(&["c3", "c4"]), (0, 2, 1, 4, 1));
    assert_eq!(merchant.clocks(), "1798729200000000|real 0, clock 1\n1798815600000000|real 0, clock 3");
    assert_eq!(more(&["c3", "c4"]), (0, 2, 0, 5, 0));
}

#[test]
fn an_import_takes_up_the_clock_that_the_account_left_on_sqlite() {
    import_onto_a_clock_that_the_account_left(Merchant::on_sqlite());
}

#[test]
fn an_import_takes_up_the_clock_that_the_account_left_on_postgres() {
    import_onto_a_clock_that_the_account_left(Merchant::on_postgres());
}

fn what_is_stored(merchant: Merchant) {
    let merchant = with_files(merchant);
    merchant.import(&["--clock", CLOCK, "--json"]).counts();
    assert_eq!(
        merchant.subscriptions(),
        "c1|basic|active|2024-08-31|||1|2027-12-31|1725030000000000|1798729200000000|sbx_ok.c1|Visa|4242|2030-02-28\n\
         c1|school|active|2026-10-20||8|1||1792422000000000|1798729200000000|sbx_ok.c1b|||\n\
         c2|basic|active|2027-01-01|||1||1798729200000000|1798729200000000|sbx_ok.c2|JCB|0005|2030-08-31"
    );
    // No trial and no set-up fee: one period of the plan.
    assert_eq!(
        merchant.invoices(),
        "basic|0|scheduled|jpy|980|[{\"kind\":\"plan\",\"plan\":\"basic\",\"amount\":980,\"tax_category\":\"standard\"}]|2027-01-01|1798761600000000|1798761600000000\n\
         school|3|scheduled|jpy|24800|[{\"kind\":\"plan\",\"plan\":\"school\",\"amount\":24800,\"tax_category\":\"exempt\"}]|2027-01-20|1800403200000000|1800403200000000\n\
         basic|30|scheduled|jpy|980|[{\"kind\":\"plan\",\"plan\":\"basic\",\"amount\":980,\"tax_category\":\"standard\"}]|2027-02-28|1803772800000000|1803772800000000"
    );
    assert_eq!(merchant.events(), "subscription.created|1|log|1798729200000000");
    assert_eq!(merchant.customers(), "山田|a@example.com\n鈴木|b@example.com");
}

#[test]
fn a_running_subscription_is_stored_with_its_next_invoice_on_sqlite() {
    what_is_stored(Merchant::on_sqlite());
}

#[test]
fn a_running_subscription_is_stored_with_its_next_invoice_on_postgres() {
    what_is_stored(Merchant::on_postgres());
}

fn later_files_add(merchant: Merchant) {
    let merchant = with_files(merchant);
    merchant.import(&["--clock", CLOCK, "--json"]).counts();
    // A day that has its plan already gets the new rows added; other days have none yet.
    merchant.plan_day();
    merchant.write("plans.csv", PLANS.lines().next().unwrap_or_default());
    let more = "c1,山田,a@example.com,basic,2026-12-31,2027-01-31,,,sandbox,sbx_ok.c1,,,\n\
                c4,田中,d@example.com,basic,2026-12-31,2027-01-31,,,sandbox,sbx_ok.c4,,,\n\
                c4,田中,d@example.com,basic,2026-12-30,2027-01-30,,,sandbox,sbx_ok.c4,,,\n";
    merchant.write("subscribers.csv", format!("{HEADER}{ROWS}{more}"));
    assert_eq!(merchant.import(&["--json"]).counts(), (0, 0, 3, 3, 1));
    assert_eq!(merchant.day_plans(), "2027-01-31|9|8960");
}

#[test]
fn a_later_file_adds_to_customers_plans_and_the_plan_of_the_day_on_sqlite() {
    later_files_add(Merchant::on_sqlite());
}

#[test]
fn a_later_file_adds_to_customers_plans_and_the_plan_of_the_day_on_postgres() {
    later_files_add(Merchant::on_postgres());
}

#[test]
fn a_dry_run_says_what_would_be_and_stores_nothing() {
    let merchant = with_files(Merchant::on_sqlite());
    assert_eq!(merchant.import(&["--clock", CLOCK, "--dry-run", "--json"]).counts(), (2, 0, 3, 0, 2));
    assert_eq!(merchant.counts(), "0|0|0|0|0|0|0|0|0");
    let answer = merchant.import(&["--clock", CLOCK, "--dry-run"]);
    assert_eq!(
        answer.out,
        format!(
            "nothing was stored; this would be imported into {} (test):\n  plans        2 new, 0 unchanged\n  subscribers  3 new, 0 unchanged\n  customers    2 new\n  clock        a test clock that stands at {CLOCK}\n",
            merchant.account
        )
    );
}

#[test]
fn the_clock_is_set_once() {
    let merchant = with_files(Merchant::on_sqlite());
    assert_eq!(merchant.import(&["--clock", CLOCK, "--json"]).counts().2, 3);
    // The same instant, written in another offset.
    merchant.import(&["--clock", "2026-12-31T15:00:00Z", "--json"]).counts();
    merchant.move_clock_by_a_day();
    merchant.import(&["--clock", CLOCK, "--json"]).counts();
    let other = merchant.import(&["--clock", "2027-02-01T00:00:00+09:00"]);
    assert_eq!(other.code, 2);
    assert_eq!(
        other.error,
        format!(
            "teiki: --clock: the test clock of {} was started at {CLOCK} and stands at 2027-01-02T00:00:00+09:00; it is set once, so leave --clock out\n",
            merchant.account
        )
    );
}

#[test]
fn accounts_and_files_without_a_clock_follow_real_time() {
    let merchant = with_files(Merchant::on_sqlite());
    merchant
        .write("subscribers.csv", subscribers().replace("2027-0", "2927-0").replace("2027-12", "2927-12"));
    let answer = merchant.import(&["--json"]);
    assert_eq!(answer.counts(), (2, 0, 3, 0, 2));
    assert!(answer.out.contains("\"clock\":null"), "{}", answer.out);
    assert_eq!(merchant.invoice_clocks(), "real");
    // Another account of the same installation does not see them.
    let other = create_account(&merchant.place);
    let args =
        ["import", "--account", &other, "--plans", "plans.csv", "--subscribers", "subscribers.csv", "--json"];
    assert_eq!(merchant.run(&args).counts(), (2, 0, 3, 0, 2));
}

#[test]
fn files_are_read_as_japanese_programs_write_them() {
    let shift_jis = |text: &str| encoding_rs::SHIFT_JIS.encode(text).0.into_owned();
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let dressed = format!(
        "\u{FEFF}{}\r\n  \r\n{}",
        crlf(HEADER).trim_end(),
        crlf(ROWS)
            .replace("c1,山田,", "\"c1\",\"山田\",")
            .replace("2024-08-31", "２０２４－０８－３１")
            .replace("2026-10-20", "2026/10/20")
            .replace("4242", "４２４２")
    );
    let marked = format!("\u{FEFF}{PLANS}");
    type Case = (&'static str, Vec<u8>, Vec<u8>, &'static [&'static str]);
    let cases: [Case; 4] = [
        ("plain", PLANS.into(), subscribers().into(), &[]),
        ("mark, CRLF, quotes, blank lines, full width", marked.into(), dressed.into(), &[]),
        ("Shift_JIS, detected", shift_jis(PLANS), shift_jis(&crlf(&subscribers())), &[]),
        ("Shift_JIS, said", shift_jis(PLANS), shift_jis(&subscribers()), &["--encoding", "shift_jis"]),
    ];
    let merchant = Merchant::on_sqlite();
    let mut expected = (2, 0, 3, 0, 2);
    for (name, plans, subscribers, more) in cases {
        merchant.write("plans.csv", plans);
        merchant.write("subscribers.csv", subscribers);
        let args = [&["--clock", CLOCK, "--json"], more].concat();
        assert_eq!(merchant.import(&args).counts(), expected, "{name}");
        // Every further file says the same.
        expected = (0, 2, 0, 3, 0);
    }
}
