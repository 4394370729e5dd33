//! The tree of commands is sound, and `docs/cli.md` says what `--help` says.

use clap::{CommandFactory, Parser};

use super::Cli;

/// Set to write the document anew.
const UPDATE: &str = "UPDATE_DOCS";

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
}

/// Every command's help, at a fixed width.
fn document() -> String {
    let mut out = String::from(
        "# The command line\n\n\
         What `hourgate --help` says, and every command's help below it; the options of every command stand \
         at the top alone.\n\
         This file is made from the command itself: `UPDATE_DOCS=1 cargo test -p hourgate docs` writes \
         it anew.\n",
    );
    let mut root = Cli::command().term_width(100).disable_help_subcommand(true);
    root.build();
    section(&mut out, &mut root, "hourgate");
    out
}

fn section(out: &mut String, command: &mut clap::Command, path: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let help = help.join("\n");
    let marks = "#".repeat(2.max(path.split(' ').count() + 1));
    out.push_str(&format!("\n{marks} {path}\n\n```text\n{}\n```\n", help.trim_end()));
    let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    for command in below.into_iter().filter(|command| !command.is_hide_set()) {
        let path = format!("{path} {}", command.get_name());
        // What holds for every command is told once, at the top.
        let mut command = command.mut_args(|arg| {
            let is_global = arg.is_global_set();
            arg.hide(is_global)
        });
        section(out, &mut command, &path);
    }
}

#[test]
fn docs_are_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let document = document();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &document).expect("docs/cli.md is written");
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == document, "docs/cli.md is not current: run with {UPDATE}=1");
}

#[test]
fn every_command_has_an_example_or_commands_of_its_own() {
    fn check(command: &clap::Command, path: &str) {
        let help = command.get_after_help().or(command.get_after_long_help());
        assert!(
            command.has_subcommands()
                || help.is_some_and(|help| help.to_string().contains("hourgate ")),
            "{path} has no example"
        );
        for below in command.get_subcommands() {
            check(below, &format!("{path} {}", below.get_name()));
        }
    }
    check(&Cli::command(), "hourgate");
}

#[test]
fn what_the_product_lists_can_be_typed() {
    let lines = [
        "add web-1 10.0.0.4",
        "add web-1 10.0.0.4 fd00::4 -g prod -l westeurope --os linux",
        "add web-1 --nic front back -g prod",
        "vm register -g prod -n web-1 --nic /subscriptions/00000000-0000-0000-0000-000000000000\
         /resourceGroups/g/providers/Microsoft.Network/networkInterfaces/front",
        "vm register -g prod -n web-1 --private-ip 10.0.0.4 --private-ip fd00::4 --os-type Linux",
        "network vnet create -g prod -n v --address-prefixes 10.0.0.0/16 fd00::/48",
        "network vnet subnet create -g prod --vnet-name v -n a --address-prefixes 10.0.0.0/24 --nsg x",
        "network nsg rule create -g prod --nsg-name x -n ssh --priority 100 --access Deny \
         --source-address-prefixes Internet --destination-port-ranges 22 3389 --direction Inbound \
         --protocol Tcp",
        "network nsg rule list -g prod --nsg-name x --include-default",
        "network nic create -g prod -n n --vnet-name v --subnet a --private-ip-address 10.0.0.9",
        "network public-ip create -g prod -n p --ip-address 203.0.113.9",
        "network asg create -g prod -n web",
        "vm list",
        "vm show web-1",
        "vm unregister -g prod -n web-1",
        "protect web-1 web-2",
        "protect web-1 --confirm-within 5m",
        "protect web-1 --what-if --remove-standing --create-nsg",
        "vm jit-policy enable -g prod -n web-1 --ports 22 3389 --max-duration 2h \
         --allowed-sources 10.0.0.0/8 192.0.2.0/24 --end-sessions",
        "unprotect web-1",
        "unprotect web-1 -p 22",
        "vm jit-policy disable -g prod -n web-1",
        "request web-1 -p 22,443 -d 1h --source 203.0.113.9 --start 22:00 --reason why --ticket T-1",
        "vm jit-policy request -g prod -n web-1 --port 22 --duration 1h --justification why --no-wait",
        "vm jit-policy list",
        "vm jit-policy show --resource-group prod --name web-1",
        "status",
        "status --all",
        "close web-1",
        "close k3x9qa",
        "confirm",
        "whoami",
        "log verify",
        "guard --socket /run/g.sock --state-dir /var/lib/g --covers 10.0.0.0/8 --covers fd00::/8",
        "guard remove --yes",
        "guard doctor",
        "clock accept",
        "admin rotate",
        "config check /etc/hourgate.toml",
        "configure --defaults group=prod",
        "serve --config c.toml --data-dir d --listen 127.0.0.1:0 --listen [::1]:0 --no-guard",
        "completion bash",
        "status -o csv --query [].id --timeout 5s --profile admin.json",
    ];
    for line in lines {
        let words = std::iter::once("hourgate").chain(line.split_whitespace());
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_usage() {
    let lines = [
        "request",
        "request web-1 -p 0",
        "request web-1 -p 65536",
        "request web-1 -d 2",
        "request web-1 --source 10.0.0.4/24",
        "request -oProxyCommand=x",
        "protect web-1 --max-duration forever",
        "add web-1",
        "add web-1 10.0.0.256",
        "add web-1 --nic a/b",
        "add web-1 --nic /subscriptions/x",
        "add web\u{1b}[2J 10.0.0.4",
        "status --query [?",
        "status --timeout soon",
        "guard --covers 10.0.0.4/8",
        "nonsense",
    ];
    for line in lines {
        let words = std::iter::once("hourgate").chain(line.split(' '));
        let error = Cli::try_parse_from(words).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}
