//! SQL of the tests of imports: what is stored, as text, and the two things that a test changes by itself.

use super::merchant::Merchant;

impl Merchant {
    /// How many rows the tables of an import have.
    pub(crate) fn counts(&self) -> String {
        self.query(
            "select cast((select count(*) from plans) as text), cast((select count(*) from customers) as text),
                    cast((select count(*) from payment_methods) as text),
                    cast((select count(*) from subscriptions) as text), cast((select count(*) from invoices) as text),
                    cast((select count(*) from events) as text), cast((select count(*) from outbox) as text),
                    cast((select count(*) from imported_rows) as text),
                    cast((select count(*) from test_clocks) as text)",
        )
    }

    /// Every subscription with its way to pay.
    pub(crate) fn subscriptions(&self) -> String {
        self.query("select s.customer_id, s.plan_id, s.status, s.anchor_on, s.anchor_time, cast(s.remaining as text),
                    cast(s.event_number as text), s.valid_until, cast(s.started_at as text),
                    cast(s.created_at as text), p.gateway_token, p.brand, p.last4, p.expires_on
             from subscriptions s join payment_methods p on p.slot = s.slot and p.id = s.payment_method_id
             where s.clock_id like 'clk_%' order by s.customer_id, s.plan_id")
    }

    /// Every invoice that belongs to a subscription of its clock.
    pub(crate) fn invoices(&self) -> String {
        self.query("select i.plan_id, cast(i.cycle as text), i.status, i.currency, cast(i.amount as text), i.lines, i.due_on,
                    cast(i.due_at as text), cast(i.next_action_at as text)
             from invoices i join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
                  and s.clock_id = i.clock_id
             where i.obligation = 'cycle:' || i.cycle || ':' || i.subscription_id order by i.due_on")
    }

    /// The different events that are to be delivered.
    pub(crate) fn events(&self) -> String {
        self.query("select distinct e.type, cast(e.number as text), o.sink, cast(e.billing_at as text) from events e join outbox o on o.slot = e.slot and o.event_id = e.id")
    }

    /// Customers who follow a test clock.
    pub(crate) fn customers(&self) -> String {
        self.query("select name, email from customers where clock_id like 'clk_%' order by id")
    }

    /// Plans of days.
    pub(crate) fn day_plans(&self) -> String {
        self.query("select day, cast(planned_count as text), cast(planned_amount as text) from day_plans")
    }

    /// The clocks that invoices live by.
    pub(crate) fn invoice_clocks(&self) -> String {
        self.query("select distinct clock_id from invoices")
    }

    /// Plans 2027-01-31 with 7 invoices of 7,000 in all.
    pub(crate) fn plan_day(&self) {
        self.execute(
            "insert into day_plans (account_id, mode, clock_id, day, planned_count, planned_amount)
         select t.account_id, 'test', t.id, '2027-01-31', 7, 7000 from test_clocks t",
        );
    }

    pub(crate) fn move_clock_by_a_year(&self) {
        self.execute("update test_clocks set frozen_time = frozen_time + 31536000000000");
    }

    pub(crate) fn move_clock_by_a_day(&self) {
        self.execute("update test_clocks set frozen_time = frozen_time + 86400000000");
    }

    /// Deletes the clock as the API does, as far as an import sees it.
    pub(crate) fn delete_clock(&self) {
        self.execute("update test_clocks set deleted_at = 1");
        self.execute("update accounts set test_clock_id = null");
    }

    /// Where clocks stand, and how many customers live in real time and by each.
    pub(crate) fn clocks(&self) -> String {
        self.query(
            "select cast(t.frozen_time as text),
                    'real ' || (select count(*) from customers where clock_id = 'real')
                    || ', clock ' || (select count(*) from customers c where c.clock_id = t.id)
             from test_clocks t order by t.frozen_time",
        )
    }

    /// The answer to a query, one row to a line, columns separated by `|`; all columns are texts.
    fn query(&self, sql: &'static str) -> String {
        self.on_database(move |tx| {
            let rows = tx.query(sql, &[])?;
            let lines = rows
                .iter()
                .map(|row| {
                    let cells = (0..row.len()).map(|i| Ok(row.opt_text(i)?.unwrap_or_default()));
                    Ok(cells.collect::<Result<Vec<_>, db::Error>>()?.join("|"))
                })
                .collect::<Result<Vec<_>, db::Error>>()?;
            Ok(lines.join("\n"))
        })
    }

    fn execute(&self, sql: &'static str) {
        assert_eq!(self.on_database(move |tx| tx.execute(sql, &[])), 1, "{sql}");
    }

    fn on_database<T: Send + 'static>(
        &self,
        work: impl Fn(&mut db::Tx<'_>) -> Result<T, db::Error> + Send + 'static,
    ) -> T {
        let url = self.place.url.parse().expect("a database URL");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(async {
            let db = db::Db::open(&url, &db::Options::default()).await.expect("the database opens");
            let result = db.write(work).await.expect("the statement runs");
            db.close().await;
            result
        })
    }
}
