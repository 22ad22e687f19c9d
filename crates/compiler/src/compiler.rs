//! What the exported functions do, by the buffer through which bytes pass.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "the exported functions are there in wasm only"))]

use std::collections::{BTreeMap, BTreeSet};

use stepmark_compile::host::{Entering, Entrance, HostedCompanion, Look, Lost, Pace, Told, bytes_of, words_of};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::ENTER_WORDS;
use stepmark_core::module::{Features, Module};

/// Bytes that a workspace begins with.
const ENTERING: usize = 8 * ENTER_WORDS;
/// Bytes for frames: engines of pages have stacks of half a megabyte and more.
const AREA: u32 = 128 << 10;
/// What a function answers that cannot do what it is asked to.
const FAILED: i32 = -1;

/// The compiled code of one run, without the code that the host has made.
pub(crate) struct Compiler {
    pub(crate) buffer: Vec<u8>,
    programs: BTreeMap<u32, ReadProgram>,
    companions: BTreeMap<u32, HostedCompanion>,
    /// The turn that has begun.
    entrance: Option<Entrance>,
    /// Frames that it has left.
    frames: u32,
    pace: Pace,
    lost: Lost,
}

/// The program of an instance, and what was to be compiled of it so far.
struct ReadProgram {
    module: Module,
    schedule: Schedule,
    wanted: BTreeSet<u32>,
}

