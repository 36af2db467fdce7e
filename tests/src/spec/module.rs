//! A module of the suite with its assertions as methods.
//!
//! Its imports from `spectest` become definitions, which stand first in their index spaces as imports do; one import is
//! added, `panic_utf8`, by which an assertion says that a result differs. Everything else is copied.

use super::assertion::{Exports, body};
use super::{Expect, Step};
use std::collections::HashMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Ieee32, Ieee64,
    ImportSection, Instruction as I, MemorySection, MemoryType, Module, RefType, StartSection,
    TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

/// Functions that are imported.
const IMPORTED: u32 = 1;

/// A method that calls nothing of the module.
pub const NOTHING: &str = "cotenant: nothing";

/// A module and the methods of its assertions.
#[derive(Debug)]
pub struct Assembled {
    /// The module.
    pub bytes: Vec<u8>,
    /// For each assertion its method.
    pub methods: Vec<(String, Step)>,
}

/// Functions move up by what is imported; a global that was imported is its value in constant expressions, where a module may
/// not name globals of its own.
#[derive(Default)]
struct Moved {
    constants: Vec<ConstExpr>,
}

impl Reencode for Moved {
    type Error = Infallible;

    fn const_expr(
        &mut self,
        expression: wasmparser::ConstExpr<'_>,
    ) -> Result<ConstExpr, reencode::Error> {
        if let Operator::GlobalGet { global_index } = expression.get_operators_reader().read()?
            && let Some(value) = self.constants.get(global_index as usize)
        {
            return Ok(value.clone());
        }
        reencode::utils::const_expr(self, expression)
    }

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error> {
        Ok(index + IMPORTED)
    }
}

#[derive(Default)]
struct Parts {
    moved: Moved,
    types: TypeSection,
    signatures: Vec<(usize, usize)>,
    functions: FunctionSection,
    function_types: Vec<u32>,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    exported: HashMap<String, (ExternalKind, u32)>,
    start: Option<u32>,
    elements: ElementSection,
    data_count: Option<u32>,
    code: CodeSection,
    data: DataSection,
    /// For each function whether its own code changes the instance, and what it calls.
    changes: Vec<(bool, Vec<u32>)>,
}

impl Exports for Parts {
    fn function(&self, name: &str) -> Option<(u32, usize)> {
        let (kind, index) = *self.exported.get(name)?;
        let signature = *self.function_types.get(index as usize)? as usize;
        (kind == ExternalKind::Func)
            .then_some((index + IMPORTED, self.signatures.get(signature)?.1))
    }

    fn global(&self, name: &str) -> Option<u32> {
        let (kind, index) = *self.exported.get(name)?;
        (kind == ExternalKind::Global).then_some(index)
    }
}

/// Puts a module and its assertions together; `None` if it is not like the suite's.
///
/// # Errors
/// The module cannot be read.
pub fn assemble(bytes: &[u8], steps: &[Step]) -> Result<Option<Assembled>, reencode::Error> {
    let mut parts = Parts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        if parts.read(payload?)?.is_none() {
            return Ok(None);
        }
    }
    let changing = parts.changing();
    // Types of the methods and of `panic_utf8`.
    let method_type = parts.signatures.len() as u32;
    parts.types.ty().function([], []);
    parts.types.ty().function([ValType::I64, ValType::I64], []);
    let differ = parts.function_types.len() as u32 + IMPORTED;
    parts.functions.function(method_type);
    let mut differs = Function::new([]);
    // The message is a register that is not set: of all ends of a call no other has this one.
    for instruction in [I::I64Const(-1), I::I64Const(7), I::Call(0), I::End] {
        differs.instruction(&instruction);
    }
    parts.code.function(&differs);

    let mut next = differ + 1;
    let mut add = |parts: &mut Parts, name: &str, body: &Function| {
        parts.functions.function(method_type);
        parts.code.function(body);
        parts.exports.export(name, ExportKind::Func, next);
        next += 1;
    };
    let mut nothing = Function::new([]);
    nothing.instruction(&I::End);
    add(&mut parts, NOTHING, &nothing);
    let mut methods = Vec::new();
    let mut before: Vec<&Step> = Vec::new();
    for step in steps {
        if step.expect != Expect::Done {
            let Some(body) = body(&parts, &before, step, differ) else { return Ok(None) };
            let name = format!("cotenant: line {}, {}", step.line, methods.len());
            add(&mut parts, &name, &body);
            methods.push((name, step.clone()));
        }
        let changes = match &step.action {
            super::Action::Invoke { name, .. } => {
                let index = parts.exported.get(name).map_or(0, |(_, index)| *index as usize);
                changing.get(index).copied().unwrap_or_default()
            }
            super::Action::Get { .. } => false,
        };
        // What traps changes nothing that the suite looks at.
        if changes && matches!(step.expect, Expect::Done | Expect::Returns(_)) {
            before.push(step);
        }
    }
    Ok(Some(Assembled { bytes: parts.finish(method_type + 1), methods }))
}

