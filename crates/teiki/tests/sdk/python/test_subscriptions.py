"""Subscriptions: every call by itself, and what happens without one."""

import datetime

import payjp

import periods
from flow import DECLINED, DECLINED_ABOVE_10000, TOKYO, Flow, now

DAY_S = 86_400
# Late enough for a request or two before it.
SOON_S = 5
YEAR_S = 365 * DAY_S


class Creating(Flow):
    def test_the_first_period_is_paid_at_once(self):
        began = now()
        customer = self.customer()
        subscription = self.subscription(customer, self.plan(1000), metadata={"n": 1})
        self.assertEqual((subscription.customer, subscription.livemode), (customer.id, False))
        self.assertTrue(began - 1 <= subscription.created <= now() + 1)
        self.assertTrue(began - 1 <= subscription.start <= now() + 1)
        self.assertEqual(subscription.current_period_start, subscription.start)
        self.assertEqual(dict(subscription.metadata), {"n": "1"})
        for key in ("trial_start", "trial_end", "paused_at", "canceled_at", "resumed_at", "next_cycle_plan"):
            self.assertIsNone(subscription[key], key)
        [charge] = self.charges_of(subscription)
        self.assertEqual((charge.amount, charge.paid, charge.captured), (1000, True, True))
        self.assertEqual((charge.customer, charge.card.id), (customer.id, customer.default_card))

    def test_a_period_is_one_interval_of_the_calendar_of_tokyo(self):
        for interval, months in (("month", 1), ("year", 12)):
            subscription = self.subscription(plan=self.plan(interval=interval))
            end = periods.later(subscription.current_period_start, months)
            self.assertEqual(subscription.current_period_end, end)

    def test_a_trial_of_the_plan_costs_nothing(self):
        began = now()
        subscription = self.subscription(plan=self.plan(trial_days=10))
        self.assertEqual(subscription.status, "trial")
        self.assertEqual(self.charges_of(subscription), [])
        self.assertTrue(began + 9 * DAY_S < subscription.trial_end <= now() + 10 * DAY_S + 1)
        self.assertTrue(began - 1 <= subscription.trial_start <= now() + 1)
        self.assertEqual(subscription.current_period_start, subscription.trial_start)
        self.assertEqual(subscription.current_period_end, subscription.trial_end)

    def test_the_trials_end_overrides_the_plan(self):
        plan = self.plan(trial_days=10)
        trial_end = now() + 3 * DAY_S
        trial = self.subscription(plan=plan, trial_end=trial_end)
        self.assertEqual((trial.status, trial.trial_end), ("trial", trial_end))
        paid = self.subscription(plan=plan, trial_end="now")
        self.assertEqual((paid.status, paid.trial_end), ("active", None))
        self.assertEqual(len(self.charges_of(paid)), 1)

    def test_a_trial_ends_in_the_future_and_within_five_years(self):
        for trial_end in (now() - DAY_S, now() + 6 * YEAR_S, "tomorrow"):
            codes = {"invalid_trial_end", "invalid_timestamp"}
            with self.subTest(trial_end=trial_end), self.refused(400, codes, param="trial_end"):
                self.subscription(trial_end=trial_end)

    def test_with_a_billing_day_nothing_is_paid_before_it(self):
        for billing_day in (1, 15, 31):
            subscription = self.subscription(plan=self.plan(billing_day=billing_day))
            self.assertEqual(self.charges_of(subscription), [])
            self.assertGreater(subscription.current_period_end, now())
            self.assert_on_billing_day(subscription.current_period_end, billing_day)

    def test_prorated_to_the_billing_day(self):
        amount = 310_000
        for billing_day in (1, 15, 31):
            subscription = self.subscription(plan=self.plan(amount, billing_day=billing_day), prorate=True)
            self.assertEqual((subscription.status, subscription.prorate), ("active", True))
            [charge] = self.charges_of(subscription)
            # Which day it is, is counted in UTC at PAY.JP and in the account's zone here; it may be either.
            expected = {
                periods.prorated(amount, subscription.start, billing_day, zone)
                for zone in (TOKYO, datetime.timezone.utc)
            }
            self.assertIn(charge.amount, expected)
            self.assert_on_billing_day(subscription.current_period_end, billing_day)

    def test_prorate_without_a_billing_day_pays_in_full(self):
        subscription = self.subscription(plan=self.plan(1000), prorate=True)
        self.assertEqual(self.charges_of(subscription)[0].amount, 1000)

    def test_a_declined_first_payment_leaves_no_subscription(self):
        customer, plan = self.customer(DECLINED), self.plan()
        with self.refused(402, "card_declined") as refused:
            self.subscription(customer, plan)
        charge = self.good(payjp.Charge.retrieve(refused.error["charge"]))
        self.assertEqual((charge.paid, charge.failure_code), (False, "card_declined"))
        self.assertEqual((charge.customer, charge.amount), (customer.id, 500))
        self.assertEqual(self.good(payjp.Subscription.all(customer=customer.id)).data, [])
        customer.card = self.token().id
        self.good(customer.save())
        customer.default_card = customer.cards.data[0].id
        self.good(customer.save())
        self.assertEqual(self.subscription(customer, plan).status, "active")

    def test_a_trial_needs_a_card_as_well(self):
        customer = self.good(payjp.Customer.create())
        for params in ({}, {"trial_end": now() + DAY_S}):
            with self.refused(400, "doesnt_have_card"):
                self.subscription(customer, **params)

    def test_a_customer_has_a_plan_once(self):
        plan = self.plan()
        subscription = self.subscription(plan=plan)
        customer = payjp.Customer.retrieve(subscription.customer)
        for change in (None, "pause", "resume", "cancel"):
            if change:
                self.good(getattr(subscription, change)())
            with self.subTest(after=change), self.refused(400, "already_subscribed"):
                self.subscription(customer, plan)
        self.assertEqual(len(self.good(payjp.Charge.all(customer=customer.id)).data), 1)
        self.good(subscription.delete())
        self.assertEqual(self.subscription(customer, plan).status, "active")

    def test_what_is_missing_or_wrong_is_named(self):
        customer, plan = self.customer(), self.plan()
        with self.refused(400, "missing_param", param="customer"):
            payjp.Subscription.create(plan=plan.id)
        with self.refused(400, "missing_param", param="plan"):
            payjp.Subscription.create(customer=customer.id)
        with self.unknown_reference("customer"):
            payjp.Subscription.create(customer="cus_0000000000000000000000000000", plan=plan.id)
        with self.unknown_reference("plan"):
            payjp.Subscription.create(customer=customer.id, plan="nothing-of-the-kind")
        with self.refused(400, {"invalid_param_key", "no_allowed_param"}, param="next_cycle_plan"):
            self.subscription(customer, plan, next_cycle_plan=plan.id)
        with self.refused(400, "invalid_boolean", param="prorate"):
            self.subscription(customer, plan, prorate="perhaps")

    def assert_on_billing_day(self, timestamp, billing_day):
        """The day of Tokyo is the billing day, or its month's last."""
        day = periods.tokyo(timestamp)
        next_day = day + datetime.timedelta(days=1)
        is_last = next_day.month != day.month
        self.assertTrue(day.day == billing_day or (is_last and day.day < billing_day), day)


