//! Writes operators: `wasm_encoder`'s names and bytes, for the operators that this crate has.
//!
//! A module is some hundred thousand operators of two bytes. `wasm_encoder` encodes each number into a buffer and
//! copies that, which was a tenth of a compilation; here bytes are pushed as they come.

use alloc::vec::Vec;

use wasm_encoder::{BlockType, Encode, MemArg};

/// Writes operators behind those that are there.
#[derive(Debug)]
pub struct Sink<'a>(&'a mut Vec<u8>);

/// Operators without immediates, by their byte.
macro_rules! plain {
    ($($name:ident = $byte:literal)*) => {
        $(#[doc = stringify!($name)]
        pub fn $name(&mut self) -> &mut Self {
            self.0.push($byte);
            self
        })*
    };
}

/// Operators with an index.
macro_rules! indexed {
    ($($name:ident = $byte:literal)*) => {
        $(#[doc = stringify!($name)]
        pub fn $name(&mut self, index: u32) -> &mut Self {
            match u8::try_from(index) {
                Ok(index @ ..0x80) => self.0.extend_from_slice(&[$byte, index]),
                _ => {
                    self.0.push($byte);
                    unsigned(self.0, u64::from(index));
                }
            }
            self
        })*
    };
}

/// Loads and stores.
macro_rules! memory {
    ($($name:ident = $byte:literal)*) => {
        $(#[doc = stringify!($name)]
        pub fn $name(&mut self, at: MemArg) -> &mut Self {
            self.0.push($byte);
            self.memory(at)
        })*
    };
}

/// Operators behind a prefix, with their bytes.
macro_rules! prefixed {
    ($($name:ident = $($byte:literal)*;)*) => {
        $(#[doc = stringify!($name)]
        pub fn $name(&mut self) -> &mut Self {
            self.0.extend_from_slice(&[0xfc, $($byte),*]);
            self
        })*
    };
}

impl<'a> Sink<'a> {
    /// Appends to `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes)
    }

    plain! {
        unreachable = 0x00 else_ = 0x05 end = 0x0b return_ = 0x0f drop = 0x1a select = 0x1b
        i32_eqz = 0x45 i32_eq = 0x46 i32_ne = 0x47 i32_lt_s = 0x48 i32_lt_u = 0x49
        i32_gt_u = 0x4b i32_le_u = 0x4d i32_ge_s = 0x4e i32_ge_u = 0x4f
        i64_eqz = 0x50 i64_eq = 0x51 i64_ne = 0x52 i64_lt_s = 0x53 i64_lt_u = 0x54
        i64_gt_u = 0x56 i64_le_s = 0x57 i64_le_u = 0x58 i64_ge_s = 0x59 i64_ge_u = 0x5a
        i32_add = 0x6a i32_sub = 0x6b i32_mul = 0x6c i32_and = 0x71 i32_or = 0x72 i32_xor = 0x73
        i32_shl = 0x74 i32_shr_u = 0x76
        i64_clz = 0x79 i64_ctz = 0x7a i64_popcnt = 0x7b i64_add = 0x7c i64_sub = 0x7d i64_mul = 0x7e
        i64_div_u = 0x80 i64_rem_u = 0x82 i64_and = 0x83 i64_or = 0x84 i64_xor = 0x85 i64_shl = 0x86
        i64_shr_s = 0x87 i64_shr_u = 0x88 i64_rotl = 0x89
        i32_wrap_i64 = 0xa7 i64_extend_i32_u = 0xad
    }

    indexed! {
        br = 0x0c br_if = 0x0d call = 0x10 local_get = 0x20 local_set = 0x21 local_tee = 0x22
        global_get = 0x23 global_set = 0x24 memory_grow = 0x40
    }

    memory! {
        i32_load = 0x28 i64_load = 0x29 i32_load8_u = 0x2d
        i64_load32_u = 0x35 i32_store = 0x36 i64_store = 0x37 i32_store8 = 0x3a i64_store8 = 0x3c
    }

    prefixed! {
        i64_add128 = 0x13;
        i64_sub128 = 0x14;
        i64_mul_wide_u = 0x16;
    }

    /// `block`.
    pub fn block(&mut self, kind: BlockType) -> &mut Self {
        self.opening(0x02, kind)
    }

    /// `loop`.
    pub fn loop_(&mut self, kind: BlockType) -> &mut Self {
        self.opening(0x03, kind)
    }

    /// `if`.
    pub fn if_(&mut self, kind: BlockType) -> &mut Self {
        self.opening(0x04, kind)
    }

    fn opening(&mut self, byte: u8, kind: BlockType) -> &mut Self {
        match kind {
            BlockType::Empty => self.0.extend_from_slice(&[byte, 0x40]),
            _ => {
                self.0.push(byte);
                kind.encode(self.0);
            }
        }
        self
    }

    /// `br_table`.
    pub fn br_table(&mut self, targets: &[u32], default: u32) -> &mut Self {
        self.0.push(0x0e);
        unsigned(self.0, targets.len() as u64);
        for target in targets.iter().chain([&default]) {
            unsigned(self.0, u64::from(*target));
        }
        self
    }

    /// `i32.const`.
    pub fn i32_const(&mut self, value: i32) -> &mut Self {
        self.0.push(0x41);
        self.signed(i64::from(value))
    }

    /// `i64.const`.
    pub fn i64_const(&mut self, value: i64) -> &mut Self {
        self.0.push(0x42);
        self.signed(value)
    }

    /// `memory.size`.
    pub fn memory_size(&mut self, memory: u32) -> &mut Self {
        self.0.push(0x3f);
        unsigned(self.0, u64::from(memory));
        self
    }

    /// `memory.init`.
    pub fn memory_init(&mut self, memory: u32, data: u32) -> &mut Self {
        self.0.extend_from_slice(&[0xfc, 0x08]);
        unsigned(self.0, u64::from(data));
        unsigned(self.0, u64::from(memory));
        self
    }

    /// `memory.copy`.
    pub fn memory_copy(&mut self, to: u32, from: u32) -> &mut Self {
        self.0.extend_from_slice(&[0xfc, 0x0a]);
        unsigned(self.0, u64::from(to));
        unsigned(self.0, u64::from(from));
        self
    }

    /// `memory.fill`.
    pub fn memory_fill(&mut self, memory: u32) -> &mut Self {
        self.0.extend_from_slice(&[0xfc, 0x0b]);
        unsigned(self.0, u64::from(memory));
        self
    }

    fn memory(&mut self, at: MemArg) -> &mut Self {
        // Of the only memory: the alignment has no flag.
        unsigned(self.0, u64::from(at.align));
        unsigned(self.0, at.offset);
        self
    }

    fn signed(&mut self, mut value: i64) -> &mut Self {
        while !(-0x40..0x40).contains(&value) {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8 & 0x7f);
        self
    }
}

/// Writes a number in LEB128.
pub fn unsigned(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
