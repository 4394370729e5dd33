//! The tiers of plans that were set, as rows.

use hourgate_core::{
    id::SubscriptionId,
    pricing::{Pricings, Tier},
};
use rusqlite::{Connection, params};

use super::{Result, load::all, rows};

/// Every one.
pub(super) fn every(db: &Connection) -> Result<Pricings> {
    let found = all(db, "SELECT subscription, tier FROM pricing", [], |row| {
        let id: SubscriptionId = row.text(0)?.parse().map_err(rows::damaged)?;
        let tier = match row.text(1)? {
            "Free" => Tier::Free,
            "Standard" => Tier::Standard,
            other => return Err(rows::damaged(format!("the tier {other}"))),
        };
        Ok((id, tier))
    })?;
    Ok(found.into_iter().collect())
}

/// Writes a tier as it is now.
pub(super) fn put(db: &Connection, subscription: SubscriptionId, tier: Tier) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO pricing (subscription, tier) VALUES (?1, ?2) \
         ON CONFLICT (subscription) DO UPDATE SET tier = excluded.tier",
    )?
    .execute(params![subscription.to_string(), tier.as_str()])?;
    Ok(())
}
