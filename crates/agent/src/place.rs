//! Where things are below the agent's root, and what is installed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_domain::estate::Attested;
use tidegate_domain::{Digest, Millis, Name, Version};

use crate::durable;

/// The name of the marker in each unpacked version; no archive may bring a file of that name.
pub const MARKER: &str = ".tidegate.json";

/// What an unpacked version was unpacked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The artifact.
    pub digest: Digest,
    /// When; the oldest are pruned first.
    pub unpacked_at_ms: Millis,
}

/// Which installation has come to its good end last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Complete {
    version: Version,
    digest: Digest,
}

/// The agent's root.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

/// The folder of one component.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
}

impl Root {
    /// Makes the folders and answers their absolute place.
    pub fn open(path: &Path) -> io::Result<Root> {
        durable::make_folder(path)?;
        let root = path.canonicalize()?;
        for folder in ["journal", "cache", "components"] {
            durable::make_folder(&root.join(folder))?;
        }
        Ok(Root(root))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    pub fn component(&self, name: &Name) -> Place {
        Place { folder: self.0.join("components").join(name.as_str()) }
    }

    /// All components that were ever installed here.
    pub fn components(&self) -> io::Result<Vec<(Name, Place)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.0.join("components"))? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().and_then(|name| Name::parse(name).ok()) {
                let place = self.component(&name);
                all.push((name, place));
            }
        }
        Ok(all)
    }

    /// What is installed, read from the disk and nowhere else.
    pub fn attested(&self) -> BTreeMap<Name, Attested> {
        let components = self.components().unwrap_or_default();
        components.into_iter().filter_map(|(name, place)| place.attested().map(|attested| (name, attested))).collect()
    }

    /// The digests of everything that is unpacked.
    pub fn unpacked_digests(&self) -> io::Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for (_, place) in self.components()? {
            digests.extend(place.unpacked()?.into_iter().map(|(_, marker)| marker.digest));
        }
        Ok(digests)
    }
}

impl Place {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn releases(&self) -> PathBuf {
        self.folder.join("releases")
    }

    pub fn release(&self, version: &Version) -> PathBuf {
        self.releases().join(version.as_str())
    }

    pub fn current(&self) -> PathBuf {
        self.folder.join("current")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The marker of a version, if it is unpacked.
    pub fn marker(&self, version: &Version) -> io::Result<Option<Marker>> {
        durable::read_json(&self.release(version).join(MARKER))
    }

    /// The version `current` points at.
    pub fn current_version(&self) -> Option<Version> {
        let link = fs::read_link(self.current()).ok()?;
        Version::parse(link.file_name()?.to_str()?).ok()
    }

    /// Every unpacked version with its marker.
    pub fn unpacked(&self) -> io::Result<Vec<(Version, Marker)>> {
        let entries = match fs::read_dir(self.releases()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let Some(version) = name.to_str().and_then(|name| Version::parse(name).ok()) else { continue };
            if let Some(marker) = self.marker(&version)? {
                all.push((version, marker));
            }
        }
        Ok(all)
    }

    /// Remembers that the installation of this version ended well.
    pub fn set_complete(&self, version: &Version, digest: &Digest) -> io::Result<()> {
        let complete = Complete { version: version.clone(), digest: digest.clone() };
        if self.complete()?.as_ref() == Some(&complete) {
            return Ok(());
        }
        durable::write_json(&self.folder.join("complete.json"), &complete)
    }

    /// Forgets it, because the version is being installed again.
    pub fn clear_complete(&self, version: &Version) -> io::Result<()> {
        if self.complete()?.is_some_and(|complete| complete.version == *version) {
            durable::remove(&self.folder.join("complete.json"))?;
            durable::sync_folder(&self.folder)?;
        }
        Ok(())
    }

    fn complete(&self) -> io::Result<Option<Complete>> {
        durable::read_json(&self.folder.join("complete.json"))
    }

    fn attested(&self) -> Option<Attested> {
        let version = self.current_version()?;
        let digest = self.marker(&version).ok()??.digest;
        let complete = self.complete().ok().flatten();
        let complete = complete.is_some_and(|complete| complete.version == version && complete.digest == digest);
        Some(Attested { version, digest, complete })
    }
}
