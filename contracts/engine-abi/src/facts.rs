//! What is seen of a contract's code without running it, when it is promoted. It stays beside the module
//! ([`Promotion`](crate::state::Promotion)), and which frames run compiled depends on it.

use alloc::vec::Vec;

const JUMP: u8 = 0x56;
const JUMPI: u8 = 0x57;
const JUMPDEST: u8 = 0x5b;
const PUSH0: u8 = 0x5f;
const PUSH1: u8 = 0x60;
const PUSH32: u8 = 0x7f;

/// How many instructions interpreted cost what a module's request costs more than the same instruction interpreted, by
/// instruction. Where the module may know the answer already it is less than that.
fn weight(opcode: u8) -> u64 {
    match opcode {
        // CALL, CALLCODE, DELEGATECALL, STATICCALL. A creation is so dear that a request more does not count.
        0xf1 | 0xf2 | 0xf4 | 0xfa => 60,
        // TLOAD and TSTORE, which cost nothing else.
        0x5c | 0x5d => 40,
        // BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH, SLOAD, SSTORE.
        0x31 | 0x3b | 0x3c | 0x3f | 0x54 | 0x55 => 10,
        _ => 0,
    }
}

/// Whether a loop of the code asks its parent for something every few instructions. To leave a module and come back
/// costs as much as the interpretation of some 60 to 80 instructions, so such a loop is dearer compiled, each time round, and
/// nothing that is known when its frame begins says how often that is. Loops are seen where a jump of a constant goes
/// backwards, by what lies between.
#[must_use]
pub fn asks_in_loops(code: &[u8]) -> bool {
    // Instructions and weights before each JUMPDEST.
    let mut marks: Vec<(usize, u64, u64)> = Vec::new();
    let (mut instructions, mut weights) = (0_u64, 0_u64);
    let mut pushed = None;
    let mut place = 0;
    while let Some(&opcode) = code.get(place) {
        match opcode {
            JUMPDEST => marks.push((place, instructions, weights)),
            JUMP | JUMPI => {
                let mark = pushed
                    .and_then(|target| marks.binary_search_by_key(&target, |mark| mark.0).ok())
                    .and_then(|index| marks.get(index));
                if mark.is_some_and(|(_, from, weight)| weights - weight > instructions - from) {
                    return true;
                }
            }
            _ => {}
        }
        instructions += 1;
        weights += weight(opcode);
        let bytes = match opcode {
            PUSH0 => 0,
            PUSH1..=PUSH32 => usize::from(opcode - PUSH0),
            _ => {
                pushed = None;
                place += 1;
                continue;
            }
        };
        let immediate = code.get(place + 1..place + 1 + bytes);
        pushed = immediate.and_then(|bytes| {
            bytes.iter().try_fold(0_usize, |sum, byte| {
                sum.checked_mul(256).and_then(|sum| sum.checked_add(usize::from(*byte)))
            })
        });
        place += 1 + bytes;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::asks_in_loops;
    use alloc::vec::Vec;

    /// A loop of `turns` whose body is this.
    fn looping(body: &[u8]) -> Vec<u8> {
        [&[0x61, 3, 0xe8, 0x5b], body, &[0x60, 1, 0x90, 0x03, 0x80, 0x60, 3, 0x57, 0]].concat()
    }

    #[test]
    fn a_loop_of_calls_asks_and_a_loop_of_sums_does_not() {
        let call = [0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x60, 0xb1, 0x5a, 0xf1, 0x50];
        assert!(asks_in_loops(&looping(&call)));
        // The same with as much to do as a contract has that the field compiles.
        let busy = [call.as_slice(), &[0x58, 0x50].repeat(60)].concat();
        assert!(!asks_in_loops(&looping(&busy)));
        assert!(asks_in_loops(&looping(&[0x80, 0x5c, 0x50])));
        assert!(!asks_in_loops(&looping(&[0x58, 0x50])));
    }

    #[test]
    fn what_is_in_no_loop_does_not_count() {
        let call = [0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x60, 0xb1, 0x5a, 0xf1, 0x50];
        assert!(!asks_in_loops(&call.repeat(20)));
        assert!(!asks_in_loops(&[]));
        // Not a jump but the bytes of a constant, and a constant that ends with the code.
        assert!(!asks_in_loops(&[0x5b, 0xf1, 0x61, 0x60, 0x57]));
        assert!(!asks_in_loops(&[0x7f, 0x57]));
        assert!(!asks_in_loops(&[0x57; 10]));
    }
}
