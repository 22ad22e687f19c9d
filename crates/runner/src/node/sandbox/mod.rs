//! The node as wasm in wasmtime. Every import is defined as a trap: the exported functions call none, so the node has no
//! clock, no files and no randomness to differ by. Bytes pass through its exchange buffer only, but for compiled code
//! (`compiled.rs`).

mod compiled;

use guest_interp::args;
use serde::de::DeserializeOwned;
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_session::output_file::OutputFile;
use stepmark_session::report::RunResult;
use stepmark_session::spec::JobSpec;
use wasmtime::{
    Config, Engine, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, WasmParams, WasmResults,
};

use crate::failure::{Failure, IO, Result};
use crate::interrupt::Interrupt;
use crate::node::cache;
use crate::node::embedded_module;
use crate::node::engine::{Budget, CompiledWork, Deliver, Event, ModuleSession, Progress, TierChoice};
use crate::node::frozen::PAGE;

use self::compiled::{CompiledCode, CompiledExports};

/// The version of the exported functions that this runner speaks.
const ABI_VERSION: u32 = 2;
/// Bytes handed to the node in one call.
const CHUNK: usize = 256 << 10;

/// Bytes of stack for the module, or for compiled code of the program: what half of a thread's has.
const STACK: usize = 1 << 20;

/// What is said of a module that fails.
pub const FAULT: &str = "the module failed (a fault of its own, not of the program)";

/// A node in an instance of its own.
pub struct WasmNode {
    store: Store<StoreLimits>,
    memory: Memory,
    exports: Exports,
    tier: TierChoice,
    /// Asks it to stop.
    stop: Interrupt,
    compiled: CompiledCode,
}

/// The exported functions, looked up once.
struct Exports {
    buffer: TypedFunc<u32, u32>,
    load: TypedFunc<u32, i32>,
    want: TypedFunc<(), i32>,
    give: TypedFunc<u32, i32>,
    give_end: TypedFunc<u32, i32>,
    run: TypedFunc<(u64, u64), i32>,
    pause: TypedFunc<(), i32>,
    take_name: TypedFunc<(), i32>,
    take: TypedFunc<(), i32>,
    deliver_name: TypedFunc<(), i32>,
    deliver_link: TypedFunc<(), i32>,
    deliver: TypedFunc<(), i32>,
    output: TypedFunc<u32, i32>,
    /// Not in modules of releases before it was added.
    result: Option<TypedFunc<(), i32>>,
    exit_code: TypedFunc<(), i32>,
    start_id: TypedFunc<(), u64>,
    job_hash: TypedFunc<(), i32>,
    output_dir: TypedFunc<(), i32>,
    progress: TypedFunc<(), i32>,
    message: TypedFunc<(), i32>,
    error: TypedFunc<(), i32>,
    out_of_memory: TypedFunc<(), u64>,
    record_answers: TypedFunc<u32, i32>,
    answers: TypedFunc<(), i32>,
    question: TypedFunc<(), i32>,
    answer: TypedFunc<(u32, u32), i32>,
    asking_memory: TypedFunc<(u64, u32), i32>,
    asking_memory_size: TypedFunc<(), u64>,
    /// Not in modules of releases before they were added.
    compiled: Option<CompiledExports>,
}

/// A node's wasm, compiled. Instances of it share the machine code.
#[derive(Clone, Debug)]
pub struct NodeModule(Module);

impl NodeModule {
    /// Compiles `wasm`, or takes the result from the user's cache.
    ///
    /// # Errors
    /// When `wasm` is not valid.
    pub fn compile(wasm: &[u8]) -> Result<Self> {
        let mut config = Config::new();
        config.cache(cache::compilation_cache());
        align_functions(&mut config);
        config.max_wasm_stack(STACK);
        let module = Engine::new(&config).and_then(|engine| Module::new(&engine, wasm));
        module.map(Self).map_err(|error| Failure::wasmtime(IO, "the module does not compile", &error))
    }

    /// As wasmtime has it.
    pub(crate) fn module(&self) -> &Module {
        &self.0
    }
}

