//! A delegate action (NEP-366): its sender has signed it, the signer of the transaction pays for it.
//!
//! It becomes a receipt from the sender to whom it is for. Checks, their order and prices are those of NEAR's
//! `apply_delegate_action`: the deposit of what fails later comes back to the sender, the gas to the relayer.

use crate::action::Delegate;
use crate::fees;
use crate::runtime::Machine;
use crate::runtime::apply::{Run, Stop};
use crate::runtime::errors::ActionError;
use crate::runtime::errors::InvalidTransaction;
use crate::runtime::receipt::{ActionReceipt, ReceiptBody};
use crate::runtime::transaction::{check_nonce, permitted};
use crate::state::keys;

impl<M: Machine> Run<'_, M> {
    pub(super) fn delegate(&mut self, delegate: &Delegate) -> Result<(), Stop> {
        if !delegate.is_signed() {
            return Err(ActionError::DelegateActionInvalidSignature.into());
        }
        let (max_block_height, height) = (delegate.max_block_height, self.block.height);
        if height > max_block_height {
            return Err(ActionError::DelegateActionExpired { max_block_height, height }.into());
        }
        if delegate.sender != *self.receiver() {
            let (sender, receiver) = (delegate.sender.clone(), self.receiver().clone());
            let error =
                ActionError::DelegateActionSenderDoesNotMatchTxReceiver { sender, receiver };
            return Err(error.into());
        }
        self.use_delegate_key(delegate)?;

        let send = fees::send_delegated(self.schedule, delegate);
        self.charge(send);
        let bought = fees::prepaid(self.schedule, &delegate.actions, &delegate.receiver);
        self.gas_used = self.gas_used.saturating_add(bought);
        let body = ReceiptBody::Actions(ActionReceipt {
            signer: self.body.signer.clone(),
            signer_key: self.body.signer_key.clone(),
            refund_to: None,
            gas_price: self.body.gas_price,
            outputs: Vec::new(),
            inputs: Vec::new(),
            actions: delegate.actions.clone(),
        });
        self.push(delegate.receiver.clone(), body);
        Ok(())
    }

    /// Checks that the sender's key is there and allows it, and makes its nonce that of the action.
    fn use_delegate_key(&mut self, delegate: &Delegate) -> Result<(), Stop> {
        let Delegate { sender, receiver, public_key, nonce, actions, .. } = delegate;
        let of_key = |error| ActionError::DelegateActionAccessKeyError(Box::new(error));
        let Some(mut key) = self.state.access_key(sender, public_key)? else {
            let (account, public_key) = (sender.clone(), Box::new(public_key.clone()));
            let error = InvalidTransaction::AccessKeyNotFound { account, public_key };
            return Err(of_key(error).into());
        };
        check_nonce(self.block, *nonce, key.nonce).map_err(|error| match error {
            InvalidTransaction::NonceTooLarge { tx_nonce: delegate_nonce, upper_bound } => {
                ActionError::DelegateActionNonceTooLarge { delegate_nonce, upper_bound }
            }
            _ => {
                let (delegate_nonce, ak_nonce) = (*nonce, key.nonce);
                ActionError::DelegateActionInvalidNonce { delegate_nonce, ak_nonce }
            }
        })?;
        permitted(&key.permission, receiver, actions).map_err(of_key)?;
        key.nonce = *nonce;
        Ok(self.state.write(keys::access_key(sender, public_key), &key)?)
    }
}
