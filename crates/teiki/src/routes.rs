//! Every URL of the HTTP API, with the operation that answers it.

use crate::web::Operation;
use crate::{charges, customers, payment_methods, plans, tokens};

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
}

const fn get(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Get, path, operation }
}

const fn post(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Post, path, operation }
}

const fn delete(path: &'static str, operation: &'static Operation) -> Route {
    Route { method: Method::Delete, path, operation }
}

/// All of them.
pub static ROUTES: &[Route] = &[
    post("/v1/charges", &charges::api::CREATE),
    get("/v1/charges", &charges::api::LIST),
    get("/v1/charges/{charge}", &charges::api::GET),
    post("/v1/charges/{charge}", &charges::api::UPDATE),
    post("/v1/charges/{charge}/capture", &charges::actions::api::CAPTURE),
    post("/v1/charges/{charge}/refund", &charges::actions::api::REFUND),
    post("/v1/charges/{charge}/reauth", &charges::actions::api::REAUTHORIZE),
    post("/v1/plans", &plans::api::CREATE),
    get("/v1/plans", &plans::api::LIST),
    get("/v1/plans/{plan}", &plans::api::GET),
    post("/v1/plans/{plan}", &plans::api::UPDATE),
    delete("/v1/plans/{plan}", &plans::api::DELETE),
    post("/v1/tokens", &tokens::api::CREATE),
    get("/v1/tokens/{token}", &tokens::api::GET),
    post("/v1/customers", &customers::api::CREATE),
    get("/v1/customers", &customers::api::LIST),
    get("/v1/customers/{customer}", &customers::api::GET),
    post("/v1/customers/{customer}", &customers::api::UPDATE),
    delete("/v1/customers/{customer}", &customers::api::DELETE),
    post("/v1/customers/{customer}/cards", &payment_methods::api::CREATE),
    get("/v1/customers/{customer}/cards", &payment_methods::api::LIST),
    get("/v1/customers/{customer}/cards/{card}", &payment_methods::api::GET),
    post("/v1/customers/{customer}/cards/{card}", &payment_methods::api::UPDATE),
    delete("/v1/customers/{customer}/cards/{card}", &payment_methods::api::DELETE),
];
