//! Values on the command line: what a person writes, and what is wrong with it.

use crate::args::Mode;
use cotenant_gas::{PRESETS, UnknownProtocol};
use cotenant_host::engine::EngineKind;
use cotenant_submodules::{ModuleId, ModuleIdError, Namespace, NamespaceError, Replace};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_gas::NearGas;
use near_token::NearToken;
use revm::primitives::{Address, U256};
use std::path::PathBuf;

/// The folder of the state unless `--home` names one.
pub(super) fn default_home() -> PathBuf {
    let named = std::env::var_os("COTENANT_HOME").filter(|folder| !folder.is_empty());
    named.map_or_else(|| "./.cotenant".into(), PathBuf::from)
}

/// A module. An account with a colon and nothing behind it is a slip, not the default module.
pub(super) fn module_id(text: &str) -> Result<ModuleId, String> {
    if let Some(account) = text.strip_suffix(':') {
        return Err(format!(
            "no namespace behind the colon; write `{account}` for the default module, or `{account}:NAMESPACE`"
        ));
    }
    text.parse().map_err(|error: ModuleIdError| error.to_string())
}

pub(super) fn protocol(text: &str) -> Result<u32, String> {
    let listed = PRESETS.map(|preset| preset.to_string()).join(", ");
    let found = text.parse().map_err(|_| format!("no protocol version; choose one of {listed}"))?;
    if PRESETS.contains(&found) {
        return Ok(found);
    }
    Err(UnknownProtocol { found, allowed: &PRESETS }.to_string())
}

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1_u64 << 30,
        _ => return Err("write a number and a unit: `8 GiB`, `500 MiB`, `64 KiB`".into()),
    };
    let number: u64 = digits.trim().parse().map_err(|error| format!("{error}; write `8 GiB`"))?;
    number.checked_mul(unit).ok_or_else(|| "more bytes than there are".into())
}

pub(super) fn engine(text: &str) -> Result<EngineKind, String> {
    text.parse()
}

pub(super) fn replace(text: &str) -> Result<Replace, String> {
    match text {
        "any" => Ok(Replace::Any),
        "private" => Ok(Replace::Private),
        "nothing" => Ok(Replace::Nothing),
        _ => Err("one of any, private, nothing".to_owned()),
    }
}

pub(super) fn mode(text: &str) -> Result<Mode, String> {
    let found = Mode::ALL.into_iter().find(|mode| mode.name() == text);
    found.ok_or_else(|| format!("no mode; one of {}", Mode::ALL.map(Mode::name).join(", ")))
}

pub(crate) fn account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|error: near_account_id::ParseAccountError| {
        format!("{error}; an account id is like `alice.near`")
    })
}

/// near-gas knows no unit below a Ggas; a number of units is written `N gas`.
pub(super) fn gas(text: &str) -> Result<NearGas, String> {
    const HINT: &str = "write a number and a unit: `100 Tgas`, `5 Ggas` or `1000000 gas`";
    // Trimmed here: near-gas 0.3.7 looks for the unit before it trims, and panics on blanks in front.
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if let Some(number) = lower.strip_suffix("gas").map(str::trim)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return number.parse().map(NearGas::from_gas).map_err(|error| format!("{error}; {HINT}"));
    }
    text.parse().map_err(|error: near_gas::NearGasError| format!("{error}; {HINT}"))
}

pub(super) fn balance(text: &str) -> Result<NearToken, String> {
    deposit(text)
}

pub(super) fn namespace(text: &str) -> Result<Namespace, String> {
    text.parse().map_err(|error: NamespaceError| error.to_string())
}

pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error| format!("{error}; a key is like `ed25519:6E8s...`, in base58"))
}

/// Bytes as hexadecimal digits, with or without 0x.
pub(super) fn hex_bytes(text: &str) -> Result<Hex, String> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map(Hex).map_err(|error| format!("{error}; write hexadecimal digits"))
}

/// An amount of ether: `1 ether`, `5 gwei`, or wei without a unit.
pub(super) fn wei(text: &str) -> Result<U256, String> {
    const HINT: &str = "write `1 ether`, `0.5 ether`, `5 gwei` or a number of wei";
    let text = text.trim();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).trim_end();
    let decimals: usize = match text[number.len()..].trim() {
        "" | "wei" => 0,
        "gwei" => 9,
        "ether" | "eth" => 18,
        _ => return Err(HINT.to_owned()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > decimals || !is_number(whole) || !is_number(part) {
        return Err(HINT.to_owned());
    }
    let digits = format!("{whole}{part:0<decimals$}");
    U256::from_str_radix(&digits, 10).map_err(|_| format!("more than 2^256 wei; {HINT}"))
}

/// An address of the EVM.
pub(super) fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("{error}; an address is 0x and 40 hexadecimal digits"))
}

/// Bytes that were written in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

pub(super) fn deposit(text: &str) -> Result<NearToken, String> {
    // Trimmed for the reason above.
    text.trim().parse().map_err(|error: near_token::NearTokenError| {
        format!("{error}; write a number and a unit: `1 NEAR`, `0.5 NEAR` or `1 yoctoNEAR`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_is_read_in_each_unit_and_never_without_one() {
        assert_eq!(gas("100 Tgas").unwrap().as_gas(), 100_000_000_000_000);
        assert_eq!(gas(" 5 ggas ").unwrap().as_gas(), 5_000_000_000);
        assert_eq!(gas("1234567 gas").unwrap().as_gas(), 1_234_567);
        assert_eq!(gas("0.5Tgas").unwrap().as_gas(), 500_000_000_000);
        for bad in
            ["100", "100 parsecs", "", "      T", "gas", "-1 Tgas", "99999999999999999999 gas"]
        {
            let error = gas(bad).unwrap_err();
            assert!(error.contains("`100 Tgas`"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_in_each_unit_and_never_too_large() {
        assert_eq!(size("8 GiB").unwrap(), 8 << 30);
        assert_eq!(size("500MiB").unwrap(), 500 << 20);
        assert_eq!((size("12").unwrap(), size(" 3 KiB ").unwrap()), (12, 3 << 10));
        for bad in ["", "GiB", "8 GB", "-1 MiB", "20000000000 GiB", "1.5 GiB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ether_is_read_in_each_unit() {
        for (text, amount) in [
            ("1 ether", 10_u64.pow(18)),
            ("0.5ether", 5 * 10_u64.pow(17)),
            ("5 gwei", 5_000_000_000),
            ("7", 7),
            ("7 wei", 7),
        ] {
            assert_eq!(wei(text).unwrap(), U256::from(amount), "{text}");
        }
        for bad in
            ["", "ether", "1 NEAR", "1.5", "-1", "1.0000000000000000001 ether", &"9".repeat(90)]
        {
            assert!(wei(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_colon_without_a_namespace_is_no_module() {
        assert_eq!(module_id("a.near:swap").unwrap().to_string(), "a.near:swap");
        let error = module_id("shop.near:").unwrap_err();
        assert!(error.contains("`shop.near:NAMESPACE`"), "{error}");
    }

    #[test]
    fn deposits_with_blanks_in_front_do_no_harm() {
        assert_eq!(deposit("    1 NEAR").unwrap(), NearToken::from_near(1));
        assert!(deposit("      N").is_err());
    }
}
