//! The coordinator's folder.

use crate::common::keys;
use anyhow::{Context, Result, bail, ensure};
use fovea_net::store::Store;
use fovea_net::tls::{self, Credentials};
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::{Identity, PublicKey};
use fovea_secagg::secret::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const FILE: &str = "federation.toml";
const IDENTITY: &str = "coordinator.key";
const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const STATUS: &str = "status.json";

/// What `federation.toml` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederationFile {
    /// Name of the federation.
    pub name: String,
    /// Address under which sites reach the coordinator.
    pub url: String,
    /// Address to listen on.
    pub listen: String,
    /// Whether the certificate is by the federation's own authority, or by one that platforms trust.
    pub own_authority: bool,
}

/// A coordinator's folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Its settings.
    pub file: FederationFile,
}

/// What a new federation is made from.
pub struct NewFederation<'a> {
    pub name: &'a str,
    pub url: &'a str,
    pub listen: Option<&'a str>,
    /// Certificate and key that platforms trust.
    pub own: Option<(&'a PathBuf, &'a PathBuf)>,
}

/// The coordinator's key pair.
pub struct CoordinatorKey {
    /// The private key.
    pub secret: Secret,
    /// The public key.
    pub key: PublicKey,
}

impl CoordinatorKey {
    /// The public key as text.
    pub fn public_text(&self) -> Hash {
        Hash(self.key.to_bytes())
    }
}

impl Folder {
    /// Makes a folder with keys and certificates.
    pub fn create(path: &Path, new: &NewFederation) -> Result<Self> {
        let (host, port) = host_and_port(new.url)?;
        ensure!(
            !path.join(FILE).exists(),
            "{} holds a federation already; choose another --dir",
            path.display()
        );
        std::fs::create_dir_all(path).with_context(|| format!("--dir {}", path.display()))?;
        keys::create(&path.join(IDENTITY))?;
        let server = match new.own {
            Some((certificate, key)) => {
                let read = |path: &PathBuf| {
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())
                };
                Credentials { certificate: read(certificate)?, key: read(key)?.into() }
            }
            None => {
                let authority = tls::authority(new.name)?;
                keys::write_private(&path.join(AUTHORITY_KEY), authority.key.as_bytes())?;
                fovea_data::write_atomically(&path.join(AUTHORITY), authority.certificate.as_bytes())?;
                tls::server_certificate(new.name, &authority, vec![host])?
            }
        };
        tls::server_config(&server).context("the certificate cannot be used")?;
        fovea_data::write_atomically(&path.join(SERVER), server.certificate.as_bytes())?;
        keys::write_private(&path.join(SERVER_KEY), server.key.as_bytes())?;
        let listen = new.listen.map_or_else(|| format!("0.0.0.0:{port}"), str::to_owned);
        let (name, url, own_authority) = (new.name.to_owned(), new.url.to_owned(), new.own.is_none());
        let file = FederationFile { name, url, listen, own_authority };
        // Last: a folder with this file is complete.
        fovea_data::write_atomically(&path.join(FILE), toml::to_string(&file)?.as_bytes())?;
        let folder = Folder { path: path.to_owned(), file };
        folder.store()?;
        Ok(folder)
    }

    /// Whether this is a coordinator's folder.
    pub fn is(path: &Path) -> bool {
        path.join(FILE).exists()
    }

    /// Opens a folder.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(FILE);
        if !file.exists() {
            bail!("{} is no coordinator's folder: make one with fovea federation init", path.display());
        }
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let file = toml::from_str(&text).with_context(|| file.display().to_string())?;
        Ok(Folder { path: path.to_owned(), file })
    }

    /// The coordinator's key.
    pub fn identity(&self) -> Result<CoordinatorKey> {
        let secret = keys::read(&self.path.join(IDENTITY))?;
        Ok(CoordinatorKey { key: Identity::from_secret(&secret).public(), secret })
    }

    /// The database.
    pub fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.path)?)
    }

    /// The authority's certificate, PEM; empty where platforms vouch.
    pub fn authority(&self) -> Result<String> {
        if !self.file.own_authority {
            return Ok(String::new());
        }
        let path = self.path.join(AUTHORITY);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// SHA-256 of the authority's certificate.
    pub fn authority_digest(&self) -> Result<Option<Hash>> {
        if !self.file.own_authority {
            return Ok(None);
        }
        Ok(Some(Hash(Sha256::digest(tls::certificate_der(&self.authority()?)?).into())))
    }

    /// The listener's certificate and key.
    pub fn server(&self) -> Result<Credentials> {
        let (certificate, key) = (self.path.join(SERVER), self.path.join(SERVER_KEY));
        keys::check_private(&key)?;
        let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
        Ok(Credentials { certificate: read(&certificate)?, key: read(&key)?.into() })
    }

    /// Where the coordinator's process writes its status.
    pub fn status(&self) -> PathBuf {
        self.path.join(STATUS)
    }
}

/// Host and port of an address.
pub fn host_and_port(url: &str) -> Result<(String, u16)> {
    let Some(rest) = url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/')) else {
        bail!("--url {url}: an address begins with https://");
    };
    ensure!(!rest.contains('/') && !url.ends_with('/'), "--url {url}: host and port alone, no path");
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => {
            (host, port.parse().with_context(|| format!("--url {url}: {port} is no port"))?)
        }
        None => (rest, 443),
    };
    ensure!(!host.is_empty(), "--url {url}: the host is missing");
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let parts = |url| host_and_port(url).unwrap();
        assert_eq!(parts("https://jon.example:8443"), ("jon.example".into(), 8443));
        assert_eq!(parts("https://jon.example"), ("jon.example".into(), 443));
        assert_eq!(parts("https://[::1]:9"), ("::1".into(), 9));
        for bad in
            ["http://jon:1", "https://:1", "https://jon:x", "https://jon/path", "jon", "https://jon:1/"]
        {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
