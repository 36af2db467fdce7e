//! Private modules at work, on the smallest host that can drive them: wasmi, with a yield as a suspended call.
//! No gas, no grants, no sync calls; those are the real host's, which tests itself with the same bytes.

use std::collections::BTreeMap;

use cotenant_contracts::{burner, echo, notes, pinger, soak, trapper, wasm_in_wasm, yielder};
use wasmi::errors::HostError;
use wasmi::{
    Caller, Engine, Error, Linker, Module, Store, TypedResumableCall, TypedResumableCallHostTrap,
};

/// A yield on its way out of the module.
#[derive(Debug)]
struct Yield(Vec<u8>);

impl std::fmt::Display for Yield {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "yields {} bytes", self.0.len())
    }
}

impl HostError for Yield {}

/// Where an answer goes when the module is resumed.
#[derive(Clone, Copy)]
enum AnswerTo {
    Register(u64),
    Memory { pointer: usize, capacity: usize },
}

#[derive(Default)]
struct Frame {
    input: Vec<u8>,
    registers: BTreeMap<u64, Vec<u8>>,
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
    answer_to: Option<AnswerTo>,
    result: Vec<u8>,
}

fn bytes(caller: &Caller<'_, Frame>, length: u64, pointer: u64) -> Vec<u8> {
    let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
    memory.data(caller)[pointer as usize..][..length as usize].to_vec()
}

fn write(caller: &mut Caller<'_, Frame>, pointer: usize, bytes: &[u8]) {
    let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
    memory.write(caller, pointer, bytes).unwrap();
}

fn linker(engine: &Engine) -> Linker<Frame> {
    let mut linker = Linker::new(engine);
    let functions = &mut linker;
    functions
        .func_wrap("env", "input", |mut caller: Caller<'_, Frame>, register: u64| {
            let input = caller.data().input.clone();
            caller.data_mut().registers.insert(register, input);
        })
        .unwrap()
        .func_wrap("env", "register_len", |caller: Caller<'_, Frame>, register: u64| -> u64 {
            caller.data().registers.get(&register).map_or(u64::MAX, |bytes| bytes.len() as u64)
        })
        .unwrap()
        .func_wrap(
            "env",
            "read_register",
            |mut caller: Caller<'_, Frame>, register: u64, pointer: u64| {
                let bytes = caller.data().registers[&register].clone();
                write(&mut caller, pointer as usize, &bytes);
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "value_return",
            |mut caller: Caller<'_, Frame>, length: u64, pointer: u64| {
                caller.data_mut().result = bytes(&caller, length, pointer);
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "panic_utf8",
            |caller: Caller<'_, Frame>, length: u64, pointer: u64| -> Result<(), Error> {
                Err(Error::new(String::from_utf8(bytes(&caller, length, pointer)).unwrap()))
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "callback",
            |mut caller: Caller<'_, Frame>,
             length: u64,
             pointer: u64,
             register: u64|
             -> Result<(), Error> {
                caller.data_mut().answer_to = Some(AnswerTo::Register(register));
                Err(Error::host(Yield(bytes(&caller, length, pointer))))
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "callback_into",
            |mut caller: Caller<'_, Frame>, length: u64, pointer: u64, into: u64, capacity: u64| {
                let answer_to =
                    AnswerTo::Memory { pointer: into as usize, capacity: capacity as usize };
                caller.data_mut().answer_to = Some(answer_to);
                Err::<u64, Error>(Error::host(Yield(bytes(&caller, length, pointer))))
            },
        )
        .unwrap()
        .func_wrap("env", "storage_write", storage_write)
        .unwrap()
        .func_wrap("env", "storage_read", storage_read)
        .unwrap();
    linker
}

fn storage_write(
    mut caller: Caller<'_, Frame>,
    key_len: u64,
    key_ptr: u64,
    value_len: u64,
    value_ptr: u64,
    _: u64,
) -> u64 {
    let (key, value) = (bytes(&caller, key_len, key_ptr), bytes(&caller, value_len, value_ptr));
    u64::from(caller.data_mut().storage.insert(key, value).is_some())
}

fn storage_read(mut caller: Caller<'_, Frame>, key_len: u64, key_ptr: u64, register: u64) -> u64 {
    let key = bytes(&caller, key_len, key_ptr);
    match caller.data().storage.get(&key).cloned() {
        None => 0,
        Some(value) => {
            caller.data_mut().registers.insert(register, value);
            1
        }
    }
}

