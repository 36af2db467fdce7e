//! What is known of an entry of the stack, and of a stack.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::opcode::Op;

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Unknown,
    /// The constant, as a PUSH left it: it may be a return address.
    Pushed(u32),
    /// The constant, computed.
    Number(u32),
    /// One of an interned set of JUMPDESTs.
    Set(u32),
    /// The return address of the function that the tail is of.
    Return,
    /// The return address of a copied function.
    Copied(u32),
}

/// What is below the entries that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tail {
    /// Nothing: the bottom of the stack.
    Bottom,
    /// What the callers of a function have below the return address.
    Of(u32),
    /// Anything.
    Unknown,
}

/// An abstract stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Entries, the top last.
    pub entries: Vec<Known>,
    /// What is below them.
    pub tail: Tail,
}

impl Shape {
    /// Any stack.
    pub const ANY: Self = Self { entries: Vec::new(), tail: Tail::Unknown };
}

/// Whether a stack is that of a copy of a function.
pub fn in_copy(entries: &[Known]) -> bool {
    entries.iter().any(|entry| matches!(entry, Known::Copied(_)))
}

/// Brings entries down to `depth` from the top into a stack; what is below is not known.
pub fn reach(entries: &mut Vec<Known>, depth: usize) {
    if entries.len() < depth {
        let missing = depth - entries.len();
        entries.splice(0..0, core::iter::repeat_n(Known::Unknown, missing));
    }
}

/// What is known of a small result; 32 bits are enough for places in code.
pub fn fold(op: Op, a: Known, b: Known) -> Known {
    let value = |known| match known {
        Known::Pushed(x) | Known::Number(x) => Some(u64::from(x)),
        _ => None,
    };
    if op == Op::And {
        // A mask over all of 32 bits keeps what it masks.
        match (value(a), value(b)) {
            (Some(0xffff_ffff), None) => return b,
            (None, Some(0xffff_ffff)) => return a,
            _ => {}
        }
    }
    let (Some(a), Some(b)) = (value(a), value(b)) else { return Known::Unknown };
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::And => Some(a & b),
        Op::Or => Some(a | b),
        Op::Xor => Some(a ^ b),
        // The shift is the topmost operand.
        Op::Shl if a < 32 => Some(b << a),
        Op::Shr => Some(if a < 64 { b >> a } else { 0 }),
        _ => None,
    };
    result.and_then(|result| u32::try_from(result).ok()).map_or(Known::Unknown, Known::Number)
}

/// Sets, each kept once.
#[derive(Debug, Default)]
pub struct Sets {
    list: Vec<Vec<u32>>,
    ids: BTreeMap<Vec<u32>, u32>,
}

impl Sets {
    /// Members of a set.
    pub fn members(&self, id: u32) -> &[u32] {
        &self.list[id as usize]
    }

    /// The set of these members, in order.
    pub fn intern(&mut self, set: Vec<u32>) -> u32 {
        let list = &mut self.list;
        *self.ids.entry(set).or_insert_with_key(|set| {
            list.push(set.clone());
            list.len() as u32 - 1
        })
    }
}