impl Compiler {
    pub(crate) const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            programs: BTreeMap::new(),
            companions: BTreeMap::new(),
            entrance: None,
            frames: 0,
            pace: Pace::new(),
            lost: Lost::new(),
        }
    }

    /// Makes the buffer hold so many bytes at least.
    pub(crate) fn hold(&mut self, length: u32) -> *const u8 {
        if self.buffer.len() < length as usize {
            self.buffer.resize(length as usize, 0);
        }
        self.buffer.as_ptr()
    }

    fn input(&self, length: u32) -> &[u8] {
        self.buffer.get(..length as usize).unwrap_or_default()
    }

    fn output(&mut self, bytes: &[u8]) -> i32 {
        self.hold(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        i32::try_from(bytes.len()).unwrap_or(FAILED)
    }

    /// The words of the workspace that an instance needs. In the buffer: what the module has told, the program, the
    /// text of the schedule, in so many bytes each.
    pub(crate) fn read(&mut self, instance: u32, told: u32, program: u32, schedule: u32) -> i32 {
        let input = self.input(told.saturating_add(program).saturating_add(schedule));
        let Some((told, rest)) = input.split_at_checked(told as usize) else { return FAILED };
        let Some((program, schedule)) = rest.split_at_checked(program as usize) else { return FAILED };
        let told = Told::read(told);
        if self.programs.get(&instance).is_none_or(|known| known.module.bytes() != program) {
            let Ok(module) = Module::parse(program.to_vec(), Features::default()) else { return FAILED };
            let text = String::from_utf8_lossy(schedule);
            let Ok(schedule) = Schedule::parse("of-the-job", &text) else { return FAILED };
            self.programs.insert(instance, ReadProgram { module, schedule, wanted: BTreeSet::new() });
        }
        let funcs = self.programs[&instance].module.func_count();
        i32::try_from(told.workspace_words(funcs, AREA)).unwrap_or(FAILED)
    }

    /// Emits the functions of an instance that have run, or all of them; the bytes of the companion in the buffer, 0 if nothing is to be
    /// compiled. In the buffer before: what the module has told once it had made the workspace.
    pub(crate) fn emit(&mut self, instance: u32, told: u32, is_all: bool) -> i32 {
        let told = Told::read(self.input(told));
        let Some(program) = self.programs.get_mut(&instance) else { return FAILED };
        let (module, called) = (&program.module, told.called());
        let Some(places) = told.places(instance, module.func_count(), AREA) else { return 0 };
        let is_wanted = |func: &u32| is_all || called.binary_search(func).is_ok();
        program.wanted.extend((module.imported_funcs()..module.func_count()).filter(is_wanted));
        let wanted: Vec<u32> = program.wanted.iter().copied().collect();
        let hosted = HostedCompanion::emit(module, &program.schedule, places, &wanted);
        if hosted.funcs() == 0 {
            return 0;
        }
        let length = self.output(hosted.wasm());
        self.companions.insert(instance, hosted);
        length
    }

    /// What is handed over to the module of an instance whose companion the host has made; its length.
    pub(crate) fn hand_over(&mut self, instance: u32) -> i32 {
        let words = self.companions.get(&instance).map(HostedCompanion::handed_over);
        words.map_or(FAILED, |words| self.output(&bytes_of(&words)))
    }

    /// Addresses of an instance in the module's memory: its workspace, the word of the innermost frame; then how many functions are
    /// compiled. Words of 32 bits.
    pub(crate) fn places(&mut self, instance: u32) -> i32 {
        let Some(hosted) = self.companions.get(&instance) else { return FAILED };
        let words = [hosted.workspace(), hosted.innermost(), u32::try_from(hosted.funcs()).unwrap_or(u32::MAX)];
        self.output(&words.map(u32::to_le_bytes).concat())
    }

    /// The point at which a frame is entered, 0 for its beginning, and the addresses of the frame and of its slots in the buffer, in words of
    /// 32 bits; negative if compiled code does not go on there. In the buffer before: the first words of the workspace and the
    /// frame's values.
    pub(crate) fn enter(&mut self, instance: u32, length: u32) -> i32 {
        let Some((words, values)) = self.input(length).split_at_checked(ENTERING) else { return FAILED };
        let Some(hosted) = self.companions.get(&instance) else { return FAILED };
        let entering = Entering::read(words);
        let locals: Vec<u64> = words_of(values).take(hosted.locals(entering.func) as usize).collect();
        self.entrance = hosted.entrance(&entering, &locals);
        self.frames = 0;
        let Some(entrance) = self.entrance else { return FAILED };
        self.output(&[entrance.frame, entrance.slots].map(u32::to_le_bytes).concat());
        entrance.point.cast_signed()
    }

    /// The word of the workspace from which on the results of the turn that began last lie.
    pub(crate) fn results(&self, instance: u32) -> i32 {
        let results =
            self.companions.get(&instance).zip(self.entrance).map(|(hosted, entrance)| hosted.results(&entrance));
        results.map_or(FAILED, u32::cast_signed)
    }

    /// Address and length of what is to be put into the buffer for [`left`](Self::left), in words of 32 bits.
    pub(crate) fn left_piece(&mut self, instance: u32, innermost: u32) -> i32 {
        let Some(hosted) = self.companions.get(&instance) else { return FAILED };
        let (at, length) = hosted.left_piece(innermost);
        self.output(&[at, length].map(u32::to_le_bytes).concat())
    }

    /// The frames that the turn that began last has left, behind the gas that is left; the length.
    pub(crate) fn left(&mut self, instance: u32, length: u32) -> i32 {
        let Some((hosted, entrance)) = self.companions.get(&instance).zip(self.entrance) else { return FAILED };
        let Some((frames, count, gas)) = hosted.left(&entrance, self.input(length)) else { return FAILED };
        self.frames = count;
        let mut bytes = gas.to_le_bytes().to_vec();
        bytes.extend(bytes_of(&frames));
        self.output(&bytes)
    }

    /// Judges a turn; what is handed over to the module for it, 0 if nothing.
    pub(crate) fn judge(&mut self, instance: u32, func: u32, spent: u64) -> i32 {
        let words = self
            .companions
            .get_mut(&instance)
            .and_then(|hosted| hosted.judge(func, spent, self.frames, &mut self.lost));
        words.map_or(0, |words| self.output(&bytes_of(&words)))
    }

    /// What is to be done where the run has used so much gas, and so much of it in compiled code: 0 nothing, 1 compile, 2 take everything
    /// back and compile.
    pub(crate) fn look(&mut self, total: u64, compiled: u64) -> i32 {
        match self.pace.look(total, compiled) {
            Look::GoOn => 0,
            Look::Compile => 1,
            Look::Anew => 2,
        }
    }

    pub(crate) fn taken_in(&mut self, total: u64, compiled: u64) {
        self.pace.taken_in(total, compiled);
    }

    pub(crate) fn moved(&mut self) {
        self.pace.moved();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the module tells of an instance without globals and tables whose function 0 has run.
    const TOLD: [u64; 13] = [4096, 1024, 65536, 1 << 20, 0, 0, 0, 0, 1000, 100_000, 0, 0, 0];

    fn put(compiler: &mut Compiler, bytes: &[u8]) -> u32 {
        compiler.output(bytes).cast_unsigned()
    }

    #[test]
    fn a_program_is_read_and_emitted_through_the_buffer() {
        let program = wat::parse_str(
            "(module (memory 1) (func (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))",
        )
        .expect("text");
        let (told, schedule) = (bytes_of(&TOLD), Schedule::default().text().to_owned());
        let mut compiler = Compiler::new();
        put(&mut compiler, &[&told, &program, schedule.as_bytes()].concat());
        let [told_length, program_length, text_length] =
            [told.len(), program.len(), schedule.len()].map(|length| length as u32);
        assert!(compiler.read(0, told_length, program_length, text_length) > 8192);
        let told_length = put(&mut compiler, &told);
        let length = compiler.emit(0, told_length, false);
        assert!(length > 0);
        wasmparser::validate(compiler.input(length.cast_unsigned())).expect("a valid companion");
        let length = compiler.hand_over(0).cast_unsigned();
        let handed: Vec<u64> = words_of(compiler.input(length)).collect();
        assert_eq!(handed[..2], [0, 2], "function 0, its beginning and the head of its loop");
        let entering = bytes_of(&[0, handed[2], 1000, 0, 1, 1000, 100_000, 65536, 7]);
        let length = put(&mut compiler, &entering);
        assert_eq!(compiler.enter(0, length), 0, "at its beginning");
        let length = put(&mut compiler, &bytes_of(&[0, 1, 1000, 0, 1, 1000, 100_000, 65536, 7]));
        assert_eq!(compiler.enter(0, length), FAILED, "there is no such place");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut compiler = Compiler::new();
        assert_eq!(compiler.read(0, 8, 8, 8), FAILED);
        assert_eq!(compiler.emit(0, 0, true), FAILED);
        assert_eq!([compiler.hand_over(0), compiler.places(0), compiler.enter(0, 0), compiler.left(0, 0)], [FAILED; 4]);
        assert_eq!(compiler.judge(0, 0, 0), 0);
    }
}
