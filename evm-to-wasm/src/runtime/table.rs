//! The table of runtime functions: name, type, what it calls, what it imports, who writes its body.

use super::code::Code;
use super::{
    Import, Setup, Signature, accounts, arithmetic, cache, calls, compact, copies, division,
    effects, frame, keccak, memory, modular, shifts, storage,
};

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
            pub const fn dependencies(self, setup: &Setup) -> &'static [Self] {
                match (self, setup.keccak) {
                    (Self::Keccak, crate::Keccak::Own) => {
                        return &[Self::MemoryTouch, Self::KeccakPair, Self::Sponge];
                    }
                    (Self::Keccak, crate::Keccak::Host) => {
                        return &[Self::MemoryTouch, Self::KeccakPair, Self::HostSponge];
                    }
                    (Self::KeccakNewPair, crate::Keccak::Own) => return &[Self::Sponge],
                    (Self::KeccakNewPair, crate::Keccak::Host) => return &[Self::HostSponge],
                    _ => {}
                }
                match self {
                    $(Self::$name => &[$(Self::$callee),*],)*
                }
            }

            /// Which host functions it calls.
            #[must_use]
            pub const fn imports(self) -> &'static [Import] {
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

functions! {
    /// Reads the input and checks its version; gives the gas.
    Enter("" -> "g") calls [] imports [Input RegisterLen ReadRegister] in frame::enter;
    /// Yields the result, and reads the input of the next frame: whether there is one, and its gas.
    Next("" -> "ig") calls [] imports [CallbackInto PendingInto ValueReturn] in frame::next;
    /// MUL.
    Mul("ww" -> "w") calls [] imports [] in arithmetic::mul;
    /// DIV.
    Div("ww" -> "w") calls [Reciprocal ReciprocalOfTwo] imports [] in division::div;
    /// SDIV.
    Sdiv("ww" -> "w") calls [Div] imports [] in arithmetic::sdiv;
    /// MOD.
    Mod("ww" -> "w") calls [Reciprocal ReciprocalOfTwo] imports [] in division::rem;
    /// SMOD.
    Smod("ww" -> "w") calls [Mod] imports [] in arithmetic::smod;
    /// ADDMOD.
    Addmod("www" -> "w") calls [Mod] imports [] in modular::addmod;
    /// MULMOD.
    Mulmod("www" -> "w") calls [ModulusSeen MulmodOnce] imports [] in modular::mulmod;
    /// EXP: base, exponent.
    Exp("gww" -> "wg") calls [Mul] imports [] in arithmetic::exp;
    /// SHL: shift, value.
    Shl("ww" -> "w") calls [] imports [] in shifts::shl;
    /// SHR: shift, value.
    Shr("ww" -> "w") calls [] imports [] in shifts::shr;
    /// SAR: shift, value.
    Sar("ww" -> "w") calls [] imports [] in shifts::sar;
    /// SIGNEXTEND: index, value.
    SignExtend("ww" -> "w") calls [] imports [] in shifts::sign_extend;
    /// BYTE: index, value.
    Byte("ww" -> "w") calls [] imports [] in shifts::byte;
    /// CLZ (EIP-7939).
    Clz("w" -> "l") calls [] imports [] in shifts::clz;
    /// Turns the eight bytes of a limb.
    ByteSwap("l" -> "l") calls [] imports [] in shifts::byte_swap;
    /// A word from 32 bytes, the highest first.
    LoadBigEndian("i" -> "w") calls [ByteSwap] imports [] in shifts::load_big_endian;
    /// Grows EVM memory to an end, in bytes, and charges for it.
    MemoryTouch("gl" -> "g") calls [MemoryMove] imports [] in memory::touch;
    /// Touches a range: offset, length.
    MemoryRange("gww" -> "iig") calls [MemoryTouch] imports [] in memory::range;
    /// MLOAD.
    Mload("gw" -> "wg") calls [MemoryTouch] imports [] in memory::mload;
    /// MSTORE.
    Mstore("gww" -> "g") calls [MemoryTouch] imports [] in memory::mstore;
    /// MSTORE8.
    Mstore8("gwl" -> "g") calls [MemoryTouch] imports [] in memory::mstore8;
    /// MCOPY (EIP-5656): to, from, length.
    Mcopy("gwww" -> "g") calls [MemoryTouch] imports [] in copies::mcopy;
    /// CALLDATALOAD.
    CalldataLoad("w" -> "w") calls [] imports [] in copies::calldata_load;
    /// CALLDATACOPY: to, from, length.
    CalldataCopy("gwww" -> "g") calls [MemoryTouch] imports [] in copies::calldata_copy;
    /// CODECOPY: to, from, length.
    CodeCopy("gwww" -> "g") calls [MemoryTouch] imports [] in copies::code_copy;
    /// RETURNDATACOPY (EIP-211): to, from, length.
    ReturnDataCopy("gwww" -> "g") calls [MemoryTouch] imports [] in copies::return_data_copy;
    /// EXTCODECOPY: address, to, from, length.
    ExtCodeCopy("gwwww" -> "g") calls [MemoryTouch ExtCodeBytes] imports [] in copies::ext_code_copy;
    /// KECCAK256: offset, length.
    Keccak("gww" -> "wg") calls [MemoryTouch] imports [] in keccak::keccak;
    /// KECCAK256 of 64 bytes that are touched and paid for: their lowest address.
    KeccakPair("i" -> "w") calls [KeccakNewPair] imports [] in keccak::keccak_pair;
    /// SLOAD.
    Sload("gw" -> "wg") calls [NewEntry FetchSlot] imports [] in storage::sload;
    /// SSTORE: slot, value.
    Sstore("gww" -> "g") calls [NewEntry FetchSlot FlushEffects] imports [] in storage::sstore;
    /// TLOAD (EIP-1153).
    Tload("gw" -> "wg") calls [NewEntry BadAnswer] imports [CallbackInto] in storage::tload;
    /// TSTORE (EIP-1153): slot, value.
    Tstore("gww" -> "g") calls [NewEntry FlushEffects] imports [] in storage::tstore;
    /// BALANCE.
    Balance("gw" -> "wg") calls [NewEntry BadAnswer] imports [CallbackInto] in accounts::balance;
    /// SELFBALANCE.
    SelfBalance("g" -> "wg") calls [NewEntry BadAnswer] imports [CallbackInto] in accounts::self_balance;
    /// EXTCODESIZE.
    ExtCodeSize("gw" -> "wg") calls [ExtCodeBytes] imports [] in accounts::ext_code_size;
    /// EXTCODEHASH.
    ExtCodeHash("gw" -> "wg") calls [ExtCodeBytes] imports [] in accounts::ext_code_hash;
    /// BLOCKHASH.
    BlockHash("w" -> "w") calls [NewEntry BadAnswer OutOfMemory] imports [CallbackInto] in accounts::block_hash;
    /// BLOBHASH (EIP-4844).
    BlobHash("w" -> "w") calls [] imports [] in copies::blob_hash;
    /// LOG0 to LOG4: number of topics, offset, length; gives the address where the topics belong.
    Log("giww" -> "ig") calls [MemoryRange Reserve FlushEffects] imports [] in effects::log;
    /// The CALL family: kind, gas, address, value, in, its length, out, its length; gives success.
    Call("giwwwwwww" -> "ig") calls [MemoryRange Gather Exchange BadAnswer FlushEffects] imports [] in calls::call;
    /// CREATE and CREATE2: 1 with salt, value, offset, length, salt; gives the address.
    Create("giwwww" -> "wg") calls [MemoryRange Gather Exchange BadAnswer FlushEffects] imports [] in calls::create;
    /// RETURNDATASIZE.
    ReturnDataSize("" -> "l") calls [] imports [] in calls::return_data_size;
    /// RETURN and REVERT: 1 for REVERT, offset, length.
    Finish("giww" -> "g") calls [MemoryRange Gather FlushEffects] imports [] in frame::finish;
    /// STOP.
    Stop("g" -> "") calls [Finish Halt] imports [] in frame::stop;
    /// SELFDESTRUCT: beneficiary.
    SelfDestruct("gw" -> "g") calls [Gather] imports [] in frame::self_destruct;
    /// Any exceptional halt.
    Halt("" -> "") calls [] imports [] in frame::halt;
    /// Runs the code from its start with so much gas: the compact form.
    Interpret("g" -> "") calls [
        Mul Div Sdiv Mod Smod Addmod Mulmod Exp Shl Shr Sar SignExtend Byte Clz Mload Mstore Mstore8 Mcopy
        CalldataLoad CalldataCopy CodeCopy ReturnDataCopy ExtCodeCopy Keccak Sload Sstore Tload Tstore Balance
        SelfBalance ExtCodeSize ExtCodeHash BlockHash BlobHash Log Call Create ReturnDataSize Finish Stop
        SelfDestruct Halt Allocate
    ] imports [] in compact::interpret;
    // What follows is called by the above alone.
    /// Reciprocal of a normalized limb.
    Reciprocal("l" -> "l") calls [] imports [] in division::reciprocal;
    /// Reciprocal of two normalized limbs, the upper first.
    ReciprocalOfTwo("ll" -> "l") calls [Reciprocal] imports [] in division::reciprocal_of_two;
    /// MULMOD by a modulus that is not known.
    MulmodOnce("www" -> "w") calls [Mod ReciprocalOfTwo] imports [] in division::mulmod_once;
    /// Takes note of a modulus, and gets to know it when it comes up often.
    ModulusSeen("w" -> "") calls [Mod MulmodOnce ReciprocalOfTwo] imports [] in modular::modulus_seen;
    /// Zeroed bytes from the heap; 0 if there are none left.
    Allocate("i" -> "i") calls [HeapGrow] imports [] in memory::allocate;
    /// Makes room on the heap; 0 if there is none.
    HeapGrow("i" -> "i") calls [] imports [] in memory::grow_heap;
    /// Makes room for a size of EVM memory; 0 if there is none.
    MemoryMove("i" -> "i") calls [] imports [] in memory::move_memory;
    /// Hash of 64 bytes that is not remembered: their lowest address, that of the memo's entry.
    KeccakNewPair("ii" -> "w") calls [] imports [] in keccak::keccak_new_pair;
    /// Hash of the bytes below an address: address, length.
    Sponge("ii" -> "w") calls [ByteSwap] imports [] in keccak::sponge;
    /// The same, by the host.
    HostSponge("ii" -> "w") calls [Allocate OutOfMemory LoadBigEndian] imports [Keccak256 ReadRegister] in keccak::host_sponge;
    /// A new entry of the cache; 0 if there is no memory.
    NewEntry("i" -> "i") calls [Allocate] imports [] in cache::new_entry;
    /// Asks for a storage slot: gas, entry, what it costs if cold.
    FetchSlot("gil" -> "g") calls [BadAnswer] imports [CallbackInto] in storage::fetch_slot;
    /// The entry of an account's code: address, 1 if its bytes are wanted.
    ExtCodeBytes("gwi" -> "ig") calls [NewEntry Allocate BadAnswer] imports [CallbackInto PendingInto] in accounts::ext_code_bytes;
    /// Room in the outbox; 0 if there is none.
    Reserve("i" -> "i") calls [Allocate] imports [] in effects::reserve;
    /// Deferred writes into the outbox, and room for a payload; 0 if there is none.
    Gather("i" -> "i") calls [Reserve] imports [] in effects::gather;
    /// Sends the effects before they are due; 0 if there is no memory.
    FlushEffects("" -> "i") calls [Gather BadAnswer] imports [CallbackInto] in effects::flush;
    /// Sends a message and receives return data: address, length; the answer's length.
    Exchange("ii" -> "i") calls [Allocate] imports [CallbackInto PendingInto] in calls::exchange;
    /// Ends the module over a wrong answer.
    BadAnswer("" -> "") calls [] imports [PanicUtf8] in cache::bad_answer;
    /// Ends the module for want of memory.
    OutOfMemory("" -> "") calls [] imports [PanicUtf8] in cache::out_of_memory;
}
