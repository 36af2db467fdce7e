//! A small assembler for the bodies of runtime functions: operators by name, locals by handle, branches by
//! label. It checks nothing; what it makes is validated by the tests.

use alloc::vec::Vec;
use core::ops::Index;

use wasm_encoder::{BlockType, MemArg, ValType};

use super::layout::Global;
use super::{Function, Import, Indices, Setup};
use crate::sink::Sink;

/// A local of a function, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Local(pub(super) u32);

/// A word in four locals, the lowest limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) [Local; 4]);

impl Index<usize> for Word {
    type Output = Local;

    fn index(&self, limb: usize) -> &Local {
        &self.0[limb]
    }
}

/// Where a branch can go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(u32);

/// The body of one function in the making.
pub(super) struct Code<'a> {
    /// What the module is made with.
    pub(super) setup: &'a Setup,
    indices: &'a Indices,
    caller: Function,
    parameters: u32,
    taken: u32,
    locals: Vec<ValType>,
    bytes: Vec<u8>,
    depth: u32,
}

/// Operators without immediates. Not inlined: the runtime functions are thousands of them, and together one body that a
/// host would not take of the compiler itself.
macro_rules! plain {
    ($($name:ident)*) => {
        $(#[inline(never)]
        pub(super) fn $name(&mut self) -> &mut Self {
            self.sink().$name();
            self
        })*
    };
}

/// Loads and stores, at any alignment, with their offset.
macro_rules! memory_access {
    ($($name:ident = $operator:ident)*) => {
        $(#[inline(never)]
        pub(super) fn $name(&mut self, offset: u32) -> &mut Self {
            self.sink().$operator(MemArg { offset: u64::from(offset), align: 0, memory_index: 0 });
            self
        })*
    };
}

impl<'a> Code<'a> {
    /// An empty body for `caller`.
    pub(super) fn new(caller: Function, indices: &'a Indices, setup: &'a Setup) -> Self {
        Self {
            setup,
            indices,
            caller,
            parameters: caller.signature().params.len() as u32,
            taken: 0,
            locals: Vec::new(),
            bytes: Vec::new(),
            depth: 0,
        }
    }

    /// The finished body.
    #[inline(never)]
    pub(super) fn finish(mut self) -> wasm_encoder::Function {
        self.sink().end();
        debug_assert_eq!(self.depth, 0, "{:?} leaves a block open", self.caller);
        debug_assert_eq!(self.taken, self.parameters, "parameters of {:?}", self.caller);
        let mut function = wasm_encoder::Function::new_with_locals_types(self.locals);
        function.raw(self.bytes);
        function
    }

