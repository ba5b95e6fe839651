//! Where the machine tells about itself.

use std::fs;
use std::path::PathBuf;

/// The folders of the kernel's own files.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
}

impl Machine {
    /// The one that this runs on.
    pub fn this() -> Machine {
        Machine { proc: "/proc".into(), sys: "/sys".into() }
    }

    /// A file below `/proc`, without blanks around it.
    pub fn proc(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.proc.join(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A file below `/sys`, likewise.
    pub fn sys(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.sys.join(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A field of `/proc/self/status` or `/proc/meminfo`.
    pub fn field(&self, file: &str, name: &str) -> Option<String> {
        let text = self.proc(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))?;
        Some(line.to_owned())
    }

    /// A file of the control group that this process is in, or of the nearest above it that has the file.
    pub fn control_group(&self, name: &str) -> Option<String> {
        let groups = self.proc("self/cgroup")?;
        let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let relative = PathBuf::from(group.trim_start_matches('/'));
        // Inside a container the path may be that of the host: then the root of the mount is the group.
        relative.ancestors().find_map(|group| self.sys(&format!("fs/cgroup/{}", group.join(name).display())))
    }

    /// Bytes of memory that the machine, or the control group, has.
    pub fn memory_bytes(&self) -> Option<u64> {
        let total = self.field("meminfo", "MemTotal")?;
        let total: u64 = total.strip_suffix("kB")?.trim().parse().ok()?;
        let group = self.control_group("memory.max").and_then(|limit| limit.parse().ok());
        Some(group.unwrap_or(u64::MAX).min(total * 1024))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A machine with these files below `/proc` and `/sys`.
    pub fn with(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let machine = Machine { proc: folder.path().join("proc"), sys: folder.path().join("sys") };
        (folder, machine)
    }

    #[test]
    fn the_smaller_of_machine_and_group_is_the_memory() {
        let meminfo = ("proc/meminfo", "MemTotal:  2048 kB\nMemFree: 1 kB\n");
        let (_folder, machine) = with(&[meminfo]);
        assert_eq!(machine.memory_bytes(), Some(2048 * 1024));
        let files = [meminfo, ("proc/self/cgroup", "0::/a/b\n"), ("sys/fs/cgroup/a/memory.max", "4096\n")];
        let (_folder, machine) = with(&files);
        assert_eq!(machine.memory_bytes(), Some(4096));
    }
}
