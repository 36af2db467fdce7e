//! EVM code that was made to be hard to compile, family by family, at any size.
//!
//! A family is a shape that grows: its code of twice the bytes has twice as much of what is hard. A compiler in
//! linear time needs twice as long for it. Codes are the same on every machine.

/// A shape of hostile code.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    make: fn(usize) -> Vec<u8>,
}

impl Family {
    /// Its code of so many bytes, at most 65,536: what a PUSH2 reaches.
    pub fn code(&self, bytes: usize) -> Vec<u8> {
        let bytes = bytes.min(1 << 16);
        let mut code = (self.make)(bytes);
        code.resize(bytes, STOP);
        code
    }
}

const STOP: u8 = 0x00;
const ADD: u8 = 0x01;
const EQ: u8 = 0x14;
const CALLDATALOAD: u8 = 0x35;
const CALLDATASIZE: u8 = 0x36;
const POP: u8 = 0x50;
const JUMP: u8 = 0x56;
const JUMPI: u8 = 0x57;
const JUMPDEST: u8 = 0x5b;
const PUSH0: u8 = 0x5f;
const PUSH2: u8 = 0x61;
const DUP1: u8 = 0x80;
const SWAP1: u8 = 0x90;

/// Every family.
pub const FAMILIES: &[Family] = &[
    Family { name: "jumpdest sled", make: |n| repeated(&[JUMPDEST], n) },
    Family { name: "jumpdest, stop", make: |n| repeated(&[JUMPDEST, STOP], n) },
    Family { name: "chain of jumps", make: chain },
    Family { name: "chain of jumps, shuffled", make: shuffled_chain },
    Family { name: "table by a computed jump", make: table },
    Family {
        name: "computed jump in every block",
        make: |n| repeated(&[JUMPDEST, PUSH0, CALLDATALOAD, JUMP], n),
    },
    Family { name: "selectors", make: selectors },
    Family { name: "selectors, nested", make: nested_selectors },
    Family { name: "dup and swap, deep", make: |n| stirred(n, usize::MAX) },
    Family { name: "dup and swap in blocks", make: |n| stirred(n, 24) },
    Family { name: "loops in a row", make: loops },
    Family { name: "loops, nested", make: nested_loops },
    Family { name: "16 live values, branches forward", make: |n| live(n, 16, Reach::Forward) },
    Family { name: "16 live values, branches anywhere", make: |n| live(n, 16, Reach::Anywhere) },
    Family { name: "900 live values, branches forward", make: |n| live(n, 900, Reach::Forward) },
    Family { name: "900 live values, branches anywhere", make: |n| live(n, 900, Reach::Anywhere) },
    Family {
        name: "jumpdest, jumpi",
        make: |n| repeated(&[JUMPDEST, CALLDATASIZE, 0x58, JUMPI], n),
    },
    Family { name: "branches to one place", make: |n| branches(n, |_, _| 0) },
    Family { name: "branches backwards", make: |n| branches(n, |at, random| random.below(at + 1)) },
    Family { name: "branches of uneven height", make: uneven },
    Family { name: "loop that grows the stack", make: growing },
    Family { name: "one function, many calls", make: |n| functions(n, 1) },
    Family {
        name: "many functions, many calls",
        make: |n| functions(n, (n as f64).sqrt() as usize / 4),
    },
    Family { name: "functions that call the next", make: nested_functions },
    Family { name: "push0 mload, full stack", make: flood },
    Family { name: "mload of mload", make: |n| after(&[CALLDATASIZE], &[0x51], n) },
    Family { name: "mload, pop", make: |n| repeated(&[PUSH0, 0x51, POP], n) },
    Family { name: "mload anywhere", make: |n| after(&[CALLDATASIZE], &[DUP1, 0x51, ADD], n) },
    Family { name: "mstore anywhere", make: |n| after(&[CALLDATASIZE], &[DUP1, DUP1, 0x52], n) },
    Family { name: "sload", make: |n| after(&[CALLDATASIZE], &[0x54], n) },
    Family { name: "sstore", make: |n| after(&[CALLDATASIZE], &[DUP1, DUP1, 0x55], n) },
    Family { name: "keccak", make: |n| repeated(&[PUSH0, PUSH0, 0x20, POP], n) },
    Family { name: "sums", make: |n| after(&[CALLDATASIZE, 0x5a], &[DUP1 + 1, ADD], n) },
    Family { name: "products", make: |n| after(&[CALLDATASIZE, 0x5a], &[DUP1, 0x02], n) },
    Family { name: "not", make: |n| after(&[CALLDATASIZE], &[0x19], n) },
    Family { name: "shifts", make: |n| after(&[CALLDATASIZE], &[DUP1, 0x1c], n) },
    Family {
        name: "sar of constants",
        make: |n| after(&[CALLDATASIZE, 0x19], &[0x60, 3, 0x1d], n),
    },
    Family { name: "comparisons", make: |n| after(&[0x3d, 0x19], &[DUP1, 0x19, 0x12], n) },
    Family { name: "addmod", make: |n| after(&[CALLDATASIZE], &[DUP1, DUP1, 0x08], n) },
    Family { name: "exp", make: |n| after(&[CALLDATASIZE], &[DUP1, 0x0a], n) },
    Family { name: "gas", make: |n| repeated(&[0x5a, POP], n) },
    Family {
        name: "calls",
        make: |n| after(&[], &[0x5a, DUP1, DUP1, DUP1, DUP1, DUP1, DUP1, 0xf1, POP], n),
    },
    Family {
        name: "calls with nothing",
        make: |n| repeated(&[PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, 0xf1, POP], n),
    },
    Family { name: "creations", make: |n| repeated(&[PUSH0, PUSH0, PUSH0, 0xf0, POP], n) },
    Family {
        name: "logs",
        make: |n| repeated(&[PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, 0xa4], n),
    },
    Family {
        name: "jumpdest, twenty logs",
        make: |n| {
            let mut pattern = [0xa4; 21];
            pattern[0] = JUMPDEST;
            after(&[CALLDATASIZE, JUMP], &pattern, n)
        },
    },
    Family {
        name: "jumpdest, log, swap, jumpi",
        make: |n| repeated(&[JUMPDEST, 0xa4, SWAP1 + 1, JUMPI], n),
    },
    Family { name: "mcopy", make: |n| repeated(&[CALLDATASIZE, DUP1, DUP1, 0x5e], n) },
    Family { name: "long constants", make: constants },
    Family {
        name: "environment",
        make: |n| repeated(&[0x30, POP, 0x41, POP, 0x43, POP, 0x48, POP], n),
    },
    Family { name: "undefined", make: |n| repeated(&[JUMPDEST, 0x0c], n) },
    Family { name: "random bytes", make: |n| Random(7).bytes(n) },
    Family { name: "random blocks", make: random_blocks },
];

