//! What a module is and what it needs: visibility, capabilities, grants (`docs/spec/calls.md`, sections 1-4).

use crate::table::{Group, HostFunction};
use std::fmt;

/// Whether a module is callable from outside its account.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    borsh::BorshSerialize,
    borsh::BorshDeserialize,
)]
#[borsh(use_discriminant = false)]
pub enum Visibility {
    /// Callable by a `FunctionCall` action from anyone and by a sync call from its own account.
    Public,
    /// Callable only by a sync call from a module of the same account.
    Private,
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
        })
    }
}

/// A group of host functions that a caller may grant to a private callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Hashes and signatures.
    Crypto,
    /// Block, account ids, namespaces, randomness.
    Context,
    /// Logs.
    Log,
    /// Sync calls of its own.
    Nested,
}

impl Capability {
    /// All of them, in the order of their bits.
    pub const ALL: [Capability; 4] =
        [Capability::Crypto, Capability::Context, Capability::Log, Capability::Nested];

    /// The name used in errors and by the command line.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Crypto => "crypto",
            Capability::Context => "context",
            Capability::Log => "log",
            Capability::Nested => "nested",
        }
    }

    /// The capability that a group of functions needs in a private module; `None` if it needs none or if no
    /// grant can give it.
    pub fn of_group(group: Group) -> Option<Self> {
        match group {
            Group::Crypto => Some(Capability::Crypto),
            Group::Context => Some(Capability::Context),
            Group::Log => Some(Capability::Log),
            Group::Nested => Some(Capability::Nested),
            Group::Core | Group::End | Group::PublicOnly => None,
        }
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// A set of capabilities: what a private module requires, or what its caller grants.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    PartialOrd,
    Ord,
    borsh::BorshSerialize,
    borsh::BorshDeserialize,
)]
pub struct Grants(u64);

impl Grants {
    /// Nothing.
    pub const NONE: Grants = Grants(0);
    /// Everything that can be granted.
    pub const ALL: Grants = Grants(0b1111);

    /// Takes the bits of a call: bit 0 crypto, 1 context, 2 log, 3 nested. `None` for any other bit.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    /// The bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// This set and one more.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// Whether a capability is in the set.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// What both sets have: grants attenuate.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The first capability of this set that `granted` lacks.
    pub fn missing_from(self, granted: Self) -> Option<Capability> {
        Capability::ALL.into_iter().find(|c| self.has(*c) && !granted.has(*c))
    }

    /// The capabilities in the set.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |c| self.has(*c))
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Capability::name).collect();
        f.write_str(if names.is_empty() { "none".into() } else { names.join(", ") }.as_str())
    }
}

/// What a module requires of its caller, read from its imports.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Requirements {
    /// Capabilities that a private deployment must be granted.
    pub grants: Grants,
    /// Imports that make the code ineligible as a private module.
    pub public_only: Vec<&'static str>,
}

impl Requirements {
    /// Reads the requirements from imported functions.
    pub fn of<'a>(imports: impl IntoIterator<Item = &'a HostFunction>) -> Self {
        let mut requirements = Self::default();
        for row in imports {
            if let Some(capability) = Capability::of_group(row.group) {
                requirements.grants = requirements.grants.with(capability);
            } else if row.group == Group::PublicOnly {
                requirements.public_only.push(row.name);
            }
        }
        requirements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_the_bits_of_the_specification() {
        assert_eq!(Grants::from_bits(0b1001).unwrap().to_string(), "crypto, nested");
        assert_eq!(Grants::from_bits(0b1_0000), None);
        assert_eq!(Grants::from_bits(u64::MAX), None);
    }

    #[test]
    fn what_is_required_and_not_granted_is_named() {
        let required = Grants::NONE.with(Capability::Log).with(Capability::Crypto);
        let granted = Grants::NONE.with(Capability::Crypto);
        assert_eq!(required.missing_from(granted), Some(Capability::Log));
        assert_eq!(required.missing_from(Grants::ALL), None);
    }

    #[test]
    fn requirements_come_from_imports() {
        let rows = ["input", "sha256", "storage_read"].map(|n| HostFunction::by_name(n).unwrap());
        let found = Requirements::of(rows);
        assert_eq!(found.grants, Grants::NONE.with(Capability::Crypto));
        assert_eq!(found.public_only, ["storage_read"]);
    }
}
