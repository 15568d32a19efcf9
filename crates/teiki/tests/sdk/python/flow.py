"""What the flows share: the SDK pointed at teiki, what most of them need to begin with, and how a refusal is asserted."""

import contextlib
import datetime
import os
import pathlib
import sys
import time
import unittest
import uuid

import payjp

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import shapes  # noqa: E402 - of the folder above

URL = os.environ["TEIKI_URL"]
SECRET_KEY = os.environ["TEIKI_SECRET_KEY"]
PUBLIC_KEY = os.environ["TEIKI_PUBLIC_KEY"]
LIVE_SECRET_KEY = os.environ["TEIKI_LIVE_SECRET_KEY"]
OTHER_SECRET_KEY = os.environ["TEIKI_OTHER_SECRET_KEY"]

TOKYO = datetime.timezone(datetime.timedelta(hours=9), "Asia/Tokyo")
EXP_YEAR = datetime.datetime.now(TOKYO).year + 3

VISA = "4242424242424242"
DECLINED = "4000000000080319"
DECLINED_ABOVE_10000 = shapes.CARDS["refused_above_10000"]

# What must happen soon must have happened by then; only a failing test waits so long.
PATIENCE_S = 60

EXCEPTIONS = {
    400: payjp.error.InvalidRequestError,
    401: payjp.error.AuthenticationError,
    402: payjp.error.CardError,
    404: payjp.error.InvalidRequestError,
}


def now():
    """The present second, as the SDKs count."""
    return int(datetime.datetime.now(datetime.timezone.utc).timestamp())


def unique(prefix):
    """An id that no other flow has chosen."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class Flow(unittest.TestCase):
    """A flow through the SDK. Flows share one account, so each looks at its own objects only."""

    maxDiff = None

    def setUp(self):
        payjp.api_base = URL
        payjp.api_key = SECRET_KEY
        payjp.max_retry = 0

    # What most flows begin with.

    def token(self, number=VISA, **card):
        """A token; `card` says what differs from an ordinary card."""
        card = {"number": number, "exp_month": 12, "exp_year": EXP_YEAR, "cvc": "123"} | card
        card = {key: value for key, value in card.items() if value is not None}
        return self.good(payjp.Token.create(card=card, headers={"X-Payjp-Direct-Token-Generate": "true"}))

    def customer(self, number=VISA, **params):
        """A customer with one card."""
        return self.good(payjp.Customer.create(card=self.token(number).id, **params))

    def plan(self, amount=500, **params):
        params = {"amount": amount, "currency": "jpy", "interval": "month"} | params
        return self.good(payjp.Plan.create(**params))

    def subscription(self, customer=None, plan=None, **params):
        customer = customer or self.customer()
        plan = plan or self.plan()
        return self.good(payjp.Subscription.create(customer=customer.id, plan=plan.id, **params))

    def charge(self, amount=1000, **params):
        """A charge of a new token, where nothing else is said."""
        if "customer" not in params and "card" not in params:
            params["card"] = self.token().id
        return self.good(payjp.Charge.create(amount=amount, currency="jpy", **params))

    def charges_of(self, subscription):
        return self.good(payjp.Charge.all(subscription=subscription.id)).data

    # What is asserted everywhere.

    def good(self, answer):
        """The answer, which has its shape."""
        shapes.check(answer, type(answer).__name__)
        return answer

    def eventually(self, find):
        """What `find` finds, once it finds anything: the server does some things in its own time."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := find()):
            self.assertLess(time.monotonic(), deadline, "it did not come true")
            time.sleep(0.2)
        return found

    def ids(self, items):
        return [item.id for item in items]

    @contextlib.contextmanager
    def refused(self, status, code=None, kind=None, param=None):
        """The block is refused with this status, and with this code (or one of these), type and parameter."""
        statuses = status if isinstance(status, tuple) else (status,)
        with self.assertRaises(payjp.error.PayjpException) as caught:
            yield caught
        exception = caught.exception
        self.assertIn(exception.http_status, statuses, exception.http_body)
        self.assertIs(type(exception), EXCEPTIONS[exception.http_status])
        self.assertIsInstance(exception.http_body, str)
        self.assertIsInstance(exception.json_body, dict)
        error = shapes.check_error(exception.json_body, exception.http_status)
        self.assertEqual(str(exception), error["message"])
        kinds = {400: "client_error", 401: "auth_error", 402: "card_error", 404: "client_error"}
        self.assertEqual(error["type"], kind or kinds[exception.http_status], error)
        if code is not None:
            codes = code if isinstance(code, (tuple, set)) else (code,)
            self.assertIn(error.get("code"), codes, error)
        if param is not None:
            self.assertEqual(error.get("param"), param, error)
        caught.error = error

    def not_found(self):
        """The block asks for an id that this key cannot see."""
        return self.refused(404, "invalid_id", param="id")

    def unknown_reference(self, param):
        """The block names an unknown id in a parameter."""
        return self.refused((400, 404), {"invalid_id", f"invalid_{param}"}, param=param)
