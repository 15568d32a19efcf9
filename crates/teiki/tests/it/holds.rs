//! `teiki hold`: placing, showing and releasing stops.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use billing::id::AccountId;
use db::Error;
use jiff::Timestamp;
use serde_json::json;
use teiki::actor::Actor;
use teiki::holds;

use crate::installation::{Side, on_both};

fn id(side: &Side) -> AccountId {
    side.account.parse().unwrap()
}

#[tokio::test]
async fn a_hold_stops_its_account_and_the_first_one_stays() {
    on_both(async |installation| {
        let (side, other) = (installation.account("A").await, installation.account("B").await);
        let (held, free) = (id(&side), id(&other));
        let now = Timestamp::from_second(5).unwrap();
        let placed = installation.db.write(move |tx| {
            let scope = held.to_string();
            let first = holds::place(tx, &scope, "guard: too many", Actor::Guard, now)?;
            Ok::<_, Error>((first, holds::place(tx, &scope, "other", Actor::Operator, now)?))
        });
        assert_eq!(placed.await.unwrap(), (true, false));
        let active =
            move |tx: &mut db::Tx<'_>| Ok::<_, Error>((holds::active(tx, held)?, holds::active(tx, free)?));
        let (found, none) = installation.db.read(active).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.scope.as_str(), found.reason.as_str()), (side.account.as_str(), "guard: too many"));
        assert_eq!((found.actor.as_str(), found.placed_at, none), ("guard", now, None));
        let all = installation.db.write(move |tx| holds::place(tx, holds::ALL, "stop", Actor::Operator, now));
        assert!(all.await.unwrap());
        let (first, second) = installation.db.read(active).await.unwrap();
        assert_eq!((first.unwrap().scope, second.unwrap().scope), ("all".to_owned(), "all".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn the_command_places_shows_and_releases_holds() {
    on_both(async |installation| {
        let account = installation.account("みどり農園").await.account;
        let account = account.as_str();
        let run = |arguments: &[&str]| installation.run(&[&["hold"], arguments].concat());
        assert_eq!(run(&[]).text(), "Nothing is held: charging runs for every account.\n");
        assert_eq!(run(&["--json"]).json(), json!({"holds": []}));

        let on = run(&["on", "--account", account, "--reason", "prices are wrong", "--json"]).json();
        assert_eq!((&on["changed"], &on["hold"]["scope"]), (&json!(true), &json!(account)));
        assert_eq!(
            (&on["hold"]["reason"], &on["hold"]["actor"]),
            (&json!("prices are wrong"), &json!("operator"))
        );
        let again = run(&["on", "--account", account, "--reason", "another"]);
        assert!(again.text().contains("held already") && again.out.contains("prices are wrong"), "{again:?}");
        assert!(!again.out.contains("another"));
        assert!(run(&["on"]).text().contains("Charging is now held for every account"));

        let shown = run(&["status"]);
        let [first, second] =
            ["Held: every account", "Held: account acct_"].map(|text| shown.text().find(text).unwrap());
        assert!(first < second);
        assert_eq!(run(&["--json"]).json()["holds"][1]["since"], on["hold"]["since"]);

        let off = run(&["off", "--account", account]);
        assert!(off.text().contains("Released") && off.out.contains("Still held: every account"), "{off:?}");
        let off = run(&["off", "--json"]).json();
        assert_eq!(
            (&off["scope"], &off["released"]["scope"], &off["remaining"]),
            (&json!("all"), &json!("all"), &json!([]))
        );
        let none = run(&["off"]);
        assert!(none.text().contains("There was no hold of every account; nothing changed."), "{none:?}");
        assert_eq!(run(&["off", "--account", account, "--json"]).json()["released"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn a_hold_of_nobody_or_without_a_reason_is_refused() {
    on_both(async |installation| {
        let missing = installation.run(&["hold", "on", "--account", "acct_0000000000000000000000000aa"]);
        assert_eq!((missing.code, missing.out.as_str()), (2, ""), "{missing:?}");
        assert!(
            missing.error.contains("there is no account acct_0000000000000000000000000aa"),
            "{missing:?}"
        );
        assert_eq!(installation.run(&["hold", "off", "--account", "x"]).code, 2);
        assert_eq!(installation.run(&["hold", "on", "--reason", " "]).code, 2);
        assert_eq!(installation.run(&["hold", "--json"]).json(), json!({"holds": []}));
    })
    .await;
}
