//! Modules too large to write down. Each breaks one limit and keeps the others, so that a refusal can name it.

use std::borrow::Cow;

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataSection, ElementSection, Elements,
    Encode, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, MemorySection, MemoryType, Module, RefType, TableSection, TableType,
    TypeSection, ValType,
};

use super::Expect;

/// How a large attacker is made, and what is expected of it as either kind of module.
pub(super) struct Giant {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) expect: Expect,
    pub(super) make: fn() -> Vec<u8>,
}

pub(super) const GIANTS: &[Giant] = &[
    Giant {
        name: "row_03_functions_10000",
        about: "As many functions as allowed: the limit is this and not one less.",
        expect: Expect::Runs,
        make: || functions(0, 10_000),
    },
    Giant {
        name: "row_03_functions_10001",
        about: "One function more than allowed.",
        expect: Expect::Refused,
        make: || functions(0, 10_001),
    },
    Giant {
        name: "row_03_functions_with_import",
        about: "As many functions as allowed, and an import, which counts as one.",
        expect: Expect::Refused,
        make: || functions(1, 10_000),
    },
    Giant {
        name: "row_04_locals_million",
        about: "A million locals in a body of ten bytes: the frame costs what its declaration does not.",
        expect: Expect::Refused,
        make: || one_function(Function::new([(1_000_000, ValType::I64)])),
    },
    Giant {
        name: "row_04_locals_overflow",
        about: "Groups of locals whose sum is over 32 bits.",
        expect: Expect::Refused,
        make: || one_function(Function::new([(u32::MAX, ValType::I64), (u32::MAX, ValType::I32)])),
    },
    Giant {
        name: "row_04_locals_in_every_function",
        about: "A thousand functions of two thousand locals each: two million together.",
        expect: Expect::Refused,
        make: locals_in_every_function,
    },
    Giant {
        name: "row_05_params_65",
        about: "A function with one parameter more than allowed.",
        expect: Expect::Refused,
        make: || params(65, 1),
    },
    Giant {
        name: "row_05_params_64_in_782",
        about: "Functions of as many parameters as allowed, more of them together than allowed.",
        expect: Expect::Refused,
        make: || params(64, 782),
    },
    Giant {
        name: "row_06_giant_body",
        about: "One function of a mebibyte: compilers that are quadratic in it are plenty.",
        expect: Expect::Refused,
        make: || one_function(constants(1 << 20)),
    },
    Giant {
        name: "row_06_large_body",
        about: "One function of nearly as many bytes as allowed, in one straight line.",
        expect: Expect::Runs,
        make: || one_function(constants(190_000)),
    },
    Giant {
        name: "row_07_blocks_nested_50000",
        about: "Blocks in blocks, ten times as many as allowed.",
        expect: Expect::Refused,
        make: || one_function(blocks_nested(50_000)),
    },
    Giant {
        name: "row_07_blocks_nested_4999",
        about: "Blocks in blocks, as many as allowed.",
        expect: Expect::Runs,
        make: || one_function(blocks_nested(4_999)),
    },
    Giant {
        name: "row_07_blocks_in_a_row_50000",
        about: "Blocks one after the other, ten times as many as allowed in a function.",
        expect: Expect::Refused,
        make: || one_function(blocks_in_a_row(50_000)),
    },
    Giant {
        name: "row_07_blocks_50010_in_a_module",
        about: "Functions of as many blocks as allowed, more of them together than allowed.",
        expect: Expect::Refused,
        make: || same_functions(11, || blocks_in_a_row(4_546)),
    },
    Giant {
        name: "row_08_br_table_100000",
        about: "A jump table of a hundred thousand targets. NEAR has no limit for it, this host must.",
        expect: Expect::Refused,
        make: || one_function(br_table(100_000)),
    },
    Giant {
        name: "row_09_grows_when_metered",
        about: "Nearly four mebibytes of conditional branches: every one ends a run of instructions that a meter \
                has to pay for, so what is compiled is several times as large.",
        expect: Expect::Refused,
        make: || same_functions(20, || branches(48_000)),
    },
    Giant {
        name: "row_10_types_1025",
        about: "One type more than allowed.",
        expect: Expect::Refused,
        make: || types(1_025),
    },
    Giant {
        name: "row_11_globals_100000",
        about: "Globals, which cost nothing to declare and memory in every instance.",
        expect: Expect::Runs,
        make: || globals(100_000),
    },
    Giant {
        name: "row_12_operand_stack",
        about: "Two thousand values on the operand stack at once, 16 KB where 8 are allowed.",
        expect: Expect::Refused,
        make: || one_function(operand_stack(2_000)),
    },
    Giant {
        name: "row_13_data_segments_100001",
        about: "Empty data segments, more than a parser allows.",
        expect: Expect::Refused,
        make: || data_segments(100_001),
    },
    Giant {
        name: "row_13_element_segments_100001",
        about: "Empty element segments, more than a parser allows.",
        expect: Expect::Refused,
        make: || element_segments(100_001, 0),
    },
    Giant {
        name: "row_13_elements_of_every_entry",
        about: "A table of ten thousand entries, each written forty times at every instantiation.",
        expect: Expect::Refused,
        make: || element_segments(40, 10_000),
    },
    Giant {
        name: "row_13_names",
        about: "Names for a hundred and fifty thousand functions of which there is one: the transaction is too large.",
        expect: Expect::Refused,
        make: || names(150_000),
    },
    Giant {
        name: "row_13_long_export",
        about: "An export whose name is longer than a parser allows.",
        expect: Expect::Refused,
        make: long_export,
    },
];

/// The sections of a module whose functions are all of type `() -> ()`, the last of them exported as `run`.
#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
}

