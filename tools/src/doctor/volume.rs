//! The volume that a folder is on.

use nix::sys::statfs::statfs;
use nix::sys::statvfs::statvfs;
use std::io;
use std::path::Path;

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The kind of its file system.
    pub kind: Kind,
    /// All bytes.
    pub total_bytes: u64,
    /// Bytes that this user may still write.
    pub free_bytes: u64,
}

/// Kinds of file systems, by what is to be said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Good for data.
    Solid(&'static str),
    /// It copies on write: fine, at a price.
    Copying(&'static str),
    /// What is written is gone with the container or the machine.
    Passing(&'static str),
    /// On another machine, or behind a program.
    Remote(&'static str),
    /// None of those.
    Unknown(i64),
}

impl Kind {
    /// By the number that the kernel gives it (statfs(2)).
    fn of(magic: i64) -> Kind {
        match magic & 0xffff_ffff {
            0xef53 => Kind::Solid("ext4"),
            0x5846_5342 => Kind::Solid("xfs"),
            0xf2f5_2010 => Kind::Solid("f2fs"),
            0x9123_683e => Kind::Copying("btrfs"),
            0x2fc1_2fc1 => Kind::Copying("zfs"),
            0xca45_1a4e => Kind::Copying("bcachefs"),
            0x0102_1994 => Kind::Passing("tmpfs"),
            0x8584_58f6 => Kind::Passing("ramfs"),
            0x794c_7630 => Kind::Passing("overlayfs"),
            0x6969 => Kind::Remote("nfs"),
            0x0102_1997 => Kind::Remote("9p"),
            0x6573_5546 => Kind::Remote("fuse"),
            0xff53_4d42 | 0xfe53_4d42 => Kind::Remote("cifs"),
            0x00c3_6400 => Kind::Remote("ceph"),
            other => Kind::Unknown(other),
        }
    }
}

impl Volume {
    /// The volume of a folder.
    ///
    /// # Errors
    /// What the system said.
    pub fn of(folder: &Path) -> io::Result<Volume> {
        let system = statfs(folder)?;
        let room = statvfs(folder)?;
        #[allow(clippy::unnecessary_cast, reason = "the types differ between platforms")]
        let bytes = |blocks: u64| blocks * room.fragment_size() as u64;
        Ok(Volume {
            kind: Kind::of(system.filesystem_type().0),
            total_bytes: bytes(room.blocks()),
            free_bytes: bytes(room.blocks_available()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_a_volume_with_room() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::of(folder.path()).unwrap();
        assert!(volume.total_bytes >= volume.free_bytes && volume.free_bytes > 0, "{volume:?}");
        assert!(Volume::of(Path::new("/nonexistent")).is_err());
        assert_eq!(
            Volume::of(Path::new("/dev/shm")).map(|volume| volume.kind).ok(),
            Some(Kind::Passing("tmpfs"))
        );
    }
}
