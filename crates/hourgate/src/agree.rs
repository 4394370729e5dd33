//! Asks whoever sits at the terminal before much is done that cannot be undone.

use std::io::{self, IsTerminal};

use crate::{
    exit::{Exit, Failure},
    output::say,
};

/// What is asked.
pub(crate) struct Question<'a> {
    /// What would be done: `This opens, from everywhere`.
    pub(crate) what: &'a str,
    /// To which things.
    pub(crate) lines: Vec<String>,
    /// What is said where it is not done: `Nothing was taken away.`
    pub(crate) otherwise: &'a str,
}

/// Goes on only if somebody at a terminal types yes.
pub(crate) fn ask(question: Question<'_>) -> Result<(), Failure> {
    let Question { what, lines, otherwise } = question;
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{what}, and nobody is there to be asked."))
            .because(lines)
            .advise("If you mean it, add --yes."));
    }
    say(&format!("{what}:"));
    for line in lines {
        say(&format!("  {line}"));
    }
    say("Type yes to go on:");
    let mut word = String::new();
    match io::stdin().read_line(&mut word) {
        Ok(_) if word.trim() == "yes" => Ok(()),
        Ok(_) | Err(_) => Err(Failure::new(Exit::Refused, otherwise)),
    }
}
