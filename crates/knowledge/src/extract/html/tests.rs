//! What stands around the content is told from it.

use super::*;

fn text(page: &str) -> String {
    extract(page).unwrap().text
}

#[test]
fn roles_tell_what_is_not_content() {
    let page = "<div role=navigation>Home</div><div role=main><p>Content.</p><div role=search>Find</div></div><div role=contentinfo>Imprint</div>";
    assert_eq!(text(page), "Content.");
}

#[test]
fn banners_that_ask_for_consent_go_and_pages_about_cookies_stay() {
    let banner = "<body><div id=cookie-banner>We use cookies.</div><p>Content.</p>";
    assert_eq!(text(banner), "Content.");
    assert_eq!(text("<body><div class=gdpr-ok><p>Content.</p></div>"), "Content.");
    let page = format!("<body class=cookie-policy><p>{}</p>", "About cookies. ".repeat(300));
    assert!(text(&page).starts_with("About cookies."));
}

#[test]
fn menus_go_where_a_page_does_not_say_what_its_content_is() {
    let menu = "<ul><li><a href=1>Home</a><li><a href=2>Shop</a><li><a href=3>Help</a></ul>";
    assert_eq!(text(&format!("<body>{menu}<p>Content.</p>")), "Content.");
    let list = text(&format!("<body><main>{menu}</main>"));
    assert_eq!(list, "- Home\n- Shop\n- Help");
    let prose = "<ul><li>See <a href=1>this</a> for more about it<li>And <a href=2>that</a> too<li>Or <a href=3>those</a>, of course</ul>";
    assert!(text(prose).contains("for more"));
}

#[test]
fn of_several_articles_all_are_content() {
    assert_eq!(text("<article>One.</article><article>Two.</article>"), "One.\n\nTwo.");
    assert_eq!(
        text("<p>Around.</p><article><header>By Ada.</header>One.</article>"),
        "By Ada.One."
    );
}

#[test]
fn signs_that_link_to_a_heading_are_no_part_of_it() {
    let page = "<h1>Returns<a class=headerlink href=#r>¶</a></h1><p>Text.</p>";
    assert_eq!(extract(page).unwrap().headings[0].text, "Returns");
}

#[test]
fn a_page_tells_of_itself() {
    let page = "<html lang=de-CH><head><meta name=Author content=Ada><meta property='article:published_time' content='2026-01-02T03:04:05Z'><meta name=viewport content=x></head><body>Hallo";
    let told = extract(page).unwrap().metadata;
    let told: Vec<_> =
        told.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    assert_eq!(
        told,
        [("author", "Ada"), ("created", "2026-01-02T03:04:05Z"), ("language", "de-CH")]
    );
}
