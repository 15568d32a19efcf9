"""Charges: made, captured, refunded, declined, listed. The flow of the PHP suite's ChargeTest is among them."""

import payjp

from flow import DECLINED, EXP_YEAR, VISA, Flow, now, unique

DAY_S = 86_400


class Creating(Flow):
    def test_with_a_token(self):
        began = now()
        token = self.token()
        charge = self.charge(100, card=token.id, description="本 1冊", metadata={"isbn": "1449312063"})
        self.assertEqual((charge.amount, charge.currency, charge.livemode), (100, "jpy", False))
        self.assertEqual((charge.paid, charge.captured, charge.refunded), (True, True, False))
        self.assertEqual((charge.amount_refunded, charge.refund_reason), (0, None))
        self.assertGreaterEqual(charge.captured_at, began - 1)
        self.assertEqual((charge.expired_at, charge.customer, charge.subscription), (None, None, None))
        self.assertEqual((charge.failure_code, charge.failure_message), (None, None))
        self.assertEqual((charge.description, dict(charge.metadata)), ("本 1冊", {"isbn": "1449312063"}))
        self.assertEqual(charge.card.id, token.card.id)
        self.assertIsNone(charge.card.customer)
        self.assertEqual(dict(self.good(payjp.Charge.retrieve(charge.id))), dict(charge))

    def test_with_a_customer_and_the_default_card(self):
        customer = self.customer()
        charge = self.charge(customer=customer.id)
        self.assertEqual((charge.customer, charge.card.id), (customer.id, customer.default_card))
        self.assertEqual(charge.card.customer, customer.id)

    def test_with_a_customer_and_one_of_its_cards(self):
        customer = self.customer()
        second = self.good(customer.cards.create(card=self.token("5555555555554444").id))
        charge = self.charge(customer=customer.id, card=second.id)
        self.assertEqual((charge.card.id, charge.card.brand), (second.id, "MasterCard"))
        others = self.customer()
        with self.refused(
            (400, 404), {"invalid_id", "invalid_card", "dont_has_this_card", "not_customer_card"}
        ):
            self.charge(customer=customer.id, card=others.default_card)

    def test_an_idempotency_key_does_no_harm(self):
        charge = payjp.Charge.create(
            amount=100, currency="jpy", card=self.token().id, headers={"Idempotency-Key": unique("key")}
        )
        self.assertEqual((self.good(charge).paid, charge.refunded), (True, False))

    def test_the_limits_of_an_amount(self):
        self.assertEqual(self.charge(50).amount, 50)
        self.assertEqual(self.charge(9_999_999).amount, 9_999_999)
        for amount in (49, 0, -1, 10_000_000, "1000.5", "a lot", ""):
            with self.subTest(amount=amount), self.refused(
                400, {"invalid_amount", "missing_param"}, param="amount"
            ):
                self.charge(amount)

    def test_what_is_missing_or_wrong_is_named(self):
        with self.refused(400, "missing_param", param="amount"):
            payjp.Charge.create()
        with self.refused(400, "missing_param", param="currency"):
            payjp.Charge.create(amount=100, card=self.token().id)
        with self.refused(400, "invalid_currency", param="currency"):
            payjp.Charge.create(amount=100, currency="usd", card=self.token().id)
        with self.refused(400, "no_payment_method"):
            payjp.Charge.create(amount=100, currency="jpy")
        with self.refused(400, "invalid_boolean", param="capture"):
            self.charge(capture="perhaps")
        with self.refused(400, "invalid_param_key", param="bogus"):
            self.charge(bogus=1)

    def test_a_raw_card_is_no_token(self):
        with self.refused(400):
            payjp.Charge.create(
                amount=100, currency="jpy", card={"number": VISA, "exp_month": 12, "exp_year": EXP_YEAR}
            )

    def test_a_refused_request_leaves_the_token_unused(self):
        token = self.token()
        with self.refused(400):
            self.charge(49, card=token.id)
        self.assertTrue(self.charge(card=token.id).paid)

    def test_unknown_customers_and_tokens(self):
        with self.unknown_reference("customer"):
            self.charge(customer="cus_0000000000000000000000000000")
        with self.unknown_reference("card"):
            self.charge(card="tok_0000000000000000000000000000")

    def test_a_customer_without_a_card_cannot_pay(self):
        customer = self.good(payjp.Customer.create())
        with self.refused((400, 402), "missing_card"):
            self.charge(customer=customer.id)


