//! What the kernel says of this process and of the disk below its data. What it does not say is left out.

use std::path::Path;

use super::Readings;

/// Memory, open files and the disk.
pub(super) fn read(readings: &mut Readings, data: &Path) {
    if let Some(bytes) = resident_bytes() {
        readings.one("process_resident_memory_bytes", "Memory that the process holds", bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        readings.one("process_open_fds", "Open files and connections", open.count() as f64);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    readings.one(
        "process_max_fds",
        "Open files and connections that there may be",
        limit.map_or(f64::INFINITY, |max| max as f64),
    );
    if let Ok(disk) = rustix::fs::statvfs(data) {
        let bytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64;
        readings.one("tidegate_disk_bytes", "Size of the disk that holds the data folder", bytes(disk.f_blocks));
        readings.one("tidegate_disk_free_bytes", "What is free of it for the server", bytes(disk.f_bavail));
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib * 1_024.0)
}

/// Bytes of all files below a folder; what goes away meanwhile counts nothing.
pub(super) fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |found| found.len()),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