/// Begins every function at a cache line. All instructions of a program pass through one short block near the beginning
/// of the interpreter's loop; whether it lies in one line or across two would else be up to the length of all the code
/// before it (RATIONALE.md has the figures).
#[allow(unsafe_code, reason = "wasmtime has no safe setting for it")]
fn align_functions(config: &mut Config) {
    // SAFETY: the setting moves code and changes none.
    unsafe { config.cranelift_flag_set("log2_min_function_alignment", "6") };
}

impl WasmNode {
    /// An instance of the node that this runner carries.
    ///
    /// # Errors
    /// When it cannot be compiled or instantiated.
    pub fn embedded() -> Result<Self> {
        Self::new(&NodeModule::compile(embedded_module::NODE_WASM)?)
    }

    /// An instance of `module`.
    ///
    /// # Errors
    /// When an export is missing or the node speaks another version of the interface.
    pub fn new(module: &NodeModule) -> Result<Self> {
        Self::start(module, StoreLimits::default())
    }

    /// An instance whose memory cannot grow beyond so many bytes.
    ///
    /// # Errors
    /// As [`new`](Self::new); and if it begins with more.
    pub fn with_memory(module: &NodeModule, bytes: usize) -> Result<Self> {
        Self::start(module, StoreLimitsBuilder::new().memory_size(bytes).build())
    }

    fn start(module: &NodeModule, limits: StoreLimits) -> Result<Self> {
        let node = Self::instantiate(&module.0, limits);
        node.map_err(|error| Failure::wasmtime(IO, "the module cannot be instantiated", &error))
    }

    fn instantiate(module: &Module, limits: StoreLimits) -> wasmtime::Result<Self> {
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_traps(module)?;
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?;
        let version = instance.get_typed_func::<(), u32>(&mut store, "node_abi_version")?.call(&mut store, ())?;
        if version != ABI_VERSION {
            let text = format!("the module speaks version {version} of its interface, this runner {ABI_VERSION}");
            return Err(wasmtime::Error::msg(text));
        }
        let exports = Exports::find(&mut store, instance)?;
        Ok(Self {
            store,
            memory,
            exports,
            tier: TierChoice::default(),
            stop: Interrupt::new(),
            compiled: CompiledCode::default(),
        })
    }

