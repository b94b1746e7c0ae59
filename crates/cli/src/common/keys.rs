//! Private keys in files that their owner alone can read.

use anyhow::{Context, Result, bail, ensure};
use fovea_net::OsEntropy;
use fovea_secagg::hash::Hash;
use fovea_secagg::secret::Secret;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Draws a key into a new file.
pub fn create(path: &Path) -> Result<Secret> {
    let secret = Secret::draw(&mut OsEntropy)?;
    write_private(path, format!("{}\n", Hash(*secret.expose())).as_bytes())?;
    Ok(secret)
}

/// Reads a key, unless others can read it too.
pub fn read(path: &Path) -> Result<Secret> {
    check_private(path)?;
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    match Hash::from_hex(text.trim()) {
        Some(Hash(bytes)) => Ok(Secret::new(bytes)),
        None => bail!("{} holds no key of 64 hexadecimal digits; restore it", path.display()),
    }
}

/// Writes a new file that its owner alone can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: File| file.write_all(bytes).and_then(|()| file.sync_all());
    let written = options.open(path).and_then(write);
    written.with_context(|| format!("{} could not be written", path.display()))
}

/// Refuses a private file that others can read.
pub fn check_private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).with_context(|| path.display().to_string())?.permissions().mode();
        ensure!(
            mode & 0o077 == 0,
            "{} can be read by others (mode {:o}): chmod 600 {}",
            path.display(),
            mode & 0o777,
            path.display()
        );
    }
    Ok(())
}
