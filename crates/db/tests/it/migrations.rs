//! Migrations: once, in order, whole, and never backwards.

use db::{Engine, Error, MigrateError, Migration, SchemaState};

use crate::support::{TestDatabase, count, execute, on_both};

const SECOND: Migration = Migration {
    name: "0002_second",
    only: None,
    sql: "create table second (id BIGINT primary key, bytes BYTEA); -- ; a comment
          insert into second (id) values (1); insert into second (id) values (2);",
};
const ONLY_POSTGRES: Migration = Migration {
    name: "0003_postgres",
    only: Some(Engine::Postgres),
    sql: "create table p (id BIGINT primary key)",
};
const ONLY_SQLITE: Migration = Migration {
    name: "0003_sqlite",
    only: Some(Engine::Sqlite),
    sql: "create table s (id BIGINT primary key)",
};
const FIRST: Migration = crate::support::SCHEMA;

#[tokio::test]
async fn missing_migrations_are_applied_once_in_order() {
    on_both(async |db| {
        let all = [FIRST, SECOND, ONLY_POSTGRES, ONLY_SQLITE];
        let third = if db.engine() == Engine::Sqlite { "0003_sqlite" } else { "0003_postgres" };
        let missing = vec!["0002_second", third];
        assert_eq!(db.schema_state(&all).await.unwrap(), SchemaState::Older { missing: missing.clone() });
        assert_eq!(db.migrate(&all).await.unwrap().applied, missing);
        assert_eq!(db.schema_state(&all).await.unwrap(), SchemaState::Current);
        assert!(db.migrate(&all).await.unwrap().applied.is_empty());
        assert_eq!(count(&db, "select count(*) from second").await, 2);
        assert_eq!(count(&db, "select count(*) from _migrations where applied_at > 0").await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_new_database_is_empty() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let db = database.open_empty().await;
        assert_eq!(db.schema_state(&[FIRST]).await.unwrap(), SchemaState::Empty);
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    on_both(async |db| {
        db.migrate(&[FIRST, SECOND]).await.unwrap();
        let unknown = vec!["0002_second".to_owned()];
        assert_eq!(db.schema_state(&[FIRST]).await.unwrap(), SchemaState::Newer { unknown });
        let error = db.migrate(&[FIRST]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "this database was written by a newer teiki (it has 0002_second): use that version"
        );
    })
    .await;
}

#[tokio::test]
async fn a_migration_whose_text_changed_is_refused_by_name() {
    on_both(async |db| {
        let changed = Migration { sql: "create table other (id BIGINT primary key)", ..FIRST };
        assert_eq!(db.schema_state(&[changed]).await.unwrap(), SchemaState::Changed { name: "0001_test" });
        let error = db.migrate(&[changed, SECOND]).await.unwrap_err();
        assert!(matches!(error, MigrateError::Changed { name: "0001_test" }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_migration_leaves_nothing() {
    on_both(async |db| {
        let broken = Migration {
            name: "0002_broken",
            only: None,
            sql: "create table half (id BIGINT primary key); insert into nowhere (id) values (1);",
        };
        let error = db.migrate(&[FIRST, broken]).await.unwrap_err();
        assert!(matches!(&error, MigrateError::Failed { name: "0002_broken", .. }), "{error:?}");
        assert!(matches!(execute(&db, "select id from half").await, Err(Error::Internal { .. })));
        assert_eq!(db.schema_state(&[FIRST]).await.unwrap(), SchemaState::Current);
    })
    .await;
}

#[tokio::test]
async fn two_starters_at_once_apply_each_migration_once() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let (one, other) = (database.open_empty().await, database.open_empty().await);
        let all = [FIRST, SECOND];
        let (one, other) = tokio::join!(one.migrate(&all), other.migrate(&all));
        assert_eq!(one.unwrap().applied.len() + other.unwrap().applied.len(), 2);
    }
}

#[tokio::test]
async fn a_clustered_table_has_no_row_id_on_sqlite() {
    let database = TestDatabase::sqlite();
    let db = database.open().await;
    assert!(execute(&db, "select rowid from parent").await.is_err());
    let sql = "select type from pragma_table_info('parent') where name = 'bytes'";
    assert_eq!(db.read(move |tx| tx.query_one(sql, &[])?.text(0)).await.unwrap(), "BLOB");
}

#[tokio::test]
async fn texts_are_ordered_by_their_bytes_whatever_the_language_of_the_database() {
    const WORDS: Migration = Migration {
        name: "0002_words",
        only: None,
        sql: "create table words (word TEXT primary key);
              insert into words (word) values ('b'), ('B'), ('_'), ('a-'), ('aa'), ('あ'), ('é'), ('z')",
    };
    let test = async |db: db::Db| {
        db.migrate(&[FIRST, WORDS]).await.unwrap();
        let words = db.read(|tx| {
            let rows = tx.query("select word from words order by word", &[])?;
            rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, Error>>()
        });
        assert_eq!(words.await.unwrap(), ["B", "_", "a-", "aa", "b", "z", "é", "あ"]);
    };
    on_both(&test).await;
    let japanese = TestDatabase::postgres_with("locale_provider icu icu_locale 'ja-JP'");
    test(japanese.open().await).await;
}
