//! The new module around the new functions.

use std::collections::BTreeMap;

use finite_wasm::AnalysisOutcome;
use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, ElementSection, EntityType, ExportKind,
    ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection,
    MemoryType, Module, NameMap, NameSection, RawSection, Section, SectionId, TableSection,
    TypeSection, ValType,
};
use wasmparser::{ElementItems, ExternalKind, Parser, Payload};

use super::body::{self, Globals, METER_PARAMS, Memory, Point, Unmetered};
use super::sections::{Sections, invalid};
use super::survey::Survey;
use super::{
    DataSegment, InstanceShape, MemoryPolicy, MeterError, MeterOptions, MeteredModule, ResetPlan,
    export,
};

/// Bytes of a page of memory.
const PAGE: u64 = 65_536;

/// Builds the metered module.
pub fn assemble(
    sections: &Sections<'_>,
    survey: &Survey,
    analysis: &AnalysisOutcome,
    options: &MeterOptions<'_>,
) -> Result<MeteredModule, MeterError> {
    let mut types = Types::of(sections)?;
    let asks_to_grow = options.memory == MemoryPolicy::Declared && survey.grows_memory;
    let mut functions = Functions::of(sections, asks_to_grow)?;
    let memory = memory_type(sections, options)?;
    let (exports, exported, mutable_globals) = export_section(sections, &mut functions)?;
    let bytes = memory.minimum.saturating_mul(PAGE);
    let growth = if survey.grows_memory { Memory::Growing } else { Memory::Fixed { bytes } };
    let globals = global_section(sections, options, bytes, &mut functions)?;
    let elements = element_section(sections, &mut functions)?;
    let bodies =
        code_section(sections, survey, analysis, options, growth, &mut types, &mut functions)?;
    let defined = function_section(sections, &functions, &mut types)?;

    let shape = instance_shape(sections, &functions, exports.len())?;

    let mut code = Module::HEADER.to_vec();
    types.section.append_to(&mut code);
    import_section(sections, &types, asks_to_grow)?.append_to(&mut code);
    defined.append_to(&mut code);
    if let Some(tables) = table_section(sections, options)? {
        tables.append_to(&mut code);
    }
    MemorySection::new().memory(memory).append_to(&mut code);
    globals.append_to(&mut code);
    exports.append_to(&mut code);
    elements.append_to(&mut code);
    if let Some(count) = sections.data_count {
        DataCountSection { count }.append_to(&mut code);
    }
    bodies.append_to(&mut code);
    let data = data_section(sections, &mut code);
    name_section(sections, &functions).append_to(&mut code);

    Ok(MeteredModule {
        code,
        imports: sections.imports.clone(),
        functions: exported,
        has_start: sections.start.is_some(),
        initial_pages: pages(memory.minimum),
        max_pages: memory.maximum.map_or(u32::MAX, pages),
        reset: ResetPlan {
            writes_tables: survey.writes_tables,
            drops_segments: survey.drops_segments,
            grows_memory: survey.grows_memory,
            data,
            mutable_globals,
        },
        shape,
    })
}

fn instance_shape(
    sections: &Sections<'_>,
    functions: &Functions,
    exports: u32,
) -> Result<InstanceShape, MeterError> {
    let mut shape = InstanceShape {
        functions: functions.entrance_at(0).saturating_add(functions.entered.len() as u32),
        globals: (sections.globals.len() + export::METER_GLOBALS) as u32,
        exports,
        ..InstanceShape::default()
    };
    if let Some(data) = sections.tables {
        for table in wasmparser::TableSectionReader::new(wasmparser::BinaryReader::new(data, 0))? {
            shape.table_elements = shape.table_elements.saturating_add(table?.ty.initial);
        }
    }
    for element in &sections.elements {
        let items = match &element.items {
            ElementItems::Functions(functions) => functions.count(),
            ElementItems::Expressions(_, expressions) => expressions.count(),
        };
        shape.segment_items = shape.segment_items.saturating_add(u64::from(items));
    }
    Ok(shape)
}

/// Copies what names no function.
pub struct Unmoved;

impl Reencode for Unmoved {
    type Error = std::convert::Infallible;
}

