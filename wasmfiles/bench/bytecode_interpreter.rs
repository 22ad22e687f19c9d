//! An interpreter of a small register machine: one loop around a dense match, which becomes a br_table. The program that
//! it runs counts the steps of the sequences that halve even and triple odd numbers, by way of memory. n numbers.
mod common;

#[repr(u8)]
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "the match is to have an arm for each, used or not")]
enum Op {
    Const,
    Move,
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    AddConst,
    AndConst,
    ShiftRightConst,
    Load,
    Store,
    Jump,
    JumpIfZero,
    JumpIfLess,
    Call,
    Return,
    Halt,
}

/// Operands are registers, constants or addresses, as the operation has it.
#[derive(Clone, Copy)]
struct Instruction(Op, u8, u8, i32);

const PROGRAM: &[Instruction] = &[
    // Register 0: how many numbers; 1: the number; 2: the checksum.
    Instruction(Op::Const, 1, 0, 1),
    Instruction(Op::Const, 2, 0, 0),
    // 2: for each number
    Instruction(Op::JumpIfLess, 0, 1, 10),
    Instruction(Op::Move, 3, 1, 0),
    Instruction(Op::Call, 0, 0, 11),
    Instruction(Op::Const, 6, 0, 31),
    Instruction(Op::Mul, 2, 6, 0),
    Instruction(Op::Xor, 2, 4, 0),
    Instruction(Op::AddConst, 1, 0, 1),
    Instruction(Op::Jump, 0, 0, 2),
    Instruction(Op::Halt, 0, 0, 0),
    // 11: the steps from register 3 to 1, into 4; every number on the way goes through memory at its low bits
    Instruction(Op::Const, 4, 0, 0),
    Instruction(Op::Const, 7, 0, 2),
    Instruction(Op::JumpIfLess, 3, 7, 27),
    Instruction(Op::Move, 5, 3, 0),
    Instruction(Op::AndConst, 5, 0, 63),
    Instruction(Op::Store, 3, 5, 0),
    Instruction(Op::AddConst, 4, 0, 1),
    Instruction(Op::Move, 6, 3, 0),
    Instruction(Op::AndConst, 6, 0, 1),
    Instruction(Op::JumpIfZero, 6, 0, 25),
    Instruction(Op::Load, 6, 5, 0),
    Instruction(Op::Add, 3, 6, 0),
    Instruction(Op::Add, 3, 6, 0),
    Instruction(Op::AddConst, 3, 0, 1),
    // 25
    Instruction(Op::ShiftRightConst, 3, 0, 1),
    Instruction(Op::Jump, 0, 0, 13),
    Instruction(Op::Return, 0, 0, 0),
];

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut registers = [0; 16];
    registers[0] = n;
    let executed = interpret(std::hint::black_box(PROGRAM), &mut registers);
    registers.iter().fold(executed, |sum, &register| common::mix(sum, register as u64)) as i64
}

/// Runs to the halt; how many instructions that took.
fn interpret(program: &[Instruction], registers: &mut [i32; 16]) -> u64 {
    let mut memory = [0_i32; 64];
    let mut returns = Vec::new();
    let (mut pc, mut executed) = (0, 0);
    loop {
        let Instruction(op, a, b, c) = program[pc];
        let (a, b) = (usize::from(a & 15), usize::from(b & 15));
        pc += 1;
        executed += 1;
        match op {
            Op::Const => registers[a] = c,
            Op::Move => registers[a] = registers[b],
            Op::Add => registers[a] = registers[a].wrapping_add(registers[b]),
            Op::Sub => registers[a] = registers[a].wrapping_sub(registers[b]),
            Op::Mul => registers[a] = registers[a].wrapping_mul(registers[b]),
            Op::And => registers[a] &= registers[b],
            Op::Or => registers[a] |= registers[b],
            Op::Xor => registers[a] ^= registers[b],
            Op::ShiftLeft => registers[a] <<= registers[b] & 31,
            Op::ShiftRight => registers[a] >>= registers[b] & 31,
            Op::AddConst => registers[a] = registers[a].wrapping_add(c),
            Op::AndConst => registers[a] &= c,
            Op::ShiftRightConst => registers[a] = (registers[a] as u32 >> (c & 31)) as i32,
            Op::Load => registers[a] = memory[(registers[b] & 63) as usize],
            Op::Store => memory[(registers[b] & 63) as usize] = registers[a],
            Op::Jump => pc = c as usize,
            Op::JumpIfZero => {
                if registers[a] == 0 {
                    pc = c as usize;
                }
            }
            Op::JumpIfLess => {
                if registers[a] < registers[b] {
                    pc = c as usize;
                }
            }
            Op::Call => {
                returns.push(pc);
                pc = c as usize;
            }
            Op::Return => match returns.pop() {
                Some(caller) => pc = caller,
                None => return executed,
            },
            Op::Halt => return executed,
        }
    }
}
