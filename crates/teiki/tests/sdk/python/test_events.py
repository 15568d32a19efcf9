"""Events: what happened, newest first, with the resource itself as `data`."""

import payjp

from flow import DECLINED, OTHER_SECRET_KEY, Flow


class Events(Flow):
    def types(self, resource_id, **params):
        """The types of the events of a resource, oldest first."""
        events = self.good(payjp.Event.all(resource_id=resource_id, limit=100, **params))
        self.assertEqual(events.url, "/v1/events")
        return [event.type for event in reversed(events.data)]

    def test_of_a_customer_and_its_cards(self):
        customer = self.customer()
        customer.description = "x"
        self.good(customer.save())
        card = self.good(customer.cards.create(card=self.token("5555555555554444").id))
        card.name = "TARO"
        self.good(card.save())
        card_id, customer_id = card.id, customer.id
        self.good(card.delete())
        self.good(customer.delete())
        self.assertEqual(
            self.types(card_id),
            ["customer.card.created", "customer.card.updated", "customer.card.deleted"],
        )
        types = self.types(customer_id)
        self.assertEqual((types[0], types[-1]), ("customer.created", "customer.deleted"))
        self.assertIn("customer.updated", types)

    def test_of_a_plan(self):
        plan = self.plan()
        plan.name = "x"
        self.good(plan.save())
        self.good(plan.delete())
        self.assertEqual(self.types(plan.id), ["plan.created", "plan.updated", "plan.deleted"])

    def test_of_a_token(self):
        self.assertIn(self.types(self.token().id), (["token.created"], ["token.create"]))

    def test_of_charges(self):
        charge = self.charge(capture=False)
        self.good(charge.capture())
        charge.description = "x"
        self.good(charge.save())
        self.good(charge.refund())
        self.assertEqual(
            self.types(charge.id),
            ["charge.succeeded", "charge.captured", "charge.updated", "charge.refunded"],
        )
        with self.refused(402) as refused:
            self.charge(card=self.token(DECLINED).id)
        self.assertEqual(self.types(refused.error["charge"]), ["charge.failed"])

    def test_of_a_subscription(self):
        subscription = self.subscription()
        subscription.metadata = {"a": "1"}
        self.good(subscription.save())
        for change in ("pause", "resume", "cancel"):
            self.good(getattr(subscription, change)())
        [charge] = self.charges_of(subscription)
        self.good(subscription.delete())
        self.assertEqual(self.types(charge.id), ["charge.succeeded"])
        self.assertEqual(
            self.types(subscription.id),
            [
                "subscription.created",
                "subscription.updated",
                "subscription.paused",
                "subscription.resumed",
                "subscription.canceled",
                "subscription.deleted",
            ],
        )

    def test_the_data_is_the_resource_itself_as_it_was_then(self):
        plan = self.plan(name="before")
        plan.name = "after"
        self.good(plan.save())
        plan_id = plan.id
        self.good(plan.delete())
        deleted, updated, created = self.good(payjp.Event.all(resource_id=plan_id)).data
        self.assertEqual(
            (created.data.object, created.data.id, created.data.name), ("plan", plan_id, "before")
        )
        self.assertEqual(updated.data.name, "after")
        self.assertEqual(dict(deleted.data), {"deleted": True, "id": plan_id, "livemode": False})
        self.assertEqual((created.livemode, created.pending_webhooks), (False, 0))
        self.assertEqual(dict(self.good(payjp.Event.retrieve(created.id))), dict(created))

    def test_filters(self):
        customer = self.customer()
        customer.description = "x"
        self.good(customer.save())
        self.assertEqual(self.types(customer.id, type="customer.updated"), ["customer.updated"])
        self.assertEqual(self.types(customer.id, type="plan.created"), [])
        self.assertEqual(self.types(customer.id, object="plan"), [])
        self.assertIn("customer.created", self.types(customer.id, object="customer"))
        self.plan()
        [newest] = self.good(payjp.Event.all(object="plan", limit=1)).data
        self.assertEqual((newest.type, newest.data.object), ("plan.created", "plan"))
        page = self.good(payjp.Event.all(type="customer.created", limit=1, offset=1))
        self.assertEqual(page.data[0].type, "customer.created")

    def test_an_event_is_one_accounts(self):
        customer = self.customer()
        [event] = self.good(payjp.Event.all(resource_id=customer.id, type="customer.created")).data
        payjp.api_key = OTHER_SECRET_KEY
        self.assertEqual(self.types(customer.id), [])
        with self.not_found():
            payjp.Event.retrieve(event.id)