class Updating(Flow):
    def test_description_and_metadata(self):
        charge = self.charge(description="foo", metadata={"a": "1"})
        charge.description = "foo bar"
        charge.metadata = {"a": "1", "b": "2"}
        self.good(charge.save())
        self.assertEqual(charge.description, "foo bar")
        again = self.good(payjp.Charge.retrieve(charge.id))
        self.assertEqual((again.description, dict(again.metadata)), ("foo bar", {"a": "1", "b": "2"}))

    def test_a_description_is_cleared(self):
        charge = self.charge(description="foo")
        charge.description = None
        self.assertIn(self.good(charge.save()).description, ("", None))

    def test_money_cannot_be_changed(self):
        charge = self.charge()
        charge.amount = 50
        with self.refused(400, {"invalid_param_key", "no_allowed_param"}, param="amount"):
            charge.save()

    def test_an_unknown_charge_is_not_found(self):
        with self.not_found():
            payjp.Charge.retrieve("ch_00000000000000000000000000000")
        # An id that needs to be encoded in a path.
        with self.not_found():
            payjp.Charge.retrieve("abcd/efgh")


class Capturing(Flow):
    def test_all_of_it(self):
        began = now()
        charge = self.charge(100, capture=False)
        self.assertEqual((charge.paid, charge.captured, charge.captured_at), (True, False, None))
        self.assertTrue(began + 5 * DAY_S < charge.expired_at <= now() + 7 * DAY_S + 1)
        self.good(charge.capture())
        self.assertEqual((charge.captured, charge.amount, charge.amount_refunded), (True, 100, 0))
        self.assertGreaterEqual(charge.captured_at, began - 1)
        with self.refused(400, "already_captured"):
            charge.capture()

    def test_a_part_of_it(self):
        charge = self.charge(500, capture=False)
        with self.refused(400, {"capture_amount_gt_net", "invalid_amount"}):
            charge.capture(amount=501)
        with self.refused(400, "invalid_amount"):
            charge.capture(amount=49)
        captured = self.good(charge.capture(amount=400))
        self.assertEqual((captured.captured, captured.amount, captured.amount_refunded), (True, 500, 100))

    def test_the_least_that_can_be_captured(self):
        charge = self.charge(100, capture=False)
        self.assertTrue(self.good(charge.capture(amount=50)).captured)
        self.assertEqual(charge.amount_refunded, 50)

    def test_how_long_it_is_held(self):
        charge = self.charge(capture=False, expiry_days=30)
        self.assertTrue(now() + 28 * DAY_S < charge.expired_at <= now() + 30 * DAY_S + 1)
        with self.refused(400, "unnecessary_expiry_days"):
            self.charge(expiry_days=30)
        for days in (0, 61, "x"):
            with self.subTest(days=days), self.refused(400, "invalid_expiry_days", param="expiry_days"):
                self.charge(capture=False, expiry_days=days)

    def test_reauth_begins_the_time_again(self):
        charge = self.charge(capture=False, expiry_days=3)
        held_until = charge.expired_at
        self.good(charge.reauth(expiry_days=20))
        self.assertEqual((charge.paid, charge.captured), (True, False))
        self.assertGreater(charge.expired_at, held_until + 14 * DAY_S)
        self.good(charge.reauth())
        self.assertTrue(now() + 5 * DAY_S < charge.expired_at <= now() + 7 * DAY_S + 1)
        self.good(charge.capture())
        with self.refused(400, {"already_captured", "operation_not_allowed_on_no_authorized_charge"}):
            charge.reauth()

    def test_what_was_voided_is_neither_captured_nor_held_again(self):
        charge = self.charge(500, capture=False)
        with self.refused(400, "invalid_amount_to_not_captured"):
            charge.refund(amount=100)
        self.good(charge.refund())
        self.assertEqual((charge.refunded, charge.amount_refunded, charge.captured), (True, 500, False))
        with self.refused(400, "cant_capture_refunded_charge"):
            charge.capture()
        with self.refused(400, "cant_reauth_refunded_charge"):
            charge.reauth()


