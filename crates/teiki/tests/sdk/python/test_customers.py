"""Customers and their cards. The flow of the PHP suite's CustomerTest is among them."""

import payjp

from flow import DECLINED, LIVE_SECRET_KEY, OTHER_SECRET_KEY, Flow, now, unique

MASTERCARD = "5555555555554444"


class Customers(Flow):
    def test_one_without_anything(self):
        customer = self.good(payjp.Customer.create())
        self.assertRegex(customer.id, "^cus_[0-9a-f]{28}$")
        self.assertEqual((customer.email, customer.default_card, dict(customer.metadata)), (None, None, {}))
        self.assertIn(customer.description, ("", None))
        self.assertEqual((customer.cards.count, customer.subscriptions.count), (0, 0))
        self.assertEqual(customer.cards.url, f"/v1/customers/{customer.id}/cards")
        self.assertEqual(customer.subscriptions.url, f"/v1/customers/{customer.id}/subscriptions")

    def test_one_with_everything(self):
        began = now()
        chosen = unique("customer")
        customer = self.customer(
            id=chosen, email="gdb@example.jp", description="foo bar", metadata={"rank": 3}
        )
        self.assertEqual((customer.id, customer.email), (chosen, "gdb@example.jp"))
        self.assertEqual((customer.description, dict(customer.metadata)), ("foo bar", {"rank": "3"}))
        self.assertGreaterEqual(customer.created, began - 1)
        [card] = customer.cards.data
        self.assertEqual((customer.default_card, card.customer), (card.id, chosen))
        self.assertEqual(dict(self.good(payjp.Customer.retrieve(chosen))), dict(customer))

    def test_changes_are_kept(self):
        customer = self.customer()
        customer.email = "gdb@example.jp"
        self.assertEqual(self.good(customer.save()).email, "gdb@example.jp")
        self.assertEqual(self.good(payjp.Customer.retrieve(customer.id)).email, "gdb@example.jp")

    def test_a_description_is_cleared_to_an_empty_text(self):
        customer = self.customer(description="foo bar")
        customer.description = None
        self.assertEqual(self.good(customer.save()).description, "")
        self.assertEqual(self.good(payjp.Customer.retrieve(customer.id)).description, "")

    def test_an_email_is_cleared(self):
        customer = self.customer(email="gdb@example.jp")
        customer.email = None
        self.assertIn(self.good(customer.save()).email, ("", None))

    def test_what_no_customer_has_is_refused(self):
        customer = self.customer()
        customer.bogus = "bogus"
        with self.refused(400, "invalid_param_key", param="bogus"):
            customer.save()
        with self.refused(400, "invalid_param_key", param="bogus"):
            payjp.Customer.create(bogus="bogus")

    def test_an_email_must_be_one(self):
        with self.refused(400, "invalid_email", param="email"):
            payjp.Customer.create(email="not an address")

    def test_an_id_is_taken_for_ever(self):
        chosen = unique("cus_test")
        self.good(payjp.Customer.create(id=chosen))
        with self.refused(400, "already_exist_id", param="id"):
            payjp.Customer.create(id=chosen)
        self.good(payjp.Customer.retrieve(chosen).delete())
        with self.refused(400, "already_exist_id", param="id"):
            payjp.Customer.create(id=chosen)

    def test_an_id_belongs_to_one_account_and_mode(self):
        chosen = unique("cus_test")
        self.good(payjp.Customer.create(id=chosen))
        for key in (OTHER_SECRET_KEY, LIVE_SECRET_KEY):
            payjp.api_key = key
            with self.not_found():
                payjp.Customer.retrieve(chosen)
            own = self.good(payjp.Customer.create(id=chosen, description=key[:8]))
            self.assertEqual(own.livemode, key == LIVE_SECRET_KEY)

    def test_an_id_must_have_its_form(self):
        for wrong in ("two words", "a/b", "ä", "顧客", "x" * 101):
            with self.subTest(id=wrong), self.refused(400, "invalid_flexible_id", param="id"):
                payjp.Customer.create(id=wrong)

    def test_a_deleted_one_is_gone_with_its_subscriptions_and_its_charges_stay(self):
        customer = self.customer()
        subscription = self.subscription(customer)
        [charge] = self.charges_of(subscription)
        card = customer.default_card
        chosen = customer.id
        deleted = self.good(customer.delete())
        self.assertEqual((deleted.id, deleted.deleted, deleted.livemode), (chosen, True, False))
        with self.not_found():
            payjp.Customer.retrieve(chosen)
        with self.not_found():
            customer.delete()
        with self.not_found():
            payjp.Subscription.retrieve(subscription.id)
        again = self.good(payjp.Charge.retrieve(charge.id))
        self.assertEqual((again.customer, again.card.id), (chosen, card))
        self.assertEqual(self.ids(self.good(payjp.Charge.all(customer=chosen)).data), [charge.id])
        with self.unknown_reference("customer"):
            self.charge(customer=chosen)


