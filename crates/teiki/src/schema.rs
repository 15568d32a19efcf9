//! The migrations, built into the binary. Never edited after release.

use db::{Engine, Migration};

/// All migrations in order. A text for one engine stands beside its sibling for the other.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_core", only: None, sql: include_str!("../../../migrations/0001_core.sql") },
    Migration {
        name: "0002_installation_key",
        only: Some(Engine::Sqlite),
        sql: include_str!("../../../migrations/0002_installation_key.sqlite.sql"),
    },
    Migration {
        name: "0002_installation_key",
        only: Some(Engine::Postgres),
        sql: include_str!("../../../migrations/0002_installation_key.postgres.sql"),
    },
    Migration {
        name: "0003_keys_last",
        only: Some(Engine::Postgres),
        sql: include_str!("../../../migrations/0003_keys_last.postgres.sql"),
    },
    Migration {
        name: "0004_switches_begun",
        only: None,
        sql: include_str!("../../../migrations/0004_switches_begun.sql"),
    },
    Migration {
        name: "0005_tokens_by_card",
        only: None,
        sql: include_str!("../../../migrations/0005_tokens_by_card.sql"),
    },
    Migration {
        name: "0006_events_by_type",
        only: None,
        sql: include_str!("../../../migrations/0006_events_by_type.sql"),
    },
    // After a new index: SQLite's numbers, and PostgreSQL's keys again.
    Migration {
        name: "0007_keys_last",
        only: Some(Engine::Postgres),
        sql: include_str!("../../../migrations/0003_keys_last.postgres.sql"),
    },
    Migration {
        name: "0007_statistics",
        only: Some(Engine::Sqlite),
        sql: include_str!("../../../migrations/0007_statistics.sqlite.sql"),
    },
    Migration {
        name: "0008_room_for_updates",
        only: Some(Engine::Postgres),
        sql: include_str!("../../../migrations/0008_room_for_updates.postgres.sql"),
    },
];
