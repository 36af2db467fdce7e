//! `kill -9` at any moment: what was acknowledged is there after a restart, with its outcome, and can be taken back.
//!
//! The test runs itself as a child that makes blocks and writes a line for each that it was told is made.

use cotenant_host::near::SignedTransaction;
use cotenant_host::runtime::{BlockReference, Patch, Status};
use cotenant_host::state::AccessKey;
use cotenant_host::{FIRST_BALANCE, Host, Options, action::Permission};
use near_account_id::AccountId;
use near_crypto::SecretKey;
use near_primitives_core::hash::CryptoHash;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const HOME: &str = "COTENANT_TEST_HISTORY_HOME";

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn secret() -> SecretKey {
    let key = "ed25519:3hoMW1HvnRLSFCLZnvPzWeoGwtdHzke34B2cTHM8rhcbG3TbuLKtShTv3DvyejnXKXKBiV7YPkLeqUHN1ghnqpFv";
    key.parse().unwrap()
}

fn open(home: &Path) -> Host {
    let host = Host::open(home, &Options::default()).unwrap();
    host.runtime().keep_history().unwrap();
    host
}

/// A transfer of 1 yoctoNEAR from alice.
fn transfer(host: &Host, receiver: &str, nonce: u64) -> SignedTransaction {
    let base = host.runtime().header(BlockReference::Head).unwrap().unwrap().hash;
    let mut bytes =
        borsh::to_vec(&(id("alice.near"), secret().public_key(), nonce, id(receiver), base))
            .unwrap();
    bytes.extend(borsh::to_vec(&(1u32, 3u8, 1u128)).unwrap());
    let signature = secret().sign(CryptoHash::hash_bytes(&bytes).as_ref());
    bytes.extend(borsh::to_vec(&signature).unwrap());
    SignedTransaction::of_bytes(&bytes).unwrap()
}

/// What the child does until it is killed: three transfers a block, one of them local.
fn make_blocks(home: &Path) {
    let host = open(home);
    let runtime = host.runtime();
    for account in ["alice.near", "bob.near"] {
        runtime.ensure_account(&id(account), FIRST_BALANCE).unwrap();
    }
    let public_key = secret().public_key();
    let state = host.state().unwrap();
    if state.access_key(&id("alice.near"), &public_key).unwrap().is_none() {
        let key = AccessKey { nonce: 0, permission: Permission::FullAccess };
        let key = Patch::Key { id: id("alice.near"), public_key: public_key.clone(), key };
        runtime.patch(&[key]).unwrap();
    }
    let mut out = std::io::stdout();
    loop {
        let state = host.state().unwrap();
        let nonce = state.access_key(&id("alice.near"), &public_key).unwrap().unwrap().nonce;
        let time = state.head().unwrap().timestamp + 1_000;
        let list = [
            transfer(&host, "bob.near", nonce + 1),
            transfer(&host, "alice.near", nonce + 2),
            transfer(&host, "nobody.near", nonce + 3),
        ];
        let block = runtime.make_block(time, &list).unwrap();
        let mut line = format!("made {} {}", block.header.height, block.header.hash);
        for taken in &block.transactions {
            line.push_str(&format!(" {}", taken.as_ref().unwrap().hash));
        }
        writeln!(out, "{line} {}", runtime.digest().unwrap()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    if let Some(home) = std::env::var_os(HOME) {
        return make_blocks(Path::new(&home));
    }
    let home = tempfile::tempdir().unwrap();
    let rounds: u64 = std::env::var("COTENANT_KILLS").map_or(6, |text| text.parse().unwrap());
    let mut made: Vec<(u64, Vec<CryptoHash>)> = Vec::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_acknowledged_survives_a_kill_at_any_moment", "--nocapture"])
            .env(HOME, home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut take = |line: String| {
            let Some(at) = line.find("made ") else { return false };
            let mut words = line[at..].split(' ').skip(1);
            let height = words.next().unwrap().parse().unwrap();
            made.push((height, words.map(|word| word.parse().unwrap()).collect()));
            true
        };
        let mut seen = 0;
        while seen < 4 + round {
            seen += u64::from(take(lines.next().expect("the child lives").unwrap()));
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 1_700));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            take(line);
        }

        let host = open(home.path());
        let runtime = host.runtime();
        // What had begun goes on first.
        while !runtime.is_idle().unwrap() {
            runtime.make_block(0, &[]).unwrap();
        }
        for (height, hashes) in &made {
            let [block, transactions @ .., _] = hashes.as_slice() else { panic!("{hashes:?}") };
            let found = runtime.block(BlockReference::Height(*height)).unwrap().unwrap();
            assert_eq!((found.header.hash, found.transactions.as_slice()), (*block, transactions));
            for hash in transactions {
                let status = runtime.final_status(hash).unwrap().unwrap();
                assert!(status.done && status.status.is_some(), "{hash} of block {height}");
                assert_eq!(status.transaction.block_hash, *block);
            }
            let lost = runtime.final_status(&transactions[2]).unwrap().unwrap().status;
            assert!(matches!(lost, Some(Status::Failure(_))), "{lost:?}");
        }
        // Back to the last block but two of those that this process heard of: the same state.
        let (height, hashes) = &made[made.len() - 3];
        runtime.revert_to(*height).unwrap();
        assert_eq!(Some(&runtime.digest().unwrap()), hashes.last());
        made.truncate(made.len() - 2);
    }
    assert!(made.len() as u64 >= rounds * 2);
}

#[test]
fn a_host_is_read_by_any_thread_while_one_makes_blocks() {
    let host = Host::in_memory(&Options::default()).unwrap();
    let runtime = host.runtime();
    runtime.keep_history().unwrap();
    runtime.ensure_account(&id("alice.near"), FIRST_BALANCE).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 50 {
                    let state = runtime.state_at(BlockReference::Head).unwrap();
                    let height = state.head().unwrap().height;
                    assert!(height >= last);
                    last = height;
                    assert!(state.account(&id("alice.near")).unwrap().is_some());
                    let header = runtime.header(BlockReference::Height(height)).unwrap().unwrap();
                    assert_eq!(header.height, height);
                }
            });
        }
        (0..50).for_each(|time| drop(runtime.make_block(time, &[]).unwrap()));
    });
}
