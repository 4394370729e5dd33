//! What no software could beat on this machine: a bare fsync, a bare netlink commit.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Outcome,
    clock::{since, steady},
    lab::{Host, Lab},
    sample::Samples,
};

/// How often 4 KiB are appended and forced to the disk.
const APPENDS: usize = 500;

/// Milliseconds for 4 KiB appended to a file in that folder and forced to the disk.
pub(crate) fn fsync(dir: &Path) -> Outcome<Samples> {
    let path = dir.join("appended");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..APPENDS {
        let began = steady();
        file.write_all(&[0x48; 4096])?;
        file.sync_data()?;
        took.push(since(began));
    }
    std::fs::remove_file(path)?;
    Ok(Samples::of(took))
}

/// Microseconds for one element put into a set over netlink, alone in its transaction, by the example
/// `limit` of the guard's crate: only that crate may know netlink. Medians of the putting, and of putting
/// and reading back.
pub(crate) fn netlink(lab: &Lab, example: &Path) -> Outcome<(f64, f64)> {
    let mut command: Command = lab.command(Host::Vm, example.as_os_str());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let median = |of: &str| told[of]["p50"].as_f64().ok_or("the example told nothing");
    Ok((median("put")?, median("putAndRead")?))
}
