//! `account`, `transfer`, `keys`, `remove`: accounts and what hangs on them.

use crate::args::Global;
use crate::args::accounts::{AccountVerb, KeyScope, KeysVerb};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::{TransactionReport, key_values, table};
use crate::text::{near, shown, tgas};
use crate::verbs::{home, outcomes};
use anyhow::Result;
use cotenant_host::action::{Action, NamespaceScope, Permission};
use cotenant_host::runtime::Transaction;
use cotenant_host::state::AccessKey;
use cotenant_host::{Host, HostError};
use cotenant_submodules::{ModuleId, Namespace};
use near_account_id::{AccountId, AccountType};
use near_crypto::PublicKey;
use near_token::NearToken;
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
struct AccountReport {
    account: String,
    /// Set if this command created it.
    created: bool,
    balance: String,
    locked: String,
    storage_bytes: u64,
    keys: usize,
    modules: usize,
}

#[derive(Serialize)]
struct AccountsReport {
    accounts: Vec<AccountReport>,
}

#[derive(Serialize)]
struct KeysReport {
    account: String,
    keys: Vec<KeyReport>,
}

#[derive(Serialize)]
struct KeyReport {
    public_key: String,
    nonce: u64,
    permission: Value,
}

pub(super) fn account(what: &AccountVerb, global: &Global, console: &Console) -> Result<Exit> {
    match what {
        AccountVerb::Create { account, balance } => create(account, *balance, global, console),
        AccountVerb::Balance { account } => {
            let host = home::read(global, console)?;
            home::existing(&host, account)?;
            show(&report(&host, account, false)?, console)
        }
        AccountVerb::List => {
            let host = home::read(global, console)?;
            let accounts = host.state()?.accounts()?;
            let accounts = accounts.iter().map(|account| report(&host, account, false));
            list(AccountsReport { accounts: accounts.collect::<Result<_>>()? }, console)
        }
    }
}

fn create(
    account: &AccountId,
    balance: NearToken,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let host = home::open(global, console)?;
    if !host.runtime().ensure_account(account, balance.as_yoctonear()).map_err(HostError::from)? {
        let message = format!("account `{account}` exists already");
        let hint = format!(
            "`cotenant account balance {account}` shows it, `cotenant transfer` gives it more"
        );
        return Err(Failure::usage("AccountAlreadyExists", message).with("hint", hint).into());
    }
    show(&report(&host, account, true)?, console)
}

fn report(host: &Host, id: &AccountId, created: bool) -> Result<AccountReport> {
    let state = host.state()?;
    let account = state.account(id)?.unwrap_or_default();
    Ok(AccountReport {
        account: id.to_string(),
        created,
        balance: account.balance.to_string(),
        locked: account.locked.to_string(),
        storage_bytes: account.storage_usage,
        keys: state.access_keys(id)?.len(),
        modules: state.modules(id)?.len(),
    })
}

fn show(report: &AccountReport, console: &Console) -> Result<Exit> {
    if console.json {
        console.object(report)?;
        return Ok(Exit::Fine);
    }
    console.data(key_values(&[
        ("account", report.account.clone()),
        ("balance", near(&report.balance)),
        ("locked", near(&report.locked)),
        ("storage", format!("{} bytes", report.storage_bytes)),
        ("keys", report.keys.to_string()),
        ("modules", report.modules.to_string()),
    ]))?;
    Ok(Exit::Fine)
}

fn list(report: AccountsReport, console: &Console) -> Result<Exit> {
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    let mut rows = table(&["account", "balance", "storage", "keys", "modules"], &[1, 2, 3, 4]);
    for account in report.accounts {
        rows.add_row([
            account.account,
            near(&account.balance),
            account.storage_bytes.to_string(),
            account.keys.to_string(),
            account.modules.to_string(),
        ]);
    }
    console.data(rows)?;
    Ok(Exit::Fine)
}

pub(super) fn transfer(
    from: &AccountId,
    to: &AccountId,
    amount: NearToken,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let deposit = amount.as_yoctonear();
    run(from, to, Action::Transfer { deposit }, global, console)
}

pub(super) fn remove(
    module: &ModuleId,
    drop_storage: bool,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let namespace = module.namespace.clone();
    let action = Action::RemoveModule { namespace, keep_storage: !drop_storage };
    run(&module.account, &module.account, action, global, console)
}

pub(super) fn keys(what: KeysVerb, global: &Global, console: &Console) -> Result<Exit> {
    match what {
        KeysVerb::Add { account, key, scope } => {
            let action = Action::AddKey { public_key: key, permission: permission(scope) };
            run(&account, &account, action, global, console)
        }
        KeysVerb::Remove { account, key } => {
            run(&account, &account, Action::DeleteKey { public_key: key }, global, console)
        }
        KeysVerb::List { account } => list_keys(&account, global, console),
    }
}

