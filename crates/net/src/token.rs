//! Invitations: one line of text that brings one site into one federation, once.

use crate::api::join_proof;
use crate::error::NetError;
use crate::limits::NAME_MAX;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::PublicKey;
use fovea_secagg::secret::{Entropy, EntropyError};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "fovea-";
const KIND: u8 = 29;
const BYTES_MAX: usize = 1024;

/// What an invitation says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Where the coordinator is.
    pub url: String,
    /// Name of the site that is invited.
    pub site: String,
    /// The coordinator's public key.
    pub coordinator: PublicKey,
    /// SHA-256 of the federation's own CA certificate; none where the platform's roots vouch for the coordinator.
    pub authority: Option<Hash>,
    /// The secret.
    pub secret: [u8; 16],
}

impl Token {
    /// Draws an invitation.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn draw(
        url: String,
        site: String,
        coordinator: PublicKey,
        authority: Option<Hash>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, EntropyError> {
        let mut secret = [0; 16];
        entropy.fill(&mut secret)?;
        Ok(Self { url, site, coordinator, authority, secret })
    }

    /// What the coordinator keeps of the secret.
    pub fn verifier(&self) -> Hash {
        Hash::of("fovea/net/invitation/v1", &[&self.secret])
    }

    /// Shows to who knows the verifier that the holder of the invitation brings `key`.
    pub fn proof(&self, key: &PublicKey) -> Hash {
        join_proof(self.verifier(), &self.site, key)
    }

    /// As one line of text.
    ///
    /// # Errors
    /// [`NetError::Wire`] for an address that is too long.
    pub fn to_text(&self) -> Result<String, NetError> {
        let bytes = fovea_wire::encode(KIND, self, BYTES_MAX)?;
        Ok(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// From text.
    ///
    /// # Errors
    /// [`NetError::Token`], [`NetError::Wire`].
    pub fn from_text(text: &str) -> Result<Self, NetError> {
        let text = text.trim();
        if text.len() > 2 * BYTES_MAX {
            return Err(NetError::Token("it is too long"));
        }
        let body = text.strip_prefix(PREFIX).ok_or(NetError::Token("it does not begin with `fovea-`"))?;
        let bytes =
            BASE64_URL_SAFE_NO_PAD.decode(body).map_err(|_| NetError::Token("it is cut or changed"))?;
        let token: Self = fovea_wire::decode(KIND, &bytes, BYTES_MAX)?;
        check_name(&token.site)?;
        Ok(token)
    }
}

/// A name of a site or federation: letters, digits, `-` and `_`, so that it can be a file's name and a label anywhere.
///
/// # Errors
/// [`NetError::State`] names the rule.
pub fn check_name(name: &str) -> Result<(), NetError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) || name.starts_with('-') {
        let rule = "letters, digits, - and _, beginning with none of the last but _, at most 64";
        return Err(NetError::State(format!("{name:?} cannot be a name: {rule}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;
    use fovea_secagg::identity::Identity;
    use fovea_secagg::secret::Secret;

    fn token() -> Token {
        let key = Identity::from_secret(&Secret::new([3; 32])).public();
        let (url, site) = ("https://jon.example:8443".to_owned(), "alice".to_owned());
        Token::draw(url, site, key, Some(Hash([4; 32])), &mut OsEntropy).unwrap()
    }

    #[test]
    fn an_invitation_survives_being_copied() {
        let token = token();
        let text = token.to_text().unwrap();
        assert!(text.len() < 240, "{} characters", text.len());
        assert_eq!(Token::from_text(&format!("  {text}\n")).unwrap(), token);
    }

    #[test]
    fn damaged_and_foreign_text_is_refused() {
        let text = token().to_text().unwrap();
        for wrong in ["", "fovea-", "hello", &text[..text.len() - 5], &text[1..], &format!("{text}AAAA")] {
            assert!(Token::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(Token::from_text(&format!("fovea-{}", "A".repeat(1 << 20))).is_err());
    }

    #[test]
    fn names_are_plain() {
        for good in ["alice", "St-Mary_2"] {
            assert!(check_name(good).is_ok());
        }
        for bad in ["", "a b", "../x", "ä", "-x", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
