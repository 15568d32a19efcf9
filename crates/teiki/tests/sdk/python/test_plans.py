"""Plans: made, renamed, deleted unless they have subscribers."""

import payjp

from flow import Flow, unique


class Plans(Flow):
    def test_one_with_the_least(self):
        plan = self.plan()
        self.assertRegex(plan.id, "^pln_[0-9a-f]{28}$")
        self.assertEqual((plan.amount, plan.currency, plan.interval), (500, "jpy", "month"))
        self.assertEqual((plan.trial_days, plan.billing_day, dict(plan.metadata)), (0, None, {}))
        self.assertIn(plan.name, ("", None))
        self.assertEqual(dict(self.good(payjp.Plan.retrieve(plan.id))), dict(plan))

    def test_one_with_everything(self):
        chosen = unique("next-plan-for-sdk-test")
        plan = self.plan(
            9_999_999, id=chosen, name="ゴールド", trial_days=30, billing_day=31, metadata={"a": True}
        )
        self.assertEqual((plan.id, plan.name, plan.amount), (chosen, "ゴールド", 9_999_999))
        self.assertEqual((plan.trial_days, plan.billing_day), (30, 31))
        # As Python writes it.
        self.assertEqual(plan.metadata["a"], "True")
        self.assertEqual(self.plan(interval="year").interval, "year")

    def test_name_and_metadata_are_changed(self):
        plan = self.plan(name="Silver", metadata={"a": "1"})
        plan.name = "Gold"
        plan.metadata = {"b": "2"}
        self.good(plan.save())
        again = self.good(payjp.Plan.retrieve(plan.id))
        self.assertEqual((again.name, dict(again.metadata)), ("Gold", {"b": "2"}))
        plan.name = None
        self.assertIn(self.good(plan.save()).name, ("", None))

    def test_a_price_is_not_changed(self):
        for key, value in (("amount", 600), ("interval", "year"), ("trial_days", 3), ("billing_day", 1)):
            plan = self.plan()
            plan[key] = value
            with self.subTest(key=key), self.refused(
                400, {"invalid_param_key", "no_allowed_param"}, param=key
            ):
                plan.save()

    def test_what_is_missing_or_wrong_is_named(self):
        for params, code, param in (
            ({"amount": None}, "missing_param", "amount"),
            ({"currency": None}, "missing_param", "currency"),
            ({"interval": None}, "missing_param", "interval"),
            ({"amount": 49}, {"invalid_plan_amount", "invalid_amount"}, "amount"),
            ({"amount": 10_000_000}, {"invalid_plan_amount", "invalid_amount"}, "amount"),
            ({"currency": "usd"}, "invalid_currency", "currency"),
            ({"interval": "decade"}, "invalid_interval", "interval"),
            ({"trial_days": 366}, "invalid_trial_days", "trial_days"),
            ({"trial_days": -1}, "invalid_trial_days", "trial_days"),
            ({"billing_day": 0}, "invalid_billing_day", "billing_day"),
            ({"billing_day": 32}, "invalid_billing_day", "billing_day"),
            ({"billing_day": 1, "interval": "year"}, "billing_day_for_non_monthly_plan", "billing_day"),
            ({"id": "two words"}, "invalid_flexible_id", "id"),
            ({"bogus": "1"}, "invalid_param_key", "bogus"),
        ):
            with self.subTest(**params), self.refused(400, code, param=param):
                self.plan(**({"amount": 500} | params))

    def test_an_id_is_taken_for_ever(self):
        chosen = unique("gold")
        plan = self.plan(id=chosen)
        with self.refused(400, "already_exist_id", param="id"):
            self.plan(id=chosen)
        deleted = self.good(plan.delete())
        self.assertEqual((deleted.id, deleted.deleted, deleted.livemode), (chosen, True, False))
        with self.not_found():
            payjp.Plan.retrieve(chosen)
        with self.refused(400, "already_exist_id", param="id"):
            self.plan(id=chosen)

    def test_a_plan_with_subscribers_stays(self):
        plan = self.plan()
        subscription = self.subscription(plan=plan)
        with self.refused(400, "exist_subscribers"):
            plan.delete()
        for change in ("pause", "resume", "cancel"):
            self.good(getattr(subscription, change)())
            with self.subTest(after=change), self.refused(400, "exist_subscribers"):
                plan.delete()
        self.good(subscription.delete())
        self.assertTrue(self.good(plan.delete()).deleted)

    def test_a_plan_that_is_someones_next_stays(self):
        plan = self.plan(700)
        subscription = self.subscription()
        subscription.next_cycle_plan = plan.id
        self.good(subscription.save())
        with self.refused(400, "exist_subscribers"):
            plan.delete()
        subscription.next_cycle_plan = None
        self.good(subscription.save())
        self.assertTrue(self.good(plan.delete()).deleted)

    def test_charges_of_a_deleted_plan_stay(self):
        plan = self.plan()
        subscription = self.subscription(plan=plan)
        [charge] = self.charges_of(subscription)
        self.good(subscription.delete())
        self.good(plan.delete())
        again = self.good(payjp.Charge.retrieve(charge.id))
        self.assertEqual(again.subscription, subscription.id)
        with self.unknown_reference("plan"):
            self.subscription(plan=plan)

    def test_an_unknown_plan_is_not_found(self):
        with self.not_found():
            payjp.Plan.retrieve("pln_0000000000000000000000000000")
