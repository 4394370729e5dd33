//! `hourgate demo`: the main job, on this machine, in less than a minute, with real packets.

mod fake;
mod lab;
mod packets;
mod report;
mod service;
mod story;
mod world;

use std::{io, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use self::{
    fake::Fake,
    lab::Host,
    report::Report,
    world::{Kernel, World},
};
use crate::{
    exit::{Exit, Failure},
    output::say,
};

/// The whole demo takes no longer; past that something hangs, and that is a failure too.
const DEMO_MAX: Duration = Duration::from_secs(60);

/// Tells the story; fails unless every step of it held.
pub(crate) fn run(json: bool, stays: bool) -> Result<(), Failure> {
    let world = match World::build(stays) {
        Ok(world) => world,
        Err(error) => {
            say(&format!("No namespaces here ({error}): the same story on a fake guard."));
            if stays {
                say("--stay leaves namespaces running, and there are none: nothing stays.");
            }
            let fake = Fake::build().map_err(|error| {
                Failure::new(Exit::Refused, format!("The demo cannot run here: {error}."))
            })?;
            World::Fake(fake)
        }
    };
    let mut report = Report::new(world.guard(), json);
    let world = match world {
        World::Kernel(kernel) => {
            introduce(&report, &kernel);
            // The story is told from the client: its calls and connections come from there.
            let lab = kernel.lab.handle();
            let told = lab.inside(Host::Client, || tell(World::Kernel(kernel), &mut report));
            told.map_err(cannot_run)??
        }
        fake @ World::Fake(_) => {
            report.say(
                "No packet is sent: where a SYN or a byte is spoken of, the fake guard is asked.",
            );
            tell(fake, &mut report)?
        }
    };
    report.close();
    if stays && let World::Kernel(kernel) = world {
        leave(&report, kernel)?;
    }
    if report.held() {
        Ok(())
    } else {
        Err(Failure::new(Exit::Refused, "Not every step of the demo held."))
    }
}

/// Tells it on a runtime of its own, which is where this thread is.
fn tell(mut world: World, report: &mut Report) -> Result<World, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_run)?;
    runtime.block_on(async {
        tokio::select! {
            told = story::tell(&mut world, report) => told,
            stopped = stopped() => Err(stopped),
            () = tokio::time::sleep(DEMO_MAX) => {
                Err(Failure::new(Exit::Refused, "The demo took longer than a minute."))
            }
        }
    })?;
    Ok(world)
}

/// Returns when somebody presses Ctrl-C or ends the demo; what was made is then taken away.
async fn stopped() -> Failure {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    if let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Failure::new(Exit::Refused, "Stopped; everything the demo made is gone.")
    } else {
        std::future::pending().await
    }
}

fn introduce(report: &Report, kernel: &Kernel) {
    report.say("Three hosts on this machine, as network namespaces:");
    report.say("  client 203.0.113.7 ── 203.0.113.1 gateway 10.9.0.1 ── 10.9.0.4 web-1");
    report.say("                        hourgate serve");
    let sshd = if kernel.real_sshd { "sshd" } else { "an echo, since no sshd is installed" };
    report.say(format_args!(
        "                        hourgate guard                port 22: {sshd}\n"
    ));
}

/// Starts everything again that the story killed, and says how to use it.
fn leave(report: &Report, kernel: Kernel) -> Result<(), Failure> {
    let (lab, dir) = kernel.leave().map_err(cannot_run)?;
    let (client, gateway) = (lab.name(Host::Client), lab.name(Host::Gateway));
    let vm = lab.name(Host::Vm);
    let profile = dir.join("data").join("admin.json");
    report.say("\nLab and server are left running. In the client's place:");
    report.say(format_args!("  export HOURGATE_PROFILE={}", profile.display()));
    // Whoever typed `cargo run` has no `hourgate` in the PATH.
    let program = std::env::current_exe().map_err(cannot_run)?;
    let program = program.display();
    report.say(format_args!("  ip netns exec {client} {program} request web-1 -p 22"));
    report.say(format_args!("  ip netns exec {client} {program} status"));
    report.say(format_args!("  ip netns exec {gateway} nft list table inet hourgate"));
    report.say("To take all of it away:");
    report.say(format_args!(
        "  for n in {client} {gateway} {vm}; do ip netns pids $n | xargs -r kill; ip netns delete $n; done; rm -r {}",
        dir.display()
    ));
    lab.stay();
    Ok(())
}

fn cannot_run(error: io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("The demo cannot run here: {error}."))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::lab::{PASSING, sweep_folders};

    #[test]
    fn only_folders_of_processes_that_are_gone_are_swept() {
        let temp = tempfile::tempdir().expect("a directory");
        let at = |name: String| temp.path().join(name);
        // No process has a number so high.
        let gone = at(format!("{PASSING}-4194999-x"));
        let running = at(format!("{PASSING}-{}-x", std::process::id()));
        let staying = at("hourgate-lab-4194999-x".to_owned());
        let other = at(format!("{PASSING}s-4194999-x"));
        for folder in [&gone, &running, &staying, &other] {
            fs::create_dir(folder).expect("a folder");
            fs::write(folder.join("admin.json"), "a secret").expect("a file");
        }
        sweep_folders(temp.path(), PASSING);
        let there = [&gone, &running, &staying, &other].map(|folder| folder.exists());
        assert_eq!(there, [false, true, true, true]);
    }
}
