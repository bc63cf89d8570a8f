use super::*;

fn found(entity: Entity, text: &str) -> Vec<&str> {
    let scan = entity.scan(text, 0, End::Complete, 100);
    scan.matches.into_iter().map(|span| &text[span]).collect()
}

fn all_found(entity: Entity, texts: &[&str]) {
    for text in texts {
        let sentence = format!("see {text}, thanks");
        assert_eq!(found(entity, &sentence), [*text], "{entity:?}");
        assert_eq!(found(entity, text), [*text], "{entity:?} alone");
    }
}

fn none_found(entity: Entity, texts: &[&str]) {
    for text in texts {
        assert_eq!(found(entity, text), [""; 0], "{entity:?} in {text:?}");
    }
}

#[test]
fn credit_cards_of_the_schemes_are_found_by_their_checksum() {
    all_found(
        Entity::CreditCard,
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "5555-5555-5555-4444",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "2223003122003222",
            "30569309025904",
            "4222222222222",
        ],
    );
    none_found(
        Entity::CreditCard,
        &[
            "4111 1111 1111 1112",
            "0000 0000 0000 0000",
            "x4111111111111111",
            "41111111111111111111",
            "4111  1111  1111  1111",
            "order 1234567890123",
        ],
    );
    let after_a_number = "order 1234 4111 1111 1111 1111.";
    assert_eq!(found(Entity::CreditCard, after_a_number), ["4111 1111 1111 1111"]);
}

#[test]
fn ibans_are_found_by_length_and_checksum() {
    all_found(
        Entity::Iban,
        &[
            "DE89 3704 0044 0532 0130 00",
            "GB82WEST12345698765432",
            "fr14 2004 1010 0505 0001 3m02 606",
            "NO93 8601 1117 947",
            "MT84MALT011000012345MTLCAST001S",
        ],
    );
    none_found(
        Entity::Iban,
        &["DE89 3704 0044 0532 0130 01", "DE89 3704 0044 0532 0130", "ZZ89370400440532013000"],
    );
}

#[test]
fn addresses_and_numbers_of_people_are_found_by_their_form() {
    all_found(Entity::Email, &["ada@example.com", "a.b+c@mail.example.co.uk", "x_1%y@e-x.org"]);
    assert_eq!(found(Entity::Email, "Write to ada@example.com."), ["ada@example.com"]);
    none_found(
        Entity::Email,
        &["ada@example", "@example.com", "ada@.com", "ada@example.c", "a@b..com", "a@1.2.3.4"],
    );
    all_found(
        Entity::Phone,
        &[
            "+442079460958",
            "+44 20 7946 0958",
            "+1 (555) 234-5678",
            "(555) 234-5678",
            "555-234-5678",
        ],
    );
    none_found(
        Entity::Phone,
        &["+1234567", "+1234567890123456", "+0442079460958", "155-234-5678", "1-555-234-56789"],
    );
    all_found(Entity::UsSsn, &["219-09-9999", "219 09 9999"]);
    none_found(
        Entity::UsSsn,
        &["000-09-9999", "666-09-9999", "900-09-9999", "219-00-9999", "219-09-0000", "219-09 9999"],
    );
    all_found(Entity::Ipv4, &["192.168.0.1", "8.8.8.8", "255.255.255.255"]);
    none_found(Entity::Ipv4, &["256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "v1.2.3.4"]);
    assert_eq!(found(Entity::Ipv4, "It is 10.0.0.1."), ["10.0.0.1"]);
}

#[test]
fn keys_are_found_by_their_form() {
    let own = format!("gc_0123456789abcdef.{}", "x".repeat(43));
    let github = format!("ghp_{}", "a1".repeat(18));
    let anthropic = format!("sk-ant-api03-{}", "a1".repeat(20));
    all_found(
        Entity::Secret,
        &[
            &own,
            &github,
            &anthropic,
            "AKIAIOSFODNN7EXAMPLE",
            "xoxb-123456789012-abcdefghij",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
            "-----BEGIN RSA PRIVATE KEY-----",
        ],
    );
    none_found(
        Entity::Secret,
        &["sk-short", "gc_abc", "AKIAIOSFODNN7EXAMPLE0", "task-abcdefghijklmnopqrstuvwx", "eyJ"],
    );
}

#[test]
fn an_open_end_is_waited_for_only_while_an_entity_may_be_going_on() {
    let resume = |entity: Entity, text: &str| entity.scan(text, 0, End::Open, 100).resume;
    assert_eq!(resume(Entity::CreditCard, "pay 4111 1111 "), 4);
    assert_eq!(resume(Entity::CreditCard, "pay 4111 1111 x"), 15);
    assert_eq!(resume(Entity::Email, "write ad"), 6);
    assert_eq!(resume(Entity::Email, "write ad "), 9);
    assert_eq!(resume(Entity::Secret, "the s"), 4);
    assert_eq!(resume(Entity::Secret, "the so"), 6);
}
