"""What the framework answers, and not a route: each is an error of the one shape. And connections that are used well."""

import json
import time

from wire import (
    FORM,
    JSON,
    LIVE_SECRET_KEY,
    PUBLIC_KEY,
    SECRET_KEY,
    Case,
    basic,
    connection,
    exchange,
    request,
)

MEBIBYTE = 1 << 20


class Routes(Case):
    def test_what_there_is_not(self):
        for path in (
            "/v1",
            "/v1/",
            "/v1/nothing",
            "/v1/charges/",
            "/v1//charges",
            "/v1/charges/ch_x/nothing",
            "/v1/customers/cus_x/cards/car_x/more",
            "/v1/Charges",
            "/v1/charges%20",
            "/v1/%E3%81%82",
            "/v1/" + "x" * 4000,
        ):
            for method in ("GET", "POST", "DELETE"):
                with self.subTest(path=path[:40], method=method):
                    self.error(exchange(request(method, path)), 404, "client_error")

    def test_an_unknown_id_of_any_form(self):
        for path in (
            "/v1/charges/invalid",
            "/v1/charges/abcd%2Fefgh",
            "/v1/charges/%E9%A1%A7",
            "/v1/charges/a+b",
            "/v1/charges/" + "x" * 4000,
            "/v1/customers/cus_x",
            "/v1/customers/cus_x/cards",
            "/v1/customers/cus_x/cards/car_x",
            "/v1/customers/cus_x/subscriptions",
            "/v1/customers/cus_x/subscriptions/sub_x",
            "/v1/plans/x",
            "/v1/subscriptions/sub_x",
            "/v1/tokens/tok_x",
            "/v1/events/evnt_x",
        ):
            with self.subTest(path=path[:40]):
                self.error(self.get(path), 404, "client_error", "invalid_id", "id")
        for path in (
            "/v1/charges/x/refund",
            "/v1/charges/x/capture",
            "/v1/subscriptions/x/pause",
            "/v1/plans/x",
        ):
            with self.subTest(path=path):
                self.error(self.post(path), 404, "client_error", "invalid_id", "id")
        for path in ("/v1/customers/x", "/v1/plans/x", "/v1/subscriptions/x", "/v1/customers/x/cards/y"):
            with self.subTest(path=path):
                self.error(self.delete(path), 404, "client_error", "invalid_id", "id")

    def test_a_path_that_is_no_text(self):
        for path in ("/v1/charges/%zz", "/v1/charges/%ff", "/v1/charges/%00", "/v1/customers/%C0%AF/cards"):
            with self.subTest(path=path):
                self.error(self.get(path), (400, 404), "client_error")

    def test_a_path_with_a_nul(self):
        for path in ("customers", "plans", "api_keys", "subscriptions", "invoices", "events", "tokens"):
            with self.subTest(path=path):
                self.error(self.get(f"/v1/{path}/a%00b"), 404, "client_error")
                self.error(self.post(f"/v1/{path}/a%00b"), (400, 404))

    def test_a_query_that_is_no_text(self):
        for query in ("limit=%zz", "limit=%ff", "customer=%00", "%ff=1", "limit", "=1", "limit="):
            with self.subTest(query=query):
                self.error(self.get(f"/v1/charges?{query}"), 400, "client_error")
        self.good(self.get("/v1/charges?"))

    def test_queries_where_none_belongs(self):
        self.error(self.get(f"/v1/charges/{self.charge()['id']}?bogus=1"), 400, "client_error")
        self.error(self.get("/v1/charges?bogus=1"), 400, "client_error", param="bogus")


class Methods(Case):
    def test_a_wrong_method_on_a_route(self):
        for method, path in (
            ("PUT", "/v1/charges"),
            ("PATCH", "/v1/charges"),
            ("OPTIONS", "/v1/charges"),
            ("TRACE", "/v1/charges"),
            ("FROBNICATE", "/v1/charges"),
            ("DELETE", "/v1/charges"),
            ("DELETE", "/v1/charges/x"),
            ("GET", "/v1/tokens"),
            ("GET", "/v1/subscriptions/x/pause"),
            ("POST", "/v1/accounts"),
            ("POST", "/v1/events"),
            ("PUT", "/v1/customers/x"),
        ):
            with self.subTest(method=method, path=path):
                self.error(exchange(request(method, path)), 400, "not_allowed_method_error")

    def test_a_wrong_method_with_a_body(self):
        answer = exchange(request("PUT", "/v1/charges", "amount=100", content_type=FORM))
        self.error(answer, 400, "not_allowed_method_error")

    def test_a_head_has_no_body(self):
        with connection() as connected:
            connected.send(request("HEAD", "/v1/charges"))
            answer = connected.answer(has_body=False)
            self.assertIn(answer.status, (200, 400), answer)
            self.assertTrue(answer.headers.get("request-id"), answer)
            # What follows is the next answer and not a body.
            connected.send(request("GET", "/v1/accounts"))
            self.good(connected.answer())


