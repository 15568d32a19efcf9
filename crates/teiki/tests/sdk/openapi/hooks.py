"""What schemathesis is told of teiki: ids to try, how a form is written, and that nothing of another account is shown."""

import itertools
import json
import os
import re
from urllib.parse import urlencode

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection

from objects import CARD, DECLINED, MARKER, STARTED_AT

IDS = json.loads(os.environ["TEIKI_FUZZ_IDS"])
FOREIGN = {id for ids in IDS["foreign"].values() for id in ids}

FORM = "application/x-www-form-urlencoded"
ADVANCE = "POST /v1/test_clocks/{test_clock}/advance"
IS_GOOD_KEY = re.compile("[!-~]{1,255}")
COUNTER = itertools.count(1)

# What stands under other names than its own.
KINDS = {"next_cycle_plan": ["plan"], "next_plan": ["plan"], "default_card": ["card"], "card": ["card", "token"]}
RESOURCES = ["card", "charge", "customer", "plan", "subscription", "token"]
# Words that the fuzzer would not find.
WORDS = {"number": [CARD, DECLINED], "exp_month": ["12"], "exp_year": ["2090"], "currency": ["jpy"]}
# Farther than this a test clock is not sent: a day's plan until 2100 would be 27,000 payments.
LATEST_TIME = STARTED_AT + 800 * 86400


def ids_of(name, tag, deleted=None):
    """The ids to try for a parameter; `deleted` is the address of a deletion, if it is one."""
    kinds = {"resource_id": RESOURCES, "starting_after": [tag.removesuffix("s")]}.get(name) or KINDS.get(name, [name])
    own = {kind: spare(kind, deleted) for kind in kinds} if deleted else IDS["kept"]
    return [id for kind in kinds for ids in (own, IDS["foreign"]) for id in ids.get(kind, [])]


def spare(kind, deleted):
    """Half of the people is deleted; the other half is there for deletions of what they have."""
    ids = IDS["spare"].get(kind, [])
    half = len(ids) // 2
    return ids[:half] if deleted == "/v1/customers/{customer}" else ids[half:]


def examples():
    """Requests that succeed, by operation: what follows from them is not found by chance."""
    kept = {kind: iter(ids) for kind, ids in IDS["kept"].items()}
    card = {"number": CARD, "exp_month": "12", "exp_year": "2090", "name": "TARO"}
    sale = {"amount": 700, "currency": "jpy", "metadata": {"a": "b"}}
    customer = IDS["kept"]["customer"][0]
    switch = {"plan": IDS["kept"]["plan"][1], "next_plan": IDS["kept"]["plan"][3], "effective_at": STARTED_AT + 1000 * 86400}
    return {
        "create_token": [{"card": card}, {"sandbox_token": "sbx_ok"}],
        "create_charge": [{**sale, "customer": customer}, {**sale, "card": next(kept["token"]), "capture": False}],
        "create_customer": [{"card": next(kept["token"])}, {"email": "taro@example.jp", "metadata": {"a": "b"}}],
        "create_customer_card": [{"card": next(kept["token"]), "default": True}],
        "create_subscription": [{"customer": customer, "plan": plan} for plan in IDS["kept"]["plan"][2:]],
        "create_plan": [{"amount": 500, "currency": "jpy", "interval": "month", "billing_day": 31}],
        "create_plan_switch": [switch],
        "preview_plan_switch": [{**switch, "exclude": []}],
        "create_webhook_endpoint": [{"url": "https://receiver.invalid/", "enabled_events": ["charge.failed", "invoice.*"]}],
        "update_webhook_endpoint": [{"description": "mine"}],
        "reauth_charge": [{"expiry_days": 3}],
        "skip_invoice": [{"reason": "skipped"}],
        "mark_paid_invoice": [{"reason": "paid"}],
    }


def with_words(schema, words):
    return {"anyOf": [{"type": "string", "enum": words}, schema]} if words else schema


