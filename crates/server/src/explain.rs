//! The pages behind the stable error codes.

/// Code and page.
const PAGES: &[(&str, &str)] = &[
    ("GC0100", include_str!("../../../docs/errors/GC0100.md")),
    ("GC0101", include_str!("../../../docs/errors/GC0101.md")),
    ("GC0102", include_str!("../../../docs/errors/GC0102.md")),
    ("GC0103", include_str!("../../../docs/errors/GC0103.md")),
    ("GC0104", include_str!("../../../docs/errors/GC0104.md")),
    ("GC0105", include_str!("../../../docs/errors/GC0105.md")),
    ("GC0106", include_str!("../../../docs/errors/GC0106.md")),
    ("GC0107", include_str!("../../../docs/errors/GC0107.md")),
    ("GC0108", include_str!("../../../docs/errors/GC0108.md")),
    ("GC0109", include_str!("../../../docs/errors/GC0109.md")),
    ("GC0110", include_str!("../../../docs/errors/GC0110.md")),
    ("GC0111", include_str!("../../../docs/errors/GC0111.md")),
    ("GC0112", include_str!("../../../docs/errors/GC0112.md")),
    ("GC0113", include_str!("../../../docs/errors/GC0113.md")),
    ("GC0201", include_str!("../../../docs/errors/GC0201.md")),
    ("GC0202", include_str!("../../../docs/errors/GC0202.md")),
    ("GC0203", include_str!("../../../docs/errors/GC0203.md")),
    ("GC0204", include_str!("../../../docs/errors/GC0204.md")),
    ("GC0205", include_str!("../../../docs/errors/GC0205.md")),
    ("GC0206", include_str!("../../../docs/errors/GC0206.md")),
    ("GC0301", include_str!("../../../docs/errors/GC0301.md")),
    ("GC0302", include_str!("../../../docs/errors/GC0302.md")),
    ("GC0303", include_str!("../../../docs/errors/GC0303.md")),
    ("GC0304", include_str!("../../../docs/errors/GC0304.md")),
    ("GC0305", include_str!("../../../docs/errors/GC0305.md")),
    ("GC0306", include_str!("../../../docs/errors/GC0306.md")),
    ("GC0307", include_str!("../../../docs/errors/GC0307.md")),
    ("GC0308", include_str!("../../../docs/errors/GC0308.md")),
    ("GC0401", include_str!("../../../docs/errors/GC0401.md")),
    ("GC0403", include_str!("../../../docs/errors/GC0403.md")),
    ("GC0404", include_str!("../../../docs/errors/GC0404.md")),
    ("GC0409", include_str!("../../../docs/errors/GC0409.md")),
    ("GC0500", include_str!("../../../docs/errors/GC0500.md")),
    ("GC0503", include_str!("../../../docs/errors/GC0503.md")),
];

/// The page of a code, whatever its case.
pub fn page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, page)| *page)
}

/// Every code.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}
