//! What a module declares, read once; the code of its functions is not looked into.

use wasmparser::{
    DataKind, Element, Export, FuncType, FunctionBody, Global, KnownCustom, MemoryType, Name,
    Operator, Parser, Payload, TypeRef,
};

use super::{FunctionImport, MeterError};

/// The sections of one module, borrowed from its bytes.
#[derive(Default)]
pub struct Sections<'a> {
    /// The module.
    pub code: &'a [u8],
    /// Its types.
    pub types: Vec<FuncType>,
    /// Its imports, all functions of `env`.
    pub imports: Vec<FunctionImport>,
    /// The type of each function, imports first.
    pub function_types: Vec<u32>,
    /// The contents of the table section.
    pub tables: Option<&'a [u8]>,
    /// The memory.
    pub memory: Option<MemoryType>,
    /// The globals.
    pub globals: Vec<Global<'a>>,
    /// The exports.
    pub exports: Vec<Export<'a>>,
    /// The start function.
    pub start: Option<u32>,
    /// The element segments.
    pub elements: Vec<Element<'a>>,
    /// How many data segments are declared before the code.
    pub data_count: Option<u32>,
    /// The functions defined here.
    pub bodies: Vec<FunctionBody<'a>>,
    /// The contents of the data section.
    pub data: Option<&'a [u8]>,
    /// Active data segments: offset in memory, and bytes as a range of `data`.
    pub active_data: Vec<super::DataSegment>,
    /// Names of functions.
    pub names: Vec<(u32, &'a str)>,
}

impl<'a> Sections<'a> {
    /// Reads the sections of a valid module.
    pub fn read(code: &'a [u8]) -> Result<Sections<'a>, MeterError> {
        let mut sections = Sections { code, ..Sections::default() };
        for payload in Parser::new(0).parse_all(code) {
            sections.add(payload?)?;
        }
        Ok(sections)
    }

    /// The type with index `type_index`.
    pub fn function_type(&self, type_index: u32) -> Result<&FuncType, MeterError> {
        self.types
            .get(type_index as usize)
            .ok_or_else(|| invalid(0, format!("there is no type {type_index}")))
    }

    /// The type of function `index`, imports counted.
    pub fn type_of_function(&self, index: u32) -> Result<u32, MeterError> {
        let types = &self.function_types;
        types
            .get(index as usize)
            .copied()
            .ok_or_else(|| invalid(0, format!("there is no function {index}")))
    }

    fn add(&mut self, payload: Payload<'a>) -> Result<(), MeterError> {
        match payload {
            Payload::Version { .. } | Payload::CodeSectionStart { .. } | Payload::End(_) => {}
            Payload::TypeSection(reader) => {
                self.types = reader.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(reader) => {
                for import in reader {
                    self.import(import?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                for type_index in reader {
                    self.function_types.push(type_index?);
                }
            }
            Payload::TableSection(reader) => self.tables = self.code.get(reader.range()),
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memory = Some(memory?);
                }
            }
            Payload::GlobalSection(reader) => {
                self.globals = reader.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::ExportSection(reader) => {
                self.exports = reader.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                self.elements = reader.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(reader) => self.data(reader)?,
            Payload::CustomSection(reader) => {
                // A name section that cannot be read is no error: it is dropped like other custom ones.
                if let KnownCustom::Name(names) = reader.as_known() {
                    self.names = function_names(names).unwrap_or_default();
                }
            }
            other => {
                let offset = other.as_section().map_or(0, |(_, range)| range.start);
                return Err(invalid(offset, "a section that a contract cannot have".to_owned()));
            }
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'_>) -> Result<(), MeterError> {
        let (module, name) = (import.module.to_owned(), import.name.to_owned());
        let kind = match import.ty {
            TypeRef::Func(type_index) => {
                if module != "env" {
                    return Err(MeterError::ForeignImport { module, name });
                }
                let ty = self.function_type(type_index)?;
                let (params, results) = (ty.params().to_vec(), ty.results().to_vec());
                self.imports.push(FunctionImport { name, params, results });
                self.function_types.push(type_index);
                return Ok(());
            }
            TypeRef::Table(_) => "table",
            TypeRef::Memory(_) => "memory",
            TypeRef::Global(_) => "global",
            TypeRef::Tag(_) => "tag",
        };
        Err(MeterError::NotAFunction { module, name, kind })
    }

    fn data(&mut self, reader: wasmparser::DataSectionReader<'a>) -> Result<(), MeterError> {
        let section = reader.range();
        self.data = self.code.get(section.clone());
        for (segment, data) in (0..).zip(reader) {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = data.kind else {
                continue;
            };
            let mut operators = offset_expr.get_operators_reader();
            let Operator::I32Const { value } = operators.read()? else {
                return Err(MeterError::DataOffset { segment });
            };
            if !operators.is_end_then_eof() {
                return Err(MeterError::DataOffset { segment });
            }
            let end = data.range.end.saturating_sub(section.start);
            let range = end.saturating_sub(data.data.len())..end;
            self.active_data.push(super::DataSegment { offset: value.cast_unsigned(), range });
        }
        Ok(())
    }
}

fn function_names<'a>(
    names: wasmparser::NameSectionReader<'a>,
) -> Result<Vec<(u32, &'a str)>, wasmparser::BinaryReaderError> {
    let mut functions = Vec::new();
    for name in names {
        if let Name::Function(map) = name? {
            for naming in map {
                let naming = naming?;
                functions.push((naming.index, naming.name));
            }
        }
    }
    functions.sort_by_key(|(index, _)| *index);
    functions.dedup_by_key(|(index, _)| *index);
    Ok(functions)
}

/// A module that is not what validation promised.
pub fn invalid(offset: usize, message: String) -> MeterError {
    MeterError::Invalid { offset, message }
}
