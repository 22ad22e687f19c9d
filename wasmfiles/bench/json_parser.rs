//! Parses a generated text of JSON into a tree and sums it: loops over bytes, recursion, allocation. n times, each with
//! other numbers in the text.
mod common;

use common::{Numbers, mix};

enum Value {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut numbers = Numbers::new(5);
    let mut sum = 0;
    for _ in 0..n {
        let mut text = Vec::new();
        write_object(&mut text, &mut numbers, 3);
        let mut parser = Parser { text: &text, at: 0 };
        let Some(value) = parser.value() else { return -1 };
        sum = add(mix(sum, parser.at as u64), &value);
    }
    sum as i64
}

fn add(sum: u64, value: &Value) -> u64 {
    match value {
        Value::Null => mix(sum, 1),
        Value::Bool(value) => mix(sum, 2 + u64::from(*value)),
        Value::Number(number) => mix(sum, number.to_bits()),
        Value::String(text) => add_text(sum, text),
        Value::Array(items) => items.iter().fold(mix(sum, items.len() as u64), add),
        Value::Object(members) => members.iter().fold(sum, |sum, (name, value)| add(add_text(sum, name), value)),
    }
}

fn add_text(sum: u64, text: &str) -> u64 {
    mix(sum, text.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)))
}

fn write_object(text: &mut Vec<u8>, numbers: &mut Numbers, depth: u32) {
    text.extend(b"{\"id\": ");
    write_number(text, numbers);
    text.extend(b", \"name\": \"some \\\"quoted\\\" text\\n\", \"flags\": [true, false, null],\n\"values\": [");
    for i in 0..8 {
        text.extend(if i > 0 { b", ".as_slice() } else { b"" });
        write_number(text, numbers);
    }
    text.extend(b"],\t\"children\": [");
    for i in 0..if depth > 0 { 3 } else { 0 } {
        text.extend(if i > 0 { b",\n".as_slice() } else { b"" });
        write_object(text, numbers, depth - 1);
    }
    text.extend(b"]}");
}

fn write_number(text: &mut Vec<u8>, numbers: &mut Numbers) {
    let kind = numbers.below(4);
    if kind == 1 {
        text.push(b'-');
    }
    write_digits(text, numbers.below(100_000));
    if kind == 2 {
        text.push(b'.');
        write_digits(text, numbers.below(1000));
    }
    if kind == 3 {
        text.extend(b"e-");
        write_digits(text, numbers.below(20));
    }
}

fn write_digits(text: &mut Vec<u8>, number: u32) {
    if number >= 10 {
        write_digits(text, number / 10);
    }
    text.push(b'0' + (number % 10) as u8);
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips `byte` when it comes next.
    fn accept(&mut self, byte: u8) -> bool {
        self.skip_space();
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let rest = self.text.get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word.as_bytes()).then_some(value)
    }

    fn value(&mut self) -> Option<Value> {
        self.skip_space();
        match self.peek()? {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'"' => self.string().map(Value::String),
            b'[' => self.array(),
            b'{' => self.object(),
            _ => self.number(),
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.accept(b'"') {
            return None;
        }
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => text.push(match self.next()? {
                    b'n' => '\n',
                    b't' => '\t',
                    escaped => escaped.into(),
                }),
                byte => text.push(byte.into()),
            }
        }
    }

    fn array(&mut self) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        if self.accept(b']') {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.accept(b']') {
                return Some(Value::Array(items));
            }
            if !self.accept(b',') {
                return None;
            }
        }
    }

    fn object(&mut self) -> Option<Value> {
        self.at += 1;
        let mut members = Vec::new();
        if self.accept(b'}') {
            return Some(Value::Object(members));
        }
        loop {
            let name = self.string()?;
            if !self.accept(b':') {
                return None;
            }
            members.push((name, self.value()?));
            if self.accept(b'}') {
                return Some(Value::Object(members));
            }
            if !self.accept(b',') {
                return None;
            }
            self.skip_space();
        }
    }

    /// Digits with at most one point and an exponent, rounded more often than a correct parser does.
    fn number(&mut self) -> Option<Value> {
        let negative = self.accept(b'-');
        let mut number = self.digits()?;
        if self.accept(b'.') {
            let start = self.at;
            let fraction = self.digits()?;
            number += fraction / power_of_ten(self.at - start);
        }
        if self.accept(b'e') {
            let negative = self.accept(b'-');
            let power = power_of_ten(self.digits()? as usize);
            number = if negative { number / power } else { number * power };
        }
        Some(Value::Number(if negative { -number } else { number }))
    }

    fn digits(&mut self) -> Option<f64> {
        let start = self.at;
        let mut number = 0_u64;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            number = number.wrapping_mul(10) + u64::from(byte - b'0');
            self.at += 1;
        }
        (self.at > start).then_some(number as f64)
    }
}

fn power_of_ten(exponent: usize) -> f64 {
    (0..exponent).fold(1.0, |power, _| power * 10.0)
}
