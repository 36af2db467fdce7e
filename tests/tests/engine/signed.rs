//! Signed transactions of every type, and what is none.

use crate::programs::{self, word};
use crate::rig::{CHAIN_ID, Rig, keccak};
use engine_abi::{Address, Fork, Status};
use k256::ecdsa::SigningKey;

const RELAYER: &str = "relayer.near";
const TO: Address = [0x70; 20];
const GAS_PRICE: u64 = 10;

/// RLP of a string.
fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte @ 0..0x80] => vec![*byte],
        _ => [head(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

/// RLP of a number.
fn number(number: u64) -> Vec<u8> {
    string(&number.to_be_bytes()[number.leading_zeros() as usize / 8..])
}

/// RLP of a list of items.
fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let items = items.concat();
    [head(0xc0, items.len()), items].concat()
}

fn head(base: u8, length: usize) -> Vec<u8> {
    if length < 56 {
        return vec![base + length as u8];
    }
    let bytes = length.to_be_bytes();
    let bytes = &bytes[length.leading_zeros() as usize / 8..];
    [&[base + 55 + bytes.len() as u8], bytes].concat()
}

/// Somebody with a key.
pub struct Signer(SigningKey);

impl Signer {
    pub fn new(secret: u8) -> Self {
        Self(SigningKey::from_slice(&[secret; 32]).unwrap())
    }

    pub fn address(&self) -> Address {
        let key = self.0.verifying_key().to_encoded_point(false);
        let mut address = [0; 20];
        address.copy_from_slice(&keccak(&key.as_bytes()[1..])[12..]);
        address
    }

    /// Parity, r and s of a message.
    fn sign(&self, message: &[u8]) -> (u64, Vec<u8>, Vec<u8>) {
        let (signature, recovery) = self.0.sign_prehash_recoverable(&keccak(message)).unwrap();
        let bytes = signature.to_bytes();
        let short = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            string(&bytes[zeros..])
        };
        (u64::from(recovery.is_y_odd()), short(&bytes[..32]), short(&bytes[32..]))
    }
}

/// What the tests change of a transaction.
#[derive(Clone, Copy)]
pub struct Fields {
    pub nonce: u64,
    pub chain_id: u64,
    pub gas_limit: u64,
    pub value: u64,
    pub to: Option<Address>,
}

const FIELDS: Fields =
    Fields { nonce: 0, chain_id: CHAIN_ID, gas_limit: 100_000, value: 3, to: Some(TO) };

impl Fields {
    fn to(self) -> Vec<u8> {
        string(self.to.as_ref().map_or(&[], |to| to.as_slice()))
    }

    /// A legacy transaction, with its chain (EIP-155) or without.
    fn legacy(self, signer: &Signer, data: &[u8], with_chain: bool) -> Vec<u8> {
        let mut items = vec![
            number(self.nonce),
            number(GAS_PRICE),
            number(self.gas_limit),
            self.to(),
            number(self.value),
            string(data),
        ];
        let mut message = items.clone();
        if with_chain {
            message.extend([number(self.chain_id), number(0), number(0)]);
        }
        let (parity, r, s) = signer.sign(&list(&message));
        let v = if with_chain { 35 + 2 * self.chain_id + parity } else { 27 + parity };
        items.extend([number(v), r, s]);
        list(&items)
    }

    /// A transaction of EIP-2930 or EIP-1559.
    pub fn typed(self, kind: u8, signer: &Signer, data: &[u8]) -> Vec<u8> {
        let access = list(&[list(&[string(&TO), list(&[string(&word(0))])])]);
        let mut items = vec![number(self.chain_id), number(self.nonce)];
        if kind == 2 {
            items.push(number(GAS_PRICE));
        }
        items.extend([
            number(GAS_PRICE),
            number(self.gas_limit),
            self.to(),
            number(self.value),
            string(data),
            access,
        ]);
        let (parity, r, s) = signer.sign(&[vec![kind], list(&items)].concat());
        items.extend([number(parity), r, s]);
        [vec![kind], list(&items)].concat()
    }
}

/// An engine with a counter, and somebody who can pay.
fn rig() -> (Rig, Signer) {
    let rig = Rig::new(Fork::Cancun);
    let signer = Signer::new(7);
    rig.mint(signer.address(), word(1_000_000_000));
    rig.set_account(TO, &programs::counter(), &[]);
    (rig, signer)
}