class Changing(Flow):
    def test_metadata_alone_costs_nothing(self):
        subscription = self.subscription(metadata={"a": "1"})
        subscription.metadata = {"b": "2"}
        self.assertEqual(dict(self.good(subscription.save()).metadata), {"b": "2"})
        self.assertEqual(len(self.charges_of(subscription)), 1)

    def test_another_plan_is_paid_at_once_and_in_full(self):
        subscription = self.subscription(plan=self.plan(500))
        plan = self.plan(1200, trial_days=20)
        subscription.plan = plan.id
        self.good(subscription.save())
        self.assertEqual((subscription.plan.id, subscription.status), (plan.id, "active"))
        self.assertEqual([charge.amount for charge in self.charges_of(subscription)], [1200, 500])
        end = periods.later(subscription.current_period_start, 1)
        self.assertEqual(subscription.current_period_end, end)

    def test_another_plan_from_a_later_day(self):
        subscription = self.subscription(plan=self.plan(500))
        plan = self.plan(1200)
        trial_end = now() + 5 * DAY_S
        subscription.plan = plan.id
        subscription.trial_end = trial_end
        self.good(subscription.save())
        self.assertEqual((subscription.plan.id, subscription.status), (plan.id, "trial"))
        self.assertEqual(subscription.trial_end, trial_end)
        self.assertEqual(len(self.charges_of(subscription)), 1)

    def test_a_declined_change_changes_nothing(self):
        plan = self.plan(1000)
        subscription = self.subscription(self.customer(DECLINED_ABOVE_10000), plan)
        subscription.plan = self.plan(20_000).id
        with self.refused(402, "card_declined") as refused:
            subscription.save()
        self.assertFalse(self.good(payjp.Charge.retrieve(refused.error["charge"])).paid)
        again = self.good(payjp.Subscription.retrieve(subscription.id))
        self.assertEqual((again.plan.id, again.status), (plan.id, "active"))
        self.assertEqual(again.current_period_end, subscription.current_period_end)

    def test_not_to_a_plan_that_the_customer_has(self):
        customer, plan = self.customer(), self.plan()
        other = self.subscription(customer, plan)
        subscription = self.subscription(customer, self.plan(700))
        for change in (None, "pause", "resume", "cancel"):
            if change:
                self.good(getattr(other, change)())
            changed = payjp.Subscription.retrieve(subscription.id)
            changed.plan = plan.id
            with self.subTest(after=change), self.refused(400, "already_subscribed"):
                changed.save()
        self.assertEqual(len(self.charges_of(subscription)), 1)

    def test_prorate_comes_with_a_plan_only(self):
        subscription = self.subscription()
        subscription.prorate = True
        with self.refused(400, "cannot_change_prorate_status"):
            subscription.save()

    def test_a_trial_ends_now_and_is_paid(self):
        subscription = self.subscription(plan=self.plan(800, trial_days=10))
        subscription.trial_end = "now"
        self.good(subscription.save())
        self.assertEqual(subscription.status, "active")
        [charge] = self.charges_of(subscription)
        self.assertEqual(charge.amount, 800)
        end = periods.later(subscription.current_period_start, 1)
        self.assertEqual(subscription.current_period_end, end)

    def test_a_trial_begins_again(self):
        subscription = self.subscription()
        trial_end = now() + 40 * DAY_S
        subscription.trial_end = trial_end
        self.good(subscription.save())
        self.assertEqual((subscription.status, subscription.trial_end), ("trial", trial_end))
        self.assertEqual(len(self.charges_of(subscription)), 1)

    def test_the_next_plan_costs_nothing_now(self):
        subscription = self.subscription(plan=self.plan(1080))
        plan = self.plan(1100)
        before = subscription.current_period_end
        subscription.next_cycle_plan = plan.id
        self.good(subscription.save())
        self.assertEqual((subscription.next_cycle_plan.amount, subscription.plan.amount), (1100, 1080))
        self.assertEqual(subscription.current_period_end, before)
        self.assertEqual(len(self.charges_of(subscription)), 1)
        subscription.next_cycle_plan = "nothing-of-the-kind"
        with self.refused((400, 404), {"invalid_plan", "invalid_id"}, param="next_cycle_plan"):
            subscription.save()

    def test_what_no_subscription_has_is_refused(self):
        subscription = self.subscription()
        subscription.bogus = "1"
        with self.refused(400, "invalid_param_key", param="bogus"):
            subscription.save()
        subscription = self.subscription()
        subscription.customer = self.customer().id
        with self.refused(400, {"invalid_param_key", "no_allowed_param"}, param="customer"):
            subscription.save()


