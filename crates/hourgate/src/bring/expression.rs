//! Expressions of ARM templates, as far as a file alone can tell what they come to.
//!
//! A template may come from anybody, and a few lines of it can mean a text of any length, so what is worked
//! out is counted and bounded.

use std::{cell::Cell, collections::BTreeMap};

use serde_json::{Map, Value};

use super::thing::Place;

/// How deep expressions, and values within values, may be nested.
const DEPTH_MAX: usize = 100;
/// How many values one template may come to.
const VALUES_MAX: usize = 2_000_000;
/// How long one text may become, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What expressions are worked out with.
pub(super) struct Scope<'a> {
    pub(super) place: &'a Place,
    /// By their names in lower case.
    pub(super) parameters: BTreeMap<String, Result<Value, String>>,
    /// By their names in lower case, as they are written.
    pub(super) variables: BTreeMap<String, Value>,
    /// How many values were made.
    pub(super) made: Cell<usize>,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Text(String),
    Number(i64),
    Call(String, Vec<Expression>),
    Member(Box<Expression>, String),
    Item(Box<Expression>, Box<Expression>),
}

impl Scope<'_> {
    /// A value with every expression in it worked out.
    pub(super) fn value(&self, value: &Value) -> Result<Value, String> {
        self.within(value, 0)
    }

    fn within(&self, value: &Value, depth: usize) -> Result<Value, String> {
        self.count(1)?;
        if depth > DEPTH_MAX {
            return Err(format!("values are nested deeper than {DEPTH_MAX}"));
        }
        Ok(match value {
            Value::String(text) => self.text(text, depth)?,
            Value::Array(items) => {
                let items = items.iter().map(|item| self.within(item, depth + 1));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(object) => {
                let mut out = Map::new();
                for (key, value) in object {
                    out.insert(key.clone(), self.within(value, depth + 1)?);
                }
                Value::Object(out)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    /// A text is an expression where it stands in brackets; two at its beginning are one that is meant.
    fn text(&self, text: &str, depth: usize) -> Result<Value, String> {
        if let Some(rest) = text.strip_prefix("[[") {
            return Ok(Value::String(format!("[{rest}")));
        }
        let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return Ok(Value::String(text.to_owned()));
        };
        // Of expressions that stand for one another the innermost is told.
        let in_words = |why: String| match why.contains(", in `[") {
            true => why,
            false => format!("{why}, in `{}`", shortened(text)),
        };
        let expression = parse(inner).map_err(in_words)?;
        self.of(&expression, depth + 1).map_err(in_words)
    }

    fn count(&self, more: usize) -> Result<(), String> {
        let made = self.made.get().saturating_add(more);
        self.made.set(made);
        if made > VALUES_MAX {
            return Err(format!("the template comes to more than {VALUES_MAX} values"));
        }
        Ok(())
    }

    fn of(&self, expression: &Expression, depth: usize) -> Result<Value, String> {
        self.count(1)?;
        if depth > DEPTH_MAX {
            return Err(format!("expressions are nested deeper than {DEPTH_MAX}"));
        }
        match expression {
            Expression::Text(text) => Ok(Value::String(text.clone())),
            Expression::Number(number) => Ok(Value::from(*number)),
            Expression::Member(of, name) => self.member(self.of(of, depth + 1)?, name),
            Expression::Item(of, which) => {
                let (of, which) = (self.of(of, depth + 1)?, self.of(which, depth + 1)?);
                match (&of, &which) {
                    (Value::Array(items), Value::Number(index)) => index
                        .as_u64()
                        .and_then(|index| items.get(usize::try_from(index).ok()?))
                        .cloned()
                        .ok_or_else(|| format!("there is no item {index}")),
                    (_, Value::String(name)) => self.member(of, name),
                    _ => Err("an item is chosen from what has none".to_owned()),
                }
            }
            Expression::Call(name, arguments) => self.call(name, arguments, depth),
        }
    }

    fn member(&self, of: Value, name: &str) -> Result<Value, String> {
        let Value::Object(object) = of else {
            return Err(format!("`{name}` is asked of what has no properties"));
        };
        let found = object.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).ok_or_else(|| format!("there is no property `{name}`"))
    }

    fn call(&self, name: &str, sent: &[Expression], depth: usize) -> Result<Value, String> {
        // Of two branches one is worked out: the other may ask for what is not there.
        if let ("if", [condition, then, otherwise]) = (name, sent) {
            let holds = flag(&self.of(condition, depth + 1)?)?;
            return self.of(if holds { then } else { otherwise }, depth + 1);
        }
        let mut values = Vec::with_capacity(sent.len());
        for argument in sent {
            values.push(self.of(argument, depth + 1)?);
        }
        let made = self.function(name, &values, depth)?;
        self.count(size(&made))?;
        Ok(made)
    }

    fn function(&self, name: &str, sent: &[Value], depth: usize) -> Result<Value, String> {
        let text = |at: usize| sent.get(at).and_then(Value::as_str);
        Ok(match (name, sent) {
            ("parameters", [Value::String(name)]) => {
                let known = self.parameters.get(&name.to_ascii_lowercase());
                known.cloned().unwrap_or_else(|| Err(format!("there is no parameter `{name}`")))?
            }
            ("variables", [Value::String(name)]) => {
                let known = self.variables.get(&name.to_ascii_lowercase());
                let known = known.ok_or_else(|| format!("there is no variable `{name}`"))?;
                // One that is made of itself ends where nesting does.
                self.within(known, depth + 1)?
            }
            ("subscription", []) => {
                let id = self.place.subscription;
                serde_json::json!({ "id": format!("/subscriptions/{id}"), "subscriptionId": id })
            }
            ("resourcegroup", []) => {
                let Place { subscription, group, location } = self.place;
                let id = format!("/subscriptions/{subscription}/resourceGroups/{group}");
                serde_json::json!({ "id": id, "name": group, "location": location })
            }
            ("resourceid", [..]) => Value::String(self.resource_id(sent)?),
            ("concat", [Value::Array(_), ..]) => {
                let lists = sent.iter().map(|item| item.as_array().ok_or(LISTS));
                let lists: Vec<&Vec<Value>> = lists.collect::<Result<_, _>>()?;
                Value::Array(lists.into_iter().flatten().cloned().collect())
            }
            ("concat", [..]) => bounded(sent.iter().map(plain).collect::<Result<_, _>>()?)?,
            ("format", [Value::String(form), values @ ..]) => bounded(format(form, values)?)?,
            ("tolower", [Value::String(text)]) => Value::String(text.to_lowercase()),
            ("toupper", [Value::String(text)]) => Value::String(text.to_uppercase()),
            ("trim", [Value::String(text)]) => Value::String(text.trim().to_owned()),
            ("string", [value]) => Value::String(plain(value)?),
            ("int", [Value::String(text)]) => {
                Value::from(text.parse::<i64>().map_err(|_| format!("`{text}` is no number"))?)
            }
            ("int", [Value::Number(number)]) => Value::Number(number.clone()),
            ("bool", [value]) => Value::Bool(flag(value)?),
            ("true", []) => Value::Bool(true),
            ("false", []) => Value::Bool(false),
            ("null", []) => Value::Null,
            ("equals", [one, other]) => Value::Bool(one == other),
            ("not", [value]) => Value::Bool(!flag(value)?),
            ("and", [..]) => Value::Bool(flags(sent)?.into_iter().all(|holds| holds)),
            ("or", [..]) => Value::Bool(flags(sent)?.into_iter().any(|holds| holds)),
            ("empty", [value]) => Value::Bool(length(value).unwrap_or_default() == 0),
            ("length", [value]) => {
                Value::from(length(value).ok_or("what has no length is measured")?)
            }
            ("createarray", [..]) => Value::Array(sent.to_vec()),
            ("coalesce", [..]) => {
                sent.iter().find(|value| !value.is_null()).cloned().unwrap_or(Value::Null)
            }
            ("first", [Value::Array(items)]) => items.first().cloned().unwrap_or(Value::Null),
            ("last", [Value::Array(items)]) => items.last().cloned().unwrap_or(Value::Null),
            ("split", [Value::String(all), Value::String(by)]) if !by.is_empty() => {
                all.split(by.as_str()).map(Value::from).collect()
            }
            ("replace", [Value::String(all), Value::String(old), Value::String(new)])
                if !old.is_empty() =>
            {
                // Each letter may become as long as the new text.
                if all.len().saturating_mul(new.len().max(1)) > TEXT_BYTES_MAX {
                    return Err(TOO_LONG.to_owned());
                }
                Value::String(all.replace(old.as_str(), new))
            }
            ("contains", [Value::String(all), Value::String(part)]) => {
                Value::Bool(all.contains(part.as_str()))
            }
            ("contains", [Value::Array(items), item]) => Value::Bool(items.contains(item)),
            ("reference" | "listkeys" | "list" | "copyindex" | "deployment", _) => {
                return Err(format!("{name}() is known only where Azure deploys the template"));
            }
            (name, _) if FUNCTIONS.contains(&name) => {
                return Err(format!("{name}() does not take what it is given"));
            }
            (name, _) => {
                let first = text(0).map(|text| format!("'{}'", shortened(text)));
                return Err(format!(
                    "the function {name}({}) is not worked out here",
                    first.unwrap_or_default()
                ));
            }
        })
    }

    /// `resourceId([subscription], [group], type, names…)`.
    fn resource_id(&self, sent: &[Value]) -> Result<String, String> {
        let texts = sent.iter().map(|value| value.as_str().ok_or("resourceId() takes texts alone"));
        let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
        let at = texts.iter().position(|text| text.contains('/'));
        let at = at.filter(|at| *at <= 2).ok_or("resourceId() is given no type")?;
        let own = self.place.subscription.to_string();
        let own_group = self.place.group.to_string();
        let (subscription, group) = match &texts[..at] {
            [] => (own.as_str(), own_group.as_str()),
            [group] => (own.as_str(), *group),
            [subscription, group, ..] => (*subscription, *group),
        };
        let (kind, names) = (texts[at], &texts[at + 1..]);
        let (provider, segments) = kind.split_once('/').unwrap_or((kind, ""));
        let segments: Vec<&str> = segments.split('/').collect();
        if segments.len() != names.len() {
            return Err(format!(
                "resourceId() is given {} names for the type `{}`",
                names.len(),
                shortened(kind)
            ));
        }
        let path: Vec<String> =
            segments.iter().zip(names).map(|(kind, name)| format!("{kind}/{name}")).collect();
        Ok(format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{}",
            path.join("/")
        ))
    }
}

const LISTS: &str = "concat() takes lists, or texts";
const TOO_LONG: &str = "a text becomes longer than 1 MiB";
/// The functions that are worked out.
const FUNCTIONS: [&str; 30] = [
    "replace",
    "contains",
    "parameters",
    "variables",
    "subscription",
    "resourcegroup",
    "resourceid",
    "concat",
    "format",
    "tolower",
    "toupper",
    "trim",
    "string",
    "int",
    "bool",
    "true",
    "false",
    "null",
    "equals",
    "not",
    "and",
    "or",
    "empty",
    "length",
    "createarray",
    "coalesce",
    "first",
    "last",
    "split",
    "if",
];

/// The expression that a text is.
fn parse(text: &str) -> Result<Expression, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let expression = reader.expression()?;
    reader.space();
    match reader.rest.is_empty() {
        true => Ok(expression),
        false => Err(format!("`{}` stands behind the expression", shortened(reader.rest))),
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether the next character is this one; then it is taken.
    fn takes(&mut self, wanted: char) -> bool {
        self.space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn needs(&mut self, wanted: char) -> Result<(), String> {
        match self.takes(wanted) {
            true => Ok(()),
            false => Err(format!("`{wanted}` is missing before `{}`", shortened(self.rest))),
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.space();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("expressions are nested deeper than {DEPTH_MAX}"));
        }
        let mut expression = self.first()?;
        // Each property of a property lies around the one before: they nest as arguments do, though no
        // recursion reads them.
        for _ in 0..=DEPTH_MAX {
            if self.takes('.') {
                let name = self.word().ok_or("a property's name is missing behind `.`")?;
                expression = Expression::Member(Box::new(expression), name.to_owned());
            } else if self.takes('[') {
                let which = self.expression()?;
                self.needs(']')?;
                expression = Expression::Item(Box::new(expression), Box::new(which));
            } else {
                self.depth -= 1;
                return Ok(expression);
            }
        }
        Err(format!("expressions are nested deeper than {DEPTH_MAX}"))
    }

    fn first(&mut self) -> Result<Expression, String> {
        if self.takes('\'') {
            return self.quoted();
        }
        let negative = self.takes('-');
        let before = self.rest;
        let word = self
            .word()
            .ok_or_else(|| format!("no expression begins at `{}`", shortened(before)))?;
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let number: i64 = word.parse().map_err(|_| format!("`{word}` is no whole number"))?;
            return Ok(Expression::Number(if negative { -number } else { number }));
        }
        self.needs('(')?;
        let mut arguments = Vec::new();
        if !self.takes(')') {
            loop {
                arguments.push(self.expression()?);
                if self.takes(')') {
                    break;
                }
                if self.rest.is_empty() {
                    return Err(format!("`)` is missing behind what {word}() is given"));
                }
                self.needs(',')?;
            }
        }
        Ok(Expression::Call(word.to_ascii_lowercase(), arguments))
    }

    /// A text up to its quote; one in it is written twice.
    fn quoted(&mut self) -> Result<Expression, String> {
        let mut text = String::new();
        loop {
            let (part, rest) = self.rest.split_once('\'').ok_or("a text has no end")?;
            text.push_str(part);
            self.rest = rest;
            match self.rest.strip_prefix('\'') {
                Some(rest) => {
                    text.push('\'');
                    self.rest = rest;
                }
                None => return Ok(Expression::Text(text)),
            }
        }
    }
}

