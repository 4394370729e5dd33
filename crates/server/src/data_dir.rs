//! The directory that holds everything of an installation, and the lock that keeps it to one server.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or written.
    #[error("the data directory {} cannot be used: {why}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Others may read or change what lies in it.
    #[error(
        "the data directory {} is open to others (mode {mode:03o}, owner {owner}); \
         it holds secrets: chmod 700 it, and let the user who runs the server own it",
        path.display()
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Its owner's user id.
        owner: u32,
    },
    /// Another server works on it.
    #[error("another server (process {pid}) works on the data directory {}", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
        /// The process that holds it, as it wrote itself.
        pid: String,
    },
}

/// A data directory, with the names of what lies in it.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Makes it, for its owner alone, if it is new.
    pub fn create(path: &Path) -> Result<DataDir, DataDirError> {
        let unusable = |why: std::io::Error| DataDirError::Unusable {
            path: path.into(),
            why: why.to_string(),
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        let found = path.metadata().map_err(unusable)?;
        let (mode, owner) = (found.mode() & 0o777, found.uid());
        // Whoever can write here can set the administrator's secret or empty the log.
        let euid = rustix::process::geteuid();
        let own = owner == euid.as_raw() || owner == 0 || euid.is_root();
        if mode & 0o077 != 0 || !own {
            return Err(DataDirError::Exposed { path, mode, owner });
        }
        Ok(DataDir(path))
    }

    /// Keeps every other server out for as long as the answer lives; the kernel lets go when a process
    /// dies, however it dies.
    pub fn lock(&self) -> Result<Lock, DataDirError> {
        let path = self.0.join("serve.lock");
        let unusable = |why: std::io::Error| DataDirError::Unusable {
            path: path.clone(),
            why: why.to_string(),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(&path)
            .map_err(unusable)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let read = Read::take(&mut file, 20).read_to_string(&mut pid);
            let pid = match read {
                Ok(_) if !pid.trim().is_empty() => pid.trim().to_owned(),
                Ok(_) | Err(_) => "unknown".to_owned(),
            };
            return Err(DataDirError::InUse { path: self.0.clone(), pid });
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Lock { _file: file })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("hourgate.db")
    }

    /// The key of the log's seal.
    pub fn log_key(&self) -> PathBuf {
        self.0.join("log.key")
    }

    /// The local guard's socket.
    pub fn guard_socket(&self) -> PathBuf {
        self.0.join("guard.sock")
    }

    /// Where a running server takes what only somebody on its machine may ask.
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// What the first administrator signs in with.
    pub fn admin(&self) -> PathBuf {
        self.0.join("admin.json")
    }

    /// The certificate that clients trust.
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// Its key.
    pub fn ca_key(&self) -> PathBuf {
        self.0.join("ca.key")
    }

    /// The key that seals what the database must not show.
    pub fn seal_key(&self) -> PathBuf {
        self.0.join("seal.key")
    }

    /// The key that signs tokens.
    pub fn token_key(&self) -> PathBuf {
        self.0.join("token.key")
    }
}

/// Held by the one server of a data directory.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Writes a new file for its owner alone, whole or not at all; an error if the name is taken, be it by a
/// link. Cut off by a crash, it leaves nothing that the next start would take for a damaged key.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    match path.symlink_metadata() {
        // Between this look and the rename nobody else writes here: the directory is its owner's alone,
        // and locked.
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => replace(path, content),
        Err(other) => Err(other),
        Ok(_) => Err(std::io::ErrorKind::AlreadyExists.into()),
    }
}

/// Puts a new file for its owner alone in the place of what was there, whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Ok(()) => {}
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(other) => return Err(other),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    sync_parent(path)
}

/// Reads a file unless it is a link: in a directory of our own nobody puts one for a good purpose.
pub(crate) fn read(path: &Path) -> std::io::Result<Option<String>> {
    let opened = OpenOptions::new().read(true).custom_flags(no_follow()).open(path);
    match opened {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Some(text))
        }
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(other) => Err(other),
    }
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Large enough that whoever looks all the time would see a part of it.
    const CONTENT_BYTES: usize = 8 << 20;

    #[test]
    fn a_file_is_whole_from_the_moment_it_can_be_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let content = vec![b'x'; CONTENT_BYTES];
        for (name, is_new) in [("first.json", true), ("again.json", false)] {
            let path = dir.path().join(name);
            let (done, path_seen) = (AtomicBool::new(false), path.clone());
            std::thread::scope(|scope| {
                let looker = scope.spawn(|| {
                    let mut looks = 0_u64;
                    while !done.load(Ordering::SeqCst) {
                        if let Ok(found) = std::fs::metadata(&path_seen) {
                            assert_eq!(found.len(), CONTENT_BYTES as u64, "seen half-written");
                        }
                        looks += 1;
                    }
                    looks
                });
                let write = if is_new { write_new } else { replace };
                write(&path, &content).expect("written");
                done.store(true, Ordering::SeqCst);
                assert!(looker.join().expect("never in part") > 0);
            });
            assert!(!path.with_extension("new").exists());
        }
    }

    #[test]
    fn a_new_file_takes_nobodys_place_and_what_a_crash_left_is_no_obstacle() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log.key");
        std::fs::write(path.with_extension("new"), "half of a k").expect("left behind");
        write_new(&path, b"whole").expect("written");
        let taken = write_new(&path, b"other").expect_err("taken");
        assert_eq!(taken.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).expect("read").as_deref(), Some("whole"));

        let (link, target) = (dir.path().join("admin.json"), dir.path().join("elsewhere"));
        std::os::unix::fs::symlink(&target, &link).expect("a link to nothing");
        write_new(&link, b"secret").expect_err("a link holds the name");
        assert!(!target.exists(), "and is not followed");
        assert!(read(&link).is_err());
    }
}