/// A generator of pseudo-random numbers (SplitMix64): the same codes on every machine and with every version
/// of a library.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn repeated(pattern: &[u8], bytes: usize) -> Vec<u8> {
    pattern.iter().copied().cycle().take(bytes).collect()
}

/// A pattern after a prologue, and what is on the stack written to storage, so that it has to be computed.
fn after(prologue: &[u8], pattern: &[u8], bytes: usize) -> Vec<u8> {
    let count = bytes.saturating_sub(prologue.len() + 3) / pattern.len();
    [prologue, &pattern.repeat(count), &[PUSH0, 0x55, STOP]].concat()
}

fn push2(code: &mut Vec<u8>, at: usize) {
    code.push(PUSH2);
    code.extend((at as u16).to_be_bytes());
}

/// Blocks of one size: where each begins.
fn places(prologue: usize, block: usize, bytes: usize) -> Vec<usize> {
    (0..bytes.saturating_sub(prologue) / block).map(|index| prologue + index * block).collect()
}

fn chain(bytes: usize) -> Vec<u8> {
    let mut code = Vec::new();
    for at in places(0, 5, bytes) {
        code.push(JUMPDEST);
        push2(&mut code, at + 5);
        code.push(JUMP);
    }
    code
}

/// The same, but each jump goes far away: the order of execution is not that of the code.
fn shuffled_chain(bytes: usize) -> Vec<u8> {
    let places = places(0, 5, bytes);
    let mut order: Vec<usize> = (1..places.len()).collect();
    let mut random = Random(1);
    for index in (1..order.len()).rev() {
        order.swap(index, random.below(index + 1));
    }
    let mut next = vec![0; places.len()];
    let mut from = 0;
    for to in order {
        next[from] = places[to];
        from = to;
    }
    let mut code = Vec::new();
    for next in next {
        code.push(JUMPDEST);
        push2(&mut code, next);
        code.push(JUMP);
    }
    code
}

