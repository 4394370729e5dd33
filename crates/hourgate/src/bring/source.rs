//! A file, whatever its form, and what it holds.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::Path,
};

use serde_json::Value;

use super::{
    inventory, manifest, template,
    thing::{Brought, Place, Thing},
};
use crate::exit::{Exit, Failure};

/// The largest file that is read, in bytes. A tree of it takes ten times as much, and a template of Azure's
/// has at most 4 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 32 << 20;
/// How many problems are told.
const PROBLEMS_MAX: usize = 20;

/// What a file is called in a sentence.
pub(crate) fn shown(path: &Path) -> String {
    if path == Path::new("-") { "what is piped in".to_owned() } else { path.display().to_string() }
}

/// Reads a file, or what is piped in for `-`.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let shown = shown(path);
    let unread = |error: &io::Error| {
        let exit =
            if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Usage };
        Failure::new(exit, format!("{shown} cannot be read: {error}."))
    };
    let mut bytes = Vec::new();
    // One byte more than may be, so that too much is noticed without being taken in.
    let read = if path == Path::new("-") {
        io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(|error| unread(&error))?;
        let length = file.metadata().map_err(|error| unread(&error))?.len();
        if length > FILE_BYTES_MAX {
            return Err(too_large(&shown));
        }
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    };
    read.map_err(|error| unread(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large(&shown));
    }
    // Programs on Windows begin a file with a mark.
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{shown} is no text in UTF-8.")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn too_large(shown: &str) -> Failure {
    let sentence =
        format!("{shown} is larger than {} MiB, the most that is read.", FILE_BYTES_MAX >> 20);
    Failure::usage(sentence).advise("Split it, for instance by resource group.")
}

/// What a file holds; everything that is wrong with it at once.
pub(crate) fn read(
    path: &Path,
    parameters: Option<&Path>,
    place: &Place,
) -> Result<Brought, Failure> {
    let shown = shown(path);
    let text = text(path)?;
    let is_csv = match path.extension() {
        Some(extension) => extension.eq_ignore_ascii_case("csv"),
        None => looks_like_csv(&text),
    };
    let given = parameters.map(|path| value(&self::shown(path), &self::text(path)?));
    let given = given.transpose()?;
    let is_template = |value: &Value| {
        let schema = value.get("$schema").and_then(Value::as_str).unwrap_or_default();
        schema.to_ascii_lowercase().contains("deploymenttemplate.json")
            || (value.get("contentVersion").is_some() && value.get("resources").is_some())
    };
    let read = if is_csv {
        drop_parameters(&given)?;
        inventory::csv(&text, place)
    } else {
        let value = value(&shown, &text)?;
        drop(text);
        if is_template(&value) {
            template::read(&value, given.as_ref(), place)
        } else {
            drop_parameters(&given)?;
            if value.get("hourgate").is_some() {
                manifest::read(&value, place)
            } else if value.is_array() || value.get("machines").is_some() {
                inventory::value(&value, place)
            } else {
                return Err(unknown(&shown, &value));
            }
        }
    };
    let wrong = |problems| failed(&shown, problems);
    let mut brought = read.map_err(wrong)?;
    template::adopt(&mut brought, place).map_err(|why| wrong(vec![why]))?;
    let twice = twice(&brought);
    if twice.is_empty() { Ok(brought) } else { Err(wrong(twice)) }
}

fn drop_parameters(given: &Option<Value>) -> Result<(), Failure> {
    match given {
        Some(_) => Err(Failure::usage("--parameters goes with a template, and the file is none.")),
        None => Ok(()),
    }
}

fn looks_like_csv(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.contains(',') && first.split(',').any(|field| field.trim().eq_ignore_ascii_case("name"))
}

/// The value that a text is: JSON where it begins like JSON, else YAML.
fn value(shown: &str, text: &str) -> Result<Value, Failure> {
    let json = text.trim_start().starts_with(['{', '[']);
    let read = if json {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        serde_saphyr::from_str(text).map_err(|error| first_line(&error.to_string()))
    };
    read.map_err(|why| {
        let form = if json { "JSON" } else { "YAML" };
        Failure::usage(format!("{shown} is no {form}: {why}."))
    })
}

/// The reader of YAML draws a picture below its sentence.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn unknown(shown: &str, value: &Value) -> Failure {
    let schema = value.get("$schema").and_then(Value::as_str).unwrap_or_default();
    if schema.to_ascii_lowercase().contains("deploymentparameters") {
        return Failure::usage(format!(
            "{shown} holds the parameters of a template, and no template."
        ))
        .advise("Name the template, and give this file with --parameters.");
    }
    Failure::usage(format!("{shown} is none of what can be brought.")).advise(
        "Accepted are an ARM template as Azure exports it, a list of machines (YAML, JSON or CSV with name and \
         addresses), and what `hourgate export` writes.",
    )
}

/// Everything that is wrong with a file.
pub(crate) fn failed(shown: &str, mut problems: Vec<String>) -> Failure {
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Failure::usage(format!("{shown} cannot be brought, and nothing was changed.")).because(problems)
}

/// What stands in a file more than once: it is not for us to say which one is meant.
fn twice(brought: &Brought) -> Vec<String> {
    let mut seen: BTreeSet<&Thing> = BTreeSet::new();
    let again = brought.wanted.iter().filter(|wanted| !seen.insert(&wanted.thing));
    again.map(|wanted| format!("`{}` stands in it twice", wanted.thing)).collect()
}