/// The functions of the metered module: the meters' own, the imports, the metered ones in their order, then
/// entrances to those that anybody but a direct call refers to.
pub struct Functions {
    /// How far the index of each function moves: the meters' own come first.
    shift: u32,
    imports: u32,
    all: u32,
    /// Functions with an entrance, in the order of their entrances.
    entered: Vec<u32>,
    /// The place of each in `entered`.
    entrances: BTreeMap<u32, u32>,
}

/// Parameters that a function may have: the meters add theirs, and wasmparser allows 1,000.
const MAX_PARAMS: u32 = 1_000 - METER_PARAMS.len() as u32;

impl Functions {
    fn of(sections: &Sections<'_>, asks_to_grow: bool) -> Result<Functions, MeterError> {
        let shift = body::STACK_EXHAUSTED + 1 + u32::from(asks_to_grow);
        // Every index that is made here is below four times this.
        let count = |count: usize| u32::try_from(count).ok().filter(|count| *count < u32::MAX / 4);
        match (count(sections.imports.len()), count(sections.function_types.len())) {
            (Some(imports), Some(all)) => Ok(Functions {
                shift,
                imports,
                all,
                entered: Vec::new(),
                entrances: BTreeMap::new(),
            }),
            _ => Err(invalid(0, "too many functions".to_owned())),
        }
    }

    /// Whether the module imports its function `index`.
    pub fn is_import(&self, index: u32) -> bool {
        index < self.imports
    }

    /// Whether the host is asked before the memory grows.
    pub fn asks_to_grow(&self) -> bool {
        self.shift > body::MEMORY_GROWING
    }

    /// The metered function `index`, or the import.
    pub fn metered(&self, index: u32) -> u32 {
        index.saturating_add(self.shift)
    }

    fn entrance_at(&self, place: u32) -> u32 {
        self.all + self.shift + place
    }

    /// What has the type that function `index` has in the module.
    pub fn entrance(&mut self, index: u32) -> u32 {
        if self.is_import(index) || index >= self.all {
            return self.metered(index);
        }
        let entered = &mut self.entered;
        let place = *self.entrances.entry(index).or_insert_with(|| {
            entered.push(index);
            entered.len() as u32 - 1
        });
        self.entrance_at(place)
    }
}

impl Reencode for Functions {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.entrance(index))
    }
}

/// The module's types, and behind them those that the meters need.
struct Types<'a> {
    sections: &'a Sections<'a>,
    section: TypeSection,
    gas_exhausted: u32,
    stack_exhausted: u32,
    memory_growing: u32,
    /// For types with several results, the type of a block that has them.
    blocks: BTreeMap<u32, u32>,
    /// For types of functions, the types that they have when metered.
    metered: BTreeMap<u32, u32>,
}

impl<'a> Types<'a> {
    fn of(sections: &'a Sections<'a>) -> Result<Types<'a>, MeterError> {
        let mut section = TypeSection::new();
        for ty in &sections.types {
            section.ty().func_type(&Unmoved.func_type(ty.clone())?);
        }
        let gas_exhausted = section.len();
        section.ty().function([ValType::I64], []);
        let stack_exhausted = section.len();
        section.ty().function([], []);
        let memory_growing = section.len();
        section.ty().function([ValType::I32], []);
        Ok(Types {
            sections,
            section,
            gas_exhausted,
            stack_exhausted,
            memory_growing,
            blocks: BTreeMap::new(),
            metered: BTreeMap::new(),
        })
    }

    /// The type of metered functions that were of type `type_index`.
    fn of_metered(&mut self, type_index: u32) -> Result<u32, MeterError> {
        if let Some(metered) = self.metered.get(&type_index) {
            return Ok(*metered);
        }
        let ty = self.sections.function_type(type_index)?;
        let mut params = Unmoved.val_types(ty.params().to_vec())?;
        params.extend(METER_PARAMS);
        let results = Unmoved.val_types(ty.results().to_vec())?;
        let metered = self.section.len();
        self.section.ty().function(params, results);
        self.metered.insert(type_index, metered);
        Ok(metered)
    }

    /// The type of a block with the results of functions of type `type_index`.
    fn block_of_results(&mut self, type_index: u32) -> Result<BlockType, MeterError> {
        let ty = self.sections.function_type(type_index)?;
        Ok(match ty.results() {
            [] => BlockType::Empty,
            [result] => BlockType::Result(Unmoved.val_type(*result)?),
            _ if ty.params().is_empty() => BlockType::FunctionType(type_index),
            results => BlockType::FunctionType(match self.blocks.get(&type_index) {
                Some(block) => *block,
                None => {
                    let results = Unmoved.val_types(results.to_vec())?;
                    let block = self.section.len();
                    self.section.ty().function([], results);
                    self.blocks.insert(type_index, block);
                    block
                }
            }),
        })
    }
}

