//! A disk that is full when a test says so.
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A file system of a few megabytes in a mount namespace of its own: only the processes that are
/// started through it see it, and it goes with them.
pub struct SmallDisk {
    holder: Child,
    point: PathBuf,
    /// Words that start a program in the namespace.
    pub through: Vec<OsString>,
}

impl SmallDisk {
    /// `None` where no way to mount is permitted. Alone root may mount; others need a user
    /// namespace.
    pub fn mount(point: &Path, bytes: u64) -> Option<SmallDisk> {
        let as_root = SmallDisk::mount_with(point, bytes, &["--mount"], &["mnt"]);
        as_root.or_else(|| {
            let unshare = ["--user", "--map-root-user", "--mount"];
            SmallDisk::mount_with(point, bytes, &unshare, &["user", "mnt"])
        })
    }

    fn mount_with(
        point: &Path,
        bytes: u64,
        unshare: &[&str],
        namespaces: &[&str],
    ) -> Option<SmallDisk> {
        let script =
            format!("mount -t tmpfs -o size={bytes} tmpfs \"$0\" && echo mounted && exec cat");
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", &script])
            .arg(point)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let mut stdout = BufReader::new(holder.stdout.take()?);
        let is_mounted = stdout.read_line(&mut said).is_ok() && said == "mounted\n";
        if !is_mounted {
            let _ = holder.kill();
            let _ = holder.wait();
            return None;
        }
        let mut through: Vec<OsString> = vec!["nsenter".into()];
        for namespace in namespaces {
            let (id, flag) = (holder.id(), namespace.replace("mnt", "mount"));
            through.push(format!("--{flag}=/proc/{id}/ns/{namespace}").into());
        }
        if namespaces.contains(&"user") {
            through.push("--preserve-credentials".into());
        }
        through.push("--".into());
        Some(SmallDisk {
            holder,
            point: point.to_owned(),
            through,
        })
    }

    /// The mount point as this process sees it.
    pub fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let point = self.point.strip_prefix("/").unwrap();
        root.join(point).join(name)
    }

    pub fn free_bytes(&self) -> u64 {
        let state = rustix::fs::statvfs(self.path("")).unwrap();
        state.f_bavail * state.f_frsize
    }

    /// Takes all but `left` bytes.
    pub fn fill(&self, left: u64) {
        let bytes = self.free_bytes().saturating_sub(left);
        std::fs::write(self.path("filler"), vec![7; bytes as usize]).unwrap();
    }

    /// Takes everything, whoever else writes meanwhile.
    pub fn fill_up(&self) {
        let mut filler = std::fs::File::create(self.path("filler")).unwrap();
        let error = loop {
            if let Err(error) = filler.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Gives back what was taken.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
