"""Requests as the SDKs write them: forms, brackets, spaces, booleans, empty values, with and without headers."""

import json

from wire import EXP_YEAR, FORM, JSON, OTHER_SECRET_KEY, Case, exchange, request


class Keys(Case):
    def test_brackets_are_written_as_they_are_or_encoded(self):
        for brackets in (
            "metadata[a]",
            "metadata%5Ba%5D",
            "metadata%5ba%5d",
            "metadata[a%5D",
            "%6Detadata[a]",
        ):
            with self.subTest(brackets=brackets):
                customer = self.good(self.post("/v1/customers", f"{brackets}=1"))
                self.assertEqual(customer["metadata"], {"a": "1"})

    def test_brackets_in_a_query(self):
        for query in ("bogus[a]=1", "bogus%5Ba%5D=1"):
            self.error(self.get(f"/v1/customers?{query}"), 400, "client_error")

    def test_keys_of_metadata_in_any_script(self):
        # Go writes keys as they are, and values encoded.
        body = "metadata[名前]=%E5%B1%B1%E7%94%B0&metadata[a b]=1&metadata[%E3%81%82]=2&metadata[k-1.x]=3"
        customer = self.good(self.post("/v1/customers", body))
        self.assertEqual(customer["metadata"], {"名前": "山田", "a b": "1", "あ": "2", "k-1.x": "3"})

    def test_arrays_are_known_to_no_route(self):
        for body in ("expand[]=a&expand[]=b", "expand%5B%5D=a", "email[]=a@example.jp", "expand[0]=a"):
            with self.subTest(body=body):
                self.error(self.post("/v1/customers", body), 400, "client_error")

    def test_metadata_has_one_level(self):
        for body in (
            "metadata[a][b]=1",
            "metadata[]=1",
            "metadata=1",
            "metadata[a=1",
            "metadata[a]b=1",
            "metadata[=1",
        ):
            with self.subTest(body=body):
                self.error(self.post("/v1/customers", body), 400, "client_error")

    def test_a_key_that_stands_twice_is_refused(self):
        for body in (
            "email=a@example.jp&email=b@example.jp",
            "metadata[a]=1&metadata%5Ba%5D=2",
            "description=&description=",
        ):
            with self.subTest(body=body):
                self.error(self.post("/v1/customers", body), 400, "client_error")
        self.error(self.get("/v1/customers?limit=1&limit=2"), 400, "client_error")
        token = self.token()
        body = f"amount=100&amount=200&currency=jpy&card={token}"
        self.error(self.post("/v1/charges", body), 400, "client_error")
        # Neither amount was charged.
        self.good(self.post("/v1/charges", f"amount=100&currency=jpy&card={token}"))

    def test_a_value_and_keys_under_it_do_not_go_together(self):
        body = f"amount=100&currency=jpy&card={self.token()}&card[number]=4242424242424242"
        self.error(self.post("/v1/charges", body), 400, "client_error")