fn import_section(
    sections: &Sections<'_>,
    types: &Types<'_>,
    asks_to_grow: bool,
) -> Result<ImportSection, MeterError> {
    let mut section = ImportSection::new();
    let internal = [
        (export::GAS_EXHAUSTED, types.gas_exhausted),
        (export::STACK_EXHAUSTED, types.stack_exhausted),
        (export::MEMORY_GROWING, types.memory_growing),
    ];
    for (name, type_index) in internal.into_iter().take(if asks_to_grow { 3 } else { 2 }) {
        section.import(export::INTERNAL, name, EntityType::Function(type_index));
    }
    for (index, import) in (0..).zip(&sections.imports) {
        let type_index = sections.type_of_function(index)?;
        section.import("env", &import.name, EntityType::Function(type_index));
    }
    Ok(section)
}

/// The types of the functions in the order of [`Functions`].
fn function_section(
    sections: &Sections<'_>,
    functions: &Functions,
    types: &mut Types<'_>,
) -> Result<FunctionSection, MeterError> {
    let mut section = FunctionSection::new();
    for type_index in sections.function_types.iter().skip(sections.imports.len()) {
        section.function(types.of_metered(*type_index)?);
    }
    for index in &functions.entered {
        section.function(sections.type_of_function(*index)?);
    }
    Ok(section)
}

fn memory_type(
    sections: &Sections<'_>,
    options: &MeterOptions<'_>,
) -> Result<MemoryType, MeterError> {
    let limits = &options.config.limit_config;
    let allowed = u64::from(limits.max_memory_pages);
    let (minimum, maximum) = match (options.memory, sections.memory) {
        (MemoryPolicy::Near, _) => (u64::from(limits.initial_memory_pages), allowed),
        (MemoryPolicy::Declared, None) => (0, 0),
        (MemoryPolicy::Declared, Some(memory)) => {
            (memory.initial, memory.maximum.unwrap_or(allowed).min(allowed))
        }
    };
    if minimum > allowed {
        let allowed = limits.max_memory_pages;
        return Err(MeterError::MemoryTooLarge { found: minimum, allowed });
    }
    Ok(MemoryType {
        minimum,
        maximum: Some(maximum),
        memory64: false,
        shared: false,
        page_size_log2: None,
    })
}

/// Pages of a memory that is not larger than the configuration's limit, a `u32`.
fn pages(pages: u64) -> u32 {
    u32::try_from(pages).unwrap_or(u32::MAX)
}

/// The tables, each with NEAR's limit as the most it can grow to: NEAR's runner refuses growth beyond it.
fn table_section(
    sections: &Sections<'_>,
    options: &MeterOptions<'_>,
) -> Result<Option<TableSection>, MeterError> {
    let Some(data) = sections.tables else { return Ok(None) };
    let limit = options.config.limit_config.max_elements_per_contract_table;
    let limit = limit.map_or(u64::MAX, |limit| limit as u64);
    let mut section = TableSection::new();
    for table in wasmparser::TableSectionReader::new(wasmparser::BinaryReader::new(data, 0))? {
        let mut ty = RoundtripReencoder.table_type(table?.ty)?;
        let max = ty.maximum.unwrap_or(u64::from(u32::MAX)).min(limit).max(ty.minimum);
        ty.maximum = Some(max);
        section.table(ty);
    }
    Ok(Some(section))
}

/// The module's globals, then gas, stack, bytes of memory and whether a table is accessed.
fn global_section(
    sections: &Sections<'_>,
    options: &MeterOptions<'_>,
    memory_bytes: u64,
    functions: &mut Functions,
) -> Result<GlobalSection, MeterError> {
    let mut section = GlobalSection::new();
    for global in &sections.globals {
        functions.parse_global(&mut section, global.clone())?;
    }
    let meter = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    let stack = i64::from(options.config.limit_config.max_stack_height);
    section.global(meter, &ConstExpr::i64_const(0));
    section.global(meter, &ConstExpr::i64_const(stack));
    section.global(meter, &ConstExpr::i64_const(memory_bytes.cast_signed()));
    let mark = GlobalType { val_type: ValType::I32, ..meter };
    section.global(mark, &ConstExpr::i32_const(0));
    Ok(section)
}

