//! `--query`: JMESPath over the answer, as in `az`.

use jmespath::Variable;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// A JMESPath expression.
#[derive(Clone, Debug)]
pub(crate) struct Query(String);

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    // The error of the library draws a marker below the expression; its first line says what is wrong.
    let short = |error: jmespath::JmespathError| {
        let reason = error.reason.to_string();
        format!("at character {}: {}", error.offset + 1, reason.lines().next().unwrap_or_default())
    };
    jmespath::compile(text).map(|_| Query(text.to_owned())).map_err(short)
}

impl Query {
    /// What it finds in a value; null if nothing.
    pub(crate) fn of(&self, value: &Value) -> Result<Value, Failure> {
        let failed = |error: String| {
            Failure::new(Exit::Usage, format!("The query does not fit the answer: {error}."))
                .advise("See the answer itself with `-o json` and without `--query`.")
        };
        let input =
            Variable::from_serializable(value).map_err(|error| failed(error.to_string()))?;
        let expression = jmespath::compile(&self.0).map_err(|error| failed(error.to_string()))?;
        let found = expression.search(input).map_err(|error| {
            failed(error.reason.to_string().lines().next().unwrap_or_default().to_owned())
        })?;
        serde_json::to_value(&*found).map_err(|error| failed(error.to_string()))
    }
}
