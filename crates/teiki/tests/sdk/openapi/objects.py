"""What two accounts have before a run: the fuzzer's own objects, and those of another account, which carry a marker."""

import os
import time

import requests

# A word that is in every object of the other account, and nowhere else.
MARKER = "markeroftheother"
CARD, ALSO_GOOD, DECLINED = "4242424242424242", "5555555555554444", "4000000000080319"
# Where test clocks begin.
STARTED_AT = 1800000000
# Own objects of each kind: those that are deleted on the way are others than those that are used.
KEPT, SPARE = 3, 6
# A token works once.
TOKENS = 4
PATIENCE_SECONDS = 30


class Account:
    """Makes objects with a key."""

    def __init__(self, url, key, word):
        self.url, self.word = url, word
        self.http = requests.Session()
        self.http.auth = (key, "")

    def call(self, method, path, **form):
        answer = self.http.request(method, self.url + path, data=form, timeout=PATIENCE_SECONDS)
        if answer.status_code != 200:
            raise AssertionError(f"{method} {path} {form}: {answer.status_code} {answer.text}")
        return answer.json()

    def post(self, path, **form):
        return self.call("POST", path, **form)

    def token(self, number=CARD):
        card = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2090", "card[name]": self.word}
        return self.post("/v1/tokens", **card)["id"]

    def plan(self, interval="month"):
        return self.post("/v1/plans", amount=1000, currency="jpy", interval=interval, name=self.word)["id"]

    def clock(self):
        return self.post("/v1/test_clocks", frozen_time=STARTED_AT, name=self.word)["id"]

    def plan_switch(self):
        """One that nobody belongs to, when it is reserved."""
        plans = {"plan": self.plan(), "next_plan": self.plan()}
        made = self.post("/v1/plan_switches", **plans, effective_at=STARTED_AT + 1000 * 86400)["id"]
        wait(self, f"/v1/plan_switches/{made}", "scheduled")
        return made

    def endpoint(self):
        return self.post("/v1/webhook_endpoints", url="https://receiver.invalid/", description=self.word)["id"]

    def customer(self, **more):
        texts = {"description": self.word, "name": self.word, "metadata[word]": self.word}
        return self.post("/v1/customers", card=self.token(), **texts, **more)

    def person(self, ids):
        """A customer with everything that a customer has, added to `ids`."""
        customer, plan = self.customer(), self.plan()
        who, metadata = customer["id"], {"metadata[word]": self.word}
        subscription = self.post("/v1/subscriptions", customer=who, plan=plan, **metadata)
        sale = {"amount": 500, "currency": "jpy", "customer": who, "description": self.word}
        paid, reserved = self.post("/v1/charges", **sale), self.post("/v1/charges", **sale, capture="false")
        invoices = self.call("GET", f"/v1/invoices?customer={who}")["data"]
        asked = self.post("/v1/three_d_secure_requests", resource_id=customer["default_card"])
        events = self.call("GET", f"/v1/events?resource_id={paid['id']}")["data"]
        found = {
            "customer": [who],
            "card": [customer["default_card"]],
            "plan": [plan, self.plan("year")],
            "subscription": [subscription["id"]],
            "charge": [paid["id"], reserved["id"]],
            "invoice": [invoice["id"] for invoice in invoices[:2]],
            "three_d_secure_request": [asked["id"]],
            "event": [events[0]["id"]],
            "token": [self.token() for _ in range(TOKENS)],
            "test_clock": [self.clock()],
            "api_key": [self.post("/v1/api_keys", kind="restricted", name=self.word)["id"]],
            "plan_switch": [self.plan_switch()],
            "webhook_endpoint": [self.endpoint()],
        }
        for kind, made in found.items():
            ids.setdefault(kind, []).extend(made)

    def debtor(self):
        """The open invoices of a customer on a test clock, whose card was declined for some months and is good again."""
        clock = self.clock()
        customer = self.customer(test_clock=clock)["id"]
        self.post("/v1/subscriptions", customer=customer, plan=self.plan())
        self.post(f"/v1/customers/{customer}/cards", card=self.token(DECLINED), default="true")
        self.post(f"/v1/test_clocks/{clock}/advance", frozen_time=STARTED_AT + 100 * 86400)
        wait(self, f"/v1/test_clocks/{clock}", "ready")
        self.post(f"/v1/customers/{customer}/cards", card=self.token(ALSO_GOOD), default="true")
        owed = self.call("GET", f"/v1/invoices?customer={customer}&status=open")["data"]
        return [invoice["id"] for invoice in owed]


def make(url, key, other_key):
    """Ids by kind: `kept` and `spare` of the own account, and `foreign` ones."""
    own, other = Account(url, key, "mine"), Account(url, other_key, MARKER)
    keys = own.call("GET", "/v1/api_keys")["data"]
    [used] = [found["id"] for found in keys if found["kind"] == "secret" and key.endswith(found["last4"])]
    ids = {"key": used, "kept": {}, "spare": {}, "foreign": {}}
    for _ in range(KEPT):
        own.person(ids["kept"])
    for _ in range(SPARE):
        own.person(ids["spare"])
    other.person(ids["foreign"])
    ids["kept"]["export"] = [export["id"] for export in own.call("GET", "/v1/exports")["data"]]
    ids["kept"]["invoice"] += own.debtor()
    ids["foreign"]["invoice"] += other.debtor()
    return ids


def wait(account, path, status):
    end = time.monotonic() + PATIENCE_SECONDS
    while account.call("GET", path)["status"] != status:
        if time.monotonic() > end:
            raise AssertionError(f"{path} is never {status}")
        time.sleep(0.05)


def of_environment():
    """The server and the two keys of this run."""
    return tuple(os.environ[name] for name in ("TEIKI_URL", "TEIKI_SECRET_KEY", "TEIKI_OTHER_SECRET_KEY"))
