"""A client that is generated from the OpenAPI document of a running server, by the command that the documentation shows: it makes
what a merchant begins with, as JSON and as forms.
"""

import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import requests

import objects

# What the generator would call afterwards only makes its files prettier.
CONFIG = "post_hooks: []\n"


class AGeneratedClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.url, cls.key, _ = objects.of_environment()
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        document = requests.get(cls.url + "/openapi.json", timeout=objects.PATIENCE_SECONDS)
        (folder / "openapi.json").write_bytes(document.content)
        (folder / "config.yml").write_text(CONFIG)
        command = [pathlib.Path(sys.executable).with_name("openapi-python-client"), "generate", "--fail-on-warning"]
        command += ["--meta", "none", "--path", "openapi.json", "--config", "config.yml", "--output-path", "generated"]
        run = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
        if run.returncode != 0:
            raise AssertionError(run.stdout + run.stderr)
        sys.path.insert(0, str(folder))
        cls.addClassCleanup(sys.path.remove, str(folder))
        client = importlib.import_module("generated.client")
        cls.client = client.AuthenticatedClient(base_url=cls.url, token=cls.key, timeout=objects.PATIENCE_SECONDS)
        cls.models = importlib.import_module("generated.models")

    def call(self, operation, *path, **more):
        """Calls an operation, as `plans.create_plan`. Returns what it is answered."""
        module = importlib.import_module(f"generated.api.{operation}")
        answer = module.sync_detailed(*path, client=self.client, **more)
        self.assertEqual(answer.status_code, 200, answer.content)
        return answer.parsed

    def create(self, operation, style, values):
        """Makes something; `style` is `Form` or `Request`, as the schemas of bodies are called."""
        name = operation.rsplit(".", 1)[1].title().replace("_", "")
        body = getattr(self.models, name + style).from_dict(values)
        return self.call(operation, body=body)

    def begin(self, style, more):
        """A plan, a customer with a card, and a subscription."""
        plan = {"amount": 500, "currency": "jpy", "interval": "month", "trial_days": 3}
        plan = self.create("plans.create_plan", style, plan)
        self.assertEqual((plan.amount, plan.trial_days), (500, 3))
        token = self.create("tokens.create_token", style, {"sandbox_token": "sbx_ok"})
        customer = self.create("customers.create_customer", style, {"card": token.id, "email": "taro@example.jp", **more})
        self.assertEqual(customer.cards.count, 1)
        body = {"plan": plan.id, "customer": customer.id}
        subscription = self.create("subscriptions.create_subscription", style, body)
        self.assertEqual((subscription.status, subscription.plan.id), ("trial", plan.id))
        found = self.call("subscriptions.list_subscriptions", customer=customer.id)
        self.assertEqual([found.id for found in found.data], [subscription.id])
        return customer

    def test_it_begins_with_json(self):
        customer = self.begin("Request", {"metadata": {"word": "one"}})
        self.assertEqual(customer.metadata.to_dict(), {"word": "one"})

    def test_it_begins_with_forms(self):
        self.begin("Form", {})

    def test_it_writes_lists(self):
        url, types = "https://receiver.invalid/", ["charge.failed", "invoice.*"]
        for style, name in [("Form", "enabled_events[]"), ("Request", "enabled_events")]:
            made = self.create("webhook_endpoints.create_webhook_endpoint", style, {"url": url, name: types})
            self.assertEqual(made.enabled_events, types)
            self.call("webhook_endpoints.delete_webhook_endpoint", made.id)


if __name__ == "__main__":
    unittest.main()
