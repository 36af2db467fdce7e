//! Heads are of constant size, and the input is where compiled code looks for it.

use super::*;
use alloc::vec::Vec;

fn bytes(message: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(message).unwrap()
}

#[test]
fn fields_of_the_input_are_at_their_offsets() {
    let input = FrameInput {
        version: FRAME_ABI_VERSION,
        is_static: 1,
        gas: 2,
        value: [3, 0, 0, 0],
        block: BlockEnvironment {
            number: [4, 0, 0, 0],
            timestamp: [10, 0, 0, 0],
            prevrandao: [11, 0, 0, 0],
            base_fee: [12, 0, 0, 0],
            blob_base_fee: [13, 0, 0, 0],
            gas_limit: 14,
            chain_id: 15,
            coinbase: [16, 0, 0, 0],
        },
        transaction: TransactionEnvironment { gas_price: [5, 0, 0, 0], origin: [17, 0, 0, 0] },
        address: [6, 0, 0, 0],
        caller: [7, 0, 0, 0],
        gas_beyond: 18,
        memory_max: 19,
        log_room: 20,
        blob_hashes: 8,
        calldata_bytes: 9,
    };
    let head = bytes(&input);
    assert_eq!(head.len(), offset::TAIL);
    assert_eq!(bytes(&FrameInput::default()).len(), offset::TAIL);
    let expected = [
        (offset::VERSION, FRAME_ABI_VERSION as u8),
        (offset::IS_STATIC, 1),
        (offset::GAS, 2),
        (offset::VALUE, 3),
        (offset::BLOCK_NUMBER, 4),
        (offset::BLOCK_TIMESTAMP, 10),
        (offset::BLOCK_PREVRANDAO, 11),
        (offset::BLOCK_BASE_FEE, 12),
        (offset::BLOCK_BLOB_BASE_FEE, 13),
        (offset::BLOCK_GAS_LIMIT, 14),
        (offset::BLOCK_CHAIN_ID, 15),
        (offset::BLOCK_COINBASE, 16),
        (offset::TRANSACTION_GAS_PRICE, 5),
        (offset::TRANSACTION_ORIGIN, 17),
        (offset::ADDRESS, 6),
        (offset::CALLER, 7),
        (offset::GAS_BEYOND, 18),
        (offset::MEMORY_MAX, 19),
        (offset::LOG_ROOM, 20),
        (offset::BLOB_HASHES, 8),
        (offset::CALLDATA_BYTES, 9),
    ];
    for (at, first) in expected {
        assert_eq!(head[at], first, "byte {at}");
    }
}

#[test]
fn heads_have_constant_sizes() {
    let (word, address) = ([u64::MAX; 4], [u64::MAX; 4]);
    let effects = Effects { storage_writes: u32::MAX, ..Effects::default() };
    let kind = CallKind::StaticCall;
    let halt = Halt::Exceptional;
    let requests = [
        (Request::SLoad { slot: word }, 33),
        (Request::TLoad { slot: word }, 33),
        (Request::Balance { address }, 33),
        (Request::ExtCode { address, with_bytes: 1 }, 37),
        (Request::BlockHash { number: u64::MAX }, 9),
        (
            Request::Call {
                kind,
                gas_left: 1,
                gas_asked: 1,
                address,
                value: word,
                effects,
                memory_bytes: 1,
                input_bytes: 1,
            },
            102,
        ),
        (
            Request::Create {
                with_salt: 1,
                salt: word,
                gas_left: 1,
                value: word,
                effects,
                memory_bytes: 1,
                init_code_bytes: 1,
            },
            97,
        ),
        (Request::SelfDestruct { gas_left: 1, refund: -1, beneficiary: address, effects }, 61),
        (Request::Done { halt, gas_left: 1, refund: -1, effects, output_bytes: 1 }, 34),
        (Request::Flush { effects }, 13),
    ];
    for (request, size) in requests {
        assert_eq!(bytes(&request).len(), size, "{request:?}");
    }
    let answers = [
        (Answer::Slot { present: word, original: word, cold: 1 }, 69),
        (Answer::Word(word), 33),
        (Answer::Balance { balance: word, cold: 1 }, 37),
        (Answer::Code { hash: word, code_bytes: 1, cold: 1 }, 41),
        (Answer::Returned { success: 1, left: Left::of(1), data_bytes: 1 }, 29),
        (Answer::Created { address, left: Left::of(1), data_bytes: 1 }, 57),
    ];
    for (answer, size) in answers {
        assert_eq!(bytes(&answer).len(), size, "{answer:?}");
    }
    assert_eq!(bytes(&LogHead::default()).len(), 8);
    assert_eq!(bytes(&Effects::default()).len(), 12);
}

#[test]
fn words_addresses_and_strings_turn_and_turn_back() {
    let bytes: [u8; 32] = core::array::from_fn(|i| i as u8 + 1);
    assert_eq!(word(bytes)[0], 0x191a_1b1c_1d1e_1f20);
    assert_eq!(word_bytes(word(bytes)), bytes);
    let account: [u8; 20] = core::array::from_fn(|i| 0xff - i as u8);
    assert_eq!(address(account)[2], 0xfffe_fdfc);
    assert_eq!(address_bytes(address(account)), account);
    assert_eq!(backwards(b"abc"), b"cba");
}
