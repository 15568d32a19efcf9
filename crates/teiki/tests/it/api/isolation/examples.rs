//! For each route the requests that it is tried with: literal values, and ids by the kind of object.

use std::sync::LazyLock;

use teiki::exports::Subject;
use teiki::routes::{Method, Route};

use super::super::client::{Answer, Client};
use super::sides::Objects;

/// A value of an example.
#[derive(Clone, Copy, Debug)]
enum Is {
    Text(&'static str),
    /// The id of such an object.
    Id(&'static str),
}

use Is::{Id, Text};

/// One way to call a route.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Example {
    form: &'static [(&'static str, Is)],
    path: &'static str,
    /// What the owner's key is answered.
    pub(in crate::api) own_status: u16,
}

/// Where an id stands: a variable part of the address, or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Place {
    Address(&'static str),
    Parameter(&'static str),
}

/// A request with its ids.
#[derive(Debug)]
pub(in crate::api) struct Request {
    pub(in crate::api) method: Method,
    path: String,
    form: Vec<(&'static str, String)>,
    pub(in crate::api) is_foreign_address: bool,
}

impl Request {
    /// Its address, without what follows it.
    pub(in crate::api) fn address(&self) -> &str {
        self.path.split('?').next().unwrap()
    }

    pub(in crate::api) async fn send(&self, client: &Client) -> Answer {
        let form: Vec<(&str, &str)> = self.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let method = match self.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        client.send(method, &self.path, &form).await
    }

    pub(in crate::api) fn sends(&self, id: &str) -> bool {
        self.path.contains(id) || self.form.iter().any(|(_, value)| value == id)
    }
}

impl Example {
    /// Where it has ids.
    pub(in crate::api) fn places(&self) -> Vec<Place> {
        let address = variables(self.path).into_iter().map(Place::Address);
        let parameters = self.form.iter().filter(|(_, is)| matches!(is, Id(_)));
        address.chain(parameters.map(|(name, _)| Place::Parameter(name))).collect()
    }

    /// The request with one's own ids; `None` if the side has no such object.
    pub(in crate::api) fn own(&self, route: &Route, own: &Objects) -> Option<Request> {
        self.request(route, own, own, &[])
    }

    /// The request with foreign ids in these places; `None` if a side has no such object.
    pub(in crate::api) fn request(
        &self,
        route: &Route,
        own: &Objects,
        foreign: &Objects,
        places: &[Place],
    ) -> Option<Request> {
        let of = |place: Place| if places.contains(&place) { foreign } else { own };
        let mut path = self.path.to_owned();
        for name in variables(self.path) {
            let id = if NEVER.contains(&name) { "none" } else { of(Place::Address(name)).get(name)? };
            path = path.replace(&format!("{{{name}}}"), id);
        }
        let mut form = Vec::new();
        for (name, is) in self.form {
            let value = match is {
                Text(text) => (*text).to_owned(),
                Id(object) => of(Place::Parameter(name)).get(object)?.clone(),
            };
            form.push((*name, value));
        }
        let is_foreign_address = places.iter().any(|place| matches!(place, Place::Address(_)));
        Some(Request { method: route.method, path, form, is_foreign_address })
    }
}

/// Objects that nobody has yet.
const NEVER: [&str; 4] = ["transfer", "term", "statement", "balance"];

fn variables(path: &'static str) -> Vec<&'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

type Forms = &'static [&'static [(&'static str, Is)]];

const PLAIN: Forms = &[&[]];

/// How a route is called. A new route needs a line here.
pub(in crate::api) fn examples(route: &Route) -> Vec<Example> {
    let forms = match route.method {
        Method::Get => reading(route.path),
        Method::Post => changing(route.path),
        Method::Delete => deleting(route.path),
    };
    let forms = forms.unwrap_or_else(|| panic!("give {:?} {} an example here", route.method, route.path));
    let is_never = variables(route.path).iter().any(|name| NEVER.contains(name));
    let own_status = match route.path {
        // What runs is not resumed, what is paid is not paid again, what was taken is neither taken nor reserved again, and what did not begin with 3-D Secure
        // is not finished.
        "/v1/subscriptions/{subscription}/resume"
        | "/v1/charges/{charge}/capture"
        | "/v1/charges/{charge}/reauth"
        | "/v1/charges/{charge}/tds_finish"
        | "/v1/invoices/{invoice}"
        | "/v1/invoices/{invoice}/pay"
        | "/v1/invoices/{invoice}/skip"
        | "/v1/invoices/{invoice}/mark_paid"
        | "/v1/plan_switches/{plan_switch}/exclude"
        | "/v1/tokens/{token}/tds_finish"
            if route.method == Method::Post =>
        {
            400
        }
        _ if is_never => 404,
        _ => 200,
    };
    let examples = |path| forms.iter().map(move |form| Example { form, path, own_status });
    paths(route).into_iter().flat_map(examples).collect()
}

/// Where a route is tried: an export is no object of anybody's, but the name of a kind of them.
fn paths(route: &Route) -> Vec<&'static str> {
    static EXPORTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        Subject::ALL.into_iter().map(|subject| format!("/v1/exports/{}", subject.as_str())).collect()
    });
    match route.path {
        "/v1/exports/{export}" => EXPORTS.iter().map(String::as_str).collect(),
        path => vec![path],
    }
}

fn reading(path: &str) -> Option<Forms> {
    listing(path).or_else(|| showing(path))
}

fn listing(path: &str) -> Option<Forms> {
    Some(match path {
        "/v1/charges" => &[
            &[],
            &[("customer", Id("customer"))],
            &[("subscription", Id("subscription"))],
            &[("customer", Id("customer")), ("subscription", Id("subscription"))],
            &[("starting_after", Id("charge"))],
        ],
        "/v1/events" => &[
            &[],
            &[("resource_id", Id("charge"))],
            &[("resource_id", Id("subscription"))],
            &[("resource_id", Id("customer"))],
            &[("resource_id", Id("card"))],
            &[("resource_id", Id("plan"))],
            &[("resource_id", Id("token"))],
            &[("starting_after", Id("event"))],
        ],
        "/v1/invoices" => &[
            &[],
            &[("customer", Id("customer"))],
            &[("subscription", Id("subscription"))],
            &[("plan", Id("plan"))],
            &[("status", Text("paid"))],
            &[("starting_after", Id("invoice"))],
        ],
        "/v1/invoices/preview" => &[
            &[("subscription", Id("subscription"))],
            &[("subscription", Id("subscription")), ("next_cycle_plan", Id("plan"))],
            &[("subscription", Id("subscription")), ("change", Text("cancel"))],
        ],
        "/v1/plan_switches" => &[&[], &[("starting_after", Id("plan_switch"))]],
        "/v1/plan_switches/{plan_switch}/subscriptions" => &[
            &[],
            &[("status", Text("joined"))],
            &[("status", Text("excluded"))],
            &[("starting_after", Id("subscription"))],
        ],
        "/v1/exports/{export}" => &[&[], &[("bom", Text("true"))], &[("format", Text("jsonl"))]],
        "/v1/webhook_endpoints" => &[&[], &[("starting_after", Id("webhook_endpoint"))]],
        "/v1/webhook_endpoints/{webhook_endpoint}/deliveries" => {
            &[&[], &[("starting_after", Id("webhook_delivery"))]]
        }
        "/v1/plans" => &[&[], &[("starting_after", Id("plan"))]],
        "/v1/customers" => &[&[], &[("starting_after", Id("customer"))]],
        "/v1/test_clocks" => &[&[], &[("starting_after", Id("test_clock"))]],
        "/v1/three_d_secure_requests" => {
            &[&[], &[("resource_id", Id("card"))], &[("starting_after", Id("three_d_secure_request"))]]
        }
        "/v1/subscriptions" => &[
            &[],
            &[("customer", Id("customer"))],
            &[("plan", Id("plan"))],
            &[("starting_after", Id("subscription"))],
        ],
        "/v1/customers/{customer}/subscriptions" => {
            &[&[], &[("plan", Id("plan"))], &[("starting_after", Id("subscription"))]]
        }
        "/v1/customers/{customer}/cards" => &[&[], &[("starting_after", Id("card"))]],
        "/v1/api_keys" => &[&[], &[("starting_after", Id("api_key"))]],
        _ => return None,
    })
}

fn showing(path: &str) -> Option<Forms> {
    Some(match path {
        "/v1/accounts"
        | "/v1/account_settings"
        | "/v1/accounts/brands"
        | "/v1/charges/{charge}"
        | "/v1/exports"
        | "/v1/invoices/{invoice}"
        | "/v1/events/{event}"
        | "/v1/api_keys/{api_key}"
        | "/v1/webhook_endpoints/{webhook_endpoint}"
        | "/v1/test_clocks/{test_clock}"
        | "/v1/plan_switches/{plan_switch}"
        | "/v1/plans/{plan}"
        | "/v1/tokens/{token}"
        | "/v1/three_d_secure_requests/{three_d_secure_request}"
        | "/v1/customers/{customer}"
        | "/v1/customers/{customer}/subscriptions/{subscription}"
        | "/v1/customers/{customer}/cards/{card}"
        | "/v1/subscriptions/{subscription}"
        | "/v1/transfers"
        | "/v1/transfers/{transfer}"
        | "/v1/transfers/{transfer}/charges"
        | "/v1/terms"
        | "/v1/terms/{term}"
        | "/v1/statements"
        | "/v1/statements/{statement}"
        | "/v1/balances"
        | "/v1/balances/{balance}" => PLAIN,
        _ => return None,
    })
}

fn changing(path: &str) -> Option<Forms> {
    const YEN: [(&str, Is); 2] = [("amount", Text("100")), ("currency", Text("jpy"))];
    Some(match path {
        "/v1/charges" => &[
            &[YEN[0], YEN[1], ("customer", Id("customer"))],
            &[YEN[0], YEN[1], ("customer", Id("customer")), ("card", Id("card"))],
            &[YEN[0], YEN[1], ("card", Id("token"))],
        ],
        "/v1/charges/{charge}" => &[&[("description", Text("mine"))]],
        "/v1/charges/{charge}/refund" => &[&[], &[("amount", Text("1"))]],
        "/v1/charges/{charge}/capture"
        | "/v1/charges/{charge}/reauth"
        | "/v1/charges/{charge}/tds_finish"
        | "/v1/invoices/{invoice}/pay"
        | "/v1/tokens/{token}/tds_finish" => PLAIN,
        "/v1/invoices/{invoice}" => &[&[("memo", Text("mine"))]],
        "/v1/invoices/{invoice}/skip" | "/v1/invoices/{invoice}/mark_paid" => &[&[("reason", Text("mine"))]],
        "/v1/three_d_secure_requests" => &[&[("resource_id", Id("card"))]],
        "/v1/account_settings" => &[&[("calendar", Text("anchor"))], &[("test_clock", Id("test_clock"))]],
        "/v1/api_keys" => &[&[("kind", Text("secret"))]],
        "/v1/api_keys/{api_key}" => &[&[("name", Text("mine"))]],
        "/v1/api_keys/{api_key}/roll" => &[&[], &[("expires_in", Text("60"))]],
        "/v1/webhook_endpoints" => &[&[("url", Text("https://mine.invalid/")), ("status", Text("disabled"))]],
        "/v1/webhook_endpoints/{webhook_endpoint}" => &[&[("description", Text("mine"))]],
        "/v1/webhook_endpoints/{webhook_endpoint}/rotate_secret"
        | "/v1/webhook_endpoints/{webhook_endpoint}/test" => PLAIN,
        "/v1/events/{event}/resend" => &[&[("webhook_endpoint", Id("webhook_endpoint"))]],
        "/v1/test_clocks" => &[&[("frozen_time", Text("1900000000"))]],
        "/v1/test_clocks/{test_clock}/advance" => &[&[("frozen_time", Text("1900000000"))]],
        "/v1/plan_switches" | "/v1/plan_switches/preview" => {
            &[&[("plan", Id("plan")), ("next_plan", Id("next_plan")), ("effective_at", Text("4000000000"))]]
        }
        "/v1/plan_switches/{plan_switch}/exclude" => &[&[("subscription", Id("subscription"))]],
        "/v1/plan_switches/{plan_switch}/undo" => PLAIN,
        "/v1/plans" => &[&[YEN[0], YEN[1], ("interval", Text("month"))]],
        "/v1/plans/{plan}" => &[&[("name", Text("mine"))]],
        "/v1/tokens" => &[&[("sandbox_token", Text("sbx_ok"))]],
        "/v1/customers" => &[&[], &[("card", Id("token"))], &[("test_clock", Id("test_clock"))]],
        "/v1/customers/{customer}" => {
            &[&[("description", Text("mine"))], &[("card", Id("token"))], &[("default_card", Id("card"))]]
        }
        "/v1/customers/{customer}/cards" => &[&[("card", Id("token"))]],
        "/v1/customers/{customer}/cards/{card}" => &[&[("name", Text("MINE"))]],
        "/v1/subscriptions" => &[&[("customer", Id("customer")), ("plan", Id("plan"))]],
        "/v1/subscriptions/{subscription}" => {
            &[&[("metadata[a]", Text("mine"))], &[("plan", Id("plan"))], &[("next_cycle_plan", Id("plan"))]]
        }
        "/v1/subscriptions/{subscription}/resume" => &[&[("trial_end", Text("1900000000"))]],
        "/v1/subscriptions/{subscription}/pause"
        | "/v1/subscriptions/{subscription}/cancel"
        | "/v1/statements/{statement}/statement_urls"
        | "/v1/balances/{balance}/statement_urls" => PLAIN,
        _ => return None,
    })
}

fn deleting(path: &str) -> Option<Forms> {
    Some(match path {
        "/v1/api_keys/{api_key}"
        | "/v1/webhook_endpoints/{webhook_endpoint}"
        | "/v1/test_clocks/{test_clock}"
        | "/v1/plans/{plan}"
        | "/v1/customers/{customer}"
        | "/v1/customers/{customer}/cards/{card}"
        | "/v1/subscriptions/{subscription}" => PLAIN,
        _ => return None,
    })
}