class Values(Case):
    def description(self, text):
        return self.good(self.post("/v1/customers", f"description={text}"))["description"]

    def test_a_space_is_a_plus_or_encoded(self):
        self.assertEqual(self.description("a+b%20c"), "a b c")
        self.assertEqual(self.description("a%2Bb"), "a+b")

    def test_texts_in_any_script_encoded_or_not(self):
        self.assertEqual(self.description("%E5%B1%B1%E7%94%B0"), "山田")
        self.assertEqual(self.description("山田"), "山田")
        self.assertEqual(self.description("%F0%9F%98%80"), "\U0001f600")

    def test_signs_in_a_value(self):
        self.assertEqual(self.description("a=b"), "a=b")
        self.assertEqual(self.description("%26%3D%23%25"), "&=#%")

    def test_booleans_in_any_case(self):
        for text, captured in (
            ("true", True),
            ("True", True),
            ("TRUE", True),
            ("false", False),
            ("False", False),
            ("FALSE", False),
        ):
            with self.subTest(text=text):
                self.assertEqual(self.charge(f"&capture={text}")["captured"], captured)
        answer = self.post("/v1/charges", f"amount=100&currency=jpy&card={self.token()}&capture=maybe")
        self.error(answer, 400, "client_error", "invalid_boolean", "capture")

    def test_numbers_are_whole_and_plain(self):
        for text in (
            "1e3",
            "1000.0",
            "+1000",
            "0x64",
            "1,000",
            "%EF%BC%91%EF%BC%90%EF%BC%90",
            "9" * 40,
            "NaN",
            "%20100",
        ):
            with self.subTest(text=text):
                answer = self.post("/v1/charges", f"amount={text}&currency=jpy&card={self.token()}")
                self.error(answer, 400, "client_error", "invalid_amount", "amount")

    def test_an_empty_value_clears(self):
        customer = self.customer("&description=x&metadata[a]=1&metadata[b]=2")
        path = f"/v1/customers/{customer['id']}"
        self.assertEqual(self.good(self.post(path, "description="))["description"], "")
        self.assertEqual(self.good(self.post(path, "metadata[a]="))["metadata"], {"b": "2"})
        self.assertEqual(self.good(self.post(path, "metadata%5Bb%5D"))["metadata"], {})

    def test_an_empty_or_null_next_plan_clears_it(self):
        subscription, plan = self.subscription(), self.plan()
        path = f"/v1/subscriptions/{subscription['id']}"
        for nothing in ("next_cycle_plan=", "next_cycle_plan=null"):
            planned = self.good(self.post(path, f"next_cycle_plan={plan['id']}"))
            self.assertEqual(planned["next_cycle_plan"], plan)
            self.assertIsNone(self.good(self.post(path, nothing))["next_cycle_plan"], nothing)

    def test_null_is_a_plan_where_one_has_this_id(self):
        other = {"key": OTHER_SECRET_KEY}
        # It may be there, from a run before.
        self.post("/v1/plans", "amount=500&currency=jpy&interval=month&id=null", **other)
        plan = self.good(self.get("/v1/plans/null", **other))
        subscription = self.subscription(**other)
        path = f"/v1/subscriptions/{subscription['id']}"
        planned = self.good(self.post(path, "next_cycle_plan=null", **other))
        self.assertEqual(planned["next_cycle_plan"], plan)

    def test_what_is_no_text_is_refused(self):
        for text in (b"%zz", b"%", b"%E", b"%ff", b"%C0%AF", b"%ED%A0%80", b"\xff\xfe", b"%00", b"a\x00b"):
            for body in (b"description=" + text, b"metadata[a]=" + text, b"metadata[" + text + b"]=1"):
                with self.subTest(body=body):
                    self.error(self.post("/v1/customers", body), 400, "client_error")


