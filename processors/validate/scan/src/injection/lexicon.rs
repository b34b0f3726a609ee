//! Word classes the dense features count. One look-up a word.

use super::features::word_hash;

/// Orders that cancel earlier orders, in the languages the rules cover.
pub const OVERRIDE: u16 = 1;
/// Task verbs as they open a request.
pub const TASK: u16 = 1 << 1;
/// Second person.
pub const SECOND: u16 = 1 << 2;
/// First person.
pub const FIRST: u16 = 1 << 3;
/// What an attack on a model talks about: the model and its orders.
pub const AUTHORITY: u16 = 1 << 4;
/// Things kept secret.
pub const SECRET: u16 = 1 << 5;
/// Words of manuals and papers.
pub const MANUAL: u16 = 1 << 6;
/// Must, never, always.
pub const MODAL: u16 = 1 << 7;
/// Playing a part.
pub const PERSONA: u16 = 1 << 8;
/// Question words.
pub const QUESTION: u16 = 1 << 9;
/// Freedom from rules.
pub const FREEDOM: u16 = 1 << 10;
/// Words about attacks as a subject: papers and manuals have them, attacks seldom do.
pub const SUBJECT: u16 = 1 << 11;

/// What models are not to help with.
pub const HARM: u16 = 1 << 13;
/// What a model gives back.
pub const ANSWER: u16 = 1 << 12;

const LISTS: &[(u16, &str)] = &[
    (
        OVERRIDE,
        "ignore ignoring disregard forget override bypass overrule dismiss discard cease stop vergiss vergesse vergessen \
         ignoriere ignorieren ignorier missachte olvida olvide olvidar olvídate ignora ignorar ignore ignorez oublie oubliez \
         oublier dimentica dimenticare ignorare scorda esqueça esquece esquecer desconsidere negeer vergeet zignoruj \
         zapomnij pomiń игнорируй игнорируйте игнорировать забудь забудьте ігноруй забудь görmezden unut ignorera glöm \
         abaikan lupakan ignorați zaborav zaboravi ignoruj ignoruj zapomeň zapomeňte अनदेखा अनदेखी تجاهل انس نادیده αγνόησε ξέχασε",
    ),
    (
        TASK,
        "write tell explain generate give list create describe show print say repeat output translate summarize summarise \
         answer reveal provide compose draft make find calculate compute discuss name help send open click visit add insert \
         append include respond reply convert replace state decode spell continue complete rewrite design suggest compare \
         break solve recommend mention embed modify share output merge alter adjust integrate incorporate classify categorize categorise \
         identify formulate sort rank estimate convince persuade inform notify remind draft outline analyze analyse evaluate \
         shuffle scramble jumble swap substitute remove drop mix adapt enhance augment render phrase modify shape insert inject \
         craft devise invent teach demonstrate illustrate brainstorm paraphrase recite simulate roleplay elaborate \
         act pretend imagine encode encrypt disregard ignore forget group reverse rephrase paraphrase promote advertise schreibe schreib erzähle sag sage gib nenne zeige erkläre \
         escribe escriba dime diga muestra genera écris dis montre donne scrivi dimmi mostra escreva diga mostre schrijf \
         vertel napisz powiedz pokaż напиши напишите скажи скажите покажи skriv berätta yaz söyle tulis katakan",
    ),
    (
        SECOND,
        "you your yours yourself du dein deine deinen deiner dir dich tu tus tú te vous votre vos toi ton ta você seu sua tuo tua je jouw ты вы твой ваш твои ваши twój twoje twoja",
    ),
    (
        FIRST,
        "i me my mine we our us ich mein meine mir mich wir yo mi mis me moi mon ma mes eu meu minha io mio mia ik mijn я мой мне мы",
    ),
    (
        AUTHORITY,
        "system prompt prompts instruction instructions directive directives developer developers admin administrator \
         assistant chatgpt gpt openai llm ai chatbot model guidelines policy policies rules safety filter filters programming \
         programmed context conversation preceding previous prior anweisungen anweisung instruktionen befehle aufgaben \
         vorgaben instrucciones órdenes consignes instructions istruzioni instruções instructies instrukcje polecenia \
         инструкции инструкций указания указаний",
    ),
    (
        SECRET,
        "password passwords passphrase passcode secret secrets key credentials token passwort kennwort geheimnis contraseña clave \
         secreto mot passe segreto senha segredo wachtwoord geheim hasło tajne sekret пароль секрет ключ parola şifre lösenord heslo \
         jelszó parool salasana adgangskode",
    ),
    (
        MANUAL,
        "install installation configuration configure config documentation docs section figure table version release api \
         function functions method class parameter parameters default optional usage example examples module package library \
         dependency dependencies repository license support supports supported file files directory command option options \
         value values type types test tests build code returns implementation interface feature features run running see",
    ),
    (
        MODAL,
        "must never always cannot only shall should immer nie niemals nur muss musst siempre nunca solo toujours jamais sempre mai nooit altijd никогда всегда только",
    ),
    (
        PERSONA,
        "act acting pretend pretending role roleplay character persona imagine imagining simulate simulating hypothetical \
         hypothetically fictional fiction scenario story immerse game play stay called named mode dan aim evil",
    ),
    (
        QUESTION,
        "what who whom whose where when why how which can could would is are do does was wie wer wo wann warum qué quién quel quelle chi cosa que quem wat wie co kto что кто где",
    ),
    (
        FREEDOM,
        "unfiltered uncensored unrestricted unlimited jailbreak jailbroken amoral immoral illegal unethical restrictions \
         limitations limits censorship bound confines freedom disclaimer disclaimers warnings refuse refusal moral ethics \
         ethical consequences harmful offensive",
    ),
    (
        SUBJECT,
        "attack attacks attacker attackers adversarial vulnerability vulnerabilities detection detector detectors classifier \
         dataset datasets benchmark evaluation mitigation mitigations defense defence threat threats paper probe probes \
         probing scanner taxonomy researchers injection injections false positives risk risks",
    ),
    (
        HARM,
        "weapon weapons bomb bombs explosive explosives gun guns ammunition poison poisons poisonous toxic murder kill killing killed \
         suicide suicidal torture violence violent assault rape sexual sexually explicit porn pornography nude erotic drug drugs meth \
         methamphetamine cocaine heroin fentanyl steal stealing stolen theft rob robbery burglary fraud fraudulent scam scams scheme \
         launder laundering counterfeit forge forged blackmail extort extortion bribe bribery hack hacking hacker malware ransomware \
         virus phishing exploit keylogger ddos piracy pirated torrent hate hateful racist racism sexist sexism antisemitic nazi holocaust \
         genocide terrorist terrorism extremist propaganda misinformation disinformation conspiracy defame defamation defamatory slander libel \
         stalk stalking harass harassment bully bullying cyberbullying discriminate discrimination discriminatory threaten threatening \
         blackmailing plagiarism cheat cheating illegally unlawful criminal crime anorexia deceive deceptive manipulate manipulative \
         kidnap kidnapping trafficking cannibalism arson sabotage ponzi bioweapon evasion evade smuggle smuggling pedophile \
         slurs insults humiliate mock obese hoax hitler \
         evading undetected detection avoid illicit unauthorized unauthorised untraceable counterfeiting smuggling tamper tampering disable \
         bypassing exploitative underage minors predator predators grooming intoxicated overdose addictive dealer dealers laundered \
         embezzle embezzling insider swindle deceiving impersonate impersonating fake faking forgery forging spyware trojan botnet crack \
         cracked unlicensed skimming cloned cloning lynch incite inciting riot coup rig rigged rigging sway voters vigilante revenge \
         mutilate starve starving self-harm gore gory seduce erotica explicit intimate nudes affair inferior superior immigrants \
         stereotypes supremacy eugenics sterilization loophole loopholes sensitive confidential victims victim",
    ),
    (
        ANSWER,
        "answer answers response responses reply replies output outputs summary completion message text writing review translation \
         antwort antworten ausgabe réponse réponses respuesta respuestas risposta resposta antwoord odpowiedź odpowiedzi ответ ответе \
         ответы svar cevap cevabı jawaban",
    ),
];

