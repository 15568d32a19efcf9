"""Webhooks: what a charge of the SDK makes teiki send is verified by the public library of Standard Webhooks."""

import http.server
import json
import threading

import payjp
import requests
import standardwebhooks

from flow import SECRET_KEY, URL, Flow


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps the headers and the bytes of every body, and takes them all."""

    def __init__(self):
        self.arrived = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"

    def of_object(self, resource_id):
        """What arrived about an object."""
        return [sent for sent in list(self.arrived) if json.loads(sent[1])["data"].get("id") == resource_id]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.arrived.append((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Webhooks(Flow):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.server_close)
        self.addCleanup(self.receiver.shutdown)

    def call(self, method, path, **more):
        answer = requests.request(method, f"{URL}{path}", auth=(SECRET_KEY, ""), timeout=30, **more)
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()

    def endpoint(self, **params):
        """An endpoint at the receiver, with its secrets; it goes with the test."""
        made = self.call("POST", "/v1/webhook_endpoints", json={"url": self.receiver.url} | params)
        self.addCleanup(self.call, "DELETE", f"/v1/webhook_endpoints/{made['id']}")
        return made

    def sent(self, resource_id):
        """Headers and body of what arrives first about an object."""
        return self.eventually(lambda: self.receiver.of_object(resource_id))[0]

    def test_what_is_sent_is_verified_by_the_public_library(self):
        endpoint = self.endpoint(enabled_events=["charge.succeeded"])
        charge = self.charge()
        headers, body = self.sent(charge.id)
        event = standardwebhooks.Webhook(endpoint["secret"]).verify(body, headers)
        self.assertEqual((event["type"], event["data"]["amount"]), ("charge.succeeded", charge.amount))
        self.assertEqual(headers["x-payjp-webhook-token"], endpoint["token"])
        self.assertEqual(headers["webhook-id"], event["id"])
        read = self.eventually(lambda: self.delivered(event["id"]))
        self.assertEqual(json.loads(str(read)), event | {"pending_webhooks": 0})

    def delivered(self, event_id):
        """The event, once nobody waits for it."""
        event = payjp.Event.retrieve(event_id)
        return None if event.pending_webhooks else event

    def test_what_was_tampered_with_is_not_verified(self):
        endpoint = self.endpoint(enabled_events=["charge.succeeded"])
        headers, body = self.sent(self.charge().id)
        webhook = standardwebhooks.Webhook(endpoint["secret"])
        later = str(int(headers["webhook-timestamp"]) + 1)
        tampered = [
            (body.replace(b'"amount":1000', b'"amount":1'), headers),
            (body + b" ", headers),
            (body, headers | {"webhook-id": "evnt_other"}),
            (body, headers | {"webhook-timestamp": later}),
            (body, headers | {"webhook-signature": "v1," + "A" * 43 + "="}),
        ]
        self.assertIn(b'"amount":1000', body)
        for other_body, other_headers in tampered:
            with self.assertRaises(standardwebhooks.WebhookVerificationError):
                webhook.verify(other_body, other_headers)
        other = standardwebhooks.Webhook("whsec_" + "A" * 43 + "=")
        with self.assertRaises(standardwebhooks.WebhookVerificationError):
            other.verify(body, headers)

    def test_both_secrets_verify_after_a_rotation(self):
        former = self.endpoint(enabled_events=["charge.succeeded"])
        path = f"/v1/webhook_endpoints/{former['id']}/rotate_secret"
        rotated = self.call("POST", path)
        headers, body = self.sent(self.charge().id)
        for secret in (former["secret"], rotated["secret"]):
            self.assertEqual(standardwebhooks.Webhook(secret).verify(body, headers)["object"], "event")

    def test_the_sdk_reads_what_an_endpoint_without_a_list_is_sent(self):
        self.endpoint()
        customer = self.customer()
        _, body = self.sent(customer.id)
        event = payjp.resource.convert_to_payjp_object(json.loads(body), SECRET_KEY, None)
        self.assertEqual((type(event), event.type), (payjp.Event, "customer.created"))
        self.assertEqual((type(event.data), event.data.id), (payjp.Customer, customer.id))
