//! Against bytes and hashes that NEAR's own tools publish: tests of near-api-js, wallet-core and near-primitives.

use super::*;
use crate::action::{Action, Code, NamespaceScope, Permission};
use crate::runtime::{ActionError, Failure, InvalidAction, InvalidTransaction};
use cotenant_submodules::Visibility;
use serde_json::json;

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// near-api-js, `serialize and sign transfer tx`; its hash is wallet-core's.
const TRANSFER: &str = "09000000746573742e6e65617200917b3d268d4b58f7fec1b150bd68d69be3ee5d4cc39855e341538465bb77860d01000000000000000d00000077686174657665722e6e6561720fa473fd26901df296be6adc4cc4df34d040efa2435224b6986910e630c2fef601000000030100000000000000000000000000000000969a83332186ee9755e4839325525806e189a3d2d2bb4b4760e94443e97e1c4f22deeef0059a8e9713100eda6e19144da7e8a0ef7e539b20708ba1d8d021bd01";

/// near-api-js, `serialize and sign multi-action tx`, without a signature.
const EVERYTHING: &str = "09000000746573742e6e656172000f56a5f028dfc089ec7c39c1183b321b4d8f89ba5bec9e1762803cc2491f6ef80100000000000000030000003132330fa473fd26901df296be6adc4cc4df34d040efa2435224b6986910e630c2fef608000000000103000000010203020300000071717103000000010203e80300000000000040420f00000000000000000000000000037b0000000000000000000000000000000440420f00000000000000000000000000000f56a5f028dfc089ec7c39c1183b321b4d8f89ba5bec9e1762803cc2491f6ef805000f56a5f028dfc089ec7c39c1183b321b4d8f89ba5bec9e1762803cc2491f6ef800000000000000000000030000007a7a7a010000000300000077777706000f56a5f028dfc089ec7c39c1183b321b4d8f89ba5bec9e1762803cc2491f6ef80703000000313233";

/// near-primitives, `DELEGATE_ACTION_HEX`: an action.
const DELEGATE: &str = concat!(
    "0803000000616161030000006262620100000000010000000000000002000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000"
);

/// A signature of zeroes.
fn with_signature(transaction: &str) -> Vec<u8> {
    [hex(transaction), vec![0; 65]].concat()
}

#[test]
fn a_transfer_of_near_api_js_is_read_and_its_signature_holds() {
    let bytes = hex(TRANSFER);
    let signed = SignedTransaction::of_bytes(&bytes).unwrap();
    let hash = hex("eea6e680f3ea51a7f667e9a801d0bfadf66e03d41ed54975b3c6006351461b32");
    assert_eq!(signed.hash().as_bytes().as_slice(), hash);
    assert!(signed.is_signed());
    assert_eq!(signed.actions(), [Action::Transfer { deposit: 1 }]);
    assert_eq!(
        (signed.signer().as_str(), signed.receiver().as_str()),
        ("test.near", "whatever.near")
    );
    assert_eq!((signed.nonce(), signed.version(), signed.is_strict()), (1, 0, false));
    let base = "244ZQ9cgj3CQ6bWBdytfrJMuMQ1jdXLFGnr4HhvtCTnM";
    assert_eq!(signed.block_hash().to_string(), base);
    for position in 0..bytes.len() - 64 {
        let mut other = bytes.clone();
        other[position] ^= 1;
        let held = SignedTransaction::of_bytes(&other).is_ok_and(|other| other.is_signed());
        assert!(!held, "{position}");
    }
}

#[test]
fn every_action_of_near_api_js_is_read() {
    let signed = SignedTransaction::of_bytes(&with_signature(EVERYTHING)).unwrap();
    assert_eq!(signed.hash().to_string(), "Fo3MJ9XzKjnKuDuQKhDAC6fra5H2UWawRejFSEpPNk3Y");
    let key = signed.public_key().clone();
    let call = Action::FunctionCall {
        method: "qqq".into(),
        args: vec![1, 2, 3],
        deposit: 1_000_000,
        gas: 1_000,
        weight: 0,
    };
    let permission = Permission::FunctionCall {
        allowance: None,
        receiver: "zzz".parse().unwrap(),
        methods: vec!["www".into()],
        namespaces: NamespaceScope::Named,
    };
    let [create, deploy, rest @ ..] = signed.actions() else { panic!() };
    assert_eq!(*create, Action::CreateAccount);
    assert!(
        matches!(deploy, Action::DeployModule { code: Code::Bytes(code), .. } if *code == [1, 2, 3])
    );
    assert_eq!(
        rest,
        [
            call,
            Action::Transfer { deposit: 123 },
            Action::Stake { amount: 1_000_000, public_key: key.clone() },
            Action::AddKey { public_key: key.clone(), permission },
            Action::DeleteKey { public_key: key },
            Action::DeleteAccount { beneficiary: "123".parse().unwrap() },
        ]
    );
}

