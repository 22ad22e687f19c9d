//! JSON as its writers mean it: an object that names a member twice says two things, of which readers take the one or the
//! other, so it is refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads one JSON value and nothing after it.
///
/// # Errors
/// What is no JSON, or names a member of an object twice, at whatever depth.
pub fn parse(text: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = StrictReader { left: &Cell::new(MOST_VALUES) }.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// Most values that one may be made of: each takes up to fifty times the memory of its text.
const MOST_VALUES: u32 = 1_000_000;

/// Reads a value without members that are named twice.
#[derive(Clone, Copy)]
struct StrictReader<'a> {
    /// Values that there may be still.
    left: &'a Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for StrictReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom(format_args!("more than {MOST_VALUES} values")))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictReader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {name:?} is there twice")));
            }
            let value = members.next_value_seed(self)?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_one_thing_is_read_as_ever() {
        for text in ["{}", "[1, -2, 1.5, null, true, \"a\"]", "{\"a\": {\"b\": 18446744073709551615}, \"b\": []}"] {
            assert_eq!(parse(text.as_bytes()).ok(), serde_json::from_str(text).ok(), "{text}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused_at_whatever_depth() {
        for text in ["{\"a\": 1, \"a\": 1}", "[{\"x\": {\"a\": 1, \"b\": 2, \"\\u0061\": 3}}]"] {
            let error = parse(text.as_bytes()).expect_err("refused").to_string();
            assert!(error.contains("the member \"a\" is there twice"), "{error}");
        }
        assert!(parse(b"{} {}").is_err() && parse(b"").is_err());
    }

    #[test]
    fn a_text_of_too_many_values_is_refused() {
        let text = format!("[{}0]", "0,".repeat(MOST_VALUES as usize));
        assert!(parse(text.as_bytes()).expect_err("refused").to_string().contains("more than 1000000 values"));
    }
}
