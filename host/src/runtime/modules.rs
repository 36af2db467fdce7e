//! Deploying and removing modules (`docs/spec/calls.md`, sections 1 and 2).

use crate::action::Code;
use crate::runtime::Machine;
use crate::runtime::actions::{DELETION_STORAGE_BYTES_MAX, module_storage_bytes};
use crate::runtime::apply::{Run, Stop};
use crate::runtime::errors::ActionError;
use crate::state::keys;
use crate::view::{ModuleRecord, StateView};
use cotenant_submodules::{DeployMode, Namespace, Visibility};
use near_primitives_core::hash::CryptoHash;
use std::borrow::Cow;

impl<M: Machine> Run<'_, M> {
    /// A module replaces the one before it, if the action says that it may, and finds its storage.
    pub(super) fn deploy(
        &mut self,
        namespace: &Namespace,
        DeployMode { visibility, replace }: DeployMode,
        code: &Code,
    ) -> Result<(), Stop> {
        if namespace.is_default() && visibility == Visibility::Private {
            return Err(ActionError::DefaultNamespaceMustBePublic.into());
        }
        let id = self.receiver().clone();
        let before = self.state.module(&id, namespace)?;
        if let Some(there) = &before
            && !replace.allows(there.visibility)
        {
            let (namespace, visibility) = (namespace.clone(), there.visibility);
            return Err(ActionError::ModuleExists { account: id, namespace, visibility }.into());
        }
        let (code_hash, code) = match code {
            Code::Bytes(code) => (CryptoHash::hash_bytes(code), Cow::Borrowed(code)),
            Code::Hash { hash, bytes } => match self.state.code(hash)? {
                Some(code) if code.len() as u64 == *bytes => (*hash, Cow::Owned(code)),
                Some(code) => {
                    let (hash, found, actual) = (*hash, *bytes, code.len() as u64);
                    return Err(ActionError::WrongCodeLength { hash, found, actual }.into());
                }
                None => return Err(ActionError::UnknownCodeHash { hash: *hash }.into()),
            },
        };
        if let Err(rejection) = self.machine.deploy(&code, visibility)? {
            return Err(ActionError::DeployError { text: rejection.text }.into());
        }
        let module = ModuleRecord { code_hash, visibility, code_bytes: code.len() as u64 };
        // The new code is counted before the old one goes: it may be the same.
        self.state.use_code(&code_hash, &code)?;
        let record_bytes = self.record_bytes();
        let bytes = |module: &ModuleRecord| {
            module_storage_bytes(namespace, module.code_bytes, record_bytes)
        };
        let (more, less) = (bytes(&module), before.as_ref().map_or(0, bytes));
        if let Some(before) = before {
            self.state.release_code(&before.code_hash)?;
        }
        self.state.write(keys::module(&id, namespace), &module)?;
        self.use_storage(more, less)
    }

    /// A module goes; its storage stays, or goes with it if there is not too much of it.
    pub(super) fn remove(&mut self, namespace: &Namespace, keep_storage: bool) -> Result<(), Stop> {
        let account = self.receiver().clone();
        let Some(module) = self.state.module(&account, namespace)? else {
            let namespace = namespace.clone();
            return Err(ActionError::ModuleDoesNotExist { account, namespace }.into());
        };
        let mut less = module_storage_bytes(namespace, module.code_bytes, self.record_bytes());
        if !keep_storage {
            let storage_bytes = self.namespace_storage_bytes(namespace)?;
            let limit = DELETION_STORAGE_BYTES_MAX;
            if storage_bytes > limit {
                let namespace = namespace.clone();
                return Err(
                    ActionError::RemoveModuleWithLargeState { account, namespace, limit }.into()
                );
            }
            self.state.delete_all(&keys::storage_prefix(&account, namespace))?;
            less = less.saturating_add(storage_bytes);
        }
        self.state.release_code(&module.code_hash)?;
        self.state.delete(keys::module(&account, namespace));
        self.use_storage(0, less)
    }
}
