//! The walk over a module's sections: the same for both kinds.
//!
//! It counts by itself beside wasmparser's validator, so that a module that is not valid is still read on,
//! and every rule it breaks is found. It stops where the bytes cannot be parsed further. The time it takes
//! is linear in the module's size.

use std::collections::BTreeMap;

use near_parameters::vm::Config;
use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, ConstExpr, Data, DataKind, Element,
    ElementItems, ElementKind, Encoding, ExternalKind, FrameKind, FuncType, FuncValidator,
    FuncValidatorAllocations, FunctionBody, KnownCustom, Name, NameSectionReader, Operator,
    OperatorsReader, Parser, Payload, SectionLimited, Validator, WasmFeatures, WasmModuleResources,
};

use super::rules::{self, Rule};
use super::stack::OperandStack;
use super::violation::{Faults, Place, shown};
use super::{PAGE_BYTES, Rejection, ValidModule};
use crate::table::HostFunction;
use crate::{Requirements, Visibility};

mod imports;

/// A module this many times over the size limit is not read at all.
const READ_UP_TO_TIMES: u64 = 4;

/// The Wasm features a kind may use: NEAR's, and two more for private modules.
pub(super) fn features(visibility: Visibility, config: &Config) -> WasmFeatures {
    let mut features = WasmFeatures::FLOATS
        | WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT;
    let bulk = WasmFeatures::REFERENCE_TYPES | WasmFeatures::BULK_MEMORY;
    let private = WasmFeatures::MULTI_VALUE | WasmFeatures::WIDE_ARITHMETIC;
    features.set(bulk, config.reftypes_bulk_memory);
    features.set(private, visibility == Visibility::Private);
    features
}

/// Sums over the whole module.
#[derive(Default)]
struct Totals {
    types: u64,
    globals: u64,
    tables: u64,
    memories: u64,
    exports: u64,
    data_segments: u64,
    element_segments: u64,
    element_items: u64,
    locals: u64,
    params: u64,
    blocks: u64,
    locals_times_loops: u64,
    moved_values: u64,
}

/// What a walk has found.
pub(super) struct Walk<'a> {
    pub(super) faults: Faults,
    /// Names for which a similar one was looked for.
    pub(super) suggestions: u32,
    visibility: Visibility,
    config: &'a Config,
    features: WasmFeatures,
    code_bytes: u64,
    /// Gone after the first section that is not valid.
    validator: Option<Validator>,
    allocations: FuncValidatorAllocations,
    stack: OperandStack,
    /// Function types; `None` for types of other proposals.
    types: Vec<Option<FuncType>>,
    /// Type of every function, imported ones first.
    functions: Vec<u32>,
    imported_functions: usize,
    bodies: usize,
    imports: Vec<&'static HostFunction>,
    exports: BTreeMap<String, u32>,
    has_start: bool,
    /// Pages the first memory starts with.
    declared_pages: u64,
    /// Elements each table starts with.
    tables: Vec<u64>,
    totals: Totals,
    names: Option<NameSectionReader<'a>>,
}

impl<'a> Walk<'a> {
    /// Walks over a module.
    pub(super) fn over(code: &'a [u8], visibility: Visibility, config: &'a Config) -> Self {
        let features = features(visibility, config);
        let mut walk = Self {
            faults: Faults::default(),
            suggestions: 0,
            visibility,
            config,
            features,
            code_bytes: code.len() as u64,
            validator: Some(Validator::new_with_features(features)),
            allocations: FuncValidatorAllocations::default(),
            stack: OperandStack::default(),
            types: Vec::new(),
            functions: Vec::new(),
            imported_functions: 0,
            bodies: 0,
            imports: Vec::new(),
            exports: BTreeMap::new(),
            has_start: false,
            declared_pages: 0,
            tables: Vec::new(),
            totals: Totals::default(),
            names: None,
        };
        let size_limit = config.limit_config.max_contract_size;
        let place = || Place::section("module");
        walk.faults.over(rules::CONTRACT_SIZE, walk.code_bytes, Some(size_limit), "bytes", place);
        if walk.code_bytes <= size_limit.saturating_mul(READ_UP_TO_TIMES) {
            for payload in Parser::new(0).parse_all(code) {
                let go_on = match payload {
                    Ok(payload) => walk.payload(payload),
                    Err(error) => {
                        walk.malformed("module", &error);
                        false
                    }
                };
                if !go_on {
                    break;
                }
            }
            walk.totals();
            walk.tell_invalid_from_features(code);
        }
        walk
    }