/// The transfer with these actions in the place of its own.
fn with_actions(actions: &[Vec<u8>]) -> Vec<u8> {
    let transfer = hex(TRANSFER);
    let head = &transfer[..transfer.len() - 65 - 17 - 4];
    let length = u32::try_from(actions.len()).unwrap().to_le_bytes();
    [head, &length, &actions.concat(), &[0; 65]].concat()
}

fn read_one(action: Vec<u8>) -> Action {
    SignedTransaction::of_bytes(&with_actions(&[action])).unwrap().actions()[0].clone()
}

#[test]
fn a_delegate_action_of_near_primitives_is_read() {
    let Action::Delegate(delegate) = read_one(hex(DELEGATE)) else { panic!() };
    assert_eq!((delegate.sender.as_str(), delegate.receiver.as_str()), ("aaa", "bbb"));
    assert_eq!(delegate.actions, [Action::CreateAccount]);
    assert_eq!((delegate.nonce, delegate.max_block_height), (1, 2));
    assert!(!delegate.is_signed());
    // One within another one.
    let inner = hex(DELEGATE);
    let mut nested = inner[..15].to_vec();
    nested.extend_from_slice(&[1, 0, 0, 0]);
    nested.extend_from_slice(&inner);
    nested.extend_from_slice(&inner[20..]);
    let error = SignedTransaction::of_bytes(&with_actions(&[nested])).unwrap_err();
    assert!(error.to_string().contains("within"), "{error}");
}