/// A module that keeps its storage from call to call.
struct Guest {
    module: Module,
    linker: Linker<Frame>,
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Guest {
    fn new(bytes: &[u8]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, bytes).unwrap();
        Self { module, linker: linker(&engine), storage: BTreeMap::new() }
    }

    /// Runs a method, answering every yield, and gives the result or the message it failed with.
    fn call(
        &mut self,
        method: &str,
        input: &[u8],
        mut answer: impl FnMut(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let storage = std::mem::take(&mut self.storage);
        let frame = Frame { input: input.to_vec(), storage, ..Frame::default() };
        let mut store = Store::new(self.module.engine(), frame);
        let instance = self.linker.instantiate_and_start(&mut store, &self.module).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        let method = instance.get_typed_func::<(), ()>(&store, method).unwrap();
        let mut step = method.call_resumable(&mut store, ());
        let ended = loop {
            let suspended: TypedResumableCallHostTrap<()> = match step {
                Ok(TypedResumableCall::Finished(())) => break Ok(()),
                Ok(TypedResumableCall::HostTrap(suspended)) => suspended,
                Ok(TypedResumableCall::OutOfFuel(_)) => panic!("no fuel is used here"),
                Err(error) => break Err(error.to_string()),
            };
            let Some(Yield(question)) = suspended.host_error().downcast_ref::<Yield>() else {
                break Err(suspended.host_error().to_string());
            };
            let answer = answer(question);
            step = match store.data_mut().answer_to.take().unwrap() {
                AnswerTo::Register(register) => {
                    store.data_mut().registers.insert(register, answer);
                    suspended.resume(&mut store, &[])
                }
                AnswerTo::Memory { pointer, capacity } => {
                    if answer.len() <= capacity {
                        memory.write(&mut store, pointer, &answer).unwrap();
                    }
                    suspended.resume(&mut store, &[wasmi::Val::I64(answer.len() as i64)])
                }
            };
        };
        let frame = store.into_data();
        self.storage = frame.storage;
        ended.map(|()| frame.result)
    }

    /// The same for a method that asks nothing.
    fn compute(&mut self, method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        self.call(method, input, |question| panic!("asked {question:?}"))
    }
}

#[test]
fn soak_counts_its_swaps_and_reads_both_kinds_of_number() {
    let mut soak = Guest::new(soak());
    for loops in [0_u64, 1, 100, 10_000, 250_000] {
        assert_eq!(
            soak.compute("cpu_ram_soak", &loops.to_le_bytes()),
            Ok(loops.to_le_bytes().to_vec())
        );
        assert_eq!(
            soak.compute("cpu_ram_soak", loops.to_string().as_bytes()),
            Ok(loops.to_le_bytes().to_vec())
        );
    }
    assert_eq!(soak.compute("noop", b"anything"), Ok(Vec::new()));
    assert!(soak.compute("cpu_ram_soak", b"ten").unwrap_err().contains("decimal digits"));
    assert!(soak.compute("cpu_ram_soak", &[b'1'; 21]).unwrap_err().contains("decimal digits"));
}

#[test]
fn soak_gives_the_same_inside_the_interpreter_inside_wasm() {
    let mut interpreter = Guest::new(wasm_in_wasm());
    let part = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
    let call = [part(b"cpu_ram_soak"), part(b"1000")].concat();
    let whole = [part(soak()), call.clone()].concat();
    assert_eq!(interpreter.compute("run", &whole), Ok(1_000_u64.to_le_bytes().to_vec()));
    assert_eq!(interpreter.compute("run_stored", &call), Err("load a module first".to_string()));
    interpreter.compute("load", soak()).unwrap();
    assert_eq!(interpreter.compute("run_stored", &call), Ok(1_000_u64.to_le_bytes().to_vec()));
    let echo_call = [part(echo()), part(b"echo"), part(b"bytes")].concat();
    assert_eq!(interpreter.compute("run", &echo_call), Ok(b"bytes".to_vec()));
    let failing = [part(echo()), part(b"fail"), part(b"on purpose")].concat();
    assert!(interpreter.compute("run", &failing).unwrap_err().contains("on purpose"));
}

#[test]
fn echo_returns_asks_and_fails_with_its_input() {
    let mut echo = Guest::new(echo());
    let long = vec![7; 200_000];
    assert_eq!(echo.compute("echo", &long), Ok(long.clone()));
    assert_eq!(echo.compute("echo", b""), Ok(Vec::new()));
    assert_eq!(
        echo.call("ask", b"who?", |question| [question, b" me"].concat()),
        Ok(b"who? me".to_vec())
    );
    assert_eq!(echo.call("ask", b"", |_| long.clone()), Ok(long.clone()));
    assert_eq!(echo.compute("fail", b"because"), Err("because".to_string()));
}

#[test]
fn yielder_sums_its_answers() {
    let mut yielder = Guest::new(yielder());
    let mut questions = Vec::new();
    let sum = yielder.call("sum", &1_000_u64.to_le_bytes(), |question| {
        questions.push(u64::from_le_bytes(question.try_into().unwrap()));
        question.to_vec()
    });
    assert_eq!(sum, Ok((0..1_000_u64).sum::<u64>().to_le_bytes().to_vec()));
    assert_eq!(questions, (0..1_000).collect::<Vec<_>>());
    // An answer too long for the buffer counts its bytes.
    assert_eq!(
        yielder.call("sum", &2_u64.to_le_bytes(), |_| vec![0; 100]),
        Ok(200_u64.to_le_bytes().to_vec())
    );
}

#[test]
fn pinger_yields_as_often_as_it_is_told() {
    let mut yields = 0;
    let last = Guest::new(pinger()).call("ping", &3_u64.to_le_bytes(), |_| {
        yields += 1;
        vec![yields; 8]
    });
    assert_eq!((yields, last), (3, Ok(vec![3; 8])));
}

#[test]
fn every_method_of_trapper_fails() {
    let mut trapper = Guest::new(trapper());
    for method in [
        "unreachable",
        "memory_out_of_bounds",
        "divide_by_zero",
        "integer_overflow",
        "float_to_int",
        "table_out_of_bounds",
        "indirect_to_null",
        "indirect_bad_signature",
        "stack_overflow",
        "panic",
        "yield_then_trap",
        "return_then_trap",
    ] {
        assert!(trapper.call(method, b"", |_| Vec::new()).is_err(), "{method}");
    }
}

#[test]
fn burner_turns_as_often_as_it_is_told() {
    let loops = 1_000_u64.to_le_bytes();
    assert_eq!(Guest::new(burner()).compute("loops", &loops), Ok(loops.to_vec()));
}

/// A parent for `notes` that grants everything, by the bytes of the protocol alone.
fn serve(storage: &mut BTreeMap<Vec<u8>, Vec<u8>>, request: &[u8]) -> Vec<u8> {
    let part = |at: usize| {
        let length = u32::from_le_bytes(request[at..at + 4].try_into().unwrap()) as usize;
        (request[at + 4..at + 4 + length].to_vec(), at + 4 + length)
    };
    let (key, end) = part(1);
    let old = match request[0] {
        0 => storage.get(&key).cloned(),
        1 => storage.insert(key, part(end).0),
        2 => storage.remove(&key),
        other => panic!("no such request: {other}"),
    };
    borsh::to_vec(&(0_u8, old)).unwrap()
}

#[test]
fn notes_keeps_notes_in_the_storage_of_its_parent() {
    let mut notes = Guest::new(notes());
    let mut storage = BTreeMap::new();
    let note = |text: &str| borsh::to_vec(&("ann", text)).unwrap();
    for (index, text) in ["first", "second"].into_iter().enumerate() {
        let added = notes.call("add", &note(text), |request| serve(&mut storage, request));
        assert_eq!(added, Ok((index as u32).to_le_bytes().to_vec()));
    }
    let second = 1_u32.to_le_bytes();
    assert_eq!(
        notes.call("read", &second, |request| serve(&mut storage, request)),
        Ok(note("second"))
    );
    assert_eq!(
        notes.call("len", b"", |request| serve(&mut storage, request)),
        Ok(2_u32.to_le_bytes().to_vec())
    );
    assert_eq!(notes.call("remove", &second, |request| serve(&mut storage, request)), Ok(vec![1]));
    assert_eq!(notes.call("remove", &second, |request| serve(&mut storage, request)), Ok(vec![0]));
    let gone = notes.call("read", &second, |request| serve(&mut storage, request));
    assert_eq!(gone, Err("there is no such note".to_string()));
    assert_eq!(
        notes.compute("add", b"no note"),
        Err("the input is borsh { author, text }".to_string())
    );
    let refused =
        notes.call("add", &note("third"), |_| borsh::to_vec(&(1_u8, "the quota is full")).unwrap());
    assert_eq!(refused, Err("the quota is full".to_string()));
}
