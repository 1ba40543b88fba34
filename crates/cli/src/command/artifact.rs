//! `tidegate artifact`

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sha2::Digest as _;
use tidegate_api::request::UploadArtifact;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::deployment::artifact::{Artifact as Noun, Format, Signature, signed_text};
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_domain::{Digest, Name, Version, limits};
use tokio_util::io::ReaderStream;

use super::Session;
use crate::arguments::{ListArguments, name, version};
use crate::ending::Ending;
use crate::output::Output;
use crate::text::estate;

/// Bytes read at once, for hashing and for sending.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of a key file that are read; a real one has about a hundred.
const KEY_BYTES_MAX: u64 = 4_096;

/// Bring artifacts and sign them.
#[derive(Debug, Subcommand)]
pub enum Artifact {
    /// Bring a version of a component into the media library.
    Upload(Upload),
    /// List what is in the media library.
    List(ListArguments),
    /// Make a release key: a private file, and its public half beside it.
    Keygen {
        /// Where the private half goes; the public one goes to the same name with .pub
        file: PathBuf,
    },
    /// Sign an artifact without sending it.
    Sign(Sign),
}

/// What is known of an artifact's bytes.
#[derive(Debug, Args)]
pub struct Bytes {
    /// The artifact: an archive, or one file.
    file: PathBuf,
    /// The component it is a version of.
    #[arg(long, value_parser = name)]
    component: Name,
    /// The version it is.
    #[arg(long, value_parser = version)]
    version: Version,
}

/// Bring a version of a component into the media library.
#[derive(Debug, Args)]
pub struct Upload {
    #[command(flatten)]
    bytes: Bytes,
    /// How it is packed; told from the file's name unless said.
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// Sign it with this release key.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Sign an artifact without sending it.
#[derive(Debug, Args)]
pub struct Sign {
    #[command(flatten)]
    bytes: Bytes,
    /// The release key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// The formats by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum FormatName {
    /// A gzip-compressed tar archive.
    TarGz,
    /// A tar archive.
    Tar,
    /// One file, installed under the name of its component.
    File,
}

impl Artifact {
    /// Looks, brings or signs; the keys need no server.
    pub async fn run(self, session: impl FnOnce() -> Result<Session, Ending>, output: &Output) -> Result<(), Ending> {
        match self {
            Artifact::Upload(upload) => upload.run(&session()?).await,
            Artifact::List(list) => {
                let session = session()?;
                let answer = session.client.list::<Page<Versioned<Noun>>>("/artifacts", &list.query()).await?;
                output.answer(&answer, estate::artifacts)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Artifact::Keygen { file } => keygen(&file, output),
            Artifact::Sign(sign) => sign.run(output),
        }
    }
}

impl Upload {
    async fn run(self, session: &Session) -> Result<(), Ending> {
        let Bytes { file, component, version } = self.bytes;
        let size_bytes = size(&file)?;
        let bar = bar(&session.output, size_bytes);
        let digest = digest(&file, &bar)?;
        let signature = self.key.map(|key| sign(&read_key(&key)?, &component, &version, &digest)).transpose()?;
        let format = match self.format {
            Some(FormatName::TarGz) => Format::TarGz,
            Some(FormatName::Tar) => Format::Tar,
            Some(FormatName::File) => Format::File,
            None => format_of(&file),
        };
        let (signature_key, signature) = signature.map(|signature| (signature.key, signature.value)).unzip();
        let query = UploadArtifact { component, version, format, digest: Some(digest), signature_key, signature };
        bar.set_message("sending");
        let answer = session.client.upload::<Versioned<Noun>>("/artifacts", &query, size_bytes, || body(&file, &bar)).await;
        bar.finish_and_clear();
        session.output.answer(&answer?, |artifact, _| estate::artifact(artifact))
    }
}

impl Sign {
    fn run(self, output: &Output) -> Result<(), Ending> {
        let Bytes { file, component, version } = self.bytes;
        let digest = digest(&file, &ProgressBar::hidden())?;
        let signature = sign(&read_key(&self.key)?, &component, &version, &digest)?;
        let value = json!({ "digest": digest, "signature_key": signature.key, "signature": signature.value });
        output.value(&value, |_| format!("digest     {digest}\nkey        {}\nsignature  {}", signature.key, signature.value))
    }
}

/// The stream of a file's bytes; a file that is gone by now breaks the upload, and the server keeps nothing of it.
fn body(file: &Path, bar: &ProgressBar) -> reqwest::Body {
    bar.set_position(0);
    let bar = bar.clone();
    match File::open(file) {
        Ok(file) => {
            let chunks = ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK_BYTES);
            reqwest::Body::wrap_stream(chunks.inspect(move |chunk| bar.inc(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64))))
        }
        Err(error) => reqwest::Body::wrap_stream(futures_util::stream::iter([Err::<Vec<u8>, _>(error)])),
    }
}