class Keys(Case):
    def test_without_a_key_or_with_a_wrong_one(self):
        for authorization in (
            None,
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic " + "/" * 8,
            basic(""),
            basic("sk_test_nothing"),
            basic("山田"),
            basic(SECRET_KEY + "x"),
            basic(SECRET_KEY.upper()),
            "Bearer nothing",
            "Digest username=x",
        ):
            headers = [] if authorization is None else [f"Authorization: {authorization}"]
            with self.subTest(authorization=authorization):
                for how in (("GET", "/v1/accounts"), ("POST", "/v1/charges"), ("DELETE", "/v1/plans/x")):
                    answer = exchange(request(*how, key=None, headers=headers))
                    self.error(answer, 401, "auth_error")

    def test_a_key_is_not_read_back(self):
        wrong = SECRET_KEY[:-1] + ("0" if SECRET_KEY[-1] != "0" else "1")
        answer = self.get("/v1/accounts", key=wrong)
        self.error(answer, 401, "auth_error")
        self.assertNotIn(wrong.encode(), answer.body)

    def test_the_word_basic_in_any_case(self):
        authorization = basic(SECRET_KEY).replace("Basic", "basic")
        self.good(self.get("/v1/accounts", key=None, headers=[f"authorization: {authorization}"]))

    def test_a_public_key_makes_and_reads_tokens_and_asks_for_brands(self):
        token = self.token(key=PUBLIC_KEY)
        self.assertEqual(self.good(self.get(f"/v1/tokens/{token}", key=PUBLIC_KEY))["id"], token)
        brands = self.good(self.get("/v1/accounts/brands", key=PUBLIC_KEY))
        self.assertIn("Visa", brands["card_types_supported"])
        self.assertIs(brands["livemode"], False)
        for method, path in (
            ("GET", "/v1/accounts"),
            ("GET", "/v1/charges"),
            ("POST", "/v1/charges"),
            ("POST", "/v1/customers"),
            ("GET", "/v1/customers/x"),
            ("DELETE", "/v1/plans/x"),
            ("POST", "/v1/subscriptions/x/pause"),
            ("GET", "/v1/events"),
        ):
            with self.subTest(method=method, path=path):
                self.error(exchange(request(method, path, key=PUBLIC_KEY)), 401, "auth_error")

    def test_live_and_test_are_apart(self):
        customer = self.customer()
        self.error(self.get(f"/v1/customers/{customer['id']}", key=LIVE_SECRET_KEY), 404, code="invalid_id")
        live = self.good(self.post("/v1/customers", key=LIVE_SECRET_KEY))
        self.assertTrue(live["livemode"])
        self.error(self.get(f"/v1/customers/{live['id']}"), 404, code="invalid_id")


