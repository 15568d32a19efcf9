//! What operations are called in the OpenAPI document: `list_charges`, `create_charge`, `capture_charge`. Client libraries name
//! their functions after it; keep stable.

use serde_json::{Value, json};

use crate::routes::{Method, ROUTES, Route};

/// A part of an address.
enum Part {
    Literal(&'static str),
    Variable(&'static str),
}

fn parts(path: &'static str) -> Vec<Part> {
    let part = |text: &'static str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) => Part::Variable(name),
        None => Part::Literal(text),
    };
    path.trim_start_matches("/v1/").split('/').map(part).collect()
}

/// The variable parts of an address.
pub(super) fn variables(path: &'static str) -> Vec<&'static str> {
    let name = |part| match part {
        Part::Variable(name) => Some(name),
        Part::Literal(_) => None,
    };
    parts(path).into_iter().filter_map(name).collect()
}

/// The name of an operation, from its method and address.
pub fn operation_id(route: &Route) -> String {
    let owners = variables(route.path).join("_");
    let Some(Part::Literal(last)) = parts(route.path).pop() else {
        let verb = match route.method {
            Method::Get => "get",
            Method::Post => "update",
            Method::Delete => "delete",
        };
        return format!("{verb}_{owners}");
    };
    let reading = ROUTES.iter().find(|other| other.path == route.path && other.method == Method::Get);
    let is_list = reading.is_some_and(|reading| reading.operation.answer.is_list());
    let object = route.operation.object;
    let is_plural = last.strip_prefix(object).is_some_and(|ending| ["s", "es"].contains(&ending));
    let one = if is_plural { Some(object) } else { last.strip_suffix('s') };
    let words = match (route.method, reading, one) {
        (Method::Get, _, _) if is_list => ["list", &owners, last],
        (Method::Get, ..) if !owners.is_empty() => ["get", &owners, last],
        (Method::Get, ..) if last.starts_with(object) => ["get", object, ""],
        (Method::Get, ..) => ["get", object, last],
        (Method::Delete, ..) => ["delete", &owners, last],
        // A single object that is always there.
        (Method::Post, Some(_), _) if !is_list => ["update", object, ""],
        (Method::Post, _, Some(one)) => ["create", &owners, one],
        // What is done to an object is called by its word: capture_charge.
        (Method::Post, _, None) if owners.is_empty() => [last, object, ""],
        (Method::Post, _, None) => [last, &owners, ""],
    };
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// The group of an operation: the first part of its address.
pub(super) fn tag(path: &'static str) -> &'static str {
    match parts(path).first() {
        Some(Part::Literal(name) | Part::Variable(name)) => name,
        None => "",
    }
}

/// All groups, in the order of the routes.
pub(super) fn tags() -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for name in ROUTES.iter().map(|route| tag(route.path)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| json!({"name": name})).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let names: BTreeSet<String> = ROUTES.iter().map(operation_id).collect();
        assert_eq!(names.len(), ROUTES.len(), "{names:#?}");
    }

    #[test]
    fn operations_are_called_after_what_they_do() {
        for (method, path, name) in [
            (Method::Get, "/v1/charges", "list_charges"),
            (Method::Post, "/v1/charges", "create_charge"),
            (Method::Get, "/v1/charges/{charge}", "get_charge"),
            (Method::Post, "/v1/charges/{charge}", "update_charge"),
            (Method::Post, "/v1/charges/{charge}/capture", "capture_charge"),
            (Method::Post, "/v1/invoices/{invoice}/mark_paid", "mark_paid_invoice"),
            (Method::Get, "/v1/invoices/preview", "get_invoice_preview"),
            (Method::Get, "/v1/accounts", "get_account"),
            (Method::Get, "/v1/accounts/brands", "get_account_brands"),
            (Method::Get, "/v1/account_settings", "get_account_settings"),
            (Method::Post, "/v1/account_settings", "update_account_settings"),
            (Method::Post, "/v1/tokens", "create_token"),
            (Method::Post, "/v1/plan_switches", "create_plan_switch"),
            (Method::Post, "/v1/plan_switches/preview", "preview_plan_switch"),
            (Method::Delete, "/v1/plans/{plan}", "delete_plan"),
            (Method::Post, "/v1/customers/{customer}/cards", "create_customer_card"),
            (Method::Get, "/v1/customers/{customer}/cards/{card}", "get_customer_card"),
        ] {
            let route = ROUTES.iter().find(|route| route.method == method && route.path == path);
            assert_eq!(route.map(operation_id).as_deref(), Some(name));
        }
    }
}
