//! Leases: what a new holder knows of the former ones.

use teiki::leases::{self, Former};

use crate::installation::{Installation, on_both};

/// Takes the lease and gives it back; its number and what was known of former holders.
async fn take(installation: &Installation) -> Option<(i64, Former)> {
    let lease = leases::take(&installation.db, "clock:x").await.expect("nobody else wants it");
    lease.map(|lease| (lease.fence.number, lease.fence.former))
}

#[tokio::test]
async fn a_holder_elsewhere_is_reckoned_with_also_by_those_who_come_later() {
    on_both(async |installation| {
        if take(installation).await.is_none() {
            return; // SQLite: one process charges, and needs no lease.
        }
        assert_eq!(take(installation).await, Some((2, Former::Gone)), "this very process had it");
        let change = async |column, value| {
            installation.change("leases", vec![("name", "clock:x".into())], vec![(column, value)]).await;
        };
        change("holder", "00000000-0000/pid:[1]/7/1".into()).await;
        assert_eq!(take(installation).await, Some((3, Former::MaySend)));
        assert_eq!(take(installation).await, Some((4, Former::MaySend)), "the one before the last may live");
        change("others_until", 0.into()).await;
        assert_eq!(take(installation).await, Some((5, Former::Gone)));
    })
    .await;
}
