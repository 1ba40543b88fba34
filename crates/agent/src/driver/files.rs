//! Unpacks a version beside the others, and points `current` at one of them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use tidegate_domain::Version;
use tidegate_domain::deployment::artifact::Format;
use tidegate_domain::deployment::order::{Installation, StepState};

use super::archive::{Archive, Unpacked};
use super::{End, Job, Until};
use crate::clock::now_ms;
use crate::place::{MARKER, Marker, Place};
use crate::{crash, durable};

/// Unpacks the artifact to `releases/<version>`, unless the same bytes are there.
pub async fn unpack(job: &Job<'_>) -> End {
    let installation = job.installation.clone();
    let place = job.place.clone();
    let packed = job.agent.cache.path(&installation.artifact.digest);
    let until = job.until();
    let running = job.agent.services.version(&installation.component);
    let work = move || {
        let unpack = Unpack { installation: &installation, place: &place, packed: &packed, until: &until };
        let end = unpack.run();
        if end.state == StepState::Succeeded
            && let Err(error) = prune(&place, installation.keep_releases, &[Some(installation.version.clone()), running])
        {
            tracing::warn!("old versions of {} cannot be removed: {error}", installation.component);
        }
        end
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| End::new(StepState::Errored, format!("unpacking broke off: {error}")))
}

struct Unpack<'a> {
    installation: &'a Installation,
    place: &'a Place,
    packed: &'a Path,
    until: &'a Until,
}

impl Unpack<'_> {
    fn run(&self) -> End {
        let version = &self.installation.version;
        match self.unpack() {
            Ok(None) => End::succeeded(format!("{version} is unpacked already")),
            Ok(Some(entries)) => End::succeeded(format!("unpacked {version}: {entries} entries")),
            Err(Unpacked::Refused(refusal)) => End::failed(format!("{}: {refusal}", refusal.code)),
            Err(Unpacked::Failed(error)) => End::errored("the artifact cannot be unpacked", &error),
            Err(Unpacked::Stopped(end)) => end,
        }
    }

    fn unpack(&self) -> Result<Option<u64>, Unpacked> {
        let (place, version, digest) = (self.place, &self.installation.version, &self.installation.artifact.digest);
        durable::make_folder(&place.releases())?;
        durable::make_folder(&place.data())?;
        remove_unfinished(place)?;
        if place.marker(version)?.is_some_and(|marker| marker.digest == *digest) {
            return Ok(None);
        }
        let unfinished = place.releases().join(format!(".{version}.new"));
        fs::create_dir(&unfinished)?;
        let written = self.fill(&unfinished).and_then(|entries| self.put(&unfinished).map(|()| entries).map_err(Unpacked::from));
        if written.is_err() {
            let _ = durable::remove(&unfinished);
        }
        written.map(Some)
    }

    fn fill(&self, folder: &Path) -> Result<u64, Unpacked> {
        let artifact = &self.installation.artifact;
        let entries = match artifact.format {
            Format::TarGz | Format::Tar => {
                Archive { path: self.packed, format: artifact.format, until: self.until }.unpack(folder)?
            }
            Format::File => {
                let path = folder.join(self.installation.component.as_str());
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(path)?;
                io::copy(&mut File::open(self.packed)?, &mut file)?;
                file.set_permissions(Permissions::from_mode(0o755))?;
                1
            }
        };
        crash::point();
        let marker = Marker { digest: artifact.digest.clone(), unpacked_at_ms: now_ms() };
        durable::write_json(&folder.join(MARKER), &marker)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        Ok(entries)
    }

    /// Makes the filled folder durable with one call, and gives it its name.
    fn put(&self, unfinished: &Path) -> io::Result<()> {
        rustix::fs::syncfs(File::open(unfinished)?)?;
        crash::point();
        let release = self.place.release(&self.installation.version);
        if release.exists() {
            // The same version with other bytes: exchanged in one move, so that `current` never points at nothing.
            rustix::fs::renameat_with(CWD, unfinished, CWD, &release, RenameFlags::EXCHANGE)?;
            durable::remove(unfinished)?;
        } else {
            fs::rename(unfinished, &release)?;
        }
        durable::sync_folder(&self.place.releases())?;
        crash::point();
        Ok(())
    }
}

/// Removes what an agent that died left half unpacked.
fn remove_unfinished(place: &Place) -> io::Result<()> {
    for entry in fs::read_dir(place.releases())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            durable::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Points `current` at the version, in one move.
pub fn switch(place: &Place, version: &Version) -> End {
    match put_link(place, version) {
        Ok(()) => End::succeeded(format!("current is {version}")),
        Err(error) => End::errored(&format!("current cannot be pointed at {version}"), &error),
    }
}

fn put_link(place: &Place, version: &Version) -> io::Result<()> {
    if place.marker(version)?.is_none() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "this version is not unpacked"));
    }
    if place.current_version().as_ref() == Some(version) {
        return durable::sync_folder(place.folder());
    }
    let beside = place.folder().join(".current.new");
    durable::remove(&beside)?;
    symlink(PathBuf::from("releases").join(version.as_str()), &beside)?;
    crash::point();
    fs::rename(&beside, place.current())?;
    durable::sync_folder(place.folder())?;
    crash::point();
    Ok(())
}

/// Keeps the last `keep` unpacked versions; never removes `current` or one of `spared`.
pub fn prune(place: &Place, keep: u32, spared: &[Option<Version>]) -> io::Result<()> {
    let current = place.current_version();
    let is_spared =
        |version: &Version| current.as_ref() == Some(version) || spared.iter().flatten().any(|spared| spared == version);
    let mut unpacked = place.unpacked()?;
    unpacked.sort_by_key(|(version, marker)| (is_spared(version), marker.unpacked_at_ms));
    let surplus = unpacked.len().saturating_sub(keep as usize);
    for (version, _) in unpacked.into_iter().take(surplus).filter(|(version, _)| !is_spared(version)) {
        // The marker goes first: a half removed folder is never taken for a whole one.
        durable::remove(&place.release(&version).join(MARKER))?;
        durable::remove(&place.release(&version))?;
    }
    Ok(())
}