/// `{0}` in a form stands for the first value, and so on; `{{` and `}}` for themselves.
fn format(form: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = form;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = behind;
            continue;
        }
        let (index, behind) = rest.split_once('}').ok_or("format() has a brace without another")?;
        let value = index.trim().parse::<usize>().ok().and_then(|index| values.get(index));
        let value = value.ok_or_else(|| format!("format() is given nothing for {{{index}}}"))?;
        out.push_str(&plain(value)?);
        if out.len() > TEXT_BYTES_MAX {
            return Err(TOO_LONG.to_owned());
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn bounded(text: String) -> Result<Value, String> {
    if text.len() > TEXT_BYTES_MAX { Err(TOO_LONG.to_owned()) } else { Ok(Value::String(text)) }
}

fn plain(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(true) => Ok("True".to_owned()),
        Value::Bool(false) => Ok("False".to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("a list, an object or null stands where a text is needed".to_owned())
        }
    }
}

fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Value::Number(number) => Ok(number.as_i64() != Some(0)),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err("neither true nor false stands where one is needed".to_owned())
        }
    }
}

fn flags(values: &[Value]) -> Result<Vec<bool>, String> {
    values.iter().map(flag).collect()
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(object) => Some(object.len()),
        Value::Null => Some(0),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

/// How many values one is made of.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(object) => 1 + object.values().map(size).sum::<usize>(),
        // A long text counts as much as the values it takes the room of.
        Value::String(text) => 1 + text.len() / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// The beginning of a text, for a sentence about it.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
