//! The part of JSON Schema that docs/stepmark.schema.json uses, read strictly: a keyword that is not known here is a mistake in
//! the schema, and so is a member of an object that no part of it describes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Names of the members of an object that something describes.
type Described = BTreeSet<String>;

/// A schema.
pub(crate) struct Schema(Value);

impl Schema {
    /// The schema in the docs.
    pub(crate) fn of_the_docs() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/stepmark.schema.json");
        Self(serde_json::from_str(&std::fs::read_to_string(path).expect("it is there")).expect("JSON"))
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        self.whole(&self.0, value, "$")
    }

    /// The commands of which it says what they print.
    pub(crate) fn commands(&self) -> BTreeSet<String> {
        let defs = self.0["$defs"].as_object().expect("definitions");
        let commands = defs.values().map(|of| &of["properties"]["command"]);
        let names = commands.flat_map(|of| of["enum"].as_array().into_iter().flatten().chain(of.get("const")));
        names.map(|name| name.as_str().expect("text").to_owned()).collect()
    }

    /// Checks a value, and that all of its members are described.
    fn whole(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let described = self.part(schema, value, at)?;
        match (value.as_object(), described) {
            (Some(members), Some(described)) => match members.keys().find(|name| !described.contains(*name)) {
                Some(name) => Err(format!("{at}: nothing describes {name:?}")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Checks a value, and returns which of its members are described; none where nothing is said of them.
    fn part(&self, schema: &Value, value: &Value, at: &str) -> Result<Option<Described>, String> {
        let mut described: Option<Described> = None;
        let mut add = |more: Option<Described>| {
            if let Some(more) = more {
                described.get_or_insert_default().extend(more);
            }
        };
        for (keyword, rule) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let name = rule.as_str().and_then(|rule| rule.strip_prefix("#/$defs/")).expect("a definition");
                    add(self.part(&self.0["$defs"][name], value, at)?);
                }
                "oneOf" => {
                    let tried = rule.as_array().expect("a list").iter().map(|one| self.part(one, value, at));
                    let (fit, wrong): (Vec<_>, Vec<_>) = tried.partition(Result::is_ok);
                    match fit.len() {
                        1 => fit.into_iter().try_for_each(|fit| fit.map(&mut add))?,
                        count => return Err(format!("{at}: {count} of the possibilities fit: {wrong:?}")),
                    }
                }
                "properties" => add(self.properties(rule, value, at)?),
                "additionalProperties" => {
                    let members = value.as_object().cloned().unwrap_or_else(Map::new);
                    for (name, member) in &members {
                        self.whole(rule, member, &format!("{at}.{name}"))?;
                    }
                    add(Some(members.into_iter().map(|(name, _)| name).collect()));
                }
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.whole(rule, item, &format!("{at}[{number}]"))?;
                    }
                }
                _ => holds(keyword, rule, value, at)?,
            }
        }
        Ok(described)
    }

    fn properties(&self, rules: &Value, value: &Value, at: &str) -> Result<Option<Described>, String> {
        let rules = rules.as_object().expect("an object");
        for (name, rule) in rules {
            if let Some(member) = value.get(name) {
                self.whole(rule, member, &format!("{at}.{name}"))?;
            }
        }
        Ok(Some(rules.keys().cloned().collect()))
    }
}

/// Checks what a keyword says of a value by itself.
fn holds(keyword: &str, rule: &Value, value: &Value, at: &str) -> Result<(), String> {
    let list = |rule: &Value| rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
    let is_right = match keyword {
        "type" => list(rule).iter().any(|name| is_of_type(value, name.as_str().expect("a name"))),
        "const" => value == rule,
        "enum" => list(rule).contains(value),
        "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().expect("a number")),
        "required" => value
            .as_object()
            .is_none_or(|members| list(rule).iter().all(|name| members.contains_key(name.as_str().expect("a name")))),
        _ => panic!("{at}: the schema uses {keyword}, which is not known here"),
    };
    if is_right { Ok(()) } else { Err(format!("{at}: {value} is against {keyword} {rule}")) }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => panic!("the type {name} is not known here"),
    }
}
