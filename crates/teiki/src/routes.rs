//! Every URL of the HTTP API, with the operation that answers it, and every page for people.

use crate::web::Operation;
use crate::web::page::Page;
use crate::{
    accounts, api_keys, charges, clocks, customers, events, exports, invoices, payment_methods, payouts,
    plan_switches, plans, subscriptions, three_d_secure, tokens, webhooks,
};

/// The methods of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or changes.
    Post,
    /// Deletes.
    Delete,
}

/// One method on one address.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The address, as `/v1/customers/{customer}`.
    pub path: &'static str,
    /// What answers it.
    pub operation: &'static Operation,
    /// Whether it moves money: such requests have a rate limit of their own.
    pub moves_money: bool,
}

const fn get(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Get, path, operation, moves_money: false }
}

const fn post(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Post, path, operation, moves_money: false }
}

/// A POST that moves money.
const fn pay(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Post, path, operation, moves_money: true }
}

const fn delete(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Delete, path, operation, moves_money: false }
}

/// A DELETE that may give money back.
const fn end(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Delete, path, operation, moves_money: true }
}

/// All of them.
pub static ROUTES: &[Route] = &[
    pay("/v1/charges", &charges::api::CREATE),
    get("/v1/charges", &charges::api::LIST),
    get("/v1/charges/{charge}", &charges::api::GET),
    post("/v1/charges/{charge}", &charges::api::UPDATE),
    pay("/v1/charges/{charge}/capture", &charges::actions::api::CAPTURE),
    pay("/v1/charges/{charge}/refund", &charges::actions::api::REFUND),
    pay("/v1/charges/{charge}/reauth", &charges::actions::api::REAUTHORIZE),
    pay("/v1/charges/{charge}/tds_finish", &charges::api::FINISH),
    get("/v1/invoices", &invoices::api::LIST),
    get("/v1/invoices/preview", &invoices::api::PREVIEW),
    get("/v1/invoices/{invoice}", &invoices::api::GET),
    post("/v1/invoices/{invoice}", &invoices::api::UPDATE),
    pay("/v1/invoices/{invoice}/pay", &invoices::api::PAY),
    post("/v1/invoices/{invoice}/skip", &invoices::api::SKIP),
    post("/v1/invoices/{invoice}/mark_paid", &invoices::api::MARK_PAID),
    get("/v1/exports", &exports::api::LIST),
    get("/v1/exports/{export}", &exports::api::GET),
    get("/v1/events", &events::api::LIST),
    get("/v1/events/{event}", &events::api::GET),
    post("/v1/events/{event}/resend", &webhooks::deliveries::api::RESEND),
    post("/v1/webhook_endpoints", &webhooks::api::CREATE),
    get("/v1/webhook_endpoints", &webhooks::api::LIST),
    get("/v1/webhook_endpoints/{webhook_endpoint}", &webhooks::api::GET),
    post("/v1/webhook_endpoints/{webhook_endpoint}", &webhooks::api::UPDATE),
    delete("/v1/webhook_endpoints/{webhook_endpoint}", &webhooks::api::DELETE),
    post("/v1/webhook_endpoints/{webhook_endpoint}/rotate_secret", &webhooks::api::ROTATE),
    post("/v1/webhook_endpoints/{webhook_endpoint}/test", &webhooks::deliveries::api::TEST),
    get("/v1/webhook_endpoints/{webhook_endpoint}/deliveries", &webhooks::deliveries::api::LIST),
    get("/v1/accounts", &accounts::api::GET),
    get("/v1/account_settings", &accounts::api::SETTINGS),
    post("/v1/account_settings", &accounts::api::CHANGE),
    get("/v1/accounts/brands", &accounts::api::BRANDS_OF),
    post("/v1/api_keys", &api_keys::api::CREATE),
    get("/v1/api_keys", &api_keys::api::LIST),
    get("/v1/api_keys/{api_key}", &api_keys::api::GET),
    post("/v1/api_keys/{api_key}", &api_keys::api::UPDATE),
    delete("/v1/api_keys/{api_key}", &api_keys::api::REVOKE),
    post("/v1/api_keys/{api_key}/roll", &api_keys::api::ROLL),
    post("/v1/test_clocks", &clocks::api::CREATE),
    get("/v1/test_clocks", &clocks::api::LIST),
    get("/v1/test_clocks/{test_clock}", &clocks::api::GET),
    delete("/v1/test_clocks/{test_clock}", &clocks::api::DELETE),
    post("/v1/test_clocks/{test_clock}/advance", &clocks::api::ADVANCE),
    get("/v1/transfers", &payouts::api::TRANSFERS),
    get("/v1/transfers/{transfer}", &payouts::api::TRANSFER),
    get("/v1/transfers/{transfer}/charges", &payouts::api::CHARGES_OF_TRANSFER),
    get("/v1/terms", &payouts::api::TERMS),
    get("/v1/terms/{term}", &payouts::api::TERM),
    get("/v1/statements", &payouts::api::STATEMENTS),
    get("/v1/statements/{statement}", &payouts::api::STATEMENT),
    post("/v1/statements/{statement}/statement_urls", &payouts::api::URL_OF_STATEMENT),
    get("/v1/balances", &payouts::api::BALANCES),
    get("/v1/balances/{balance}", &payouts::api::BALANCE),
    post("/v1/balances/{balance}/statement_urls", &payouts::api::URL_OF_BALANCE),
    post("/v1/plan_switches", &plan_switches::api::CREATE),
    get("/v1/plan_switches", &plan_switches::api::LIST),
    post("/v1/plan_switches/preview", &plan_switches::api::PREVIEW),
    get("/v1/plan_switches/{plan_switch}", &plan_switches::api::GET),
    get("/v1/plan_switches/{plan_switch}/subscriptions", &plan_switches::api::SUBSCRIPTIONS),
    post("/v1/plan_switches/{plan_switch}/exclude", &plan_switches::api::EXCLUDE_ONE),
    post("/v1/plan_switches/{plan_switch}/undo", &plan_switches::api::UNDO),
    post("/v1/plans", &plans::api::CREATE),
    get("/v1/plans", &plans::api::LIST),
    get("/v1/plans/{plan}", &plans::api::GET),
    post("/v1/plans/{plan}", &plans::api::UPDATE),
    delete("/v1/plans/{plan}", &plans::api::DELETE),
    post("/v1/tokens", &tokens::api::CREATE),
    get("/v1/tokens/{token}", &tokens::api::GET),
    post("/v1/tokens/{token}/tds_finish", &tokens::api::FINISH),
    post("/v1/three_d_secure_requests", &three_d_secure::api::CREATE),
    get("/v1/three_d_secure_requests", &three_d_secure::api::LIST),
    get("/v1/three_d_secure_requests/{three_d_secure_request}", &three_d_secure::api::GET),
    post("/v1/customers", &customers::api::CREATE),
    get("/v1/customers", &customers::api::LIST),
    get("/v1/customers/{customer}", &customers::api::GET),
    post("/v1/customers/{customer}", &customers::api::UPDATE),
    delete("/v1/customers/{customer}", &customers::api::DELETE),
    get("/v1/customers/{customer}/subscriptions", &subscriptions::api::LIST_OF_CUSTOMER),
    get("/v1/customers/{customer}/subscriptions/{subscription}", &subscriptions::api::GET_OF_CUSTOMER),
    pay("/v1/subscriptions", &subscriptions::api::CREATE),
    get("/v1/subscriptions", &subscriptions::api::LIST),
    get("/v1/subscriptions/{subscription}", &subscriptions::api::GET),
    pay("/v1/subscriptions/{subscription}", &subscriptions::api::UPDATE),
    end("/v1/subscriptions/{subscription}", &subscriptions::api::DELETE),
    post("/v1/subscriptions/{subscription}/pause", &subscriptions::api::PAUSE),
    pay("/v1/subscriptions/{subscription}/resume", &subscriptions::api::RESUME),
    post("/v1/subscriptions/{subscription}/cancel", &subscriptions::api::CANCEL),
    post("/v1/customers/{customer}/cards", &payment_methods::api::CREATE),
    get("/v1/customers/{customer}/cards", &payment_methods::api::LIST),
    get("/v1/customers/{customer}/cards/{card}", &payment_methods::api::GET),
    post("/v1/customers/{customer}/cards/{card}", &payment_methods::api::UPDATE),
    delete("/v1/customers/{customer}/cards/{card}", &payment_methods::api::DELETE),
];

/// A page on one method and address.
pub struct PageRoute {
    /// The method: a form is sent by POST.
    pub method: Method,
    /// The address, as `/v1/tds/{resource}/start`.
    pub path: &'static str,
    /// What answers it.
    pub page: &'static Page,
}

/// All pages.
pub static PAGES: &[PageRoute] = &[
    PageRoute { method: Method::Get, path: "/v1/tds/{resource}/start", page: &three_d_secure::page::START },
    PageRoute { method: Method::Post, path: "/v1/tds/{resource}", page: &three_d_secure::page::ANSWER },
];

/// The style sheet of the pages.
pub const STYLE: &str = "/assets/page.css";