const SLOTS: usize = 4096;

/// Word hash to classes, open addressing, built once at load.
pub struct Lexicon {
    keys: Vec<u64>,
    classes: Vec<u16>,
}

impl Default for Lexicon {
    fn default() -> Self {
        Self::new()
    }
}

impl Lexicon {
    /// The built-in lists.
    pub fn new() -> Self {
        let mut lexicon = Self {
            keys: vec![0; SLOTS],
            classes: vec![0; SLOTS],
        };
        for (class, words) in LISTS {
            for word in words.split_whitespace() {
                lexicon.add(word_hash(word), *class);
            }
        }
        lexicon
    }

    fn add(&mut self, hash: u64, class: u16) {
        let mut slot = (hash >> 52) as usize;
        // The lists hold fewer than half as many words as there are slots (tested), so a free one comes.
        while self.classes[slot] != 0 && self.keys[slot] != hash {
            slot = (slot + 1) % SLOTS;
        }
        self.keys[slot] = hash;
        self.classes[slot] |= class;
    }

    /// The classes of a word, 0 for none.
    #[inline]
    pub fn classes(&self, hash: u64) -> u16 {
        let mut slot = (hash >> 52) as usize;
        loop {
            let classes = self.classes[slot];
            if classes == 0 || self.keys[slot] == hash {
                return classes;
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_slots_stay_free() {
        let used = Lexicon::new().classes.iter().filter(|class| **class != 0).count();
        assert!((400..SLOTS / 2).contains(&used), "{used}");
    }

    #[test]
    fn a_word_has_the_classes_of_all_lists() {
        let lexicon = Lexicon::new();
        assert_eq!(lexicon.classes(word_hash("ignore")), OVERRIDE | TASK);
        assert_eq!(lexicon.classes(word_hash("только")), MODAL);
        assert_eq!(lexicon.classes(word_hash("walrus")), 0);
    }
}