class Bodies(Case):
    def test_too_long_a_body(self):
        body = b"description=" + b"x" * (8 * MEBIBYTE)
        for content_type in (FORM, JSON, None):
            with self.subTest(content_type=content_type):
                self.error(self.post("/v1/customers", body, content_type=content_type), 413)

    def test_too_long_a_body_in_chunks(self):
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        head = request("POST", "/v1/customers", content_type=FORM, headers=["Transfer-Encoding: chunked"])
        self.error(exchange(head + chunk * 128 + b"0\r\n\r\n"), 413)

    def test_a_body_in_chunks_that_breaks_off(self):
        head = request("POST", "/v1/customers", content_type=FORM, headers=["Transfer-Encoding: chunked"])
        self.error(exchange(head + b"5\r\nemail\r\nzz\r\n"), 400, "client_error", "unreadable_body")

    def test_a_text_that_is_too_long(self):
        answer = self.post("/v1/customers", "description=" + "x" * 20_000)
        self.error(answer, 400, "client_error", "invalid_string_length", "description")

    def test_bodies_that_are_neither_form_nor_json(self):
        for content_type in (
            "multipart/form-data; boundary=x",
            "application/xml",
            "text/xml",
            "application/octet-stream",
            "nonsense",
        ):
            with self.subTest(content_type=content_type):
                self.error(self.post("/v1/customers", "description=x", content_type=content_type), 415)

    def test_a_compressed_body(self):
        answer = self.post("/v1/customers", b"\x1f\x8b\x08\x00", headers=["Content-Encoding: gzip"])
        self.error(answer, (400, 415))

    def test_deep_nesting(self):
        for body in ("a" + "[a]" * 5000 + "=1", "metadata" + "[a]" * 100 + "=1", "[" * 5000 + "=1"):
            with self.subTest(body=body[:20]):
                self.error(self.post("/v1/customers", body), 400, "client_error")
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            body = opening * 5000 + "1" + closing * 5000
            with self.subTest(body=body[:20]):
                self.error(self.post("/v1/customers", body, content_type=JSON), 400, "client_error")

    def test_very_many_keys(self):
        body = "&".join(f"metadata[k{number}]=v" for number in range(2000))
        self.error(self.post("/v1/customers", body), (400, 413))

    def test_signs_between_nothing(self):
        customer = self.good(self.post("/v1/customers", "&&description=x&"))
        self.assertEqual(customer["description"], "x")

    def test_a_body_in_chunks(self):
        head = request("POST", "/v1/customers", content_type=FORM, headers=["Transfer-Encoding: chunked"])
        body = b"c\r\ndescription=\r\n3\r\na+b\r\n0\r\n\r\n"
        self.assertEqual(self.good(exchange(head + body))["description"], "a b")

    def test_a_body_that_waits_to_be_asked_for(self):
        body = b"description=x"
        with connection() as connected:
            connected.send(
                request("POST", "/v1/customers", body, content_type=FORM, headers=["Expect: 100-continue"])[
                    : -len(body)
                ]
            )
            first = connected.answer(has_body=False)
            self.assertEqual(first.status, 100)
            connected.send(body)
            self.assertEqual(self.good(connected.answer())["description"], "x")

    def test_a_body_that_comes_slowly(self):
        data = request("POST", "/v1/customers", b"description=slow", content_type=FORM)
        with connection() as connected:
            for part in (data[:20], data[20:-6], data[-6:]):
                connected.socket.sendall(part)
                time.sleep(0.05)
            self.assertEqual(self.good(connected.answer())["description"], "slow")


class Connections(Case):
    def test_requests_follow_each_other_on_one_connection(self):
        with connection() as connected:
            ids = set()
            for data, status in (
                (request("GET", "/v1/accounts"), 200),
                (request("POST", "/v1/charges", b"", content_type=FORM), 400),
                (request("GET", "/v1/nothing"), 404),
                (request("GET", "/v1/accounts", key="wrong"), 401),
                (request("POST", "/v1/customers", "description=x", content_type=FORM), 200),
            ):
                connected.send(data)
                answer = connected.answer()
                self.assertEqual(answer.status, status, answer)
                ids.add(answer.headers["request-id"])
            self.assertEqual(len(ids), 5, "each request has an id of its own")

    def test_requests_that_do_not_wait_are_answered_in_order(self):
        names = [f"name-{number}" for number in range(4)]
        with connection() as connected:
            connected.send(
                b"".join(
                    request("POST", "/v1/customers", f"description={name}", content_type=FORM)
                    for name in names
                )
            )
            answers = [self.good(connected.answer())["description"] for _ in names]
        self.assertEqual(answers, names)

    def test_a_refused_body_does_not_disturb_what_follows(self):
        with connection() as connected:
            connected.send(request("POST", "/v1/customers", "a" * 1000, content_type="application/xml"))
            self.error(connected.answer(), 415)
            try:
                connected.send(request("GET", "/v1/accounts"))
                answer = connected.answer()
            except ConnectionError:
                return  # It may close the connection instead.
            self.good(answer)

    def test_what_is_asked_for_in_html_is_json(self):
        answer = self.get("/v1/charges/x", headers=["Accept: text/html", "Origin: http://shop.example"])
        self.error(answer, 404, code="invalid_id")

    def test_an_error_names_a_strange_key_as_it_is(self):
        strange = "<script>\"'&\\"
        answer = self.post("/v1/customers", json.dumps({strange: 1}), content_type=JSON)
        self.error(answer, 400, "client_error", "invalid_param_key", strange)
