//! The example of the specification.

use super::*;

#[test]
fn the_specifications_example_is_signed_alike() {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let body = br#"{"test": 2432232314}"#;
    let signature = sign(&secret, ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330), body);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn any_other_text_is_a_secret_too() {
    let sign = |secret: &str, body: &[u8]| sign(&Secret::new(secret), ("a", 1), body);
    assert_ne!(sign("one", b"{}"), sign("two", b"{}"));
    assert_ne!(sign("one", b"{}"), sign("one", b"[]"));
}