impl Sections {
    fn new() -> Self {
        let mut sections = Self::default();
        sections.types.ty().function([], []);
        sections
    }

    fn function(&mut self, type_index: u32, mut body: Function) {
        body.instructions().end();
        self.functions.function(type_index);
        self.code.function(&body);
    }

    fn finish(mut self) -> Vec<u8> {
        self.function(0, Function::new([]));
        self.finish_at_last_function()
    }

    fn finish_at_last_function(self) -> Vec<u8> {
        let run = self.imports.len() + self.functions.len() - 1;
        let mut exports = ExportSection::new();
        exports.export("run", ExportKind::Func, run);
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&self.functions)
            .section(&self.tables)
            .section(&self.memories)
            .section(&self.globals)
            .section(&exports)
            .section(&self.elements)
            .section(&self.code)
            .section(&self.data);
        module.finish()
    }
}

fn one_function(body: Function) -> Vec<u8> {
    let mut sections = Sections::new();
    sections.function(0, body);
    sections.finish_at_last_function()
}

fn same_functions(count: u32, body: impl Fn() -> Function) -> Vec<u8> {
    let mut sections = Sections::new();
    for _ in 0..count {
        sections.function(0, body());
    }
    sections.finish_at_last_function()
}

fn functions(imports: u32, count: u32) -> Vec<u8> {
    let mut sections = Sections::new();
    sections.types.ty().function([ValType::I64], []);
    for _ in 0..imports {
        sections.imports.import("env", "input", EntityType::Function(1));
    }
    for _ in 0..count {
        sections.function(0, Function::new([]));
    }
    sections.finish_at_last_function()
}

/// Every function has as many bytes as NEAR asks for its locals, two each, so that the sum alone is wrong.
fn locals_in_every_function() -> Vec<u8> {
    same_functions(1_000, || {
        let mut body = Function::new([(2_000, ValType::I64)]);
        for _ in 0..4_000 {
            body.instructions().nop();
        }
        body
    })
}

fn params(params: usize, count: u32) -> Vec<u8> {
    let mut sections = Sections::new();
    sections.types.ty().function(vec![ValType::I32; params], []);
    for _ in 0..count {
        sections.function(1, Function::new([]));
    }
    sections.finish()
}

/// A straight line of about `bytes` bytes: constants, dropped.
fn constants(bytes: usize) -> Function {
    let mut body = Function::new([]);
    for _ in 0..bytes / 3 {
        body.instructions().i32_const(1).drop();
    }
    body
}

fn blocks_nested(count: u32) -> Function {
    let mut body = Function::new([]);
    for _ in 0..count {
        body.instructions().block(BlockType::Empty);
    }
    for _ in 0..count {
        body.instructions().end();
    }
    body
}

fn blocks_in_a_row(count: u32) -> Function {
    let mut body = Function::new([]);
    for _ in 0..count {
        body.instructions().block(BlockType::Empty).end();
    }
    body
}

fn br_table(targets: usize) -> Function {
    let mut body = Function::new([]);
    body.instructions().block(BlockType::Empty).i32_const(7).br_table(vec![0; targets], 0).end();
    body
}

fn branches(count: u32) -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    for _ in 0..count {
        body.instructions().local_get(0).br_if(0);
    }
    body
}

fn types(count: u32) -> Vec<u8> {
    let mut sections = Sections::new();
    for _ in 1..count {
        sections.types.ty().function([ValType::I32], []);
    }
    sections.finish()
}

fn globals(count: u32) -> Vec<u8> {
    let mut sections = Sections::new();
    for _ in 0..count {
        let global = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        sections.globals.global(global, &ConstExpr::i64_const(0));
    }
    sections.finish()
}

fn operand_stack(values: u32) -> Function {
    let mut body = Function::new([]);
    for _ in 0..values {
        body.instructions().i64_const(0);
    }
    for _ in 0..values {
        body.instructions().drop();
    }
    body
}

fn data_segments(count: u32) -> Vec<u8> {
    let mut sections = Sections::new();
    sections.memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    for _ in 0..count {
        sections.data.active(0, &ConstExpr::i32_const(0), []);
    }
    sections.finish()
}

/// Segments that all write function 0 to the same `entries` entries of a table.
fn element_segments(count: u32, entries: u32) -> Vec<u8> {
    let mut sections = Sections::new();
    sections.tables.table(TableType {
        element_type: RefType::FUNCREF,
        minimum: 10_000,
        maximum: None,
        table64: false,
        shared: false,
    });
    let functions = vec![0; entries as usize];
    for _ in 0..count {
        sections.elements.active(
            None,
            &ConstExpr::i32_const(0),
            Elements::Functions(Cow::Borrowed(&functions)),
        );
    }
    sections.finish()
}

fn names(count: u32) -> Vec<u8> {
    let mut functions = Vec::new();
    count.encode(&mut functions);
    for index in 0..count {
        index.encode(&mut functions);
        "a_name_for_nothing".encode(&mut functions);
    }
    let mut section = vec![1];
    functions.encode(&mut section);
    let mut module = Sections::new().finish();
    module.push(0);
    CustomSection { name: Cow::Borrowed("name"), data: Cow::Borrowed(&section) }
        .encode(&mut module);
    module
}

fn long_export() -> Vec<u8> {
    let mut exports = ExportSection::new();
    exports.export(&"a".repeat(100_001), ExportKind::Func, 0);
    exports.export("run", ExportKind::Func, 0);
    let mut sections = Sections::new();
    sections.function(0, Function::new([]));
    let mut module = Module::new();
    module
        .section(&sections.types)
        .section(&sections.functions)
        .section(&exports)
        .section(&sections.code);
    module.finish()
}
