"""Paging, metadata, the account, and whose keys may do what."""

import payjp

from flow import LIVE_SECRET_KEY, OTHER_SECRET_KEY, PUBLIC_KEY, SECRET_KEY, Flow, shapes


class Paging(Flow):
    def test_pages_follow_each_other_without_a_gap(self):
        customer = self.customer()
        charges = [self.charge(100 + number, customer=customer.id) for number in range(5)]
        newest_first = self.ids(reversed(charges))
        found = []
        for offset, count, has_more in ((0, 2, True), (2, 2, True), (4, 1, False), (5, 0, False)):
            page = self.good(payjp.Charge.all(customer=customer.id, limit=2, offset=offset))
            self.assertEqual((page.count, page.has_more), (count, has_more), offset)
            found += self.ids(page.data)
        self.assertEqual(found, newest_first)
        exact = self.good(payjp.Charge.all(customer=customer.id, limit=5))
        self.assertEqual((exact.count, exact.has_more), (5, False))

    def test_a_page_has_ten_where_nothing_is_said(self):
        customer = self.customer()
        for number in range(11):
            self.charge(100 + number, customer=customer.id)
        page = self.good(payjp.Charge.all(customer=customer.id))
        self.assertEqual((page.count, page.has_more), (10, True))

    def test_bounds_of_time_include_their_second(self):
        customer = self.customer()
        charge = self.charge(customer=customer.id)
        at = charge.created
        for params, is_there in (
            ({"since": at}, True),
            ({"since": at + 1}, False),
            ({"until": at}, True),
            ({"until": at - 1}, False),
            ({"since": at - 10, "until": at + 10}, True),
        ):
            page = self.good(payjp.Charge.all(customer=customer.id, **params))
            self.assertEqual(self.ids(page.data), [charge.id] if is_there else [], params)

    def test_what_cannot_be_a_page_is_refused(self):
        for params in (
            {"limit": 0},
            {"limit": 101},
            {"limit": "x"},
            {"offset": -1},
            {"since": "yesterday"},
            {"until": "x"},
            {"bogus": 1},
        ):
            [param] = params
            with self.subTest(**params), self.refused(400, param=param):
                payjp.Charge.all(**params)

    def test_every_list_says_where_it_is(self):
        for resource, url in (
            (payjp.Charge, "/v1/charges"),
            (payjp.Customer, "/v1/customers"),
            (payjp.Plan, "/v1/plans"),
            (payjp.Subscription, "/v1/subscriptions"),
            (payjp.Event, "/v1/events"),
        ):
            page = self.good(resource.all(limit=100))
            self.assertEqual(page.url, url)
            created = [item.created for item in page.data]
            self.assertEqual(created, sorted(created, reverse=True))

    def test_an_account_sees_its_own(self):
        customer = self.customer()
        for key in (OTHER_SECRET_KEY, LIVE_SECRET_KEY):
            payjp.api_key = key
            self.assertNotIn(customer.id, self.ids(self.good(payjp.Customer.all(limit=100)).data))


class Metadata(Flow):
    def test_values_are_texts(self):
        plan = self.plan(metadata={"number": 3, "text": "日本 & = + %", "truth": "true"})
        self.assertEqual(dict(plan.metadata), {"number": "3", "text": "日本 & = + %", "truth": "true"})

    def test_an_update_merges_and_an_empty_value_removes(self):
        plan = self.plan(metadata={"a": "1", "b": "2"})
        plan.metadata["b"] = "3"
        self.assertEqual(dict(self.good(plan.save()).metadata), {"a": "1", "b": "3"})
        plan.metadata = {"c": "4"}
        self.assertEqual(dict(self.good(plan.save()).metadata), {"c": "4"})
        self.assertEqual(dict(self.good(payjp.Plan.retrieve(plan.id)).metadata), {"c": "4"})
        plan.metadata = {}
        self.assertEqual(dict(self.good(plan.save()).metadata), {})

    def test_its_limits(self):
        self.assertEqual(len(self.plan(metadata={f"k{n}": "v" for n in range(20)}).metadata), 20)
        with self.refused(400, "too_many_metadata_keys"):
            self.plan(metadata={f"k{n}": "v" for n in range(21)})
        full = self.plan(metadata={f"k{n}": "v" for n in range(20)})
        full.metadata["more"] = "v"
        with self.refused(400, "too_many_metadata_keys"):
            full.save()
        longest = "値" * 500
        self.assertEqual(self.plan(metadata={"a": longest}).metadata["a"], longest)
        with self.refused(400, "invalid_metadata_value"):
            self.plan(metadata={"a": longest + "値"})
        with self.refused(400, "invalid_metadata_key"):
            self.plan(metadata={"k" * 1000: "v"})

    def test_every_resource_that_has_it(self):
        customer = self.customer(metadata={"a": "1"})
        card = self.good(customer.cards.create(card=self.token(exp_month=1).id, metadata={"a": "1"}))
        charge = self.charge(customer=customer.id, metadata={"a": "1"})
        subscription = self.subscription(customer, metadata={"a": "1"})
        for resource in (customer, card, charge, subscription):
            self.assertEqual(dict(resource.metadata), {"a": "1"})
            resource.metadata = {"b": "2"}
            self.assertEqual(dict(self.good(resource.save()).metadata), {"b": "2"})