impl Parts {
    /// Takes a section; `None` if it has an import that is not one of `spectest`'s.
    fn read(&mut self, payload: Payload<'_>) -> Result<Option<()>, reencode::Error> {
        let moved = &mut self.moved;
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.types() {
                        let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner
                        else {
                            return Ok(None);
                        };
                        self.signatures.push((ty.params().len(), ty.results().len()));
                    }
                }
                moved.parse_type_section(&mut self.types, section)?;
            }
            Payload::ImportSection(section) => {
                for import in section {
                    let import = import?;
                    if self.define(import.ty)?.is_none() {
                        return Ok(None);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let ty = ty?;
                    self.functions.function(ty);
                    self.function_types.push(ty);
                }
            }
            Payload::TableSection(section) => {
                moved.parse_table_section(&mut self.tables, section)?
            }
            Payload::MemorySection(section) => {
                moved.parse_memory_section(&mut self.memories, section)?;
            }
            Payload::GlobalSection(section) => {
                moved.parse_global_section(&mut self.globals, section)?;
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exported.insert(export.name.to_owned(), (export.kind, export.index));
                    moved.parse_export(&mut self.exports, export)?;
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func + IMPORTED),
            Payload::ElementSection(section) => {
                moved.parse_element_section(&mut self.elements, section)?;
            }
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::CodeSectionEntry(function) => {
                self.changes.push(reads(&function)?);
                moved.parse_function_body(&mut self.code, function)?;
            }
            Payload::DataSection(section) => moved.parse_data_section(&mut self.data, section)?,
            _ => {}
        }
        Ok(Some(()))
    }

    /// Defines what the suite's host module has, in the place of an import.
    fn define(&mut self, ty: TypeRef) -> Result<Option<()>, reencode::Error> {
        match ty {
            TypeRef::Func(ty) => {
                // The functions of `spectest` print their arguments.
                if self.signatures.get(ty as usize).is_none_or(|signature| signature.1 > 0) {
                    return Ok(None);
                }
                self.functions.function(ty);
                self.function_types.push(ty);
                let mut body = Function::new([]);
                body.instruction(&I::End);
                self.code.function(&body);
                self.changes.push((false, Vec::new()));
            }
            TypeRef::Global(ty) => {
                let ty: GlobalType = self.moved.global_type(ty)?;
                let value = match ty.val_type {
                    ValType::I32 => ConstExpr::i32_const(666),
                    ValType::I64 => ConstExpr::i64_const(666),
                    ValType::F32 => ConstExpr::f32_const(Ieee32::from(666.6_f32)),
                    ValType::F64 => ConstExpr::f64_const(Ieee64::from(666.6_f64)),
                    _ => return Ok(None),
                };
                self.globals.global(ty, &value);
                self.moved.constants.push(value);
            }
            TypeRef::Memory(_) => {
                let (minimum, maximum) = (1, Some(2));
                let (memory64, shared, page_size_log2) = (false, false, None);
                self.memories.memory(MemoryType {
                    minimum,
                    maximum,
                    memory64,
                    shared,
                    page_size_log2,
                });
            }
            TypeRef::Table(_) => {
                let (minimum, maximum) = (10, Some(20));
                let (element_type, table64, shared) = (RefType::FUNCREF, false, false);
                self.tables.table(TableType { element_type, table64, minimum, maximum, shared });
            }
            TypeRef::Tag(_) => return Ok(None),
        }
        Ok(Some(()))
    }

    /// For each function whether calling it may change the instance.
    fn changing(&self) -> Vec<bool> {
        let mut changing: Vec<bool> = self.changes.iter().map(|(own, _)| *own).collect();
        loop {
            let mut more = false;
            for (index, (_, calls)) in self.changes.iter().enumerate() {
                let through =
                    calls.iter().any(|callee| changing.get(*callee as usize) != Some(&false));
                if through && !changing[index] {
                    changing[index] = true;
                    more = true;
                }
            }
            if !more {
                return changing;
            }
        }
    }

    fn finish(self, panic_type: u32) -> Vec<u8> {
        let mut imports = ImportSection::new();
        imports.import("env", "panic_utf8", EntityType::Function(panic_type));
        let mut module = Module::new();
        module.section(&self.types).section(&imports).section(&self.functions);
        if !self.tables.is_empty() {
            module.section(&self.tables);
        }
        if !self.memories.is_empty() {
            module.section(&self.memories);
        }
        module.section(&self.globals).section(&self.exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        module.section(&self.elements);
        if let Some(count) = self.data_count {
            module.section(&DataCountSection { count });
        }
        module.section(&self.code).section(&self.data);
        module.finish()
    }
}

/// Whether a function's own code changes the instance, and what it calls.
fn reads(function: &wasmparser::FunctionBody<'_>) -> Result<(bool, Vec<u32>), reencode::Error> {
    use Operator as O;
    let (mut changes, mut calls) = (false, Vec::new());
    for operator in function.get_operators_reader()? {
        match operator? {
            O::Call { function_index } => calls.push(function_index),
            O::CallIndirect { .. }
            | O::GlobalSet { .. }
            | O::I32Store { .. }
            | O::I64Store { .. }
            | O::F32Store { .. }
            | O::F64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
            | O::MemoryGrow { .. }
            | O::MemoryInit { .. }
            | O::MemoryCopy { .. }
            | O::MemoryFill { .. }
            | O::DataDrop { .. }
            | O::TableInit { .. }
            | O::TableCopy { .. }
            | O::TableFill { .. }
            | O::TableSet { .. }
            | O::TableGrow { .. }
            | O::ElemDrop { .. } => changes = true,
            _ => {}
        }
    }
    Ok((changes, calls))
}
