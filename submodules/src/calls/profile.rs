//! What gas was spent on: a few parts that add up. Never consensus data.

use super::{CallNode, GasSplit};
use crate::Visibility;
use crate::table::{Group, HOST_FUNCTIONS, HostFunction, Provider};
use serde::{Serialize, Serializer};
use std::fmt;
use std::ops::{Add, AddAssign};

/// What gas is spent on (`docs/spec/gas.md`, "What gas is spent on"). Each unit is of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GasPart {
    /// Wasm instructions, counted by the module's own meter.
    Wasm,
    /// Host functions that are of no other part, send fees of the actions they create among them.
    Host,
    /// Host functions that hash, check signatures or compute on curves (the group `crypto`).
    Crypto,
    /// Sync calls: opening, switching, the bytes that cross, registers and memory of private modules.
    Sync,
    /// Contract loading.
    Loading,
    /// Fees of the receipt and of its actions.
    Fees,
}

impl GasPart {
    /// All of them, in the order of a [`GasProfile`].
    pub const ALL: [GasPart; 6] = [
        GasPart::Wasm,
        GasPart::Host,
        GasPart::Crypto,
        GasPart::Sync,
        GasPart::Loading,
        GasPart::Fees,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            GasPart::Wasm => "wasm",
            GasPart::Host => "host",
            GasPart::Crypto => "crypto",
            GasPart::Sync => "sync",
            GasPart::Loading => "loading",
            GasPart::Fees => "fees",
        }
    }

    /// The part of a host function in a frame of this kind. The core functions of a private frame are over
    /// registers of ours, at prices of sync calls.
    pub fn of(function: &HostFunction, visibility: Visibility) -> Self {
        let ours = function.provider == Provider::Cotenant || visibility == Visibility::Private;
        match function.group {
            Group::Crypto => GasPart::Crypto,
            Group::Nested => GasPart::Sync,
            Group::Core if ours => GasPart::Sync,
            Group::Core | Group::End | Group::Context | Group::Log | Group::PublicOnly => {
                GasPart::Host
            }
        }
    }
}

/// Gas by part, in units of gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GasProfile {
    parts: [u64; GasPart::ALL.len()],
}

impl GasProfile {
    /// Gas of one part.
    pub fn part(&self, part: GasPart) -> u64 {
        self.parts[part as usize]
    }

    /// Counts gas in.
    pub fn count(&mut self, part: GasPart, gas: u64) {
        let sum = &mut self.parts[part as usize];
        *sum = sum.saturating_add(gas);
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum, gas| sum.saturating_add(*gas))
    }
}

impl fmt::Display for GasProfile {
    /// Each part that is not zero with its gas in units: `wasm 1200 + fees 300 = 1500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = GasPart::ALL.into_iter().filter(|part| self.part(*part) > 0);
        for (position, part) in parts.enumerate() {
            let plus = if position > 0 { " + " } else { "" };
            write!(f, "{plus}{} {}", part.name(), self.part(part))?;
        }
        let equals = if self.total() > 0 { " = " } else { "" };
        write!(f, "{equals}{}", self.total())
    }
}

impl Serialize for GasProfile {
    /// An object: the name of each part with its gas, in units.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(GasPart::ALL.map(|part| (part.name(), self.part(part))))
    }
}

impl AddAssign for GasProfile {
    fn add_assign(&mut self, other: Self) {
        GasPart::ALL.into_iter().for_each(|part| self.count(part, other.part(part)));
    }
}

impl Add for GasProfile {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl GasSplit {
    /// The split of a frame of this kind by part.
    pub fn profile(&self, visibility: Visibility) -> GasProfile {
        let mut profile = GasProfile::default();
        profile.count(GasPart::Wasm, self.wasm);
        profile.count(GasPart::Loading, self.loading);
        profile.count(GasPart::Sync, self.memory);
        for (name, usage) in &self.host {
            let row = HOST_FUNCTIONS.iter().find(|row| row.name == *name);
            let part = row.map_or(GasPart::Host, |row| GasPart::of(row, visibility));
            profile.count(part, usage.gas);
        }
        profile
    }
}

impl CallNode {
    /// What the frame alone spent gas on, without its callees.
    pub fn own_profile(&self) -> GasProfile {
        self.split.profile(self.visibility)
    }

    /// What the frame and all below it spent gas on. Adds up to `gas_burnt`.
    pub fn profile(&self) -> GasProfile {
        let mut sum = GasProfile::default();
        let mut nodes = vec![self];
        while let Some(node) = nodes.pop() {
            sum += node.own_profile();
            nodes.extend(&node.callees);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::HostUse;

    #[test]
    fn parts_are_in_the_order_of_the_list() {
        for (position, part) in GasPart::ALL.into_iter().enumerate() {
            assert_eq!(part as usize, position, "{}", part.name());
        }
    }

    #[test]
    fn a_core_function_is_a_hosts_in_a_public_frame_and_a_sync_calls_in_a_private_one() {
        let usage = HostUse { calls: 1, gas: 7 };
        let host = [("input", usage), ("callback", usage), ("sha256", usage)].into();
        let split = GasSplit { loading: 1, wasm: 2, memory: 3, host };
        let parts = |visibility| GasPart::ALL.map(|part| split.profile(visibility).part(part));
        assert_eq!(parts(Visibility::Public), [2, 7, 7, 10, 1, 0]);
        assert_eq!(parts(Visibility::Private), [2, 0, 7, 17, 1, 0]);
        assert_eq!(split.profile(Visibility::Public).total(), split.total());
    }

    #[test]
    fn a_profile_is_shown_with_the_names_of_its_parts() {
        let mut profile = GasProfile::default();
        assert_eq!(profile.to_string(), "0");
        profile.count(GasPart::Wasm, 1_200);
        profile.count(GasPart::Fees, 300);
        assert_eq!(profile.to_string(), "wasm 1200 + fees 300 = 1500");
    }
}