    /// A copy of the whole state of the node: its linear memory.
    pub fn memory_image(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Makes the memory of this fresh instance one of `size` pages that are zero but for these; the node then goes on where
    /// the other one was.
    ///
    /// # Errors
    /// Exit code 65 when `size` is less than any node has, or a page does not fit; 74 when the memory cannot grow.
    pub fn restore_memory<'a>(&mut self, size: u32, pages: impl IntoIterator<Item = (u32, &'a [u8])>) -> Result<()> {
        let (least, fresh) = (self.memory.size(&self.store), self.memory.data_size(&self.store));
        let missing = u64::from(size).checked_sub(least);
        let most = self.memory.ty(&self.store).maximum().unwrap_or(u64::from(u32::MAX));
        if u64::from(size) > most {
            return Err(Failure::data(format!("a memory of {size} pages, the module has at most {most}")));
        }
        let too_small = || Failure::data(format!("a memory of {size} pages, the module begins with {least}"));
        let grown = self.memory.grow(&mut self.store, missing.ok_or_else(too_small)?);
        grown.map_err(|error| Failure::wasmtime(IO, "the module's memory cannot be restored", &error))?;
        let memory = self.memory.data_mut(&mut self.store);
        memory.split_at_mut(fresh).0.fill(0);
        for (number, page) in pages {
            let start = index(number).saturating_mul(PAGE);
            let place = memory.get_mut(start..start.saturating_add(page.len()));
            let place = place.ok_or_else(|| Failure::data(format!("page {number} is outside the memory")))?;
            place.copy_from_slice(page);
        }
        Ok(())
    }

    /// Calls an export. A trap here is a fault of the node itself, never of the program.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        pick: impl Fn(&Exports) -> &TypedFunc<P, R>,
        params: P,
    ) -> Result<R> {
        let result = pick(&self.exports).call(&mut self.store, params);
        result.map_err(|error| self.fault(&error))
    }

    /// Why a call trapped: the node's memory was not enough, or a fault of the node itself.
    #[cold]
    fn fault(&mut self, error: &wasmtime::Error) -> Failure {
        let asked = self.exports.out_of_memory.call(&mut self.store, ()).unwrap_or(0);
        if asked == 0 {
            return Failure::wasmtime(IO, FAULT, error);
        }
        let held = self.memory.data_size(&self.store);
        Failure::new(
            IO,
            format!("the module ran out of memory: it has {held} bytes and needs {asked} more in one piece"),
        )
    }

    /// The returned value, or the node's error when it is negative.
    fn check(&mut self, value: i32) -> Result<usize> {
        match usize::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => Err(self.failure(value.saturating_neg())?),
        }
    }

    /// The node's last error as a failure with exit code `code`.
    fn failure(&mut self, code: i32) -> Result<Failure> {
        let length = self.call(|exports| &exports.error, ())?;
        let mut text = Vec::new();
        self.read(usize::try_from(length).unwrap_or(0), &mut text)?;
        Ok(Failure::new(code, String::from_utf8_lossy(&text)))
    }

    /// Puts `bytes` into the exchange buffer and returns their length.
    fn write(&mut self, bytes: &[u8]) -> Result<u32> {
        let too_long = || Failure::usage(format!("the module does not take {} bytes at a time", bytes.len()));
        let length = u32::try_from(bytes.len()).map_err(|_| too_long())?;
        let address = self.call(|exports| &exports.buffer, length)?;
        if address == 0 {
            return Err(too_long());
        }
        let written = self.memory.write(&mut self.store, index(address), bytes);
        written.map_err(|_| Failure::new(IO, "the module's exchange buffer is outside its memory"))?;
        Ok(length)
    }

    /// Replaces `out` by the first `length` bytes of the exchange buffer.
    fn read(&mut self, length: usize, out: &mut Vec<u8>) -> Result<()> {
        let start = index(self.call(|exports| &exports.buffer, 0)?);
        let data = self.memory.data(&self.store);
        let bytes = start.checked_add(length).and_then(|end| data.get(start..end));
        let bytes = bytes.ok_or_else(|| Failure::new(IO, "the module's exchange buffer is outside its memory"))?;
        out.clear();
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// The bytes that an export has left in the buffer, whose length or error it returned.
    fn bytes(&mut self, value: i32) -> Result<Vec<u8>> {
        let length = self.check(value)?;
        let mut bytes = Vec::new();
        self.read(length, &mut bytes)?;
        Ok(bytes)
    }

    fn text(&mut self, value: i32) -> Result<String> {
        String::from_utf8(self.bytes(value)?)
            .map_err(|_| Failure::new(IO, "the module returned text that is not UTF-8"))
    }

    /// Text where 0 means that there is none.
    fn optional_text(&mut self, value: i32) -> Result<Option<String>> {
        if value == 0 { Ok(None) } else { self.text(value).map(Some) }
    }

    /// Data where 0 means that there is none.
    fn decoded<T: DeserializeOwned>(&mut self, value: i32) -> Result<Option<T>> {
        if value == 0 {
            return Ok(None);
        }
        let bytes = self.bytes(value)?;
        let decoded = postcard::from_bytes(&bytes);
        decoded.map(Some).map_err(|error| Failure::new(IO, format!("the module says something unknown: {error}")))
    }

    /// The event that a run came back with.
    fn event(&mut self, number: usize) -> Result<Event> {
        match number {
            0 => Ok(Event::Finished),
            1 => Ok(Event::Snapshot(self.progress()?.snapshot_id)),
            2 => Ok(Event::Paused),
            3 => Ok(Event::Output),
            4 => Ok(Event::Question),
            other => Err(Failure::new(IO, format!("the module returned the unknown event {other}"))),
        }
    }

    /// All chunks that repeated calls hand out, until one returns 0.
    fn all_chunks(&mut self, mut next: impl FnMut(&mut Self) -> Result<i32>) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let value = next(self)?;
            if value == 0 {
                return Ok(all);
            }
            all.append(&mut self.bytes(value)?);
        }
    }
}