/// A jump to where calldata says, and thousands of entries that do something and leave.
fn table(bytes: usize) -> Vec<u8> {
    let entry = [JUMPDEST, CALLDATASIZE, PUSH0, 0x55, STOP];
    after(&[PUSH0, CALLDATALOAD, JUMP], &entry, bytes)
}

/// What a compiler of contracts writes to find a function: a comparison and a branch each.
fn selectors(bytes: usize) -> Vec<u8> {
    let mut code = vec![PUSH0, CALLDATALOAD];
    let entry = [JUMPDEST, CALLDATASIZE, PUSH0, 0x55, STOP];
    let count = bytes.saturating_sub(2) / (11 + entry.len());
    for index in 0..count {
        code.extend([DUP1, 0x63]);
        code.extend((index as u32).wrapping_mul(0x9e37_79b9).to_be_bytes());
        code.push(EQ);
        push2(&mut code, 2 + 11 * count + entry.len() * index);
        code.push(JUMPI);
    }
    code.extend(repeated(&entry, entry.len() * count));
    code
}

/// Branches to branches: a binary tree of them.
fn nested_selectors(bytes: usize) -> Vec<u8> {
    let places = places(2, 8, bytes);
    let mut code = vec![PUSH0, CALLDATALOAD];
    for index in 0..places.len() {
        code.extend([JUMPDEST, DUP1, CALLDATASIZE]);
        let to = places.get(2 * index + 2).or(places.last()).copied().unwrap_or(2);
        push2(&mut code, to);
        code.extend([JUMPI, 0x3d]);
    }
    code
}

/// DUP and SWAP of all depths over a full window, in blocks of so many.
fn stirred(bytes: usize, block: usize) -> Vec<u8> {
    let mut random = Random(2);
    let mut code = repeated(&[CALLDATASIZE], 17);
    let mut count = 0;
    while code.len() + 6 < bytes {
        // The height stays: what is pushed is added to something.
        code.extend([DUP1 + random.below(16) as u8, SWAP1 + random.below(16) as u8, ADD]);
        count += 1;
        if count % block == 0 {
            code.push(JUMPDEST);
        }
    }
    code.extend([0x55, STOP]);
    code
}

/// One loop after the other, each of one block.
fn loops(bytes: usize) -> Vec<u8> {
    let mut code = vec![CALLDATASIZE];
    for at in places(1, 10, bytes) {
        code.extend([JUMPDEST, 0x60, 1, SWAP1, 0x03, DUP1]);
        push2(&mut code, at);
        code.push(JUMPI);
    }
    code
}

/// As many loop heads as loop ends: each end goes back to the head that matches it.
fn nested_loops(bytes: usize) -> Vec<u8> {
    let count = bytes / 6;
    let mut code = repeated(&[JUMPDEST], count);
    for index in (0..count).rev() {
        code.push(CALLDATASIZE);
        push2(&mut code, index);
        code.push(JUMPI);
    }
    code
}

#[derive(Clone, Copy)]
enum Reach {
    Forward,
    Anywhere,
}

/// Blocks over a window of values that all stay alive, each of which changes two and may go elsewhere.
fn live(bytes: usize, values: usize, reach: Reach) -> Vec<u8> {
    let mut random = Random(3);
    let mut code = repeated(&[CALLDATASIZE], values);
    let places = places(values, 9, bytes);
    for (index, _) in places.iter().enumerate() {
        let depth = random.below(values.min(16) - 1) as u8;
        code.extend([JUMPDEST, DUP1 + depth, SWAP1 + depth, ADD, CALLDATASIZE]);
        let to = match reach {
            Reach::Forward => index + 1 + random.below(20),
            Reach::Anywhere => random.below(places.len()),
        };
        push2(&mut code, places.get(to).or(places.last()).copied().unwrap_or(0));
        code.push(JUMPI);
    }
    code
}