class Headers(Case):
    def test_a_form_needs_no_content_type(self):
        charge = self.charge()
        refund = f"/v1/charges/{charge['id']}/refund"
        refunded = self.good(self.post(refund, "amount=100&refund_reason=", content_type=None))
        self.assertEqual(refunded["amount_refunded"], 100)
        charge = self.charge("&capture=false")
        capture = f"/v1/charges/{charge['id']}/capture"
        self.assertTrue(self.good(self.post(capture, "amount=500", content_type=None))["captured"])

    def test_calls_without_a_body(self):
        path = f"/v1/subscriptions/{self.subscription()['id']}"
        for headers in (
            # Node and Python; Go with and without a length; a body of no bytes with a type that needs more.
            {"body": b"", "content_type": FORM},
            {"body": b"", "content_type": None},
            {"body": None, "content_type": None},
            {"body": None, "content_type": FORM},
        ):
            with self.subTest(**headers):
                paused = self.good(exchange(request("POST", f"{path}/pause", **headers)))
                self.assertEqual(paused["status"], "paused")
                resumed = self.good(exchange(request("POST", f"{path}/resume", **headers)))
                self.assertEqual(resumed["status"], "active")

    def test_a_charset_in_the_content_type(self):
        for content_type in (
            f"{FORM};charset=UTF-8",
            f"{FORM}; charset=utf-8",
            "Application/X-WWW-Form-Urlencoded",
        ):
            with self.subTest(content_type=content_type):
                answer = self.post("/v1/customers", "description=%E3%81%82", content_type=content_type)
                self.assertEqual(self.good(answer)["description"], "あ")

    def test_a_get_may_name_the_type_of_a_form(self):
        answer = self.get("/v1/customers?limit=1", content_type=FORM)
        self.assertEqual(self.good(answer)["object"], "list")
        self.good(exchange(request("GET", "/v1/customers?limit=1", b"", content_type=FORM)))

    def test_headers_of_the_sdks(self):
        self.good(
            self.get(
                "/v1/accounts",
                headers=[
                    "User-Agent: Go-http-client/payjp-v0.3.0",
                    "X-Payjp-Client-User-Agent: payjp-go/v0.3.0(go1.22,os:linux,arch:amd64)",
                    "Payjp-Version: 2015-01-01",
                    "Payjp-Account: acct_something",
                    "Locale: ja",
                    "Accept: */*",
                    "Accept-Encoding: gzip, deflate",
                ],
            )
        )
        key = self.unique("key")
        body = f"amount=100&currency=jpy&card={self.token()}"
        self.good(self.post("/v1/charges", body, headers=[f"Idempotency-Key: {key}"]))
        self.good(self.get("/v1/accounts", headers=["X-Payjp-Client-User-Agent: " + '{"lang":"php"}']))


class Deleting(Case):
    def refunded_by(self, query="", **how):
        subscription = self.subscription()
        charges = self.good(self.get(f"/v1/charges?subscription={subscription['id']}"))
        answer = self.delete(f"/v1/subscriptions/{subscription['id']}{query}", **how)
        self.assertEqual(self.good(answer), {"deleted": True, "id": subscription["id"], "livemode": False})
        return self.good(self.get(f"/v1/charges/{charges['data'][0]['id']}"))["refunded"]

    def test_prorate_in_the_query(self):
        self.assertTrue(self.refunded_by("?prorate=true"))
        # Python, with its length of no body.
        self.assertTrue(self.refunded_by("?prorate=True", body=b""))
        self.assertFalse(self.refunded_by("?prorate=false"))
        self.assertFalse(self.refunded_by())

    def test_prorate_in_the_body(self):
        self.assertTrue(self.refunded_by(body="prorate=true", content_type=FORM))
        self.assertTrue(self.refunded_by(body="prorate=true"))
        self.assertFalse(self.refunded_by(body="prorate=false", content_type=FORM))

    def test_unknown_parameters_are_refused_in_both_places(self):
        path = f"/v1/subscriptions/{self.subscription()['id']}"
        self.error(self.delete(f"{path}?bogus=1"), 400, "client_error", param="bogus")
        answer = self.delete(path, body="bogus=1", content_type=FORM)
        self.error(answer, 400, "client_error", "invalid_param_key", "bogus")
        self.good(self.get(path))


