//! The disk below a folder.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::finding::{Code, Findings};

/// Bytes below which nothing can be relied on any more: a commit, its log and an upload need room at once.
const FULL_BYTES: u64 = 64 << 20;
/// Bytes below which a person should look: one artifact of the largest size fits, unpacked it does not.
const LOW_BYTES: u64 = 2 << 30;
const MIB: u64 = 1 << 20;

/// Looks at room and at whether anything can be written at all.
pub fn look(findings: &mut Findings, folder: &Path) {
    let place = folder.display();
    let disk = match statvfs(folder) {
        Ok(disk) => disk,
        Err(error) => {
            return findings.problem(
                Code::DiskSpace,
                place,
                (format!("its disk cannot be looked at: {error}"), "check the mount"),
            );
        }
    };
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let what = "its disk is mounted read-only";
        findings.problem(
            Code::DiskWritable,
            &place,
            (what, "look at the kernel's log for a broken disk, and mount it for writing"),
        );
    }
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let what = format!("{} MiB are free on its disk", free / MIB);
    if free < FULL_BYTES {
        findings.problem(Code::DiskSpace, place, (what, "make room: nothing can be committed on a full disk"));
    } else if free < LOW_BYTES {
        findings.warning(Code::DiskSpace, place, (what, "make room: artifacts may have 2 GiB packed and 8 GiB unpacked"));
    } else {
        findings.good(Code::DiskSpace, place, what);
    }
}
