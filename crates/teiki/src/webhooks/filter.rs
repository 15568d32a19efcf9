//! Which types of events an endpoint takes, and a list of events shows.
//!
//! Without a list those that PAY.JP has: its SDKs read others as charges. A list names types, all types of one object
//! (`invoice.*`), or all (`*`).

use billing::event::Kind;

/// Longest value of a list, in characters.
pub const VALUE_MAX: usize = 50;
/// Most values of a list: more than there are types.
pub const VALUES_MAX: usize = 60;

/// The types that an endpoint takes. Persisted as a JSON list or null; keep stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Option<Vec<String>>);

impl Filter {
    /// The types that PAY.JP has.
    pub const PAYJP: Self = Self(None);

    /// Those of a list. Error: the value that names no type.
    pub fn of(values: &[String]) -> Result<Self, String> {
        match values.iter().find(|value| !Kind::ALL.iter().any(|kind| is_meant(value, *kind))) {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(Self(Some(values.to_vec()))),
        }
    }

    /// Every value that a list may have.
    pub fn values() -> Vec<String> {
        let mut values: Vec<String> = Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
        for kind in Kind::ALL {
            for (dot, _) in kind.as_str().match_indices('.') {
                let group = format!("{}.*", &kind.as_str()[..dot]);
                if !values.contains(&group) {
                    values.push(group);
                }
            }
        }
        values.push("*".to_owned());
        values
    }

    /// From the stored JSON; `None` if it is none. A type that is not known any more is none that comes.
    pub fn from_stored(text: Option<&str>) -> Option<Self> {
        text.map_or(Some(Self::PAYJP), |text| serde_json::from_str(text).ok().map(|list| Self(Some(list))))
    }

    /// As stored.
    pub fn stored(&self) -> Option<String> {
        self.0.as_ref().map(|list| serde_json::json!(list).to_string())
    }

    /// The list; `None` without one.
    pub fn list(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// Whether an event of this type is sent.
    pub fn takes(&self, kind: Kind) -> bool {
        match &self.0 {
            None => kind.is_payjp(),
            Some(list) => list.iter().any(|value| is_meant(value, kind)),
        }
    }
}

fn is_meant(value: &str, kind: Kind) -> bool {
    match value.strip_suffix('*') {
        None => kind.as_str() == value,
        Some("") => true,
        Some(start) => start.ends_with('.') && kind.as_str().starts_with(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(values: &[&str]) -> Vec<&'static str> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let filter = Filter::of(&values).expect("all are known");
        let again = Filter::from_stored(filter.stored().as_deref());
        assert_eq!(again.as_ref(), Some(&filter), "it is stored as it is");
        Kind::ALL.iter().filter(|kind| filter.takes(**kind)).map(|kind| kind.as_str()).collect()
    }

    #[test]
    fn without_a_list_only_what_payjp_has_is_taken() {
        for kind in Kind::ALL {
            assert_eq!(Filter::PAYJP.takes(*kind), kind.is_payjp(), "{kind:?}");
        }
        assert_eq!(Filter::from_stored(None), Some(Filter::PAYJP));
    }

    #[test]
    fn a_list_takes_what_it_names() {
        let group = Kind::ALL.iter().filter(|kind| kind.is_about_invoice()).map(|kind| kind.as_str());
        let expected: Vec<&str> = std::iter::once("charge.failed").chain(group).collect();
        assert_eq!(taken(&["charge.failed", "invoice.*"]), expected);
        assert_eq!(
            taken(&["customer.card.*"]),
            ["customer.card.created", "customer.card.updated", "customer.card.deleted"]
        );
        assert_eq!(taken(&["charge.failed", "*"]).len(), Kind::ALL.len());
    }

    #[test]
    fn every_value_that_is_published_is_taken() {
        let values = Filter::values();
        let (names, groups) = values.split_at(Kind::ALL.len());
        assert!(names.iter().zip(Kind::ALL).all(|(name, kind)| name == kind.as_str()));
        assert_eq!(groups.first().map(String::as_str), Some("charge.*"));
        assert_eq!(groups.last().map(String::as_str), Some("*"));
        assert!(values.len() <= VALUES_MAX, "one may name them all: {}", values.len());
        assert_eq!(Filter::of(&values).map(|filter| filter.takes(Kind::TestClockReady)), Ok(true));
        assert!(values.iter().all(|value| value.chars().count() <= VALUE_MAX));
    }

    /// The types of a document's table, each with whether it is PAY.JP's.
    fn documented(document: &str) -> Vec<(&str, bool)> {
        let rows = document.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
            let (kind, _, whose) = (cells.next()?.strip_suffix('`')?, cells.next()?, cells.next()?);
            (whose == "PAY.JP" || whose == "teiki").then_some((kind, whose == "PAY.JP"))
        });
        rows.collect()
    }

    #[test]
    fn both_documents_list_every_type_and_whose_it_is() {
        let all: Vec<(&str, bool)> = Kind::ALL.iter().map(|kind| (kind.as_str(), kind.is_payjp())).collect();
        assert_eq!(documented(include_str!("../../../../docs/webhooks.md")), all);
        assert_eq!(documented(include_str!("../../../../docs/webhooks.ja.md")), all);
    }

    #[test]
    fn a_value_that_names_no_type_is_named() {
        for unknown in [
            "",
            "charge",
            "charge.",
            "charge*",
            "cha*",
            "charge.faile",
            "Charge.failed",
            "dispute.*",
            "**",
            "*.failed",
        ] {
            let values = ["charge.failed".to_owned(), unknown.to_owned()];
            assert_eq!(Filter::of(&values), Err(unknown.to_owned()));
        }
    }
}
