//! What the kernel has of ours, read back.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_core::{
    gateway::{Place, Translation},
    network::{Lock, Opening, Sessions},
    nsg::port::PortRange,
};
use nlink::netlink::nftables::{SetElementData, Table};
use uuid::Uuid;

use crate::{
    screened::{MapOf, Points},
    translated::NatMap,
};

use super::{
    INET, INSTALLATION, SetOf, TABLE, Wire, WireError,
    elements::{decode_lock, decode_opening},
    translations::{decode_silent, decode_translation},
};

/// How often a reading that somebody disturbed is taken again.
const READINGS_MAX: u32 = 10;

/// Our table as it stands, all of it from one generation of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) installation: Option<Uuid>,
    pub(crate) locks: BTreeMap<Lock, Sessions>,
    /// What each opening has left.
    pub(crate) openings: BTreeMap<Opening, Duration>,
    /// Where each translation goes on, and what it has left where it has an end.
    pub(crate) translations: BTreeMap<Translation, (Place, Option<Duration>)>,
    /// Ports that do not answer.
    pub(crate) silent: BTreeMap<IpAddr, PortRange>,
    /// Which maps of translations there are.
    pub(crate) maps: BTreeSet<NatMap>,
    /// Who is sent to which chain. What a stranger put there is sent nowhere we know, and makes it differ.
    pub(crate) points: Points,
    /// How many elements of the maps are not ours.
    pub(crate) strange: usize,
    /// The rules, as the kernel tells them, to find an edited one.
    pub(crate) rules: Vec<(String, Vec<u8>)>,
    /// When this was so.
    pub(crate) generation: u32,
}

impl Wire {
    /// The generation of all rules of this namespace.
    pub(crate) async fn generation(&self) -> Result<u32, WireError> {
        self.nft.generation().await.map_err(WireError::of)
    }

    /// Reads our table; none where there is none.
    pub(crate) async fn survey(&self) -> Result<Option<Survey>, WireError> {
        for _ in 0..READINGS_MAX {
            let generation = self.generation().await?;
            let survey = match self.read(generation).await {
                Ok(survey) => survey,
                // What was listed is gone: somebody is at it.
                Err(WireError::Refused(error)) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            if self.generation().await? == generation {
                return Ok(survey);
            }
        }
        Err(WireError::Raced)
    }

    async fn read(&self, generation: u32) -> Result<Option<Survey>, WireError> {
        if self.table().await?.is_none() {
            return Ok(None);
        }
        let mut survey = Survey { generation, ..Survey::default() };
        for chain in self.nft.list_chains_in(TABLE, INET).await.map_err(WireError::of)? {
            if let Some(id) = chain.name.strip_prefix(INSTALLATION) {
                survey.installation = id.parse().ok();
            }
        }
        for info in self.nft.list_sets_in(TABLE, INET).await.map_err(WireError::of)? {
            if let Some(map) = MapOf::named(&info.name) {
                let elements = self.nft.list_set_elements(TABLE, &info.name, INET).await;
                for element in elements.map_err(WireError::of)? {
                    match map.decode(&element) {
                        Some((key, chain)) => {
                            survey.points.insert((map, key), chain);
                        }
                        None => survey.strange += 1,
                    }
                }
                continue;
            }
            let Some(set) = SetOf::named(&info.name) else { continue };
            if let SetOf::Translations(map) = set {
                survey.maps.insert(map);
            }
            let elements = self.nft.list_set_elements(TABLE, &info.name, INET).await;
            for element in elements.map_err(WireError::of)? {
                match set {
                    SetOf::Locks(family, sessions) => {
                        if let Some(lock) = decode_lock(family, element.key()) {
                            survey.locks.insert(lock, sessions);
                        }
                    }
                    SetOf::Openings(family, length) => {
                        let opening = decode_opening(family, length, element.key());
                        if let (Some(opening), Some(left)) = (opening, element.expiration()) {
                            survey.openings.insert(opening, left);
                        }
                    }
                    SetOf::Translations(map) => {
                        let Some(SetElementData::Value(to)) = element.data() else { continue };
                        match decode_translation(map, element.key(), to) {
                            Some((translation, to)) => {
                                let left = element.expiration();
                                // What has no end in a map of those that end was put there by a stranger.
                                if left.is_some() == map.ends {
                                    survey.translations.insert(translation, (to, left));
                                } else {
                                    survey.strange += 1;
                                }
                            }
                            None => survey.strange += 1,
                        }
                    }
                    SetOf::Silent(family) => match decode_silent(family, &element) {
                        Some((address, ports)) => {
                            survey.silent.insert(address, ports);
                        }
                        None => survey.strange += 1,
                    },
                }
            }
        }
        survey.rules = self.rules().await?;
        Ok(Some(survey))
    }

    /// Our table's own entry.
    pub(crate) async fn table(&self) -> Result<Option<Table>, WireError> {
        let tables = self.nft.list_tables_in(INET).await.map_err(WireError::of)?;
        Ok(tables.into_iter().find(|table| table.name == TABLE))
    }

    /// Our rules, each with its chain, in order.
    pub(crate) async fn rules(&self) -> Result<Vec<(String, Vec<u8>)>, WireError> {
        let rules = self.nft.list_rules(TABLE, INET).await.map_err(WireError::of)?;
        Ok(rules.into_iter().map(|rule| (rule.chain, rule.expression_bytes)).collect())
    }
}