fn bar(output: &Output, size_bytes: u64) -> ProgressBar {
    if output.is_quiet() || output.is_json() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size_bytes).with_message("hashing");
    let template = "{msg:>8} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn size(file: &Path) -> Result<u64, Ending> {
    let unreadable = |what: String| Refusal::new(Code::NotFound, what, "check the path and its permissions");
    let metadata = std::fs::metadata(file).map_err(|error| unreadable(format!("{} cannot be read: {error}", file.display())))?;
    if !metadata.is_file() {
        return Err(unreadable(format!("{} is not a file", file.display())).into());
    }
    if metadata.len() > limits::ARTIFACT_BYTES_MAX {
        let what = format!("{} has {} bytes", file.display(), metadata.len());
        let remedy = format!("bring at most {} bytes", limits::ARTIFACT_BYTES_MAX);
        return Err(Refusal::new(Code::TooLarge, what, remedy).into());
    }
    Ok(metadata.len())
}

fn digest(file: &Path, bar: &ProgressBar) -> Result<Digest, Ending> {
    size(file)?;
    let mut reader = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut hash = sha2::Sha256::new();
    let mut chunk = vec![0_u8; CHUNK_BYTES];
    loop {
        let read = reader.read(&mut chunk).with_context(|| format!("{} cannot be read to its end", file.display()))?;
        if read == 0 {
            return Ok(Digest::from_bytes(&hash.finalize()));
        }
        hash.update(&chunk[..read]);
        bar.inc(read as u64);
    }
}

fn format_of(file: &Path) -> Format {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match () {
        () if ends(&[".tar.gz", ".tgz"]) => Format::TarGz,
        () if ends(&[".tar"]) => Format::Tar,
        () => Format::File,
    }
}

fn sign(key: &SigningKey, component: &Name, version: &Version, digest: &Digest) -> Result<Signature, Ending> {
    let signature = key.try_sign(signed_text(component, version, digest).as_bytes()).map_err(anyhow::Error::new)?;
    Ok(Signature { key: public(key), value: STANDARD.encode(signature.to_bytes()) })
}

fn public(key: &SigningKey) -> String {
    STANDARD.encode(key.verifying_key().as_bytes())
}

/// Makes a key pair; a file that is there is never written over, as what it signed would be orphaned.
fn keygen(file: &Path, output: &Output) -> Result<(), Ending> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("there is no randomness: {error}"))?;
    let key = SigningKey::from_bytes(&seed);
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(anyhow::Error::new)?;
    let public_path = PathBuf::from(format!("{}.pub", file.display()));
    write_new(file, pem.as_bytes(), 0o600)?;
    write_new(&public_path, format!("{}\n", public(&key)).as_bytes(), 0o644)?;
    let (private, public_file, public) = (file.display().to_string(), public_path.display().to_string(), public(&key));
    let value = json!({ "private": private, "public_file": public_file, "public": public });
    output.value(&value, |_| {
        format!(
            "{private} signs artifacts: keep it away from the server, and keep a copy\n\
             {public_file} goes to agents: tidegate agent --trust {public}"
        )
    })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Ending> {
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => {
            let written = file.write_all(bytes).and_then(|()| file.sync_all());
            Ok(written.with_context(|| format!("{} cannot be written", path.display()))?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let what = format!("{} exists", path.display());
            Err(Refusal::new(Code::AlreadyExists, what, "choose another name; a key is never written over").into())
        }
        Err(error) => Err(anyhow::Error::new(error).context(format!("{} cannot be made", path.display())).into()),
    }
}

/// Reads a release key; one that others can read is refused.
pub fn read_key(path: &Path) -> Result<SigningKey, Ending> {
    let file = File::open(path).map_err(|error| {
        Refusal::new(
            Code::NotFound,
            format!("{} cannot be read: {error}", path.display()),
            "make a key with tidegate artifact keygen",
        )
    })?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("{} can be read by others (mode {:o})", path.display(), mode & 0o777);
        let remedy = format!("chmod 600 {}, and make a new key if somebody may have read it", path.display());
        return Err(Refusal::new(Code::SignatureInvalid, what, remedy).into());
    }
    let mut text = String::new();
    let broken = || {
        let what = format!("{} is not a release key", path.display());
        Refusal::new(Code::SignatureInvalid, what, "name the private file that tidegate artifact keygen made")
    };
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|_| broken())?;
    Ok(SigningKey::from_pkcs8_pem(&text).map_err(|_| broken())?)
}