    /// The module, or every rule it breaks.
    pub(super) fn finish(
        mut self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<ValidModule, Rejection> {
        self.name_functions();
        let initial_pages = match visibility {
            Visibility::Public => self.config.limit_config.initial_memory_pages,
            Visibility::Private => u32::try_from(self.declared_pages).unwrap_or(u32::MAX),
        };
        let exports = std::mem::take(&mut self.exports)
            .into_iter()
            .map(|(name, index)| {
                let ty = self.type_of_function(index);
                let is_method =
                    ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty());
                (name, is_method)
            })
            .collect();
        match self.faults.into_rejection() {
            Some(rejection) => Err(rejection),
            None => Ok(ValidModule {
                visibility,
                requirements: Requirements::of(self.imports.iter().copied()),
                imports: self.imports,
                exports,
                functions: u32::try_from(self.functions.len()).unwrap_or(u32::MAX),
                has_start: self.has_start,
                initial_pages,
                code: code.to_vec(),
            }),
        }
    }

    /// Takes the next part of the module; `false` if it makes no sense to go on.
    fn payload(&mut self, payload: Payload<'a>) -> bool {
        match payload {
            Payload::Version { num, encoding, range } => {
                self.check("module", |v| v.version(num, encoding, &range));
                return encoding == Encoding::Module;
            }
            Payload::TypeSection(section) => {
                self.check("type", |v| v.type_section(&section));
                self.totals.types += u64::from(section.count());
                self.each("type", section, |walk, group: wasmparser::RecGroup, _| {
                    walk.types.extend(group.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    }));
                });
            }
            Payload::ImportSection(section) => {
                self.check("import", |v| v.import_section(&section));
                self.each("import", section, Self::import);
            }
            Payload::FunctionSection(section) => {
                self.check("function", |v| v.function_section(&section));
                self.each("function", section, |walk, ty, _| walk.functions.push(ty));
            }
            Payload::TableSection(section) => {
                self.check("table", |v| v.table_section(&section));
                self.totals.tables += u64::from(section.count());
                self.each("table", section, |walk, table: wasmparser::Table<'_>, offset| {
                    let limit = walk.config.limit_config.max_elements_per_contract_table;
                    let limit = limit.map(|limit| limit as u64);
                    let place = || Place::at("table", offset);
                    walk.faults.over(
                        rules::TABLE_ELEMENTS,
                        table.ty.initial,
                        limit,
                        "elements",
                        place,
                    );
                    walk.tables.push(table.ty.initial);
                });
            }
            Payload::MemorySection(section) => {
                self.check("memory", |v| v.memory_section(&section));
                self.each("memory", section, Self::memory);
            }
            Payload::GlobalSection(section) => {
                self.check("global", |v| v.global_section(&section));
                self.totals.globals += u64::from(section.count());
            }
            Payload::ExportSection(section) => {
                self.check("export", |v| v.export_section(&section));
                self.totals.exports += u64::from(section.count());
                self.each("export", section, |walk, export: wasmparser::Export<'_>, _| {
                    if export.kind == ExternalKind::Func {
                        walk.exports.insert(export.name.to_owned(), export.index);
                    }
                });
            }
            Payload::StartSection { func, range } => {
                self.check("start", |v| v.start_section(func, &range));
                self.has_start = true;
            }
            Payload::ElementSection(section) => {
                self.check("element", |v| v.element_section(&section));
                self.totals.element_segments += u64::from(section.count());
                self.each("element", section, Self::element);
            }
            Payload::DataCountSection { count, range } => {
                self.check("data count", |v| v.data_count_section(count, &range));
            }
            Payload::DataSection(section) => {
                self.check("data", |v| v.data_section(&section));
                self.totals.data_segments += u64::from(section.count());
                self.each("data", section, Self::data);
            }
            Payload::CodeSectionStart { range, .. } => {
                self.check("code", |v| v.code_section_start(&range));
            }
            Payload::CodeSectionEntry(body) => self.body(&body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.names = Some(names);
                }
            }
            Payload::End(offset) => {
                self.check("module", |v| v.end(offset).map(|_| ()));
            }
            // Sections of proposals that no kind may use.
            other => {
                let offset = other.as_section().map(|(_, range)| range.start);
                self.faults.add(
                    rules::FEATURE,
                    "a section of another proposal".to_owned(),
                    "the sections of WebAssembly 1.0 and bulk memory".to_owned(),
                    Place { section: "module", function: None, offset },
                );
            }
        }
        true
    }

    /// Lets the validator see a section; the first one that is not valid is the last one it sees.
    fn check(
        &mut self,
        section: &'static str,
        validate: impl FnOnce(&mut Validator) -> Result<(), BinaryReaderError>,
    ) {
        if let Some(Err(error)) = self.validator.as_mut().map(validate) {
            self.validator = None;
            self.invalid(&error, Place::at(section, error.offset()));
        }
    }

    /// Reads the items of a section, up to the first that cannot be parsed.
    fn each<T: wasmparser::FromReader<'a>>(
        &mut self,
        section: &'static str,
        items: SectionLimited<'a, T>,
        mut read: impl FnMut(&mut Self, T, usize),
    ) {
        for item in items.into_iter_with_offsets() {
            match item {
                Ok((offset, item)) => read(self, item, offset),
                // The validator has read the same bytes and said so, unless it is gone.
                Err(error) => {
                    if self.validator.is_some() {
                        self.malformed(section, &error);
                    }
                    return;
                }
            }
        }
    }

    fn memory(&mut self, memory: wasmparser::MemoryType, offset: usize) {
        self.totals.memories += 1;
        if self.totals.memories > 1 {
            return;
        }
        self.declared_pages = memory.initial;
        // A public module gets NEAR's memory, whatever it declares.
        if self.visibility == Visibility::Private {
            let limit = u64::from(self.config.limit_config.max_memory_pages);
            let place = || Place::at("memory", offset);
            self.faults.over(rules::MEMORY_INITIAL, memory.initial, Some(limit), "pages", place);
        }
    }

    fn element(&mut self, element: Element<'a>, offset: usize) {
        let items = u64::from(match &element.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
        self.totals.element_items = self.totals.element_items.saturating_add(items);
        if let ElementKind::Active { table_index, offset_expr } = &element.kind {
            let table = table_index.unwrap_or(0) as usize;
            if let (Some(first), Some(size)) = (constant(offset_expr), self.tables.get(table)) {
                let end = u64::from(first).saturating_add(items);
                let place = || Place::at("element", offset);
                self.faults.over(rules::ELEMENT_BOUNDS, end, Some(*size), "elements", place);
            }
        }
    }

    fn data(&mut self, data: Data<'a>, offset: usize) {
        let DataKind::Active { memory_index: 0, offset_expr } = &data.kind else { return };
        let pages = match self.visibility {
            Visibility::Public => u64::from(self.config.limit_config.initial_memory_pages),
            Visibility::Private => self.declared_pages,
        };
        // Without a memory the module is not valid, and the validator says so.
        if let (Some(first), 1..) = (constant(offset_expr), self.totals.memories) {
            let end = u64::from(first).saturating_add(data.data.len() as u64);
            let limit = pages.saturating_mul(PAGE_BYTES);
            let place = || Place::at("data", offset);
            self.faults.over(rules::DATA_BOUNDS, end, Some(limit), "bytes of memory", place);
        }
    }

    // ---- code ----

    fn body(&mut self, body: &FunctionBody<'a>) {
        let index = u32::try_from(self.imported_functions + self.bodies).unwrap_or(u32::MAX);
        self.bodies += 1;
        let start = body.range().start;
        let place = || Place::function(index, start);
        let limits = &self.config.limit_config;

        let bytes = body.range().len() as u64;
        self.faults.over(rules::BODY_SIZE, bytes, limits.max_function_body_size, "bytes", place);
        let params = self.type_of_function(index).map_or(0, |ty| ty.params().len() as u64);
        self.totals.params = self.totals.params.saturating_add(params);
        let limit = limits.max_params_per_function;
        self.faults.over(rules::PARAMS_FUNCTION, params, limit, "parameters", place);

        let before = self.totals.locals;
        if let Err(error) = self.locals(body) {
            self.malformed_body(index, &error);
        }
        let limit = self.locals_limit();
        if before <= limit.unwrap_or(u64::MAX) {
            // Named once, at the function that goes over it.
            self.faults.over(rules::LOCALS, self.totals.locals, limit, "locals up to here", place);
        }
        let locals = params.saturating_add(self.totals.locals - before);
        let limit = Some(rules::LOCALS_PER_FUNCTION_MAX);
        let unit = "parameters and locals";
        self.faults.over(rules::LOCALS_FUNCTION, locals, limit, unit, place);

        match self.operators(index, locals, body) {
            Ok(()) => {}
            Err(error) => self.malformed_body(index, &error),
        }
    }

    fn locals(&mut self, body: &FunctionBody<'a>) -> Result<(), BinaryReaderError> {
        for local in body.get_locals_reader()? {
            let (count, _) = local?;
            self.totals.locals = self.totals.locals.saturating_add(u64::from(count));
        }
        Ok(())
    }

    /// NEAR's `max_locals`: an absolute limit, and one by the size of the module.
    fn locals_limit(&self) -> Option<u64> {
        let limits = &self.config.limit_config;
        let by_size = limits
            .min_contract_size_per_local
            .map(|bytes| self.code_bytes.checked_div(bytes).unwrap_or(u64::MAX));
        [limits.max_locals_per_contract, by_size].into_iter().flatten().min()
    }

    /// Reads the operators of a function: the blocks and branches we count, the stack we follow, and
    /// whether the validator agrees. An `Err` is bytes that cannot be parsed.
    fn operators(
        &mut self,
        index: u32,
        locals: u64,
        body: &FunctionBody<'a>,
    ) -> Result<(), BinaryReaderError> {
        let mut validator = match self.validator.as_mut().map(|v| v.code_section_entry(body)) {
            Some(Ok(entry)) => Some(entry.into_validator(std::mem::take(&mut self.allocations))),
            Some(Err(error)) => {
                self.invalid(&error, Place::function(index, error.offset()));
                None
            }
            None => None,
        };
        let mut invalid = None;
        if let Some(function) = &mut validator {
            invalid = function.read_locals(&mut body.get_binary_reader()).err();
        }
        let mut reader = body.get_binary_reader_for_operators()?;
        // NEAR parses sections with every feature, bodies with those that are allowed.
        reader.set_features(self.features);
        let mut reader = OperatorsReader::new(reader);
        self.stack.clear();
        let mut blocks = 0_u64;
        let mut loops = 0_u64;
        let mut branch_targets = 0_u64;
        let mut moved_values = 0_u64;
        while !reader.eof() {
            let (operator, offset) = match reader.read_with_offset() {
                Ok(read) => read,
                // Unless the validator has found a reason that comes before.
                Err(_) if invalid.is_some() => break,
                Err(error) => return Err(error),
            };
            match &operator {
                Operator::Loop { .. } => (blocks, loops) = (blocks + 1, loops + 1),
                Operator::Block { .. } | Operator::If { .. } => blocks += 1,
                Operator::BrTable { targets } => branch_targets += u64::from(targets.len()) + 1,
                _ => {}
            }
            if let (Some(function), None) = (&mut validator, &invalid) {
                moved_values = moved_values.saturating_add(self.moved_values(function, &operator));
                let taken = OperandStack::taken(function, &operator);
                match function.op(offset, &operator) {
                    Ok(()) => self.stack.follow(function, taken),
                    Err(error) => invalid = Some(error),
                }
            }
        }
        let finished = reader.finish();
        if let Some(validator) = validator {
            self.allocations = validator.into_allocations();
        }

        let limits = &self.config.limit_config;
        let place = || Place::function(index, body.range().start);
        self.totals.blocks = self.totals.blocks.saturating_add(blocks);
        self.faults.over(
            rules::BLOCKS_FUNCTION,
            blocks,
            limits.max_blocks_per_function,
            "blocks",
            place,
        );
        let limit = Some(rules::BR_TABLE_TARGETS_MAX);
        self.faults.over(rules::BR_TABLE, branch_targets, limit, "br_table targets", place);
        let limit = Some(rules::MOVED_VALUES_MAX);
        self.faults.over(rules::MOVED_VALUES, moved_values, limit, "values", place);
        self.totals.moved_values = self.totals.moved_values.saturating_add(moved_values);
        let product = locals.saturating_mul(loops);
        let limit = Some(rules::LOCALS_TIMES_LOOPS_MAX);
        self.faults.over(rules::LOCALS_LOOPS, product, limit, "locals times loops", place);
        self.totals.locals_times_loops = self.totals.locals_times_loops.saturating_add(product);
        let limit = limits.max_operand_stack_bytes_per_function;
        self.faults.over(
            rules::OPERAND_STACK,
            self.stack.bytes_max(),
            limit,
            "bytes of operands",
            place,
        );
        match invalid {
            Some(error) => {
                self.invalid(&error, Place::function(index, error.offset()));
                Ok(())
            }
            None => finished,
        }
    }

    // ---- the end ----

    fn totals(&mut self) {
        let limits = &self.config.limit_config;
        let totals = &self.totals;
        let functions = self.functions.len() as u64;
        let checks: [(Rule, u64, Option<u64>, &str, &'static str); 14] = [
            (rules::TYPES, totals.types, limits.max_types_per_contract, "types", "type"),
            (
                rules::FUNCTIONS,
                functions,
                limits.max_functions_number_per_contract,
                "functions, imports included",
                "function",
            ),
            (
                rules::TABLES,
                totals.tables,
                limits.max_tables_per_contract.map(u64::from),
                "tables",
                "table",
            ),
            (rules::MEMORY_COUNT, totals.memories, Some(1), "memories", "memory"),
            (rules::GLOBALS, totals.globals, limits.max_globals_per_contract, "globals", "global"),
            (rules::GLOBALS_OURS, totals.globals, Some(rules::GLOBALS_MAX), "globals", "global"),
            (rules::EXPORTS, totals.exports, Some(rules::EXPORTS_MAX), "exports", "export"),
            (
                rules::ELEMENT_SEGMENTS,
                totals.element_segments,
                Some(rules::ELEMENT_SEGMENTS_MAX),
                "segments",
                "element",
            ),
            (
                rules::ELEMENT_ITEMS,
                totals.element_items,
                Some(rules::ELEMENT_ITEMS_MAX),
                "items",
                "element",
            ),
            (
                rules::DATA_SEGMENTS,
                totals.data_segments,
                Some(rules::DATA_SEGMENTS_MAX),
                "segments",
                "data",
            ),
            (
                rules::PARAMS_CONTRACT,
                totals.params,
                limits.max_params_per_contract,
                "parameters",
                "code",
            ),
            (
                rules::BLOCKS_CONTRACT,
                totals.blocks,
                limits.max_blocks_per_contract,
                "blocks",
                "code",
            ),
            (
                rules::LOCALS_LOOPS_CONTRACT,
                totals.locals_times_loops,
                Some(rules::LOCALS_TIMES_LOOPS_CONTRACT_MAX),
                "locals times loops",
                "code",
            ),
            (
                rules::MOVED_VALUES_CONTRACT,
                totals.moved_values,
                Some(rules::MOVED_VALUES_CONTRACT_MAX),
                "values",
                "code",
            ),
        ];
        for (rule, found, limit, unit, section) in checks {
            self.faults.over(rule, found, limit, unit, || Place::section(section));
        }
    }

    /// If the module is valid once every proposal is allowed, its faults are the proposals it uses.
    fn tell_invalid_from_features(&mut self, code: &[u8]) {
        if self.faults.any_of(&[rules::INVALID])
            && !self.faults.any_of(&[rules::MALFORMED])
            && Validator::new_with_features(WasmFeatures::all()).validate_all(code).is_ok()
        {
            self.faults.reinterpret(rules::INVALID, rules::FEATURE);
        }
    }

    /// Gives names to the functions that violations speak of.
    fn name_functions(&mut self) {
        let Some(names) = self.names.take() else { return };
        let mut wanted = self.faults.functions();
        for subsection in names {
            let Ok(Name::Function(functions)) = subsection else { continue };
            for naming in functions.into_iter().flatten() {
                for name in wanted.remove(&naming.index).into_iter().flatten() {
                    *name = Some(shown(naming.name));
                }
            }
        }
    }

    // ---- used above ----

    /// How many values an operator moves that is about to be validated: what a branch carries, each target of a `br_table`
    /// counted, and parameters and results of a block or a call.
    fn moved_values<T: WasmModuleResources>(
        &self,
        validator: &FuncValidator<T>,
        operator: &Operator<'_>,
    ) -> u64 {
        let of_type = |index: u32| self.types.get(index as usize).and_then(Option::as_ref);
        let both = |ty: &FuncType| (ty.params().len() + ty.results().len()) as u64;
        let block = |ty: &BlockType| match ty {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(index) => of_type(*index).map_or(0, both),
        };
        let carried = |depth: u32| {
            let Some(frame) = validator.get_control_frame(depth as usize) else { return 0 };
            match (frame.kind, frame.block_type) {
                (FrameKind::Loop, BlockType::FuncType(index)) => {
                    of_type(index).map_or(0, |ty| ty.params().len() as u64)
                }
                (FrameKind::Loop, _) | (_, BlockType::Empty) => 0,
                (_, BlockType::Type(_)) => 1,
                (_, BlockType::FuncType(index)) => {
                    of_type(index).map_or(0, |ty| ty.results().len() as u64)
                }
            }
        };
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                block(blockty)
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                carried(*relative_depth)
            }
            Operator::BrTable { targets } => {
                carried(targets.default()).saturating_mul(u64::from(targets.len()) + 1)
            }
            Operator::Return => carried(validator.control_stack_height().saturating_sub(1)),
            Operator::Call { function_index } => {
                self.type_of_function(*function_index).map_or(0, both)
            }
            Operator::CallIndirect { type_index, .. } => of_type(*type_index).map_or(0, both),
            _ => 0,
        }
    }

    fn type_of_function(&self, index: u32) -> Option<&FuncType> {
        let ty = self.functions.get(index as usize)?;
        self.types.get(*ty as usize)?.as_ref()
    }

    fn invalid(&mut self, error: &BinaryReaderError, place: Place) {
        let limit = format!("valid WebAssembly with the features of a {} module", self.visibility);
        self.faults.add(rules::INVALID, shown(error.message()), limit, place);
    }

    fn malformed(&mut self, section: &'static str, error: &BinaryReaderError) {
        let limit = "well-formed WebAssembly".to_owned();
        let place = Place::at(section, error.offset());
        self.faults.add(rules::MALFORMED, shown(error.message()), limit, place);
    }

    fn malformed_body(&mut self, index: u32, error: &BinaryReaderError) {
        let limit = "well-formed WebAssembly".to_owned();
        let place = Place::function(index, error.offset());
        self.faults.add(rules::MALFORMED, shown(error.message()), limit, place);
    }
}

/// The value of an expression that is one `i32.const`.
fn constant(expression: &ConstExpr<'_>) -> Option<u32> {
    let mut operators = expression.get_operators_reader();
    match (operators.read(), operators.read()) {
        (Ok(Operator::I32Const { value }), Ok(Operator::End)) => Some(value.cast_unsigned()),
        _ => None,
    }
}
