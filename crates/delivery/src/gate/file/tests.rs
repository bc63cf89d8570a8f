//! Which gates can be followed.

use super::*;

fn read(text: &str) -> GateFile {
    toml::from_str(text).unwrap()
}

#[test]
fn a_gate_is_called_after_its_kind_unless_it_has_a_name() {
    let gate = read("kind = \"approval\"");
    assert_eq!((gate.name(), gate.slots()), ("approval", &[][..]));
    let gate = read("kind = \"drill\"\nname = \"backups\"\nslots = [\"model\"]\nwithin_days = 7");
    assert_eq!((gate.name(), gate.slots()), ("backups", &[SlotName::MODEL][..]));
}

#[test]
fn gates_that_cannot_be_followed_are_named_with_the_reason() {
    for (text, key) in [
        ("kind = \"approval\"\nslots = [\"prompts\"]", "slots"),
        ("kind = \"approval\"\nname = \"\"", "name"),
        ("kind = \"approval\"\napprovals = 0", "approvals"),
        ("kind = \"approval\"\napprovals = 2\nfrom = [\"user:bob\"]", "approvals"),
        ("kind = \"approval\"\nexpires_hours = 0", "expires_hours"),
        ("kind = \"soak\"\nenvironment = \"staging\"\nhours = 0.0", "hours"),
        ("kind = \"window\"\nfrom = \"9\"", "from"),
        ("kind = \"budget\"\nper_request = -1.0\nin = \"staging\"", "per_request"),
        ("kind = \"budget\"\nper_request = 1.0\nin = \"staging\"\nhours = 0", "hours"),
        ("kind = \"drill\"\nwithin_days = 0", "within_days"),
        ("kind = \"scan\"\nchecks = []", "checks"),
        ("kind = \"scan\"\nkeep_hours = 0", "keep_hours"),
    ] {
        assert_eq!(read(text).check().unwrap_err().0, key, "{text}");
    }
    for text in [
        "kind = \"approval\"\napprovals = 2\nfrom = [\"user:bob\"]\nroles = [\"operator\"]",
        "kind = \"soak\"\nenvironment = \"staging\"\nhours = 0.5",
        "kind = \"scan\"",
    ] {
        assert_eq!(read(text).check(), Ok(()), "{text}");
    }
}
