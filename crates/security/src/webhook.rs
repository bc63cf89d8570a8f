//! Signatures of what webhooks are sent: the specification "Standard Webhooks" 1.0.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use release::Secret;

/// What secrets of the specification begin with.
const PREFIX: &str = "whsec_";

/// The value of the header `webhook-signature`, of a message of this id that is sent at this second.
/// A secret is `whsec_` and base 64, as the specification has it, or any other text.
pub fn sign(secret: &Secret, (id, at): (&str, i64), body: &[u8]) -> String {
    let text = secret.expose();
    let decoded = text.strip_prefix(PREFIX).and_then(|key| BASE64.decode(key).ok());
    let key = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64.encode(hmac::sign(&key, &signed)))
}

/// Whether `signature` is the HMAC-SHA256 of `body` in hexadecimal, as git forges sign what they send.
pub fn is_signed(secret: &Secret, body: &[u8], signature: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hex::decode(signature).is_ok_and(|signature| hmac::verify(&key, body, &signature).is_ok())
}

/// Whether `told` is the secret itself. How long that takes says nothing of it.
pub fn is_secret(secret: &Secret, told: &str) -> bool {
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    let (secret, told) = (hash(secret.expose()), hash(told));
    constant_time::verify_slices_are_equal(secret.as_ref(), told.as_ref()).is_ok()
}

#[cfg(test)]
mod tests;
