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

/// What a deploy action may put its module in the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Replace {
    /// Nothing: the namespace has to be free.
    Nothing,
    /// A private module, never a public one: for contracts that let others deploy.
    Private,
    /// Whatever is there.
    Any,
}

impl Replace {
    /// Whether a module of this visibility may be replaced.
    pub fn allows(self, there: Visibility) -> bool {
        match self {
            Replace::Nothing => false,
            Replace::Private => there == Visibility::Private,
            Replace::Any => true,
        }
    }
}

/// As what a module is deployed, and in whose place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeployMode {
    /// Public or private.
    pub visibility: Visibility,
    /// What it may replace.
    pub replace: Replace,
}

impl DeployMode {
    /// Takes the flags of a deploy function: bit 0 private, bit 1 it may replace a private module, bit 2 a public one
    /// too. `None` for any other bit, and for bit 2 without bit 1: who may replace a public module may replace any.
    pub fn from_flags(flags: u64) -> Option<Self> {
        let visibility = if flags & 1 == 0 { Visibility::Public } else { Visibility::Private };
        let replace = match flags & !1 {
            0b000 => Replace::Nothing,
            0b010 => Replace::Private,
            0b110 => Replace::Any,
            _ => return None,
        };
        Some(Self { visibility, replace })
    }
}

// One byte in a stored receipt. 0 and 1 are what receipts had before there was a choice: the visibility alone, of a deploy
// that replaced anything.
impl borsh::BorshSerialize for DeployMode {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        let replace = match self.replace {
            Replace::Any => 0u8,
            Replace::Nothing => 1,
            Replace::Private => 2,
        };
        (u8::from(self.visibility == Visibility::Private) | replace << 1).serialize(writer)
    }
}

impl borsh::BorshDeserialize for DeployMode {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let byte = u8::deserialize_reader(reader)?;
        let replace = match byte >> 1 {
            0 => Replace::Any,
            1 => Replace::Nothing,
            2 => Replace::Private,
            _ => {
                let message = format!("{byte} is no mode of a deploy");
                return Err(borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, message));
            }
        };
        let visibility = if byte & 1 == 0 { Visibility::Public } else { Visibility::Private };
        Ok(Self { visibility, replace })
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

/// A set of capabilities: what a private module requires, or what its caller grants. A caller's set may say besides that
/// it means to reach a public module too ([`Grants::PUBLIC`]).
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
    /// Everything that can be granted to a private module.
    pub const ALL: Grants = Grants(0b1111);
    /// Says that a public callee is meant too. Nothing that a callee gets: a private frame never has it, and what
    /// intersects with [`Grants::ALL`] loses it.
    pub const PUBLIC: Grants = Grants(0b1_0000);

    /// Takes the bits of a call: bit 0 crypto, 1 context, 2 log, 3 nested, 4 public. `None` for any other bit.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits & !(Self::ALL.0 | Self::PUBLIC.0) == 0).then_some(Self(bits))
    }

    /// This set, for a call that may reach a public module too.
    #[must_use]
    pub fn with_public(self) -> Self {
        Self(self.0 | Self::PUBLIC.0)
    }

    /// Whether a public callee is meant too.
    pub fn reaches_public(self) -> bool {
        self.0 & Self::PUBLIC.0 != 0
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
        let public = self.reaches_public().then_some("Public");
        f.debug_set().entries(self.iter()).entries(public).finish()
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = self.reaches_public().then_some("public");
        let names: Vec<_> = self.iter().map(Capability::name).chain(public).collect();
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
        assert_eq!(Grants::from_bits(0b1_0001).unwrap().to_string(), "crypto, public");
        assert_eq!(Grants::from_bits(0b10_0000), None);
        assert_eq!(Grants::from_bits(u64::MAX), None);
        assert!(!Grants::ALL.reaches_public());
        assert!(!Grants::ALL.with_public().intersect(Grants::ALL).reaches_public());
    }

    #[test]
    fn a_deploy_mode_keeps_its_bytes_and_flags_mean_one_thing() {
        use borsh::BorshDeserialize as _;
        let mut bytes = std::collections::BTreeSet::new();
        for visibility in [Visibility::Public, Visibility::Private] {
            for replace in [Replace::Nothing, Replace::Private, Replace::Any] {
                let mode = DeployMode { visibility, replace };
                let stored = borsh::to_vec(&mode).unwrap();
                assert_eq!(DeployMode::try_from_slice(&stored).unwrap(), mode);
                assert!(bytes.insert(stored));
            }
        }
        // Before there was a choice the byte was the visibility, and a deploy replaced anything.
        for visibility in [Visibility::Public, Visibility::Private] {
            let before = borsh::to_vec(&visibility).unwrap();
            let mode = DeployMode::try_from_slice(&before).unwrap();
            assert_eq!(mode, DeployMode { visibility, replace: Replace::Any });
        }
        let modes: Vec<_> = (0..64).filter_map(DeployMode::from_flags).collect();
        assert_eq!(modes.len(), 6);
        for refused in [0b100, 0b101, 0b1000, u64::MAX] {
            assert_eq!(DeployMode::from_flags(refused), None);
        }
        assert!((6..=u8::MAX).all(|byte| DeployMode::try_from_slice(&[byte]).is_err()));
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