class Refunding(Flow):
    def test_a_part_and_then_the_rest(self):
        charge = self.charge(100)
        self.good(charge.refund(amount=50, refund_reason="foo bar 1"))
        self.assertEqual((charge.refunded, charge.refund_reason), (True, "foo bar 1"))
        self.assertEqual((charge.amount, charge.amount_refunded), (100, 50))
        with self.refused(400, {"refund_amount_gt_net", "invalid_refund_amount"}):
            charge.refund(amount=51)
        self.good(charge.refund(refund_reason="foo bar 2"))
        self.assertEqual((charge.refunded, charge.refund_reason), (True, "foo bar 2"))
        self.assertEqual(charge.amount_refunded, 100)
        with self.refused(400, "already_refunded"):
            charge.refund()
        again = self.good(payjp.Charge.retrieve(charge.id))
        self.assertEqual((again.amount_refunded, again.refund_reason), (100, "foo bar 2"))

    def test_parts_add_up(self):
        charge = self.charge(100)
        for amount, refunded in ((1, 1), (30, 31), (69, 100)):
            self.good(charge.refund(amount=amount))
            self.assertEqual(charge.amount_refunded, refunded)

    def test_what_is_wrong_with_a_refund(self):
        charge = self.charge(100)
        for amount in (0, -1, "x", 101):
            codes = {"invalid_amount", "invalid_refund_amount", "refund_amount_gt_net"}
            with self.subTest(amount=amount), self.refused(400, codes):
                charge.refund(amount=amount)
        with self.refused(400, "invalid_refund_reason"):
            charge.refund(refund_reason="x" * 256)
        with self.refused(400, "invalid_param_key", param="reason"):
            charge.refund(reason="x")
        self.assertEqual(self.good(payjp.Charge.retrieve(charge.id)).amount_refunded, 0)

    def test_the_reason_may_have_255_characters(self):
        reason = "返" * 255
        self.assertEqual(self.good(self.charge().refund(refund_reason=reason)).refund_reason, reason)


class Failing(Flow):
    def test_a_failed_charge_can_be_read_and_no_more(self):
        customer = self.customer(DECLINED)
        with self.refused(402, "card_declined") as refused:
            self.charge(customer=customer.id)
        charge = self.good(payjp.Charge.retrieve(refused.error["charge"]))
        self.assertEqual((charge.customer, charge.failure_code), (customer.id, "card_declined"))
        self.assertEqual((charge.paid, charge.captured_at), (False, None))
        with self.refused(400, "failed_payment"):
            charge.refund()
        with self.refused(400, {"failed_payment", "operation_not_allowed_on_no_authorized_charge"}):
            charge.capture()
        self.assertEqual(self.ids(self.good(payjp.Charge.all(customer=customer.id)).data), [charge.id])

    def test_an_authorisation_fails_as_well(self):
        with self.refused(402, "card_declined"):
            self.charge(card=self.token(DECLINED).id, capture=False)


class Listing(Flow):
    def test_of_one_customer_newest_first(self):
        customer = self.customer()
        first = self.charge(1000, customer=customer.id)
        self.assertEqual(self.ids(self.good(payjp.Charge.all(customer=customer.id)).data), [first.id])
        second = self.charge(1500, customer=customer.id)
        listed = self.good(payjp.Charge.all(limit=2, offset=0, customer=customer.id))
        self.assertEqual(self.ids(listed.data), [second.id, first.id])
        self.assertEqual((listed.url, listed.count, listed.has_more), ("/v1/charges", 2, False))

    def test_of_one_subscription(self):
        subscription = self.subscription()
        self.charge(customer=subscription.customer)
        [paid] = self.charges_of(subscription)
        self.assertEqual((paid.subscription, paid.customer), (subscription.id, subscription.customer))
