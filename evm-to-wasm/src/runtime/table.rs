//! The table of runtime functions: name, type, what it calls, what it imports, who writes its body.

use super::code::Code;
use super::{Import, Setup, Signature};

/// One list, many readers: the enum and everything asked about its variants.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($params:literal -> $results:literal)
        calls [$($callee:ident)*] imports [$($import:ident)*] in $body:path;)*) => {
        /// A runtime function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Function {
            $($(#[$doc])* $name,)*
        }

        impl Function {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its type.
            #[must_use]
            pub fn signature(self) -> Signature {
                let (params, results) = match self {
                    $(Self::$name => ($params, $results),)*
                };
                Signature::parse(params, results)
            }

            /// What it calls.
            #[must_use]
            pub const fn dependencies(self) -> &'static [Self] {
                match self {
                    $(Self::$name => &[$(Self::$callee),*],)*
                }
            }

            /// Which host functions it calls.
            #[must_use]
            pub fn imports(self, _setup: &Setup) -> &'static [Import] {
                match self {
                    $(Self::$name => &[$(Import::$import),*],)*
                }
            }

            /// Its body.
            pub(super) fn emit(self, code: &mut Code<'_>) {
                match self {
                    $(Self::$name => $body(code),)*
                }
            }
        }
    };
}

fn stub(code: &mut Code<'_>) {
    code.skip_parameters();
    code.unreachable();
}