class Accounts(Flow):
    def test_the_account_and_its_merchant(self):
        account = self.good(payjp.Account.retrieve())
        self.assertRegex(account.id, "^acct_")
        merchant = account.merchant
        self.assertEqual((merchant.country, merchant.default_currency), ("JP", "jpy"))
        self.assertEqual(list(merchant.currencies_supported), ["jpy"])
        payjp.api_key = OTHER_SECRET_KEY
        self.assertNotEqual(self.good(payjp.Account.retrieve()).id, account.id)


class Keys(Flow):
    def test_a_wrong_key(self):
        # The last one is right but for its end, and must not be read back whole in an answer.
        for wrong in ("invalid", "", SECRET_KEY[:-1] + ("0" if SECRET_KEY[-1] != "0" else "1")):
            payjp.api_key = wrong
            with self.refused(401, kind="auth_error") as refused:
                payjp.Customer.create()
        self.assertNotIn(wrong, refused.exception.http_body)

    def test_a_public_key_makes_tokens_only(self):
        payjp.api_key = PUBLIC_KEY
        token = self.token()
        self.assertEqual(self.good(payjp.Token.retrieve(token.id)).id, token.id)
        for forbidden in (payjp.Customer.create, payjp.Charge.all, payjp.Event.all, payjp.Account.retrieve):
            with self.refused(401, kind="auth_error"):
                forbidden()
        with self.refused(401, kind="auth_error"):
            payjp.Charge.create(amount=100, currency="jpy", card=token.id)

    def test_what_is_another_accounts_or_modes_is_not_found(self):
        subscription = self.subscription()
        customer = payjp.Customer.retrieve(subscription.customer)
        [charge] = self.charges_of(subscription)
        token = self.token()
        for key in (OTHER_SECRET_KEY, LIVE_SECRET_KEY):
            payjp.api_key = key
            for resource, its_id in (
                (payjp.Customer, customer.id),
                (payjp.Plan, subscription.plan.id),
                (payjp.Subscription, subscription.id),
                (payjp.Charge, charge.id),
                (payjp.Token, token.id),
            ):
                with self.subTest(resource=resource.__name__), self.not_found():
                    resource.retrieve(its_id)
        payjp.api_key = OTHER_SECRET_KEY
        with self.not_found():
            payjp.Subscription(subscription.id).delete()
        with self.not_found():
            payjp.Charge(charge.id).refund()
        with self.unknown_reference("card"):
            payjp.Charge.create(amount=100, currency="jpy", card=token.id)
        with self.unknown_reference("customer"):
            payjp.Charge.create(amount=100, currency="jpy", customer=customer.id)
        # Nothing has happened to them.
        payjp.api_key = SECRET_KEY
        self.assertFalse(self.good(payjp.Charge.retrieve(charge.id)).refunded)
        self.assertEqual(self.good(payjp.Subscription.retrieve(subscription.id)).status, "active")


class Exceptions(Flow):
    def test_each_status_is_its_exception(self):
        with self.refused(404, "invalid_id", "client_error", "id") as refused:
            payjp.Charge.retrieve("invalid")
        self.assertIsInstance(refused.exception, payjp.error.InvalidRequestError)
        self.assertEqual(refused.exception.param, "id")
        self.assertIn("invalid", str(refused.exception))
        with self.refused(400, "missing_param", "client_error", "amount"):
            payjp.Charge.create()
        with self.refused(402, "card_declined", "card_error") as refused:
            self.token("4000000000000002")
        self.assertIsInstance(refused.exception, payjp.error.CardError)
        self.assertEqual(refused.exception.code, "card_declined")
        shapes.check_error(refused.exception.json_body, 402)