impl Exports {
    fn find(store: &mut Store<StoreLimits>, instance: wasmtime::Instance) -> wasmtime::Result<Self> {
        Ok(Self {
            buffer: instance.get_typed_func(&mut *store, "node_buffer")?,
            load: instance.get_typed_func(&mut *store, "node_load")?,
            want: instance.get_typed_func(&mut *store, "node_want")?,
            give: instance.get_typed_func(&mut *store, "node_give")?,
            give_end: instance.get_typed_func(&mut *store, "node_give_end")?,
            run: instance.get_typed_func(&mut *store, "node_run")?,
            pause: instance.get_typed_func(&mut *store, "node_pause")?,
            take_name: instance.get_typed_func(&mut *store, "node_take_name")?,
            take: instance.get_typed_func(&mut *store, "node_take")?,
            deliver_name: instance.get_typed_func(&mut *store, "node_deliver_name")?,
            deliver_link: instance.get_typed_func(&mut *store, "node_deliver_link")?,
            deliver: instance.get_typed_func(&mut *store, "node_deliver")?,
            output: instance.get_typed_func(&mut *store, "node_output")?,
            result: instance.get_typed_func(&mut *store, "node_result").ok(),
            exit_code: instance.get_typed_func(&mut *store, "node_exit_code")?,
            start_id: instance.get_typed_func(&mut *store, "node_start_id")?,
            job_hash: instance.get_typed_func(&mut *store, "node_job_hash")?,
            output_dir: instance.get_typed_func(&mut *store, "node_output_dir")?,
            progress: instance.get_typed_func(&mut *store, "node_progress")?,
            message: instance.get_typed_func(&mut *store, "node_message")?,
            error: instance.get_typed_func(&mut *store, "node_error")?,
            out_of_memory: instance.get_typed_func(&mut *store, "node_out_of_memory")?,
            record_answers: instance.get_typed_func(&mut *store, "node_record_answers")?,
            answers: instance.get_typed_func(&mut *store, "node_answers")?,
            question: instance.get_typed_func(&mut *store, "node_question")?,
            answer: instance.get_typed_func(&mut *store, "node_answer")?,
            asking_memory: instance.get_typed_func(&mut *store, "node_memory")?,
            asking_memory_size: instance.get_typed_func(&mut *store, "node_memory_size")?,
            compiled: CompiledExports::find(store, instance),
        })
    }

    fn for_compiled(&self) -> &CompiledExports {
        self.compiled.as_ref().expect("BUG: no tier is set that the module does not know")
    }
}

impl WasmNode {
    /// Starts a job from arguments, without `argv[0]`: what a module of any version takes.
    ///
    /// # Errors
    /// The module's, with its exit code, for arguments that are wrong.
    pub fn load_arguments(&mut self, argv: &[String]) -> Result<()> {
        args::check_length(argv)?;
        if let Some(word) = argv.iter().find(|word| word.contains('\0')) {
            return Err(Failure::usage(format!("argument holds a NUL character: {word:?}")));
        }
        let length = self.write(argv.join("\0").as_bytes())?;
        match self.call(|exports| &exports.load, length)? {
            0 => Ok(()),
            code => Err(self.failure(code)?),
        }
    }
}

impl ModuleSession for WasmNode {
    fn load(&mut self, job: &JobSpec) -> Result<()> {
        self.load_arguments(&args::print(job))
    }

    fn want(&mut self) -> Result<Option<String>> {
        let value = self.call(|exports| &exports.want, ())?;
        self.optional_text(value)
    }

    fn give(&mut self, chunk: &[u8]) -> Result<()> {
        for part in chunk.chunks(CHUNK) {
            let length = self.write(part)?;
            let value = self.call(|exports| &exports.give, length)?;
            self.check(value)?;
        }
        Ok(())
    }

    fn give_end(&mut self, found: bool) -> Result<()> {
        let value = self.call(|exports| &exports.give_end, u32::from(found))?;
        self.check(value).map(|_| ())
    }

    fn heed(&mut self, stop: &Interrupt) {
        self.stop = stop.clone();
    }

    fn run(&mut self, budget: Budget) -> Result<Event> {
        if self.tier != TierChoice::Register {
            return self.run_or_enter(budget);
        }
        let value = self.call(|exports| &exports.run, (budget.gas, budget.steps))?;
        let value = self.check(value)?;
        self.event(value)
    }

    fn question(&mut self) -> Result<Option<ExternalCall>> {
        let value = self.call(|exports| &exports.question, ())?;
        self.decoded(value)
    }

