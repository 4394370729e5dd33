//! `hourgate completion`: what a shell needs to complete our words.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, exit::Failure, output};

/// Completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(hourgate completion bash)
  hourgate completion zsh > ~/.zfunc/_hourgate
  hourgate completion fish > ~/.config/fish/completions/hourgate.fish")]
pub(crate) struct Completion {
    /// Which shell
    shell: Shell,
}

/// Writes the completions to stdout.
pub(crate) fn run(args: &Completion) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hourgate", &mut script);
    output::write_stdout(&String::from_utf8_lossy(&script))
}
