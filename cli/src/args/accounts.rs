//! The command line of accounts, keys and blocks.

use super::help::{ACCOUNT_JSON, ACCOUNTS_JSON, BLOCKS_JSON, KEYS_JSON, TRANSACTION_JSON};
use super::values::{account, balance, namespace, public_key};
use clap::{Args, Subcommand};
use cotenant_submodules::Namespace;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_token::NearToken;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountVerb {
    /// Create an account from nothing, with a balance
    #[command(after_long_help = ACCOUNT_JSON)]
    Create {
        /// The account
        #[arg(value_parser = account)]
        account: AccountId,
        /// What it has at first: `1000 NEAR`
        #[arg(long, default_value = "1000 NEAR", value_parser = balance)]
        balance: NearToken,
    },
    /// Show what an account has and uses
    #[command(after_long_help = ACCOUNT_JSON)]
    Balance {
        /// The account
        #[arg(value_parser = account)]
        account: AccountId,
    },
    /// List the accounts of the home
    #[command(after_long_help = ACCOUNTS_JSON)]
    List,
}

/// What to do with access keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Add a key: for everything, or for function calls to one account
    #[command(after_long_help = KEYS_JSON)]
    Add {
        /// The account
        #[arg(value_parser = account)]
        account: AccountId,
        /// The key: `ed25519:...` or `secp256k1:...`
        #[arg(value_name = "PUBLIC_KEY", value_parser = public_key)]
        key: PublicKey,
        #[command(flatten)]
        scope: KeyScope,
    },
    /// List the keys of an account and what each may do
    #[command(after_long_help = KEYS_JSON)]
    List {
        /// The account
        #[arg(value_parser = account)]
        account: AccountId,
    },
    /// Remove a key
    #[command(after_long_help = TRANSACTION_JSON)]
    Remove {
        /// The account
        #[arg(value_parser = account)]
        account: AccountId,
        /// The key
        #[arg(value_name = "PUBLIC_KEY", value_parser = public_key)]
        key: PublicKey,
    },
}

/// What a key is limited to; without any of these it may do everything.
#[derive(Debug, Args)]
pub(crate) struct KeyScope {
    /// Function calls to this account alone
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(crate) receiver: Option<AccountId>,
    /// Methods, separated by commas: `vote`, and without --namespaces also `swap:quote` and `swap:*` [default: all]
    #[arg(long, value_name = "METHODS", value_delimiter = ',', requires = "receiver")]
    pub(crate) methods: Vec<String>,
    /// Namespaces, separated by commas; an empty one is the default [default: what the methods say]
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',', value_parser = namespace, requires = "receiver")]
    pub(crate) namespaces: Vec<Namespace>,
    /// Every namespace
    #[arg(long, requires = "receiver", conflicts_with = "namespaces")]
    pub(crate) all_namespaces: bool,
    /// The most that it may spend on gas: `0.25 NEAR` [default: no limit]
    #[arg(long, value_name = "BALANCE", value_parser = balance, requires = "receiver")]
    pub(crate) allowance: Option<NearToken>,
}

/// What to do with blocks.
#[derive(Debug, Subcommand)]
pub(crate) enum BlocksVerb {
    /// Let blocks pass, and run what their passing brings: yields whose time is over
    #[command(after_long_help = BLOCKS_JSON)]
    Advance {
        /// How many
        #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        blocks: u64,
    },
    /// Show the last block
    #[command(after_long_help = BLOCKS_JSON)]
    Head,
}
