//! Random calldata for the types of Solidity's ABI. Now and then it is not what the types allow.

use rand::Rng;
use rand::rngs::StdRng;

/// Elements of an array of its own length, at most.
const ELEMENTS_MAX: usize = 6;

/// Bytes of a string, at most.
const BYTES_MAX: usize = 90;

/// Calldata for parameters of these types: sometimes cut off, extended, or with a bit flipped.
pub fn calldata(types: &[String], addresses: &[[u8; 20]], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = tuple(types, addresses, random);
    match random.random_range(0..20) {
        0 => bytes.truncate(random.random_range(0..=bytes.len())),
        1 => bytes.extend([0xaa; 7]),
        2 if !bytes.is_empty() => {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        _ => {}
    }
    bytes
}

/// Values one after the other: heads, then what has a length.
pub fn tuple(types: &[String], addresses: &[[u8; 20]], random: &mut StdRng) -> Vec<u8> {
    let values: Vec<_> = types.iter().map(|kind| (kind, value(kind, addresses, random))).collect();
    let head_bytes = |(kind, value): &(&String, Vec<u8>)| {
        if has_length(kind) { 32 } else { value.len() }
    };
    let heads: usize = values.iter().map(head_bytes).sum();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for (kind, value) in values {
        if has_length(kind) {
            head.extend(word((heads + tail.len()) as u128));
            tail.extend(value);
        } else {
            head.extend(value);
        }
    }
    [head, tail].concat()
}

/// Whether values of a type differ in length.
fn has_length(kind: &str) -> bool {
    match kind.rsplit_once('[') {
        Some((_, "]")) => true,
        Some((element, _)) => has_length(element),
        None => kind == "bytes" || kind == "string",
    }
}

fn value(kind: &str, addresses: &[[u8; 20]], random: &mut StdRng) -> Vec<u8> {
    if let Some((element, count)) = kind.rsplit_once('[') {
        let count = count.strip_suffix(']').unwrap();
        let fixed = count.parse().ok();
        let length = fixed.unwrap_or_else(|| random.random_range(0..=ELEMENTS_MAX));
        let elements = tuple(&vec![element.to_owned(); length], addresses, random);
        return match fixed {
            Some(_) => elements,
            None => [word(length as u128).to_vec(), elements].concat(),
        };
    }
    if kind == "bytes" || kind == "string" {
        let length = random.random_range(0..=BYTES_MAX);
        let mut bytes = word(length as u128).to_vec();
        bytes.extend((0..length).map(|_| random.random_range(b' '..b'~')));
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        return bytes;
    }
    scalar(kind, addresses, random).to_vec()
}

fn scalar(kind: &str, addresses: &[[u8; 20]], random: &mut StdRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    if kind == "bool" {
        bytes[31] = random.random_range(0..2);
    } else if kind == "address" {
        bytes[12..].copy_from_slice(&addresses[random.random_range(0..addresses.len())]);
    } else if let Some(length) = kind.strip_prefix("bytes") {
        let length: usize = length.parse().unwrap();
        random.fill(&mut bytes[..length]);
    } else {
        let signed = kind.starts_with("int");
        let bits: usize = kind.trim_start_matches(['u', 'i', 'n', 't']).parse().unwrap();
        bytes = number(bits, signed, random);
    }
    bytes
}

/// A number that fits its type: small, at the ends of its range, or anything.
fn number(bits: usize, signed: bool, random: &mut StdRng) -> [u8; 32] {
    let used = bits / 8;
    let mut bytes = [0; 32];
    let own = &mut bytes[32 - used..];
    match random.random_range(0..6) {
        0 => own[used - 1] = random.random_range(0..4),
        1 => own.fill(0xff),
        2 => {
            own.fill(if signed { 0xff } else { 0 });
            own[0] = if signed { 0x7f } else { 0x80 };
        }
        3 => random.fill(own),
        _ => {
            let small = random.random_range(0..2_000_000_u32).to_be_bytes();
            let kept = used.min(4);
            own[used - kept..].copy_from_slice(&small[4 - kept..]);
        }
    }
    if signed && bytes[32 - used] & 0x80 != 0 {
        bytes[..32 - used].fill(0xff);
    }
    bytes
}

fn word(number: u128) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    bytes
}