fn text(text: &str) -> Vec<u8> {
    [u32::try_from(text.len()).unwrap().to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn call(method: &str, args: &str) -> Vec<u8> {
    [vec![2], text(method), text(args), vec![0; 24]].concat()
}

#[test]
fn reserved_methods_are_the_actions_that_they_stand_for() {
    for (method, expected) in [
        ("@deploy:swap", Some(("swap", Visibility::Public))),
        ("@deploy:", Some(("", Visibility::Public))),
        ("@deploy_private:pool", Some(("pool", Visibility::Private))),
        ("@deploy:Swap", None),
        ("@other:swap", None),
        ("deploy:swap", None),
    ] {
        let found = match read_one(call(method, "code")) {
            Action::DeployModule { namespace, mode, code: Code::Bytes(code) } => {
                assert_eq!(code, b"code");
                Some((namespace.to_string(), mode.visibility))
            }
            Action::FunctionCall { .. } => None,
            other => panic!("{other:?}"),
        };
        let expected = expected.map(|(name, visibility)| (name.to_owned(), visibility));
        assert_eq!(found, expected, "{method}");
    }
    for (args, keeps) in [
        ("", Some(false)),
        ("{}", Some(false)),
        (r#"{"keep_storage":true}"#, Some(true)),
        (r#"{"keep":true}"#, None),
        ("yes", None),
    ] {
        let found = match read_one(call("@remove:swap", args)) {
            Action::RemoveModule { keep_storage, .. } => Some(keep_storage),
            _ => None,
        };
        assert_eq!(found, keeps, "{args}");
    }
}

#[test]
fn what_is_not_carried_out_is_read_to_its_end() {
    let key = [vec![0], vec![7; 32]].concat();
    let amount = 5u128.to_le_bytes().to_vec();
    for (name, deposit, action) in [
        ("DeployGlobalContract", 0, [vec![9], text("code"), vec![0]].concat()),
        ("UseGlobalContract", 0, [vec![10, 1], text("bob.near")].concat()),
        ("TransferToGasKey", 5, [vec![12], key.clone(), amount.clone()].concat()),
        ("WithdrawFromGasKey", 0, [vec![13], key.clone(), amount.clone()].concat()),
        ("UniversalStateInit", 5, [vec![15], text("init"), amount].concat()),
        ("AddKey of a gas key", 0, [vec![5], key, vec![0; 8], vec![3], vec![0; 18]].concat()),
    ] {
        let expected = Action::Unsupported { name: name.into(), deposit };
        assert_eq!(read_one(action), expected);
    }
}

#[test]
fn broken_bytes_are_refused_and_named() {
    let bytes = hex(TRANSFER);
    for length in 0..bytes.len() {
        assert!(SignedTransaction::of_bytes(&bytes[..length]).is_err(), "{length}");
    }
    let longer = [bytes.clone(), vec![0]].concat();
    let error = SignedTransaction::of_bytes(&longer).unwrap_err();
    assert_eq!((error.found, error.left), (bytes.len() + 1, 1));
    // A list of actions as long as can be said, and nothing there.
    let mut lie = bytes[..bytes.len() - 65 - 17 - 4].to_vec();
    lie.extend_from_slice(&[0xff; 4]);
    assert!(SignedTransaction::of_bytes(&lie).is_err());
    let error = SignedTransaction::of_bytes(&[2, 5, 0, 0]).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn the_second_version_says_how_its_nonce_is_meant() {
    let bytes = hex(TRANSFER);
    let nonce_at = 4 + 9 + 33;
    for (kind, mode, strict, gas_key) in
        [(vec![0], 0, false, false), (vec![0], 1, true, false), (vec![1], 0, false, true)]
    {
        let index = if gas_key { vec![3, 0] } else { Vec::new() };
        let second = [
            vec![1],
            bytes[..nonce_at].to_vec(),
            kind,
            bytes[nonce_at..nonce_at + 8].to_vec(),
            index,
            bytes[nonce_at + 8..bytes.len() - 65].to_vec(),
            vec![mode],
        ];
        let second = second.concat();
        let signed = SignedTransaction::of_bytes(&[second.clone(), vec![0; 65]].concat()).unwrap();
        assert_eq!(signed.version(), 1);
        assert_eq!((signed.is_strict(), signed.is_of_gas_key()), (strict, gas_key));
        assert_eq!(signed.hash(), CryptoHash::hash_bytes(&second));
    }
}

#[test]
fn ids_of_receipts_are_nears() {
    // create_hash_index of near-primitives: sha256 of base, height and index.
    let base = CryptoHash::hash_bytes(b"transaction");
    let bytes = [base.as_bytes().as_slice(), &7u64.to_le_bytes(), &2u64.to_le_bytes()].concat();
    assert_eq!(bytes.len(), 48);
    assert_eq!(receipt_id(&base, 7, 2), CryptoHash::hash_bytes(&bytes));
}

#[test]
fn refusals_and_failures_are_said_as_near_says_them() {
    let alice: near_account_id::AccountId = "alice.near".parse().unwrap();
    let nonce = InvalidTransaction::InvalidNonce { tx_nonce: 3, ak_nonce: 4 };
    assert_eq!(nonce.to_near(), json!({"InvalidNonce": {"tx_nonce": 3, "ak_nonce": 4}}));
    let short = InvalidTransaction::NotEnoughBalance {
        account: alice.clone(),
        balance: 1,
        cost: u128::MAX,
    };
    let cost = u128::MAX.to_string();
    let fields = json!({"signer_id": "alice.near", "balance": "1", "cost": cost});
    assert_eq!(short.to_near(), json!({"NotEnoughBalance": fields}));
    assert_eq!(InvalidTransaction::Expired.to_near(), json!("Expired"));
    let empty = InvalidTransaction::InvalidAction(InvalidAction::FunctionCallEmptyMethodName);
    assert_eq!(empty.to_near(), json!({"ActionsValidation": "FunctionCallEmptyMethodName"}));
    let full = json!({"InvalidAccessKeyError": "RequiresFullAccess"});
    assert_eq!(InvalidTransaction::RequiresFullAccess.to_near(), full);
    let error = ActionError::AccountDoesNotExist { account: alice.clone() };
    let kind = json!({"AccountDoesNotExist": {"account_id": "alice.near"}});
    let near = json!({"ActionError": {"index": 1, "kind": kind}});
    assert_eq!(Failure::new(error, Some(1)).to_near(), near);
    let abort = |code: &str, message: &str, module: &str| ActionError::FunctionCall {
        account: alice.clone(),
        abort: crate::exec::Abort {
            code: code.into(),
            message: message.into(),
            module: module.into(),
        },
    };
    for (error, expected) in [
        (
            abort("HostError.GuestPanic", "Smart contract panicked: no", ""),
            json!({"ExecutionError": "Smart contract panicked: no"}),
        ),
        (
            abort("MethodResolveError.MethodNotFound", "MethodNotFound", ""),
            json!({"MethodResolveError": "MethodNotFound"}),
        ),
        (
            abort("HostError.NamespaceNotFound", "none", ""),
            json!({"CompilationError": {"CodeDoesNotExist": {"account_id": "alice.near"}}}),
        ),
        (
            abort("HostError.NamespaceNotFound", "no swap", "swap"),
            json!({"ExecutionError": "no swap"}),
        ),
        (
            ActionError::DeployError { text: "rule 1".into() },
            json!({"ExecutionError": "DeployError: rule 1"}),
        ),
    ] {
        assert_eq!(error.to_near(), json!({"FunctionCallError": expected}));
    }
}
