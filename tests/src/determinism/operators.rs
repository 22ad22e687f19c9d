//! Every operator that computes or moves a value, with the types of its operands, found out by trying.

use anyhow::{Context, Result};
use stepmark_core::code::Op;
use stepmark_core::module::{Features, Module};

use super::values::Type;

/// An operator with immediates.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its text with immediates: the name of its function.
    pub text: String,
    /// Without.
    pub mnemonic: String,
    /// Types of its operands; a load's address is left out.
    pub operands: Vec<Type>,
    /// Type of its result, or of what a store writes.
    pub result: Type,
    /// What it does with memory.
    pub access: Access,
}

/// What an operator does with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    None,
    /// It loads a value from one of the vectors.
    Load,
    /// It stores a value, which is loaded as a vector.
    Store,
}

impl Operator {
    /// Can it trap at some values.
    pub fn may_trap(&self) -> bool {
        let (ty, rest) = self.mnemonic.split_once('.').unwrap_or_default();
        ["i32", "i64"].contains(&ty) && ["trunc_f", "div_", "rem_"].iter().any(|part| rest.starts_with(part))
    }
}

/// Immediates to try, one of which each operator takes.
fn immediates(op: Op) -> Vec<String> {
    let name = op.mnemonic();
    let lanes = |most: usize| vec![" 0".to_owned(), format!(" {most}")];
    let by_shape = || match name.split('.').next().unwrap_or_default() {
        "i8x16" => lanes(15),
        "i16x8" => lanes(7),
        "i32x4" | "f32x4" => lanes(3),
        _ => lanes(1),
    };
    match name {
        "i32.const" | "i64.const" => vec![" -7".to_owned()],
        "f32.const" => [" nan:0x200001", " -nan", " -0", " 0x1p-149"].map(str::to_owned).to_vec(),
        "f64.const" => [" nan:0x4000000000001", " -nan", " -0", " 0x1p-1074"].map(str::to_owned).to_vec(),
        "v128.const" => vec![" f32x4 nan:0x1 -nan -0 inf".to_owned(), " i64x2 -1 0x7ff0000000000001".to_owned()],
        "i8x16.shuffle" => vec![
            " 31 0 30 1 29 2 28 3 27 4 26 5 25 6 24 7".to_owned(),
            " 0 0 0 0 16 16 16 16 15 15 15 15 31 31 31 31".to_owned(),
        ],
        _ if name.contains("_lane") && name.starts_with("v128.") => match name {
            _ if name.contains("8_") => lanes(15),
            _ if name.contains("16_") => lanes(7),
            _ if name.contains("32_") => lanes(3),
            _ => lanes(1),
        },
        _ if name.contains("extract_lane") || name.contains("replace_lane") => by_shape(),
        _ => vec![String::new()],
    }
}

/// Operand types that fill this many slots.
fn operand_types(slots: u32) -> Vec<Vec<Type>> {
    use Type::{F32, F64, I32, I64, V128};
    let scalars = [I32, I64, F32, F64];
    match slots {
        0 => vec![Vec::new()],
        1 => scalars.map(|ty| vec![ty]).to_vec(),
        2 => {
            let stores = [I64, F32, F64].map(|ty| vec![I32, ty]);
            [vec![vec![V128]], scalars.map(|ty| vec![ty, ty]).to_vec(), stores.to_vec()].concat()
        }
        3 => [scalars.map(|ty| vec![V128, ty]).to_vec(), vec![vec![I32, V128]]].concat(),
        4 => vec![vec![V128, V128]],
        _ => vec![vec![V128, V128, V128]],
    }
}

fn is_valid(text: &str, operands: &[Type], result: Option<Type>) -> bool {
    let params: Vec<String> = operands.iter().map(Type::to_string).collect();
    let gets: Vec<String> = (0..operands.len()).map(|i| format!("local.get {i}")).collect();
    let result = result.map(|ty| ty.to_string()).unwrap_or_default();
    let (params, gets) = (params.join(" "), gets.join(" "));
    let module = format!("(module (memory 1) (func (param {params}) (result {result}) {gets} {text}))");
    wat::parse_str(module).is_ok_and(|bytes| Module::parse(bytes, Features::default()).is_ok())
}

fn arity(op: Op) -> Option<(u32, u32)> {
    match op.mnemonic() {
        "i32.const" | "i64.const" | "f32.const" | "f64.const" => Some((0, 1)),
        _ => op.fixed_arity(),
    }
}

fn operator(op: Op, text: String) -> Result<Option<Operator>> {
    let Some((taken, given)) = arity(op) else { return Ok(None) };
    let results: Vec<Option<Type>> = match given {
        0 => vec![None],
        1 => Type::ALL[..4].iter().copied().map(Some).collect(),
        _ => vec![Some(Type::V128)],
    };
    let fits = |operands: &Vec<Type>| results.iter().find(|result| is_valid(&text, operands, **result)).copied();
    let found = operand_types(taken).into_iter().find_map(|operands| fits(&operands).map(|result| (operands, result)));
    let (mut operands, result) = found.with_context(|| format!("no types for {text}"))?;
    let access = match (op.is_memory_access(), result) {
        (false, _) => Access::None,
        (true, Some(_)) => Access::Load,
        (true, None) => Access::Store,
    };
    if access != Access::None {
        operands.remove(0);
    }
    let result = result.unwrap_or(Type::V128);
    Ok(Some(Operator { text, mnemonic: op.mnemonic().to_owned(), operands, result, access }))
}

/// All of them, each with its immediates.
///
/// # Errors
/// If an operator is valid with no types.
pub fn operators() -> Result<Vec<Operator>> {
    let mut all = Vec::new();
    for op in Op::ALL {
        for immediates in immediates(*op) {
            all.extend(operator(*op, format!("{}{immediates}", op.mnemonic()))?);
        }
    }
    for (ty, operands) in [("f32", Type::F32), ("f64", Type::F64), ("v128", Type::V128)] {
        let text = format!("select (result {ty})");
        let operands = vec![operands, operands, Type::I32];
        all.push(Operator { text, mnemonic: "select".to_owned(), result: operands[0], operands, access: Access::None });
    }
    Ok(all)
}
