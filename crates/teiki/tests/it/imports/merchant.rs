//! A merchant who imports: a place of its own with an account, and `teiki import` of two files there.

use crate::place::{Place, Ran};

pub(crate) struct Merchant {
    pub(crate) place: Place,
    pub(crate) account: String,
}

impl Merchant {
    pub(crate) fn on_sqlite() -> Self {
        Self::at(Place::sqlite())
    }

    pub(crate) fn on_postgres() -> Self {
        Self::at(Place::postgres())
    }

    fn at(place: Place) -> Self {
        let account = create_account(&place);
        Self { place, account }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.place.run(arguments)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.place.write(name, content);
    }

    /// `teiki import` of plans.csv and subscribers.csv with more arguments.
    pub(crate) fn import(&self, more: &[&str]) -> Ran {
        let files = [
            "import",
            "--plans",
            "plans.csv",
            "--subscribers",
            "subscribers.csv",
            "--account",
            &self.account,
        ];
        self.run(&[&files, more].concat())
    }
}

/// Makes the database, if there is none.
pub(crate) fn create_account(place: &Place) -> String {
    let created = place.run(&["account", "create", "みどり農園", "--json"]).json();
    created["account"].as_str().expect("an account").to_owned()
}

impl Ran {
    /// The counts of a JSON answer: plans, subscribers (new, unchanged each) and new customers.
    pub(crate) fn counts(&self) -> (i64, i64, i64, i64, i64) {
        assert_eq!(self.code, 0, "{}", self.error);
        let report = self.json();
        let number = |path: &str| report.pointer(path).and_then(serde_json::Value::as_i64).expect("a count");
        (
            number("/plans/new"),
            number("/plans/unchanged"),
            number("/subscribers/new"),
            number("/subscribers/unchanged"),
            number("/customers/new"),
        )
    }

    /// The lines of a refusal after its first sentence.
    pub(crate) fn problems(&self) -> Vec<&str> {
        assert_eq!(self.code, 2, "{self:?}");
        let mut lines = self.error.lines();
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("teiki: nothing was imported, for the files have "), "{}", self.error);
        lines.collect()
    }
}