class PausingAndCanceling(Flow):
    def test_what_is_paused_is_not_paused_again_nor_changed(self):
        subscription = self.subscription()
        began = now()
        self.good(subscription.pause())
        self.assertEqual(subscription.status, "paused")
        self.assertGreaterEqual(subscription.paused_at, began - 1)
        with self.refused(400, "already_paused"):
            subscription.pause()
        subscription.next_cycle_plan = self.plan(700).id
        with self.refused(400, "already_paused"):
            subscription.save()

    def test_a_resumed_one_is_as_before(self):
        subscription = self.subscription()
        period = (subscription.current_period_start, subscription.current_period_end)
        for change in ("pause", "cancel"):
            self.good(getattr(subscription, change)())
            self.good(subscription.resume())
            self.assertEqual((subscription.status, subscription.paused_at), ("active", None))
            self.assertIsNone(subscription.canceled_at)
            self.assertEqual((subscription.current_period_start, subscription.current_period_end), period)
        self.assertEqual(len(self.charges_of(subscription)), 1)

    def test_what_runs_is_not_resumed(self):
        for subscription in (self.subscription(), self.subscription(plan=self.plan(trial_days=3))):
            with self.refused(400, "subscription_worked"):
                subscription.resume()

    def test_a_trial_goes_on_after_a_pause(self):
        subscription = self.subscription(plan=self.plan(trial_days=10))
        trial_end = subscription.trial_end
        self.good(subscription.pause())
        self.good(subscription.resume())
        self.assertEqual((subscription.status, subscription.trial_end), ("trial", trial_end))
        self.assertEqual(self.charges_of(subscription), [])

    def test_a_trial_ends_at_the_resume_and_is_paid(self):
        subscription = self.subscription(plan=self.plan(800, trial_days=10))
        self.good(subscription.pause())
        self.good(subscription.resume(trial_end="now"))
        self.assertEqual(subscription.status, "active")
        self.assertEqual([charge.amount for charge in self.charges_of(subscription)], [800])

    def test_a_resume_that_is_declined_stays_paused(self):
        customer = self.customer(DECLINED)
        subscription = self.subscription(customer, self.plan(trial_days=10))
        self.good(subscription.pause())
        with self.refused(402, "card_declined"):
            subscription.resume(trial_end="now")
        self.assertEqual(self.good(payjp.Subscription.retrieve(subscription.id)).status, "paused")

    def test_a_canceled_one_runs_to_the_end_of_its_period(self):
        for params in ({}, {"trial_end": now() + 10 * DAY_S}):
            subscription = self.subscription(**params)
            end = subscription.current_period_end
            began = now()
            self.good(subscription.cancel())
            self.assertEqual((subscription.status, subscription.current_period_end), ("canceled", end))
            self.assertGreaterEqual(subscription.canceled_at, began - 1)
            with self.refused(400, "already_canceled"):
                subscription.cancel()

    def test_these_calls_take_nothing(self):
        subscription = self.subscription()
        for call in (subscription.pause, subscription.cancel):
            with self.refused(400, "invalid_param_key", param="foo"):
                call(foo="bar")
        self.good(subscription.pause())
        with self.refused(400, "invalid_param_key", param="foo"):
            subscription.resume(foo="bar")
        self.assertEqual(self.good(payjp.Subscription.retrieve(subscription.id)).status, "paused")