@schemathesis.hook
def before_load_schema(context, schema):
    components = schema["components"]["schemas"]
    # An answer must not have a field that is not described.
    for component in components.values():
        if component["type"] == "object":
            component.setdefault("additionalProperties", False)
    known = examples()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for parameter in operation["parameters"]:
                if "name" in parameter:
                    words = ids_of(parameter["name"], operation["tags"][0], path if method == "delete" else None)
                    parameter["schema"] = with_words(parameter["schema"], words)
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                bodies = known.get(operation["operationId"], [])
                if media_type == FORM:
                    bodies = [of_form(body) for body in bodies]
                content["examples"] = {str(number): {"value": body} for number, body in enumerate(bodies)}
                offer(components[content["schema"]["$ref"].rsplit("/", 1)[1]], operation["tags"][0])
    for ending in ("Form", "Request"):
        settings = components["UpdateAccountSettings" + ending]["properties"]
        # With PAY.JP's limits everything after it would be 429.
        settings["rate_limits"]["enum"] = ["generous"]
        components["AdvanceTestClock" + ending]["properties"]["frozen_time"]["maximum"] = LATEST_TIME


def of_form(body):
    """A list is called `name[]` in a form."""
    return {name + "[]" if isinstance(value, list) else name: value for name, value in body.items()}


def offer(body, tag):
    """Adds what there is to the parameters of a body."""
    for name, schema in body["properties"].items():
        if schema.get("type") == "object" and "properties" in schema:
            offer(schema, tag)
        elif schema.get("type") == "string":
            body["properties"][name] = with_words(schema, WORDS.get(name) or ids_of(name, tag))


def pairs(name, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from pairs(f"{name}[{key}]", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pairs(name, inner)
    elif value is None:
        yield name, ""
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, str(value)


@schemathesis.serializer(FORM)
def form(context, value):
    """As PAY.JP's SDKs write it: what is in an object has brackets. Lists have theirs in their names."""
    if isinstance(value, dict):
        flat = [pair for name, inner in value.items() for pair in pairs(name, inner)]
        return {"data": urlencode(flat, errors="surrogatepass").encode()}
    return {"data": value if isinstance(value, (bytes, str)) else json.dumps(value)}


@schemathesis.hook
def filter_case(context, case):
    """The run needs its key: a key that is revoked or rolled must be another one."""
    return (case.path_parameters or {}).get("api_key") != IDS["key"]


@schemathesis.hook
def map_case(context, case):
    """A card is tried with the customer whose it is; foreign ones stay as they are."""
    address = case.path_parameters or {}
    for own in (IDS["kept"], IDS["spare"]):
        for kind in ("card", "subscription"):
            if address.get(kind) in own[kind] and address.get("customer") not in FOREIGN:
                address["customer"] = own["customer"][own[kind].index(address[kind])]
    return case


@schemathesis.hook
def before_call(context, case, kwargs):
    """Nine of ten keys are new: the fuzzer gives many requests the same one, which only proves that this is refused."""
    name = "Idempotency-Key"
    if IS_GOOD_KEY.fullmatch(str((case.headers or {}).get(name, ""))) and next(COUNTER) % 10:
        case.headers[name] = f"fuzz-{next(COUNTER)}"


@schemathesis.check
def what_is_not_allowed_is_refused(context, response, case):
    """The document says no less than what is taken, but for the leniency of JSON: null is nothing, and numbers are texts.

    Bodies and queries only: a wrong id in an address is given a right one by schemathesis itself, and spaces around a header
    are none.
    """
    made = case.meta.components if case.meta else {}
    wrong = {place for place, how in made.items() if how.mode.is_negative}
    # The bound of an advance is the fuzzer's own.
    if case.operation.label == ADVANCE or not wrong & {ParameterLocation.BODY, ParameterLocation.QUERY}:
        return
    # Refusals that the check does not know as such: of a card, and of a body that is too long, which is not read.
    if response.status_code in (402, 413):
        return
    try:
        negative_data_rejection(context, response, case)
    except Failure as failure:
        is_json = case.media_type == "application/json"
        if not (is_json and ("Incorrect type" in failure.message or has_null(case.body))):
            raise


def has_null(value):
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return value is None


@schemathesis.check
def nothing_of_another_account(context, response, case):
    """No body has the marker; no foreign id in an address is answered with anything but a refusal."""
    if MARKER in response.text:
        raise AssertionError("The answer shows an object of another account")
    in_address = set(map(str, (case.path_parameters or {}).values()))
    if response.status_code == 200 and in_address & FOREIGN:
        raise AssertionError("A foreign id in the address was not refused")