fn permission(scope: KeyScope) -> Permission {
    let KeyScope { receiver, methods, namespaces, all_namespaces, allowance } = scope;
    let Some(receiver) = receiver else { return Permission::FullAccess };
    let namespaces =
        if all_namespaces { NamespaceScope::All } else { NamespaceScope::from(namespaces) };
    let allowance = allowance.map(|limit| limit.as_yoctonear());
    Permission::FunctionCall { allowance, receiver, methods, namespaces }
}

fn list_keys(account: &AccountId, global: &Global, console: &Console) -> Result<Exit> {
    let host = home::read(global, console)?;
    home::existing(&host, account)?;
    let found = host.state()?.access_keys(account)?;
    if console.json {
        let keys = found.iter().map(|(key, access)| key_report(key, access)).collect();
        console.object(&KeysReport { account: account.to_string(), keys })?;
        return Ok(Exit::Fine);
    }
    if found.is_empty() {
        console.note(format_args!("{account} has no access keys; commands of this home need none"));
        return Ok(Exit::Fine);
    }
    let mut rows =
        table(&["public key", "nonce", "may", "methods", "namespaces", "allowance"], &[1]);
    for (key, access) in &found {
        let [may, methods, namespaces, allowance] = words(&access.permission);
        rows.add_row([
            key.to_string(),
            access.nonce.to_string(),
            may,
            methods,
            namespaces,
            allowance,
        ]);
    }
    console.data(rows)?;
    Ok(Exit::Fine)
}

fn key_report(key: &PublicKey, access: &AccessKey) -> KeyReport {
    let permission = match &access.permission {
        Permission::FullAccess => json!("FullAccess"),
        Permission::FunctionCall { allowance, receiver, methods, namespaces } => {
            let namespaces = match namespaces {
                NamespaceScope::Named => json!("named"),
                NamespaceScope::All => json!("all"),
                NamespaceScope::Listed(listed) => {
                    json!(listed.iter().map(Namespace::as_str).collect::<Vec<_>>())
                }
            };
            json!({ "FunctionCall": {
                "receiver_id": receiver.as_str(),
                "method_names": methods,
                "allowance": allowance.map(|yocto| yocto.to_string()),
                "namespaces": namespaces,
            }})
        }
    };
    KeyReport { public_key: key.to_string(), nonce: access.nonce, permission }
}

/// Describes a key: the account it may call, methods, namespaces, allowance.
fn words(permission: &Permission) -> [String; 4] {
    match permission {
        Permission::FullAccess => {
            ["everything".to_owned(), String::new(), String::new(), String::new()]
        }
        Permission::FunctionCall { allowance, receiver, methods, namespaces } => [
            format!("call {receiver}"),
            if methods.is_empty() { "all".to_owned() } else { shown(&methods.join(", ")) },
            match namespaces {
                NamespaceScope::Named => "as the methods say".to_owned(),
                NamespaceScope::All => "all".to_owned(),
                NamespaceScope::Listed(listed) => {
                    let names = listed
                        .iter()
                        .map(|name| if name.is_default() { "(default)" } else { name.as_str() });
                    names.collect::<Vec<_>>().join(", ")
                }
            },
            allowance.map_or_else(|| "no limit".to_owned(), |yocto| near(&yocto.to_string())),
        ],
    }
}

/// A transaction of one action, signed by the account that pays.
fn run(
    signer: &AccountId,
    receiver: &AccountId,
    action: Action,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let host = home::read(global, console)?;
    home::existing(&host, signer)?;
    // A transfer makes the account whose name is the digits of a key.
    if receiver.get_account_type() != AccountType::NearImplicitAccount {
        home::existing(&host, receiver)?;
    }
    let (signer, receiver) = (signer.clone(), receiver.clone());
    let transaction = Transaction { signer, signer_key: None, receiver, actions: vec![action] };
    let outcome = host.runtime().execute(&transaction).map_err(HostError::from)?;
    let report = TransactionReport::of(&outcome);
    outcomes::keep(&global.home, &report.transaction, &report, console);
    if console.json {
        console.object(&report)?;
    } else if let Some(failure) = &report.error {
        console.block(failure);
    } else {
        console.data(key_values(&[
            ("transaction", report.transaction.clone()),
            ("gas total", tgas(report.gas_total)),
        ]))?;
    }
    Ok(report.error.map_or(Exit::Fine, |failure| failure.exit))
}
