use super::stem;

/// Words and their stems by `nltk` 3.9 in its own mode.
const STEMS: &str = "caresses caress;ponies poni;ties tie;dies die;flies fli;skies sky;caress caress;\
cats cat;feed feed;agreed agre;plastered plaster;bled bled;motoring motor;sing sing;\
conflated conflat;troubled troubl;sized size;hopping hop;tanned tan;falling fall;hissing hiss;\
fizzed fizz;failing fail;filing file;happy happi;sky sky;enjoy enjoy;enjoyment enjoy;spied spi;\
relational relat;conditional condit;rational ration;valenci valenc;hesitanci hesit;\
digitizer digit;conformabli conform;radically radic;differently differ;vilely vile;\
analogously analog;vietnamization vietnam;predication predic;operator oper;feudalism feudal;\
decisiveness decis;hopefulness hope;callousness callous;formality formal;sensitivity sensit;\
sensibility sensibl;triplicate triplic;formative form;formalize formal;electricity electr;\
electrical electr;hopeful hope;goodness good;revival reviv;allowance allow;inference infer;\
airliner airlin;gyroscopic gyroscop;adjustable adjust;defensible defens;irritant irrit;\
replacement replac;adjustment adjust;dependent depend;adoption adopt;homologous homolog;\
communism commun;activate activ;angularity angular;effective effect;bowdlerize bowdler;\
probate probat;rate rate;cease ceas;controlling control;roll roll;dying die;lying lie;tying tie;\
news news;innings inning;outing outing;outings outing;canning canning;howe howe;proceed proceed;\
exceed exceed;succeed succeed;apology apolog;biologist biologist;archaeology archaeolog;\
fully fulli;usefully use;fulli fulli;yyyy yyyi;sayings say;day day;says say;possibly possibl;\
universities univers;geologi geolog;agreement agreement;owed owe;thing thing;skis ski;4th 4th;\
covid19 covid19;abc123s abc123;abilities abil;ability abil";

#[test]
fn words_have_the_stems_that_the_reference_gives_them() {
    for pair in STEMS.split(';') {
        let (word, wanted) = pair.split_once(' ').unwrap();
        assert_eq!(stem(word), wanted, "of `{word}`");
    }
}

proptest::proptest! {
    #[test]
    fn a_stem_is_never_longer_than_its_word_by_more_than_an_e(word in "[a-z0-9]{0,20}") {
        assert!(stem(&word).len() <= word.len() + 1);
    }
}
