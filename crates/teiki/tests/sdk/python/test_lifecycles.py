"""Whole lives of a subscription, as the suites of PHP, Go and Java tell them."""

import payjp

from flow import Flow, now, unique

YEAR_S = 365 * 86_400


class Lifecycles(Flow):
    def test_the_one_of_the_php_suite(self):
        plan, next_plan = self.plan(id=unique("gold")), self.plan(id=unique("next-plan"))
        subscription = self.subscription(self.customer(), plan)
        self.assertEqual((subscription.status, subscription.plan.id), ("active", plan.id))
        self.assertEqual((subscription.next_cycle_plan, subscription.trial_end), (None, None))

        subscription.next_cycle_plan = next_plan.id
        self.good(subscription.save())
        self.assertEqual(subscription.next_cycle_plan.id, next_plan.id)
        subscription.next_cycle_plan = None
        self.good(subscription.save())
        self.assertIsNone(subscription.next_cycle_plan)

        self.good(subscription.pause())
        self.assertEqual(self.stored(subscription).status, "paused")
        self.good(subscription.resume())
        self.assertEqual(self.stored(subscription).status, "active")
        self.assertIsNotNone(subscription.resumed_at)
        self.good(subscription.pause())
        self.assertEqual(self.stored(subscription).status, "paused")
        self.assertIsNone(subscription.resumed_at)

        trial_end = subscription.created + 5000
        self.good(subscription.resume(trial_end=trial_end))
        self.assertEqual(self.stored(subscription).status, "trial")
        self.assertEqual((subscription.plan.amount, subscription.trial_end), (500, trial_end))

        with self.refused(400, "invalid_param_key", param="foo") as refused:
            subscription.cancel(foo="bar")
        self.assertEqual(refused.error["message"], "Invalid param key to subscription")
        self.good(subscription.cancel())
        self.assertEqual(self.stored(subscription).status, "canceled")

        gone = subscription.id
        self.good(subscription.delete())
        self.assertEqual((subscription.id, subscription.deleted), (gone, True))
        with self.not_found():
            payjp.Subscription.retrieve(gone)

    def test_the_one_of_the_go_example(self):
        existing = self.subscription()
        plan = self.plan(1000)
        subscription = self.good(
            payjp.Subscription.create(customer=existing.customer, plan=plan.id, metadata={"test": "created"})
        )
        self.assertEqual((subscription.status, subscription.prorate), ("active", False))
        self.good(subscription.pause())
        self.assertEqual(subscription.status, "paused")
        next_year = now() + YEAR_S
        self.good(subscription.resume(trial_end=next_year))
        self.assertEqual((subscription.status, subscription.trial_end), ("trial", next_year))
        self.good(subscription.cancel())
        self.assertEqual(subscription.status, "canceled")
        self.good(subscription.resume(prorate=True, trial_end="now"))
        self.assertEqual((subscription.status, subscription.prorate), ("active", True))

        found = self.good(payjp.Subscription.all(plan=plan.id, customer=existing.customer))
        self.assertEqual((self.ids(found.data), found.has_more), ([subscription.id], False))

        next_plan = self.plan(2000)
        subscription.next_cycle_plan = next_plan.id
        subscription.metadata = {"test": "updated"}
        self.good(subscription.save())
        self.assertEqual(subscription.next_cycle_plan.id, next_plan.id)
        self.assertEqual(dict(subscription.metadata), {"test": "updated"})

        gone = subscription.id
        self.good(subscription.delete())
        with self.not_found():
            self.good(payjp.Customer.retrieve(existing.customer)).subscriptions.retrieve(gone)
        self.assertTrue(self.good(plan.delete()).deleted)
        self.assertTrue(self.good(next_plan.delete()).deleted)

    def test_the_one_of_the_java_suite(self):
        existing = self.subscription()
        listed = self.good(payjp.Subscription.all(limit=1))
        self.assertEqual((listed.count, listed.data[0].id), (1, existing.id))
        plan = self.plan(1000)
        subscription = listed.data[0]
        subscription.next_cycle_plan = plan.id
        self.assertEqual(self.good(subscription.save()).next_cycle_plan.id, plan.id)
        subscription.next_cycle_plan = None
        self.assertIsNone(self.good(subscription.save()).next_cycle_plan)
        self.assertTrue(self.good(plan.delete()).deleted)

    def stored(self, subscription):
        """As it is read again, which is as the last change answered it."""
        stored = self.good(payjp.Subscription.retrieve(subscription.id))
        self.assertEqual(dict(stored), dict(subscription))
        return stored
