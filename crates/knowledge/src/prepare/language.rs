//! Which language a text is in.

/// How many bytes of a text tell its language.
const SAMPLE: usize = 8 << 10;

/// The codes that the recogniser gives (ISO 639-3), and what they are in ISO 639-1.
const CODES: &str = "epo eo eng en rus ru cmn zh spa es por pt ita it ben bn fra fr deu de ukr uk \
    kat ka ara ar hin hi jpn ja heb he yid yi pol pl amh am jav jv kor ko nob nb dan da swe sv \
    fin fi tur tr nld nl hun hu ces cs ell el bul bg bel be mar mr kan kn ron ro slv sl hrv hr \
    srp sr mkd mk lit lt lav lv est et tam ta vie vi urd ur tha th guj gu uzb uz pan pa aze az \
    ind id tel te pes fa mal ml ori or mya my nep ne sin si khm km tuk tk aka ak zul zu sna sn \
    afr af lat la slk sk cat ca tgl tl hye hy cym cy";

/// The language of `text`: as recognised, if that is certain, else as it says itself.
pub fn of(text: &str, declared: Option<&str>) -> Option<String> {
    let sample = &text[..text.floor_char_boundary(SAMPLE)];
    let certain = whatlang::detect(sample).filter(whatlang::Info::is_reliable);
    let known = certain.and_then(|found| {
        let mut codes = CODES.split_whitespace().skip_while(|code| *code != found.lang().code());
        codes.nth(1)
    });
    let declared = declared.and_then(|told| told.split(['-', '_']).next());
    let declared = declared.filter(|told| matches!(told.len(), 2 | 3));
    known.or(declared).map(str::to_ascii_lowercase)
}
