//! The cache of what the parent was asked: storage and transient slots, balances, codes, hashes of blocks.
//!
//! Entries hang in trees, one kind in its own, found by a hash of the key: a root by its lowest bits, then left
//! or right by the next, and after those by the bits of the key itself. So a tree is as flat as it needs to be,
//! nothing is ever moved, and keys chosen to collide cost no more than the bits of a key are long.
//!
//! An entry begins with the request that asks for it, in the order of the frame ABI, and the answer is received
//! behind it: nothing is copied.

use super::Function;
use super::Import;
use super::code::{Code, Local, Word};
use super::layout::{Global, MESSAGE_AT};

/// Bytes of an entry.
pub(super) const ENTRY: u32 = 128;
/// The key, behind the tag of the request.
pub(super) const KEY: u32 = 1;
/// The answer, behind a key of 32 bytes.
pub(super) const ANSWER: u32 = 33;
/// The word the answer begins with, behind its tag.
pub(super) const VALUE: u32 = ANSWER + 1;
/// The two entries below.
const CHILDREN: u32 = 104;
/// The next entry on the list of writes.
pub(super) const NEXT: u32 = 112;
/// [`Global::Generation`] when the answer came; 0 if none has.
pub(super) const FRESH: u32 = 116;
/// [`Global::Flush`] when the entry came onto the list of writes.
pub(super) const WRITTEN: u32 = 120;

/// Bits of the hash that are left for the tree below 256 roots; fewer roots leave more, which are not used.
const HASH_BITS: i64 = 56;

/// Where a kind of entry hangs, and what it begins with.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Address of the roots.
    pub(super) roots_at: u32,
    /// How many there are, a power of two of at least 16 and at most 256.
    pub(super) roots: u32,
    /// Tag of the request.
    pub(super) tag: u32,
}

/// A new entry in the place that the pointer at `link` is for; 0 if there is no memory.
pub(super) fn new_entry(c: &mut Code<'_>) {
    let link = c.parameter();
    let entry = c.int();
    c.get(link).i(ENTRY).call(Function::Allocate).tee(entry).store32(0).get(entry);
}

/// Ends the module: its parent answered what was not asked.
pub(super) fn bad_answer(c: &mut Code<'_>) {
    abort(c, b"bad answer from the parent frame");
}

/// Ends the module: it has no memory left, in a place that cannot halt the frame otherwise.
pub(super) fn out_of_memory(c: &mut Code<'_>) {
    abort(c, b"a frame needs over 2,048 pages..");
}

fn abort(c: &mut Code<'_>, message: &[u8; 32]) {
    for (place, limb) in message.as_chunks::<8>().0.iter().enumerate() {
        c.i(0).l(i64::from_le_bytes(*limb)).store64(MESSAGE_AT + 8 * place as u32);
    }
    c.l(message.len() as i64).l(i64::from(MESSAGE_AT)).import(Import::PanicUtf8).unreachable();
}

impl Code<'_> {
    /// Finds the entry of `key`, or makes one without an answer. It is 0 if there is no memory for it.
    pub(super) fn find(&mut self, kind: Kind, key: Word) -> Local {
        let [entry, link, half] = [self.int(), self.int(), self.int()];
        let hash = self.long();
        self.get(key[0]);
        for limb in 1..4 {
            self.get(key[limb]).i64_xor();
        }
        self.tee(hash).i32_wrap_i64().i(kind.roots - 1).i32_and().i(2).i32_shl();
        self.i(kind.roots_at).i32_add().set(link);
        let found = self.block();
        self.get(link).load32(0).tee(entry).if_();
        {
            self.is_key_of(entry, key).br_if(found);
            // The bits to come, and a bit that tells that there are no more.
            self.get(hash).l(64 - HASH_BITS).i64_shr_u().l(1 << HASH_BITS).i64_or().set(hash);
            let down = self.loop_();
            self.get(entry).get(hash).l(1).i64_and().i32_wrap_i64().i(2).i32_shl().i32_add();
            self.i(CHILDREN).i32_add().tee(link).load32(0).tee(entry).if_();
            {
                self.is_key_of(entry, key).br_if(found);
                self.get(hash).l(1).i64_shr_u().tee(hash).l(1).i64_eq().if_();
                {
                    self.key_bits(key, half, hash);
                }
                self.end();
                self.br(down);
            }
            self.end().end();
        }
        self.end();
        self.get(link).call(Function::NewEntry).tee(entry).if_();
        self.get(entry).i(kind.tag).store8(0).store_word(entry, KEY, key).end();
        self.end();
        entry
    }

    /// The next 32 bits of the key and the bit after the last; two different keys have parted before there are
    /// none.
    fn key_bits(&mut self, key: Word, half: Local, hash: Local) {
        let at = self.int();
        self.i(MESSAGE_AT).set(at).store_word(at, 0, key);
        self.get(half).load32_long(MESSAGE_AT).l(1 << 32).i64_or().set(hash);
        self.get(half).i(4).i32_add().i(31).i32_and().set(half);
    }

    /// Whether an entry is that of a key, on the stack.
    fn is_key_of(&mut self, entry: Local, key: Word) -> &mut Self {
        for limb in 0..4 {
            self.get(entry).load64(KEY + 8 * limb).get(key[limb as usize]).i64_xor();
            if limb > 0 {
                self.i64_or();
            }
        }
        self.i64_eqz()
    }

    /// Sends the request of `size` bytes at the head of an entry and receives an answer of a fixed length at
    /// `answer`; anything else ends the module.
    pub(super) fn exchange_fixed(
        &mut self,
        entry: Local,
        size: u32,
        answer: u32,
        tag: u32,
        length: u32,
    ) {
        self.l(i64::from(size)).get(entry).i64_extend_i32_u();
        self.get(entry).i(answer).i32_add().i64_extend_i32_u().l(i64::from(length));
        self.import(Import::CallbackInto).l(i64::from(length)).i64_eq().i32_eqz();
        self.get(entry).load8(answer).i(tag).i32_ne().i32_or().if_();
        self.call(Function::BadAnswer).end();
    }

    /// Takes note that an entry has its answer: an i32 on the stack tells whether it never had one.
    pub(super) fn refresh(&mut self, entry: Local) -> &mut Self {
        self.get(entry).load32(FRESH).i32_eqz();
        self.get(entry).get_global(Global::Generation).store32(FRESH)
    }

    /// Whether the answer of an entry is out of date, on the stack.
    pub(super) fn is_stale(&mut self, entry: Local) -> &mut Self {
        self.get(entry).load32(FRESH).get_global(Global::Generation).i32_ne()
    }
}
