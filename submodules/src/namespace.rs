//! Namespaces: the names of the modules of an account (`docs/spec/calls.md`, section 1).

use near_account_id::AccountId;
use std::fmt;
use std::str::FromStr;

/// The longest namespace, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 64;

/// The name of a module within its account: `[a-z0-9_]`, at most 64 bytes; the empty one is the default.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, borsh::BorshSerialize)]
pub struct Namespace(String);

/// Why a text is no namespace.
#[derive(
    Clone, Debug, PartialEq, Eq, thiserror::Error, borsh::BorshSerialize, borsh::BorshDeserialize,
)]
pub enum NamespaceError {
    /// It is too long.
    #[error("namespace of {found} bytes: at most {limit} are allowed; shorten the name")]
    TooLong {
        /// Length found, in bytes.
        found: usize,
        /// Length allowed, in bytes.
        limit: usize,
    },
    /// It has a byte that is not allowed.
    #[error(
        "namespace has byte 0x{byte:02x} at position {position}: only a-z, 0-9 and _ are allowed"
    )]
    InvalidByte {
        /// The byte.
        byte: u8,
        /// Where it stands.
        position: usize,
    },
}

impl Namespace {
    /// The default namespace, always public.
    pub const DEFAULT: Namespace = Namespace(String::new());

    /// Takes the bytes a guest, a file or a person gives.
    ///
    /// # Errors
    /// When it is too long or has a byte outside `[a-z0-9_]`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NamespaceError> {
        if bytes.len() > NAMESPACE_BYTES_MAX {
            return Err(NamespaceError::TooLong { found: bytes.len(), limit: NAMESPACE_BYTES_MAX });
        }
        let wrong = |byte: &u8| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if let Some(position) = bytes.iter().position(wrong) {
            return Err(NamespaceError::InvalidByte { byte: bytes[position], position });
        }
        Ok(Self(bytes.iter().map(|byte| char::from(*byte)).collect()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the default namespace.
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }
}

// Bytes from a file or a peer pass the same rule as any other input.
impl borsh::BorshDeserialize for Namespace {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let bytes = Vec::<u8>::deserialize_reader(reader)?;
        Self::from_bytes(&bytes).map_err(|error| {
            borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, error.to_string())
        })
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;
    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A module of an account, in text `alice.near` or `alice.near:swap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId {
    /// The account.
    pub account: AccountId,
    /// The namespace in it.
    pub namespace: Namespace,
}

/// Why a text is no module id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleIdError {
    /// The part before the colon.
    #[error("`{text}` is no account id: {reason}; an account id is like `alice.near`")]
    Account {
        /// What was found.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The part behind the colon.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

impl FromStr for ModuleId {
    type Err = ModuleIdError;
    fn from_str(text: &str) -> Result<Self, ModuleIdError> {
        let (account, namespace) = text.split_once(':').unwrap_or((text, ""));
        let account = account.parse().map_err(|error: near_account_id::ParseAccountError| {
            ModuleIdError::Account { text: account.to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { account, namespace: namespace.parse()? })
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_default() {
            write!(f, "{}", self.account)
        } else {
            write!(f, "{}:{}", self.account, self.namespace)
        }
    }
}

/// Splits the method name of a promise at the first colon: `namespace:method`, or the default namespace.
///
/// # Errors
/// When the part before the colon is no namespace.
pub fn split_method(name: &str) -> Result<(Namespace, &str), NamespaceError> {
    match name.split_once(':') {
        Some((namespace, method)) => Ok((namespace.parse()?, method)),
        None => Ok((Namespace::DEFAULT, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_digits_and_underscore_make_a_namespace() {
        assert!(Namespace::from_bytes(b"").unwrap().is_default());
        assert!(Namespace::from_bytes(b"swap_v2").is_ok());
        for bad in [&b"Swap"[..], b"../x", b"a\0b", b"a:b", b"a.b", "\u{430}".as_bytes(), b"a b"] {
            assert!(Namespace::from_bytes(bad).is_err(), "{bad:?}");
        }
        assert!(Namespace::from_bytes(&[b'a'; 64]).is_ok());
        assert_eq!(
            Namespace::from_bytes(&[b'a'; 65]),
            Err(NamespaceError::TooLong { found: 65, limit: 64 })
        );
    }

    #[test]
    fn a_module_id_reads_as_it_prints() {
        for text in ["alice.near", "alice.near:swap"] {
            assert_eq!(text.parse::<ModuleId>().unwrap().to_string(), text);
        }
        assert!("Alice:x".parse::<ModuleId>().is_err());
    }

    #[test]
    fn a_promise_reaches_a_namespace_through_its_method_name() {
        assert_eq!(split_method("run").unwrap(), (Namespace::DEFAULT, "run"));
        assert_eq!(split_method("swap:run:x").unwrap(), ("swap".parse().unwrap(), "run:x"));
        assert!(split_method("SWAP:run").is_err());
    }
}
