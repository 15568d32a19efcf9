//! The installation: its database, schema, derivation key and clock.

use db::{Db, Engine, Error, SchemaState};
use jiff::{SignedDuration, Timestamp};

use super::{Check, store};
use crate::accounts;
use crate::schema::MIGRATIONS;

/// How far the clocks of this machine and of the database may be apart: leases and time-outs are seconds.
const CLOCK_DIFFERENCE_MAX: SignedDuration = SignedDuration::from_secs(2);

pub(super) async fn database(db: &Db) -> Check {
    let name = match db.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    match db.read(store::engine_version).await {
        Ok(version) => Check::ok("database", format!("{name} {version} opens and is set as teiki needs it")),
        Err(error) => Check::failed("database", &error),
    }
}

pub(super) async fn schema(db: &Db) -> Check {
    match db.schema_state(MIGRATIONS).await {
        Ok(SchemaState::Current) => Check::ok("schema", "all migrations are applied"),
        Ok(SchemaState::Empty) => Check::problem(
            "schema",
            "this database has no tables of teiki",
            "correct --database or --data-dir, or begin here: teiki account create 'NAME'",
        ),
        Ok(SchemaState::Older { missing }) => Check::problem(
            "schema",
            format!("migrations are missing: {}", missing.join(", ")),
            "make a backup, then run any other command (teiki status): it applies them",
        ),
        Ok(SchemaState::Newer { unknown }) => Check::problem(
            "schema",
            format!("a newer teiki wrote this database; this one does not know {}", unknown.join(", ")),
            "use that version of teiki",
        ),
        Ok(SchemaState::Changed { name }) => Check::problem(
            "schema",
            format!("the text of migration {name} is not the one this database was made with"),
            "use the released program",
        ),
        Err(error) => Check::failed("schema", &error),
    }
}

pub(super) async fn derivation_key(db: &Db) -> Check {
    match accounts::derivation_key(db).await {
        Ok(_) => Check::ok("derivation key", "is there; it travels with every backup of the database"),
        Err(failure) => Check::problem(
            "derivation key",
            failure.message,
            "charge nothing and restore a backup: with another key a charge could be made twice",
        ),
    }
}

pub(super) async fn clock(db: &Db, now: &impl Fn() -> Timestamp) -> Check {
    let before = now();
    let read = db.read(|tx| Ok::<_, Error>((tx.database_now()?, store::newest_instant(tx)?))).await;
    let after = now();
    match read {
        Ok((database, newest)) => judge_clock((before, after), database, newest),
        Err(error) => Check::failed("clock", &error),
    }
}

/// Compares the real clock, read before and after, with the database's clock and with the newest row.
fn judge_clock((before, after): (Timestamp, Timestamp), database: i64, newest: Option<i64>) -> Check {
    const SET_CLOCKS: &str = "set the clocks of both machines (NTP), before anything is charged";
    let at = |micros: i64| Timestamp::from_microsecond(micros).ok();
    let Some(database) = at(database) else {
        return Check::problem("clock", "the database's clock shows no instant", SET_CLOCKS);
    };
    let ahead = database.duration_since(after);
    let behind = before.duration_since(database);
    if ahead > CLOCK_DIFFERENCE_MAX || behind > CLOCK_DIFFERENCE_MAX {
        return Check::problem(
            "clock",
            format!("this machine shows {after}, the database {database}"),
            SET_CLOCKS,
        );
    }
    match newest.and_then(at) {
        Some(newest) if newest.duration_since(after) > CLOCK_DIFFERENCE_MAX => Check::problem(
            "clock",
            format!(
                "this machine shows {after}, but the newest row was written at {newest}: the clock went back"
            ),
            SET_CLOCKS,
        ),
        Some(_) | None => Check::ok("clock", format!("agrees with the database's and shows {after}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_may_differ_by_two_seconds_and_never_stand_before_the_newest_row() {
        let second = 1_000_000;
        let now = 1_000 * second;
        // (the database's clock, the newest row, level)
        let table = [
            (now, None, Level::Ok),
            (now + 2 * second, None, Level::Ok),
            (now - 2 * second, None, Level::Ok),
            (now + 2 * second + 1, None, Level::Problem),
            (now - 2 * second - 1, None, Level::Problem),
            (i64::MAX, None, Level::Problem),
            (now, Some(now), Level::Ok),
            (now, Some(now + 2 * second), Level::Ok),
            (now, Some(now + 2 * second + 1), Level::Problem),
        ];
        let real = Timestamp::from_microsecond(now).expect("an instant");
        for (database, newest, level) in table {
            assert_eq!(judge_clock((real, real), database, newest).level, level, "{database} {newest:?}");
        }
    }
}