    fn answer(&mut self, answer: &ExternalReply) -> Result<()> {
        let bytes = postcard::to_allocvec(answer).map_err(|error| Failure::new(IO, format!("an answer: {error}")))?;
        let mut rest = bytes.as_slice();
        loop {
            let (part, after) = rest.split_at(rest.len().min(CHUNK));
            rest = after;
            let length = self.write(part)?;
            let value = self.call(|exports| &exports.answer, (length, u32::from(!rest.is_empty())))?;
            self.check(value)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn asking_memory(&mut self, address: u64, length: u32) -> Result<Vec<u8>> {
        let value = self.call(|exports| &exports.asking_memory, (address, length))?;
        self.bytes(value)
    }

    fn asking_memory_size(&mut self) -> Result<u64> {
        self.call(|exports| &exports.asking_memory_size, ())
    }

    fn encode_pause(&mut self) -> Result<()> {
        let value = self.call(|exports| &exports.pause, ())?;
        self.check(value).map(|_| ())
    }

    fn next_file(&mut self) -> Result<Option<OutputFile>> {
        let value = self.call(|exports| &exports.take_name, ())?;
        let Some(name) = self.optional_text(value)? else { return Ok(None) };
        let unknown = || Failure::new(IO, format!("the module makes a file that no run makes: {name:?}"));
        OutputFile::parse(&name).map(Some).ok_or_else(unknown)
    }

    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        let value = self.call(|exports| &exports.take, ())?;
        let length = self.check(value)?;
        self.read(length, chunk)?;
        Ok(length > 0)
    }

    fn take_output(&mut self, fd: u32) -> Result<Vec<u8>> {
        self.all_chunks(|node| node.call(|exports| &exports.output, fd))
    }

    fn result(&mut self) -> Result<Option<RunResult>> {
        let Some(result) = &self.exports.result else {
            return Err(Failure::data("the module is of an older release: it does not say what a run came to"));
        };
        let value = result.call(&mut self.store, ()).map_err(|error| self.fault(&error))?;
        self.decoded(value)
    }

    fn exit_code(&mut self) -> Result<i32> {
        self.call(|exports| &exports.exit_code, ())
    }

    fn output_dir(&mut self) -> Result<String> {
        let value = self.call(|exports| &exports.output_dir, ())?;
        self.text(value)
    }

    fn start_id(&mut self) -> Result<u64> {
        self.call(|exports| &exports.start_id, ())
    }

    fn job_hash(&mut self) -> Result<[u8; 32]> {
        let value = self.call(|exports| &exports.job_hash, ())?;
        let bytes = self.bytes(value)?;
        bytes.try_into().map_err(|_| Failure::new(IO, "the module returned a job hash that is not 32 bytes long"))
    }

    fn progress(&mut self) -> Result<Progress> {
        let value = self.call(|exports| &exports.progress, ())?;
        let bytes = self.bytes(value)?;
        let field = |position: usize| {
            let bytes = bytes.chunks_exact(8).nth(position).and_then(|field| field.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        Ok(Progress {
            gas_total: field(0),
            segment_gas: field(1),
            gas_limit: field(2),
            snapshot_id: field(3),
            gas_stepped: field(4),
            answers: field(5),
        })
    }

    fn take_message(&mut self) -> Result<Option<String>> {
        let value = self.call(|exports| &exports.message, ())?;
        self.optional_text(value)
    }

    fn record_answers(&mut self) -> Result<()> {
        let value = self.call(|exports| &exports.record_answers, 1)?;
        self.check(value).map(|_| ())
    }

    fn compiled_work(&self) -> CompiledWork {
        self.compiled.work
    }

    fn take_answers(&mut self) -> Result<Vec<u8>> {
        self.all_chunks(|node| node.call(|exports| &exports.answers, ()))
    }
}

impl Deliver for WasmNode {
    fn deliver_name(&mut self) -> Result<Option<String>> {
        let value = self.call(|exports| &exports.deliver_name, ())?;
        self.optional_text(value)
    }

    fn deliver_link(&mut self) -> Result<Option<usize>> {
        let value = self.call(|exports| &exports.deliver_link, ())?;
        Ok(self.check(value)?.checked_sub(1))
    }

    fn deliver_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        let value = self.call(|exports| &exports.deliver, ())?;
        let length = self.check(value)?;
        self.read(length, chunk)?;
        Ok(length > 0)
    }
}

/// An address in the node's memory as an index; the host has at least 32 bits.
fn index(address: u32) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}