fn meter_globals(sections: &Sections<'_>) -> Result<Globals, MeterError> {
    let gas = u32::try_from(sections.globals.len()).ok();
    match gas.filter(|gas| *gas < u32::MAX - export::METER_GLOBALS as u32) {
        Some(gas) => {
            Ok(Globals { gas, stack: gas + 1, memory_bytes: gas + 2, table_access: gas + 3 })
        }
        None => Err(invalid(0, "too many globals".to_owned())),
    }
}

/// The exports; the functions among them that the module exports itself; how many globals.
fn export_section(
    sections: &Sections<'_>,
    functions: &mut Functions,
) -> Result<(ExportSection, BTreeMap<String, bool>, u32), MeterError> {
    let mut section = ExportSection::new();
    let mut exported = BTreeMap::new();
    for export in &sections.exports {
        if export.kind != ExternalKind::Func {
            continue;
        }
        let name = format!("{}{}", export::FUNCTION_PREFIX, export.name);
        section.export(&name, ExportKind::Func, functions.entrance(export.index));
        let ty = sections.function_type(sections.type_of_function(export.index)?)?;
        let is_method = ty.params().is_empty() && ty.results().is_empty();
        exported.insert(export.name.to_owned(), is_method);
    }
    if let Some(start) = sections.start {
        section.export(export::START, ExportKind::Func, functions.entrance(start));
    }
    let Globals { gas, stack, memory_bytes, table_access } = meter_globals(sections)?;
    section.export(export::MEMORY, ExportKind::Memory, 0);
    section.export(export::GAS, ExportKind::Global, gas);
    section.export(export::STACK, ExportKind::Global, stack);
    section.export(export::MEMORY_BYTES, ExportKind::Global, memory_bytes);
    section.export(export::TABLE_ACCESS, ExportKind::Global, table_access);
    let mut mutable_globals = 0_u32;
    for (index, global) in (0..).zip(&sections.globals) {
        if global.ty.mutable {
            let name = format!("{}{mutable_globals}", export::GLOBAL_PREFIX);
            section.export(&name, ExportKind::Global, index);
            mutable_globals += 1;
        }
    }
    Ok((section, exported, mutable_globals))
}

fn element_section(
    sections: &Sections<'_>,
    functions: &mut Functions,
) -> Result<ElementSection, MeterError> {
    let mut section = ElementSection::new();
    for element in &sections.elements {
        functions.parse_element(&mut section, element.clone())?;
    }
    Ok(section)
}

fn code_section(
    sections: &Sections<'_>,
    survey: &Survey,
    analysis: &AnalysisOutcome,
    options: &MeterOptions<'_>,
    memory: Memory,
    types: &mut Types<'_>,
    functions: &mut Functions,
) -> Result<CodeSection, MeterError> {
    let globals = meter_globals(sections)?;
    let mut section = CodeSection::new();
    let bodies = sections.bodies.iter().zip(&survey.functions).enumerate();
    for (index, (defined, (body, shape))) in (functions.imports..).zip(bodies) {
        let type_index = sections.type_of_function(index)?;
        let charges = Charges::of(analysis, defined)?;
        let function = Unmetered {
            index,
            code: sections.code,
            body,
            params: params(sections, index)?,
            results: types.block_of_results(type_index)?,
            shape,
            memory,
            stack_bytes: charges.frame_bytes.saturating_add(charges.operand_bytes),
            frame_gas: charges
                .frame_bytes
                .div_ceil(8)
                .saturating_mul(u64::from(options.config.regular_op_cost)),
            points: charges.points,
        };
        section.raw(&body::meter(&function, globals, functions)?);
    }
    for index in &functions.entered {
        let params = params(sections, *index)?;
        section.raw(&body::entrance(functions.metered(*index), params, globals));
    }
    Ok(section)
}

fn params(sections: &Sections<'_>, function: u32) -> Result<u32, MeterError> {
    let ty = sections.function_type(sections.type_of_function(function)?)?;
    match u32::try_from(ty.params().len()).ok().filter(|params| *params <= MAX_PARAMS) {
        Some(params) => Ok(params),
        None => {
            let found = ty.params().len();
            Err(MeterError::TooManyParams { function, found, allowed: MAX_PARAMS as usize })
        }
    }
}