/// A thousand values on the stack, taken off again, and so on.
fn flood(bytes: usize) -> Vec<u8> {
    let mut wave = repeated(&[PUSH0, 0x51], 2_000);
    wave.extend([POP; 1_000]);
    repeated(&wave, bytes)
}

/// Blocks of a branch each, to a block that is a function of the block's own index.
fn branches(bytes: usize, to: impl Fn(usize, &mut Random) -> usize) -> Vec<u8> {
    let mut random = Random(4);
    let places = places(0, 6, bytes);
    let mut code = Vec::new();
    for index in 0..places.len() {
        code.extend([JUMPDEST, CALLDATASIZE]);
        push2(&mut code, places[to(index, &mut random).min(places.len() - 1)]);
        code.push(JUMPI);
    }
    code.truncate(bytes);
    code
}

/// Branches around a push: a block is reached with as many heights as there are ways to it.
fn uneven(bytes: usize) -> Vec<u8> {
    let mut code = Vec::new();
    for at in places(0, 7, bytes) {
        code.extend([JUMPDEST, CALLDATASIZE]);
        push2(&mut code, at + 7);
        code.extend([JUMPI, PUSH0]);
    }
    code
}

/// Loops that leave a value each turn.
fn growing(bytes: usize) -> Vec<u8> {
    let mut code = Vec::new();
    for at in places(0, 7, bytes) {
        code.extend([JUMPDEST, CALLDATASIZE, CALLDATASIZE]);
        push2(&mut code, at);
        code.push(JUMPI);
    }
    code
}

/// Functions that return to where their caller says, and calls of them.
fn functions(bytes: usize, count: usize) -> Vec<u8> {
    let count = count.max(1);
    let body = [JUMPDEST, CALLDATASIZE, PUSH0, 0x55, JUMP];
    let calls = bytes.saturating_sub(body.len() * count + 1) / 8;
    let first = 8 * calls + 1;
    let mut code = Vec::new();
    let mut random = Random(5);
    for index in 0..calls {
        push2(&mut code, 8 * index + 7);
        push2(&mut code, first + body.len() * random.below(count));
        code.extend([JUMP, JUMPDEST]);
    }
    code.push(STOP);
    code.extend(repeated(&body, body.len() * count));
    code
}

/// A function calls the next one twice: as many calls as two to the power of their number.
fn nested_functions(bytes: usize) -> Vec<u8> {
    let mut code = vec![];
    let block = 18;
    let places = places(0, block, bytes);
    for (index, at) in places.iter().enumerate() {
        let next = places.get(index + 1).copied().unwrap_or(0);
        code.push(JUMPDEST);
        push2(&mut code, at + 8);
        push2(&mut code, next);
        code.extend([JUMP, JUMPDEST]);
        push2(&mut code, at + 16);
        push2(&mut code, next);
        code.extend([JUMP, JUMPDEST, JUMP]);
    }
    code
}

fn constants(bytes: usize) -> Vec<u8> {
    let mut random = Random(6);
    let mut code = Vec::new();
    while code.len() + 35 < bytes {
        code.extend([CALLDATASIZE, 0x7f]);
        code.extend(random.bytes(32));
        code.push(0x55);
    }
    code
}

/// Blocks of random instructions over a window of values, with branches anywhere.
fn random_blocks(bytes: usize) -> Vec<u8> {
    const BINARY: [u8; 12] = [ADD, 0x02, 0x03, 0x04, 0x06, 0x10, 0x12, EQ, 0x16, 0x18, 0x1b, 0x1c];
    const BLOCK: usize = 40;
    let mut random = Random(8);
    let mut code = repeated(&[CALLDATASIZE], 20);
    let places = places(20, BLOCK, bytes);
    for at in &places {
        code.push(JUMPDEST);
        while code.len() < at + BLOCK - 5 {
            match random.below(5) {
                0 => code.push(SWAP1 + random.below(16) as u8),
                1 => code.extend([DUP1, 0x51, ADD]),
                _ => code.extend([DUP1 + random.below(16) as u8, BINARY[random.below(12)]]),
            }
        }
        code.truncate(at + BLOCK - 5);
        code.push(CALLDATASIZE);
        push2(&mut code, places[random.below(places.len())]);
        code.push(JUMPI);
    }
    code
}
