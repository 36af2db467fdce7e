//! Charging: the local with the gas that is left, and when the global has to have the same.

use finite_wasm::Fee;
use wasm_encoder::BlockType;

use super::{Copy, GAS_EXHAUSTED, Locals, MeterError, Point, Writer};

/// How many subtractions cranelift may fold into each other.
const LONG_CHAIN: u32 = 32;

/// What is subtracted from the gas that is left.
enum Amount {
    /// A constant.
    Known(i64),
    /// What is in the local for charges by operand.
    Charged,
}

impl Writer<'_> {
    /// Charges the points before `next`, at the operator at `start`.
    pub(super) fn charge_up_to(
        &mut self,
        next: usize,
        start: usize,
        copy: Option<Copy>,
    ) -> Result<(), MeterError> {
        while let Some(point) = self.next_point(next) {
            self.copy_to(start);
            if point.fee.linear != 0 {
                self.charge_by_operand(point)?;
            } else if copy.is_some_and(|copy| copy.affordable) {
                let owed = self.owed.cast_unsigned();
                self.owed = self.sum(&[owed, point.fee.constant], start)?;
                self.stale = true;
            } else {
                self.charge(point.fee.constant, start)?;
            }
        }
        Ok(())
    }

    /// Charges `amount`, which is not 0.
    fn charge(&mut self, amount: u64, offset: usize) -> Result<(), MeterError> {
        let amount = self.sum(&[amount], offset)?;
        let gas = self.locals.gas;
        self.sink().local_get(gas).i64_const(amount).i64_lt_u().if_(BlockType::Empty);
        self.write_global();
        self.sink().i64_const(amount).call(GAS_EXHAUSTED).unreachable().end();
        self.pay(Amount::Known(amount));
        Ok(())
    }

    /// Charges several amounts in a row, with nothing in between.
    pub(super) fn charge_at_once(
        &mut self,
        amounts: &[u64],
        offset: usize,
    ) -> Result<(), MeterError> {
        let all = self.sum(amounts, offset)?;
        if all == 0 {
            return Ok(());
        }
        let gas = self.locals.gas;
        self.sink().local_get(gas).i64_const(all).i64_lt_u().if_(BlockType::Empty);
        self.write_global();
        for amount in amounts.iter().filter(|amount| **amount != 0) {
            self.sink().i64_const(amount.cast_signed()).call(GAS_EXHAUSTED);
        }
        self.sink().unreachable().end();
        self.pay(Amount::Known(all));
        Ok(())
    }

    /// Charges for an operator by its last operand, which is an `i32`.
    pub(super) fn charge_by_operand(&mut self, point: Point) -> Result<(), MeterError> {
        let Fee { constant, linear } = point.fee;
        let most = u128::from(linear) * u128::from(u32::MAX) + u128::from(constant);
        if most > i64::MAX as u128 {
            return Err(self.too_high(point.offset));
        }
        let Locals { gas, charge, count, .. } = self.locals;
        self.sink().local_tee(count).i64_extend_i32_u().i64_const(linear.cast_signed()).i64_mul();
        self.sink().i64_const(constant.cast_signed()).i64_add().local_tee(charge);
        self.sink().local_get(gas).i64_gt_u().if_(BlockType::Empty);
        self.write_global();
        self.sink().local_get(charge).call(GAS_EXHAUSTED).unreachable().end();
        self.pay(Amount::Charged);
        self.sink().local_get(count);
        Ok(())
    }

    fn pay(&mut self, amount: Amount) {
        let Locals { gas, charge, .. } = self.locals;
        let mut sink = self.sink();
        sink.local_get(gas);
        match amount {
            Amount::Known(amount) => sink.i64_const(amount),
            Amount::Charged => sink.local_get(charge),
        };
        sink.i64_sub().local_set(gas);
        self.stale = true;
        self.break_chain();
    }

    /// Cranelift folds the differences of differences of a long function into each other, in more than
    /// linear time. A branch that is never taken hides one from the next: gas is never above `i64::MAX`.
    fn break_chain(&mut self) {
        self.chain += 1;
        if self.chain == LONG_CHAIN {
            self.chain = 0;
            let gas = self.locals.gas;
            self.sink()
                .local_get(gas)
                .i64_const(-1)
                .i64_eq()
                .if_(BlockType::Empty)
                .i64_const(0)
                .local_set(gas)
                .end();
        }
    }

    pub(super) fn sum(&self, charges: &[u64], offset: usize) -> Result<i64, MeterError> {
        let sum = charges.iter().try_fold(0_u64, |sum, charge| sum.checked_add(*charge));
        sum.and_then(|sum| i64::try_from(sum).ok()).ok_or_else(|| self.too_high(offset))
    }

    pub(super) fn too_high(&self, offset: usize) -> MeterError {
        MeterError::PriceTooHigh { function: self.function.index, offset }
    }

    /// The next point before `end`.
    pub(super) fn next_point(&mut self, end: usize) -> Option<Point> {
        while let Some(point) = self.function.points.get(self.point) {
            if point.offset >= end {
                break;
            }
            self.point += 1;
            if point.charges() {
                return Some(*point);
            }
        }
        None
    }

    /// Whether the operator before `next` can be seen from outside. finite-wasm has a point behind each
    /// operator that can trap or have an effect, if only to keep the charges on its two sides apart.
    pub(super) fn may_trap(&self, next: usize) -> bool {
        self.function.points.get(self.point).is_some_and(|point| point.offset == next)
    }

    pub(super) fn read_global(&mut self) {
        let (local, global) = (self.locals.gas, self.globals.gas);
        self.sink().global_get(global).local_set(local);
        self.stale = false;
    }

    /// Makes sure that the global has what the local has.
    pub(super) fn update_global(&mut self) {
        self.write_global();
        self.stale = false;
    }

    /// As [`Self::update_global`], but on a way that ends here.
    pub(super) fn write_global(&mut self) {
        if self.stale {
            let (local, global, owed) = (self.locals.gas, self.globals.gas, self.owed);
            self.sink().local_get(local);
            if owed != 0 {
                self.sink().i64_const(owed).i64_sub();
            }
            self.sink().global_set(global);
        }
    }

    /// Subtracts what is owed, but goes on owing it: for a way that ends here.
    pub(super) fn pay_owed(&mut self) {
        let owed = self.owed;
        if owed != 0 {
            self.pay(Amount::Known(owed));
        }
    }

    /// Subtracts what is owed.
    pub(super) fn settle(&mut self) {
        self.pay_owed();
        self.owed = 0;
    }
}