class Go(Case):
    """What the SDK for Go sends and no other does."""

    def test_a_card_is_changed_with_keys_of_a_card(self):
        customer = self.customer()
        path = f"/v1/customers/{customer['id']}/cards/{customer['default_card']}"
        body = "card[name]=TARO+YAMADA&card[address_state]=%E6%9D%B1%E4%BA%AC&card[country]=JP&metadata[a]=1"
        card = self.good(self.post(path, body))
        self.assertEqual((card["name"], card["address_state"]), ("TARO YAMADA", "東京"))
        self.assertEqual((card["country"], card["metadata"]), ("JP", {"a": "1"}))
        self.assertEqual(self.good(self.post(path, "name=HANAKO"))["name"], "HANAKO")
        for body in ("card[number]=4242424242424242", "card[bogus]=1", "card[name]=A&name=B"):
            with self.subTest(body=body):
                self.error(self.post(path, body), 400, "client_error")

    def test_empty_texts_stand_where_nothing_is_said(self):
        charge = self.charge("&description=")
        changed = self.good(self.post(f"/v1/charges/{charge['id']}", "description=&metadata[a]=1"))
        self.assertEqual(changed["metadata"], {"a": "1"})
        refunded = self.good(self.post(f"/v1/charges/{charge['id']}/refund", "refund_reason="))
        self.assertIn(refunded["refund_reason"], ("", None))
        plan = self.plan("&name=")
        renamed = self.good(self.post(f"/v1/plans/{plan['id']}", "name=&metadata[hoge]="))
        self.assertIn(renamed["name"], ("", None))

    def test_a_subscription_is_read_at_its_customer(self):
        subscription = self.subscription()
        path = f"/v1/customers/{subscription['customer']}/subscriptions/{subscription['id']}"
        self.assertEqual(self.good(self.get(path)), subscription)

    def test_metadata_goes_with_the_next_plan(self):
        subscription, plan = self.subscription(), self.plan()
        body = f"next_cycle_plan={plan['id']}&metadata[test]=updated"
        changed = self.good(self.post(f"/v1/subscriptions/{subscription['id']}", body))
        self.assertEqual((changed["next_cycle_plan"], changed["metadata"]), (plan, {"test": "updated"}))

    def test_a_success_has_no_status_that_is_a_number(self):
        # It would be taken for an error.
        for path in ("/v1/accounts", "/v1/customers?limit=1", f"/v1/charges/{self.charge()['id']}"):
            self.assertNotIsInstance(self.good(self.get(path)).get("status"), int)


class Json(Case):
    """A body may be JSON as well."""

    def test_objects_texts_numbers_and_booleans(self):
        card = {"number": "4242424242424242", "exp_month": 12, "exp_year": EXP_YEAR, "cvc": "123"}
        token = self.good(self.post("/v1/tokens", json.dumps({"card": card}), content_type=JSON))
        params = {"amount": 100, "currency": "jpy", "card": token["id"], "capture": False}
        body = json.dumps(params | {"metadata": {"n": 1, "あ": "い"}}, ensure_ascii=False)
        charge = self.good(self.post("/v1/charges", body, content_type=f"{JSON}; charset=utf-8"))
        self.assertEqual((charge["amount"], charge["captured"]), (100, False))
        self.assertEqual(charge["metadata"], {"n": "1", "あ": "い"})

    def test_null_clears(self):
        subscription, plan = self.subscription(), self.plan()
        path = f"/v1/subscriptions/{subscription['id']}"
        self.good(self.post(path, f'{{"next_cycle_plan":"{plan["id"]}"}}', content_type=JSON))
        cleared = self.good(self.post(path, '{"next_cycle_plan":null}', content_type=JSON))
        self.assertIsNone(cleared["next_cycle_plan"])

    def test_an_empty_object_and_no_body(self):
        self.good(self.post("/v1/customers", "{}", content_type=JSON))
        self.good(self.post("/v1/customers", "", content_type=JSON))

    def test_unknown_keys_are_refused(self):
        answer = self.post("/v1/customers", '{"bogus":1}', content_type=JSON)
        self.error(answer, 400, "client_error", "invalid_param_key", "bogus")

    def test_what_is_no_json_object_is_refused(self):
        for body in (
            "{",
            "{}{}",
            "[]",
            '"text"',
            "null",
            "12",
            "description=x",
            '{"description":"\\ud800"}',
            '{"description":"\\u0000"}',
            b'{"description":"\xff"}',
            '{"description":"a","description":"b"}',
            '{"metadata":{"a":{"b":1}}}',
            '{"metadata":[1]}',
            '{"metadata":"x"}',
            '{"description":["x"]}',
        ):
            with self.subTest(body=body):
                self.error(self.post("/v1/customers", body, content_type=JSON), 400, "client_error")

    def test_a_number_that_is_not_whole_is_no_amount(self):
        for amount in ("100.5", "1e3", "1e400", "-100", "true", "[100]", "99999999999999999999"):
            body = f'{{"amount":{amount},"currency":"jpy","card":"{self.token()}"}}'
            with self.subTest(amount=amount):
                self.error(self.post("/v1/charges", body, content_type=JSON), 400, "client_error")