/// What finite-wasm says about one function.
struct Charges {
    frame_bytes: u64,
    operand_bytes: u64,
    points: Vec<Point>,
}

impl Charges {
    fn of(analysis: &AnalysisOutcome, function: usize) -> Result<Charges, MeterError> {
        let AnalysisOutcome {
            function_frame_sizes,
            function_operand_stack_sizes,
            gas_offsets,
            gas_costs,
            gas_kinds,
        } = analysis;
        let found = || {
            let charges = gas_offsets.get(function)?.iter().zip(gas_costs.get(function)?);
            let points = charges.zip(gas_kinds.get(function)?);
            Some(Charges {
                frame_bytes: *function_frame_sizes.get(function)?,
                operand_bytes: *function_operand_stack_sizes.get(function)?,
                points: points
                    .map(|((offset, fee), kind)| Point { offset: *offset, fee: *fee, kind: *kind })
                    .collect(),
            })
        };
        let message = || format!("nothing was said about function {function} of the code section");
        found().ok_or_else(|| MeterError::Analysis { message: message() })
    }
}

/// Appends the data section unchanged; gives the active segments, their bytes as ranges of `code`.
fn data_section(sections: &Sections<'_>, code: &mut Vec<u8>) -> Vec<DataSegment> {
    let Some(data) = sections.data else {
        return Vec::new();
    };
    RawSection { id: SectionId::Data.into(), data }.append_to(code);
    let start = code.len() - data.len();
    let moved = |segment: &DataSegment| DataSegment {
        offset: segment.offset,
        range: start + segment.range.start..start + segment.range.end,
    };
    sections.active_data.iter().map(moved).collect()
}

/// Names of functions, for backtraces. An entrance has the name of what it leads to.
fn name_section(sections: &Sections<'_>, functions: &Functions) -> NameSection {
    let mut names = NameMap::new();
    names.append(body::GAS_EXHAUSTED, export::GAS_EXHAUSTED);
    names.append(body::STACK_EXHAUSTED, export::STACK_EXHAUSTED);
    if functions.asks_to_grow() {
        names.append(body::MEMORY_GROWING, export::MEMORY_GROWING);
    }
    let known: BTreeMap<u32, &str> = sections.names.iter().copied().collect();
    for (index, name) in known.range(..functions.all) {
        names.append(functions.metered(*index), name);
    }
    for (place, index) in (0..).zip(&functions.entered) {
        if let Some(name) = known.get(index) {
            names.append(functions.entrance_at(place), name);
        }
    }
    let mut section = NameSection::new();
    section.functions(&names);
    section
}

/// Turns the memory of a metered module into an import, the last one, and exports its tables.
pub fn with_imported_memory(code: &[u8]) -> Result<Vec<u8>, MeterError> {
    let mut memory = None;
    for payload in Parser::new(0).parse_all(code) {
        if let Payload::MemorySection(memories) = payload? {
            memory = memories.into_iter().next().transpose()?;
        }
    }
    let memory = memory.ok_or_else(|| invalid(0, "a module without memory".to_owned()))?;
    let memory = RoundtripReencoder.memory_type(memory)?;
    let mut rewritten = Module::HEADER.to_vec();
    let mut tables = 0;
    for payload in Parser::new(0).parse_all(code) {
        match payload? {
            Payload::MemorySection(_) => {}
            Payload::ExportSection(exports) => {
                let mut section = ExportSection::new();
                RoundtripReencoder.parse_export_section(&mut section, exports)?;
                for table in 0..tables {
                    let name = format!("{}{table}", export::TABLE_PREFIX);
                    section.export(&name, ExportKind::Table, table);
                }
                section.append_to(&mut rewritten);
            }
            Payload::ImportSection(imports) => {
                let mut section = ImportSection::new();
                RoundtripReencoder.parse_import_section(&mut section, imports)?;
                section.import(export::INTERNAL, export::MEMORY, EntityType::Memory(memory));
                section.append_to(&mut rewritten);
            }
            other => {
                if let Payload::TableSection(section) = &other {
                    tables = section.count();
                }
                if let Some((id, range)) = other.as_section() {
                    RawSection { id, data: &code[range] }.append_to(&mut rewritten);
                }
            }
        }
    }
    Ok(rewritten)
}