functions! {
    /// Reads the input and checks its version; gives the gas.
    Enter("" -> "g") calls [] imports [] in stub;
    /// MUL.
    Mul("ww" -> "w") calls [] imports [] in super::arithmetic::mul;
    /// DIV.
    Div("ww" -> "w") calls [DivRem] imports [] in super::division::div;
    /// Quotient and remainder.
    DivRem("ww" -> "ww") calls [Reciprocal ReciprocalOfTwo] imports [] in super::division::div_rem;
    /// Of a limb with its top bit set: `floor((2^128 - 1) / d) - 2^64`.
    Reciprocal("l" -> "l") calls [] imports [] in super::division::reciprocal;
    /// Of two limbs, the upper one, with its top bit set, first.
    ReciprocalOfTwo("ll" -> "l") calls [Reciprocal] imports [] in super::division::reciprocal_of_two;
    /// SDIV.
    Sdiv("ww" -> "w") calls [Div] imports [] in super::arithmetic::sdiv;
    /// MOD.
    Mod("ww" -> "w") calls [DivRem] imports [] in super::division::rem;
    /// SMOD.
    Smod("ww" -> "w") calls [Mod] imports [] in super::arithmetic::smod;
    /// ADDMOD.
    Addmod("www" -> "w") calls [Mod] imports [] in super::arithmetic::addmod;
    /// MULMOD.
    Mulmod("www" -> "w") calls [Mod Reciprocal ReciprocalOfTwo] imports [] in super::division::mulmod;
    /// EXP: base, exponent.
    Exp("gww" -> "wg") calls [Mul] imports [] in super::arithmetic::exp;
    /// SHL: shift, value.
    Shl("ww" -> "w") calls [] imports [] in super::words::shl;
    /// SHR: shift, value.
    Shr("ww" -> "w") calls [] imports [] in super::words::shr;
    /// SAR: shift, value.
    Sar("ww" -> "w") calls [] imports [] in super::words::sar;
    /// SIGNEXTEND: index, value.
    SignExtend("ww" -> "w") calls [] imports [] in super::words::sign_extend;
    /// BYTE: index, value.
    Byte("ww" -> "w") calls [] imports [] in super::words::byte;
    /// CLZ (EIP-7939).
    Clz("w" -> "l") calls [] imports [] in super::words::clz;
    /// Turns the eight bytes of a limb.
    ByteSwap("l" -> "l") calls [] imports [] in super::words::byte_swap;
    /// A word from 32 bytes, the highest first.
    LoadBigEndian("i" -> "w") calls [] imports [] in super::words::load_big_endian;
    /// Grows EVM memory to an end, in bytes, and charges for it.
    MemoryTouch("gl" -> "g") calls [Allocate] imports [] in super::memory::touch;
    /// Touches a range: offset, length.
    MemoryRange("gww" -> "iig") calls [MemoryTouch] imports [] in super::memory::range;
    /// MLOAD.
    Mload("gw" -> "wg") calls [MemoryTouch] imports [] in super::memory::mload;
    /// MSTORE.
    Mstore("gww" -> "g") calls [MemoryTouch] imports [] in super::memory::mstore;
    /// MSTORE8.
    Mstore8("gwl" -> "g") calls [MemoryTouch] imports [] in super::memory::mstore8;
    /// MCOPY (EIP-5656): to, from, length.
    Mcopy("gwww" -> "g") calls [MemoryTouch] imports [] in super::memory::mcopy;
    /// CALLDATALOAD.
    CalldataLoad("w" -> "w") calls [] imports [] in super::copies::calldata_load;
    /// CALLDATACOPY: to, from, length.
    CalldataCopy("gwww" -> "g") calls [CopyFrom] imports [] in super::copies::calldata_copy;
    /// CODECOPY: to, from, length.
    CodeCopy("gwww" -> "g") calls [MemoryTouch] imports [] in super::copies::code_copy;
    /// RETURNDATACOPY (EIP-211): to, from, length.
    ReturnDataCopy("gwww" -> "g") calls [CopyFrom] imports [] in super::copies::return_data_copy;
    /// A copy into EVM memory from a string that lies backwards: address above its first byte, its size; to,
    /// from, length.
    CopyFrom("giiwww" -> "g") calls [MemoryTouch] imports [] in super::copies::copy_from;
    /// EXTCODECOPY: address, to, from, length.
    ExtCodeCopy("gwwww" -> "g") calls [] imports [] in stub;
    /// KECCAK256: offset, length.
    Keccak("gww" -> "wg") calls [] imports [] in stub;
    /// SLOAD.
    Sload("gw" -> "wg") calls [] imports [] in stub;
    /// SSTORE: slot, value.
    Sstore("gww" -> "g") calls [] imports [] in stub;
    /// TLOAD (EIP-1153).
    Tload("gw" -> "wg") calls [] imports [] in stub;
    /// TSTORE (EIP-1153): slot, value.
    Tstore("gww" -> "g") calls [] imports [] in stub;
    /// BALANCE.
    Balance("gw" -> "wg") calls [] imports [] in stub;
    /// SELFBALANCE.
    SelfBalance("g" -> "wg") calls [] imports [] in stub;
    /// EXTCODESIZE.
    ExtCodeSize("gw" -> "wg") calls [] imports [] in stub;
    /// EXTCODEHASH.
    ExtCodeHash("gw" -> "wg") calls [] imports [] in stub;
    /// BLOCKHASH.
    BlockHash("w" -> "w") calls [] imports [] in stub;
    /// BLOBHASH (EIP-4844).
    BlobHash("w" -> "w") calls [] imports [] in stub;
    /// LOG0 to LOG4: number of topics, offset, length.
    Log("giww" -> "g") calls [] imports [] in stub;
    /// The CALL family: kind, gas, address, value, in, its length, out, its length; gives success.
    Call("giwwwwwww" -> "ig") calls [] imports [] in stub;
    /// CREATE and CREATE2: 1 with salt, value, offset, length, salt; gives the address.
    Create("giwwww" -> "wg") calls [] imports [] in stub;
    /// RETURNDATASIZE.
    ReturnDataSize("" -> "l") calls [] imports [] in super::copies::return_data_size;
    /// RETURN and REVERT: 1 for REVERT, offset, length.
    Finish("giww" -> "g") calls [] imports [] in stub;
    /// STOP.
    Stop("g" -> "") calls [] imports [] in stub;
    /// SELFDESTRUCT: beneficiary.
    SelfDestruct("gw" -> "g") calls [] imports [] in stub;
    /// Fresh zero bytes on the heap: how many; gives their address, 0 if they do not fit.
    Allocate("l" -> "i") calls [] imports [] in super::heap::allocate;
    /// Any exceptional halt.
    Halt("" -> "") calls [] imports [] in stub;
}
