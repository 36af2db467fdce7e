//! Storage for modules that have none: what an app asks its parent by `callback`, and what it is answered.
//!
//! The protocol of the `apps` contract, here because both sides need it; in borsh. It is a convention between
//! guests, the host knows nothing of it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Reader, write_bytes};

/// What an app asks for. Keys are the app's own: the parent puts them under the app's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// The value of a key.
    Read {
        /// The app's key.
        key: &'a [u8],
    },
    /// A new value for a key.
    Write {
        /// The app's key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// A key to forget.
    Remove {
        /// The app's key.
        key: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// The borsh of the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Read { key } => {
                bytes.push(0);
                write_bytes(key, &mut bytes);
            }
            Self::Write { key, value } => {
                bytes.push(1);
                write_bytes(key, &mut bytes);
                write_bytes(value, &mut bytes);
            }
            Self::Remove { key } => {
                bytes.push(2);
                write_bytes(key, &mut bytes);
            }
        }
        bytes
    }

    /// Reads a request; `None` for anything else, and for a request with bytes after it.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let request = match reader.u8()? {
            0 => Self::Read { key: reader.bytes()? },
            1 => Self::Write { key: reader.bytes()?, value: reader.bytes()? },
            2 => Self::Remove { key: reader.bytes()? },
            _ => return None,
        };
        reader.is_empty().then_some(request)
    }
}

/// What the parent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done; the value the key has (read) or had (write, remove).
    Value(Option<Vec<u8>>),
    /// Not done, and why.
    Refused(String),
}

impl Answer {
    /// The borsh of the answer.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Value(None) => alloc::vec![0, 0],
            Self::Value(Some(value)) => {
                let mut bytes = alloc::vec![0, 1];
                write_bytes(value, &mut bytes);
                bytes
            }
            Self::Refused(reason) => {
                let mut bytes = alloc::vec![1];
                write_bytes(reason.as_bytes(), &mut bytes);
                bytes
            }
        }
    }

    /// Reads an answer; `None` for anything else, and for an answer with bytes after it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let answer = match reader.u8()? {
            0 => match reader.u8()? {
                0 => Self::Value(None),
                1 => Self::Value(Some(reader.bytes()?.to_vec())),
                _ => return None,
            },
            1 => Self::Refused(reader.string()?),
            _ => return None,
        };
        reader.is_empty().then_some(answer)
    }
}

/// Asks the parent and waits for its answer. A parent that answers something else ends the call.
pub fn ask(request: Request<'_>) -> Answer {
    match Answer::decode(&crate::callback(&request.encode())) {
        Some(answer) => answer,
        None => crate::panic("the parent's answer is none"),
    }
}
