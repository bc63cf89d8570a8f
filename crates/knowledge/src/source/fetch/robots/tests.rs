use super::*;

fn allows(text: &str, path: &str) -> bool {
    Robots::read(text).allows(&format!("https://example.com{path}").parse().unwrap())
}

#[test]
fn the_longest_rule_decides_and_an_equally_long_one_that_allows_wins() {
    let text = "User-agent: *\nDisallow: /\nAllow: /docs\nDisallow: /docs/private\n";
    assert!(!allows(text, "/other") && allows(text, "/docs/a") && !allows(text, "/docs/private/a"));
    let tie = "user-agent: *\ndisallow: /a\nallow: /a\n";
    assert!(allows(tie, "/a"));
    assert!(allows("User-agent: *\nDisallow:\n", "/anything"));
    assert!(allows("", "/anything"));
}

#[test]
fn our_own_groups_count_together_and_alone() {
    let text = "User-agent: *\nDisallow: /\n\nUser-Agent: other\nUser-agent: GroundCrew\n\
        Disallow: /a\nSitemap: https://example.com/s.xml\n\nUser-agent: groundcrew # again\n\
        Disallow: /b\nCrawl-delay: 2.5\n";
    assert!(!allows(text, "/a") && !allows(text, "/b") && allows(text, "/c"));
    assert_eq!(Robots::read(text).delay, Some(Duration::from_millis(2_500)));
    // A group of ours without a rule forbids nothing.
    assert!(allows("User-agent: groundcrew\nDisallow:\n\nUser-agent: *\nDisallow: /\n", "/a"));
}

#[test]
fn wildcards_and_ends_are_understood() {
    let text = "User-agent: *\nDisallow: /*.pdf$\nDisallow: /a*b*c\nDisallow: /*?session=\n";
    assert!(!allows(text, "/x/y.pdf") && allows(text, "/x/y.pdf?download"));
    assert!(!allows(text, "/aXbYcZ") && allows(text, "/aXcYb"));
    assert!(!allows(text, "/page?session=1") && allows(text, "/page?other=1"));
    assert!(
        !allows("User-agent: *\nDisallow: /x$\n", "/x")
            && allows("User-agent: *\nDisallow: /x$\n", "/xy")
    );
}

#[test]
fn escapes_are_compared_by_what_they_stand_for() {
    let text = "User-agent: *\nDisallow: /caf%C3%A9\nDisallow: /%61b\nDisallow: /c%2fd\n";
    assert!(!allows(text, "/café/menu") && !allows(text, "/ab") && !allows(text, "/c%2Fd"));
    assert!(allows(text, "/c/d"));
}

#[test]
fn delays_that_nobody_means_are_left_out() {
    for delay in ["-1", "NaN", "inf", "99999", "soon"] {
        let text = format!("User-agent: *\nCrawl-delay: {delay}\n");
        assert_eq!(Robots::read(&text).delay, None, "{delay}");
    }
}