#[test]
fn every_type_of_transaction_is_taken_from_its_signer() {
    let (rig, signer) = rig();
    let at = |nonce| Fields { nonce, ..FIELDS };
    let transactions = [
        at(0).legacy(&signer, &[], false),
        at(1).legacy(&signer, &[], true),
        at(2).typed(1, &signer, &[1; 60]),
        at(3).typed(2, &signer, &[]),
        at(4).typed(2, &signer, &[2; 300]),
    ];
    let mut paid = 0;
    for (index, transaction) in transactions.iter().enumerate() {
        let ran = rig.transact(RELAYER, "evm_submit", transaction.clone());
        assert_eq!(ran.result.status, Status::Success, "{index}");
        paid += ran.result.gas_used * GAS_PRICE;
    }
    assert_eq!(rig.storage_at(TO, word(0)), word(5));
    let address = signer.address();
    assert_eq!(rig.view::<u64>("nonce", &address), 5);
    assert_eq!(rig.view::<[u8; 32]>("balance", &address), word(1_000_000_000 - paid - 15));
    // The fees are the relayer's.
    let relayer = crate::rig::sender(RELAYER);
    assert_eq!(rig.view::<[u8; 32]>("balance", &relayer), word(paid));
    // A creation.
    let create = Fields { to: None, value: 0, ..at(5) };
    let init = programs::initcode(&programs::counter());
    let ran = rig.transact(RELAYER, "evm_submit", create.typed(2, &signer, &init));
    let created = ran.result.created.unwrap();
    assert_eq!(rig.view::<Vec<u8>>("code", &created), programs::counter());
}

#[test]
fn what_is_no_transaction_changes_nothing_and_says_why() {
    let (rig, signer) = rig();
    let good = FIELDS.typed(2, &signer, &[]);
    let mut tampered = good.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    // The other signature of the same message (EIP-2).
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let mut malleable = good.clone();
    let order = revm::primitives::U256::from_str_radix(order, 16).unwrap();
    let s = revm::primitives::U256::from_be_slice(&good[good.len() - 32..]);
    let at = malleable.len() - 32;
    malleable[at..].copy_from_slice(&(order - s).to_be_bytes::<32>());
    let poor = Signer::new(9);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "empty"),
        ("a type of tomorrow", vec![3, 0xc0], "type 3"),
        ("not a list", vec![0x80], "malformed"),
        ("cut off", good[..good.len() - 1].to_vec(), "malformed"),
        ("too long", [good.clone(), vec![0]].concat(), "malformed"),
        ("high s", malleable, "nobody's"),
        ("old nonce", Fields { nonce: 7, ..FIELDS }.typed(1, &signer, &[]), "nonce"),
        ("other chain", Fields { chain_id: 5, ..FIELDS }.typed(2, &signer, &[]), "chain"),
        (
            "other chain, legacy",
            Fields { chain_id: 5, ..FIELDS }.legacy(&signer, &[], true),
            "chain",
        ),
        ("no balance", FIELDS.typed(2, &poor, &[]), "funds"),
        (
            "value above balance",
            Fields { value: u64::MAX, ..FIELDS }.typed(2, &signer, &[]),
            "funds",
        ),
        ("intrinsic gas", Fields { gas_limit: 20_000, ..FIELDS }.typed(2, &signer, &[]), "gas"),
    ];
    let before = rig.world();
    for (name, bytes, reason) in cases {
        let ran = rig.transact(RELAYER, "evm_submit", bytes);
        match &ran.result.status {
            Status::Invalid(found) => assert!(found.contains(reason), "{name}: {found}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(rig.world(), before, "{name}");
    }
    // A changed signature is somebody else's, who has nothing.
    let ran = rig.transact(RELAYER, "evm_submit", tampered);
    assert!(matches!(ran.result.status, Status::Invalid(_)), "{:?}", ran.result);
    assert_eq!(rig.world(), before);
    // And every prefix of a transaction is refused in words.
    for length in 0..good.len() {
        let ran = rig.transact(RELAYER, "evm_submit", good[..length].to_vec());
        assert!(matches!(ran.result.status, Status::Invalid(_)), "{length}");
    }
    assert_eq!(rig.world(), before);
    assert_eq!(rig.transact(RELAYER, "evm_submit", good).result.status, Status::Success);
}