class Cards(Flow):
    def test_newest_first_and_the_first_stays_the_default(self):
        customer = self.customer()
        first = customer.default_card
        second = self.good(customer.cards.create(card=self.token(exp_month=1).id))
        third = self.good(customer.cards.create(card=self.token(exp_month=7).id))
        again = self.good(payjp.Customer.retrieve(customer.id))
        self.assertEqual(again.default_card, first)
        cards = self.good(again.cards.all())
        self.assertEqual(self.ids(cards.data), [third.id, second.id, first])
        self.assertEqual(self.ids(again.cards.data), [third.id, second.id, first])
        self.assertEqual(cards.url, f"/v1/customers/{customer.id}/cards")
        page = self.good(again.cards.all(limit=1, offset=1))
        self.assertEqual((self.ids(page.data), page.has_more), ([second.id], True))
        self.assertEqual(self.good(again.cards.retrieve(second.id)).id, second.id)

    def test_the_same_number_and_expiry_are_the_same_card(self):
        customer = self.customer()
        with self.refused(400, "already_have_the_same_card"):
            customer.cards.create(card=self.token().id)
        self.assertEqual(self.good(customer.cards.all()).count, 1)
        # Another customer may have it.
        self.customer()

    def test_a_new_card_is_the_default_if_asked_for(self):
        customer = self.customer()
        card = self.good(customer.cards.create(card=self.token(MASTERCARD).id, default=True))
        self.assertEqual(self.good(payjp.Customer.retrieve(customer.id)).default_card, card.id)

    def test_another_card_is_made_the_default(self):
        customer = self.customer()
        card = self.good(customer.cards.create(card=self.token(MASTERCARD).id, default=False))
        customer.default_card = card.id
        self.assertEqual(self.good(customer.save()).default_card, card.id)
        self.assertEqual(self.charge(customer=customer.id).card.id, card.id)
        customer.default_card = self.customer().default_card
        with self.refused((400, 404)):
            customer.save()

    def test_a_card_comes_with_an_update_of_the_customer(self):
        customer = self.customer()
        first = customer.default_card
        customer.card = self.token(MASTERCARD).id
        self.good(customer.save())
        self.assertEqual((customer.cards.count, customer.default_card), (2, first))
        bare = self.good(payjp.Customer.create())
        bare.card = self.token().id
        self.assertEqual(self.good(bare.save()).default_card, bare.cards.data[0].id)

    def test_name_address_and_metadata_are_changed(self):
        customer = self.customer()
        card = self.good(customer.cards.all()).data[0]
        card.name = "Littleorc"
        card.address_zip = "1500001"
        card.metadata = {"a": "1"}
        self.assertEqual(self.good(card.save()).name, "Littleorc")
        again = self.good(customer.cards.all()).data[0]
        self.assertEqual(
            (again.name, again.address_zip, dict(again.metadata)), ("Littleorc", "1500001", {"a": "1"})
        )

    def test_number_and_expiry_are_not_changed(self):
        card = self.good(self.customer().cards.all()).data[0]
        card.exp_month = 1
        with self.refused(400, {"invalid_param_key", "no_allowed_param"}, param="exp_month"):
            card.save()

    def test_a_card_is_deleted(self):
        customer = self.customer()
        card = self.good(customer.cards.create(card=self.token(MASTERCARD).id))
        second = card.id
        self.assertEqual(self.good(card.delete()).id, second)
        self.assertTrue(card.deleted)
        self.assertEqual(self.ids(self.good(customer.cards.all()).data), [customer.default_card])
        with self.not_found():
            customer.cards.retrieve(second)
        # It may come back.
        self.good(customer.cards.create(card=self.token(MASTERCARD).id))

    def test_without_its_default_card_a_customer_has_none(self):
        customer = self.customer()
        self.good(customer.cards.create(card=self.token(MASTERCARD).id))
        self.good(customer.cards.retrieve(customer.default_card).delete())
        again = self.good(payjp.Customer.retrieve(customer.id))
        self.assertEqual((again.default_card, again.cards.count), (None, 1))
        with self.refused((400, 402), "missing_card"):
            self.charge(customer=customer.id)

    def test_a_card_is_found_at_its_own_customer_only(self):
        one, other = self.customer(), self.customer()
        with self.not_found():
            one.cards.retrieve(other.default_card)

    def test_a_card_that_will_be_declined_can_be_kept(self):
        customer = self.customer()
        self.good(customer.cards.create(card=self.token(DECLINED).id))

    def test_a_card_needs_a_token(self):
        customer = self.customer()
        with self.refused(400, "missing_param", param="card"):
            customer.cards.create()
        with self.unknown_reference("card"):
            customer.cards.create(card="tok_0000000000000000000000000000")


class Subscriptions(Flow):
    def test_of_one_customer_newest_first(self):
        customer = self.customer()
        first_plan, second_plan = self.plan(id=unique("gold")), self.plan(id=unique("gold-2"))
        first = self.subscription(customer, first_plan)
        second = self.subscription(customer, second_plan)
        again = self.good(payjp.Customer.retrieve(customer.id))
        listed = self.good(again.subscriptions.all())
        self.assertEqual(self.ids(listed.data), [second.id, first.id])
        self.assertEqual(self.ids(again.subscriptions.data), [second.id, first.id])
        self.assertEqual((listed.data[0].customer, listed.data[0].plan.id), (customer.id, second_plan.id))
        filtered = self.good(again.subscriptions.all(plan=first_plan.id, status="active"))
        self.assertEqual(self.ids(filtered.data), [first.id])
        retrieved = self.good(again.subscriptions.retrieve(first.id))
        self.assertEqual((retrieved.id, retrieved.plan.id), (first.id, first_plan.id))
        with self.not_found():
            self.customer().subscriptions.retrieve(first.id)