    fn sink(&mut self) -> Sink<'_> {
        Sink::new(&mut self.bytes)
    }

    /// The next parameter.
    pub(super) fn parameter(&mut self) -> Local {
        self.taken += 1;
        Local(self.taken - 1)
    }

    /// The next four parameters.
    pub(super) fn parameter_word(&mut self) -> Word {
        Word(core::array::from_fn(|_| self.parameter()))
    }

    fn local(&mut self, kind: ValType) -> Local {
        self.locals.push(kind);
        Local(self.parameters + self.locals.len() as u32 - 1)
    }

    /// A new local of type i64.
    pub(super) fn long(&mut self) -> Local {
        self.local(ValType::I64)
    }

    /// A new local of type i32.
    pub(super) fn int(&mut self) -> Local {
        self.local(ValType::I32)
    }

    /// Several new locals of type i64.
    pub(super) fn longs<const N: usize>(&mut self) -> [Local; N] {
        core::array::from_fn(|_| self.long())
    }

    /// A new word.
    pub(super) fn word(&mut self) -> Word {
        Word(self.longs())
    }

    #[inline(never)]
    pub(super) fn get(&mut self, local: Local) -> &mut Self {
        self.sink().local_get(local.0);
        self
    }

    #[inline(never)]
    pub(super) fn set(&mut self, local: Local) -> &mut Self {
        self.sink().local_set(local.0);
        self
    }

    #[inline(never)]
    pub(super) fn tee(&mut self, local: Local) -> &mut Self {
        self.sink().local_tee(local.0);
        self
    }

    pub(super) fn get_word(&mut self, word: Word) -> &mut Self {
        for limb in word.0 {
            self.get(limb);
        }
        self
    }

    pub(super) fn set_word(&mut self, word: Word) -> &mut Self {
        for limb in word.0.into_iter().rev() {
            self.set(limb);
        }
        self
    }

    /// The word zero, on the stack.
    pub(super) fn zero_word(&mut self) -> &mut Self {
        self.l(0).l(0).l(0).l(0)
    }

    #[inline(never)]
    pub(super) fn get_global(&mut self, global: Global) -> &mut Self {
        self.sink().global_get(global.index());
        self
    }

    #[inline(never)]
    pub(super) fn set_global(&mut self, global: Global) -> &mut Self {
        self.sink().global_set(global.index());
        self
    }

    /// A constant of type i64.
    #[inline(never)]
    pub(super) fn l(&mut self, value: i64) -> &mut Self {
        self.sink().i64_const(value);
        self
    }

    /// A constant of type i32.
    #[inline(never)]
    pub(super) fn i(&mut self, value: u32) -> &mut Self {
        self.sink().i32_const(value as i32);
        self
    }

    /// Calls another runtime function.
    #[inline(never)]
    pub(super) fn call(&mut self, callee: Function) -> &mut Self {
        debug_assert!(
            self.caller.dependencies(self.setup).contains(&callee),
            "{:?} does not name {callee:?} among what it calls",
            self.caller,
        );
        let index = self.indices.function(callee);
        self.sink().call(index);
        self
    }

    /// Calls a host function.
    #[inline(never)]
    pub(super) fn import(&mut self, callee: Import) -> &mut Self {
        debug_assert!(
            self.caller.imports().contains(&callee),
            "{:?} does not name {callee:?} among its imports",
            self.caller,
        );
        let index = self.indices.import(callee);
        self.sink().call(index);
        self
    }

    fn open(&mut self) -> Label {
        self.depth += 1;
        Label(self.depth)
    }

    #[inline(never)]
    pub(super) fn block(&mut self) -> Label {
        self.sink().block(BlockType::Empty);
        self.open()
    }

    #[inline(never)]
    pub(super) fn loop_(&mut self) -> Label {
        self.sink().loop_(BlockType::Empty);
        self.open()
    }

    #[inline(never)]
    pub(super) fn if_(&mut self) -> Label {
        self.sink().if_(BlockType::Empty);
        self.open()
    }

    #[inline(never)]
    pub(super) fn else_(&mut self) -> &mut Self {
        self.sink().else_();
        self
    }

    #[inline(never)]
    pub(super) fn end(&mut self) -> &mut Self {
        self.sink().end();
        self.depth -= 1;
        self
    }

    #[inline(never)]
    pub(super) fn br(&mut self, label: Label) -> &mut Self {
        let relative = self.depth - label.0;
        self.sink().br(relative);
        self
    }

    #[inline(never)]
    pub(super) fn br_if(&mut self, label: Label) -> &mut Self {
        let relative = self.depth - label.0;
        self.sink().br_if(relative);
        self
    }

    /// Branches to the label at the place that the stack says, to the last one from its place on.
    pub(super) fn br_table(
        &mut self,
        labels: impl ExactSizeIterator<Item = Label> + Clone,
        last: Label,
    ) -> &mut Self {
        let depth = self.depth;
        let labels: Vec<u32> = labels.map(|label| depth - label.0).collect();
        self.sink().br_table(&labels, depth - last.0);
        self
    }

    #[inline(never)]
    pub(super) fn memory_copy(&mut self) -> &mut Self {
        self.sink().memory_copy(0, 0);
        self
    }

    #[inline(never)]
    pub(super) fn memory_fill(&mut self) -> &mut Self {
        self.sink().memory_fill(0);
        self
    }

    #[inline(never)]
    pub(super) fn memory_init(&mut self, segment: u32) -> &mut Self {
        self.sink().memory_init(0, segment);
        self
    }

    #[inline(never)]
    pub(super) fn memory_size(&mut self) -> &mut Self {
        self.sink().memory_size(0);
        self
    }

    #[inline(never)]
    pub(super) fn memory_grow(&mut self) -> &mut Self {
        self.sink().memory_grow(0);
        self
    }

    memory_access! {
        load64 = i64_load
        load32 = i32_load
        load8 = i32_load8_u
        load32_long = i64_load32_u
        store64 = i64_store
        store32 = i32_store
        store8 = i32_store8
        store8_long = i64_store8
    }

    plain! {
        unreachable return_ drop select
        i32_eqz i32_eq i32_ne i32_lt_u i32_gt_u i32_le_u i32_ge_u i32_add i32_sub i32_mul i32_and i32_or i32_xor
        i32_shl i32_shr_u i32_wrap_i64 i64_extend_i32_u
        i64_eqz i64_eq i64_ne i64_lt_s i64_lt_u i64_gt_u i64_le_s i64_le_u i64_ge_s i64_ge_u
        i64_clz i64_ctz i64_popcnt i64_add i64_sub i64_mul i64_div_u i64_rem_u i64_and i64_or i64_xor
        i64_shl i64_shr_s i64_shr_u i64_rotl
        i64_add128 i64_sub128 i64_mul_wide_u
    }
}