class Deleting(Flow):
    def test_without_a_word_nothing_is_given_back(self):
        subscription = self.subscription()
        [charge] = self.charges_of(subscription)
        deleted = self.good(subscription.delete())
        self.assertEqual((deleted.deleted, deleted.livemode), (True, False))
        again = self.good(payjp.Charge.retrieve(charge.id))
        self.assertEqual((again.refunded, again.subscription), (False, subscription.id))
        with self.not_found():
            subscription.delete()

    def test_with_prorate_in_the_query_the_rest_is_given_back(self):
        amount = 310_000
        subscription = self.subscription(plan=self.plan(amount))
        days = (subscription.current_period_end - subscription.current_period_start) // DAY_S
        [charge] = self.charges_of(subscription)
        self.good(subscription.delete(prorate=True))
        refunded = self.good(payjp.Charge.retrieve(charge.id))
        self.assertTrue(refunded.refunded)
        # Whether today counts is left open.
        self.assertTrue(amount * (days - 2) // days <= refunded.amount_refunded <= amount, refunded)

    def test_with_prorate_false_nothing_is_given_back(self):
        subscription = self.subscription()
        [charge] = self.charges_of(subscription)
        self.good(subscription.delete(prorate=False))
        self.assertFalse(self.good(payjp.Charge.retrieve(charge.id)).refunded)

    def test_from_every_state(self):
        for change in ("pause", "cancel"):
            subscription = self.subscription()
            self.good(getattr(subscription, change)())
            self.assertTrue(self.good(subscription.delete()).deleted)
        self.assertTrue(self.good(self.subscription(plan=self.plan(trial_days=3)).delete()).deleted)


class InItsOwnTime(Flow):
    """What the server does when an instant comes: a trial that ends a little later makes one come soon."""

    def test_a_trial_ends_and_is_paid(self):
        customer, plan = self.customer(), self.plan(800)
        trial_end = now() + SOON_S
        subscription = self.subscription(customer, plan, trial_end=trial_end)
        # A charge is seen before its outcome is known.
        [charge] = self.eventually(lambda: [it for it in self.charges_of(subscription) if it.paid])
        self.assertEqual(charge.amount, 800)

        def renewed():
            again = self.good(payjp.Subscription.retrieve(subscription.id))
            return again if again.status == "active" else None

        again = self.eventually(renewed)
        self.assertEqual(again.current_period_start, trial_end)
        self.assertEqual(again.current_period_end, periods.later(trial_end, 1))
        events = self.good(payjp.Event.all(resource_id=subscription.id, type="subscription.renewed"))
        self.assertEqual([event.data.id for event in events.data], [subscription.id])

    def test_a_canceled_one_is_deleted_at_its_end(self):
        customer, plan = self.customer(), self.plan()
        subscription = self.subscription(customer, plan, trial_end=now() + SOON_S)
        self.good(subscription.cancel())

        def deleted():
            page = payjp.Event.all(resource_id=subscription.id, type="subscription.deleted")
            return self.good(page).data

        self.eventually(deleted)
        with self.not_found():
            payjp.Subscription.retrieve(subscription.id)
        self.assertEqual(self.charges_of(subscription), [])

    def test_a_paused_one_is_not_charged(self):
        customer, plan, other_plan = self.customer(), self.plan(), self.plan()
        paused = self.subscription(customer, plan, trial_end=now() + SOON_S)
        self.good(paused.pause())
        other = self.subscription(customer, other_plan, trial_end=now() + SOON_S)
        self.eventually(lambda: self.charges_of(other))
        self.assertEqual(self.charges_of(paused), [])
        self.assertEqual(self.good(payjp.Subscription.retrieve(paused.id)).status, "paused")


class Listing(Flow):
    def test_by_customer_plan_and_status(self):
        customer = self.customer()
        active = self.subscription(customer, self.plan())
        trial = self.subscription(customer, self.plan(trial_days=3))
        paused = self.subscription(customer, self.plan())
        self.good(paused.pause())
        canceled = self.subscription(customer, self.plan())
        self.good(canceled.cancel())
        deleted = self.subscription(customer, self.plan())
        self.good(deleted.delete())
        of_customer = self.good(payjp.Subscription.all(customer=customer.id))
        self.assertEqual(self.ids(of_customer.data), self.ids([canceled, paused, trial, active]))
        self.assertEqual(of_customer.url, "/v1/subscriptions")
        for subscription, status in (
            (active, "active"),
            (trial, "trial"),
            (paused, "paused"),
            (canceled, "canceled"),
        ):
            found = self.good(payjp.Subscription.all(customer=customer.id, status=status))
            self.assertEqual(self.ids(found.data), [subscription.id])
            found = self.good(payjp.Subscription.all(customer=customer.id, plan=subscription.plan.id))
            self.assertEqual(self.ids(found.data), [subscription.id])
        with self.refused(400, param="status"):
            payjp.Subscription.all(status="sleeping")
