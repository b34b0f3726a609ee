//! Addresses of the network: e-mail, URL, domain, IP, MAC; and IBAN and card tracks, which are read alike.

use std::net::Ipv6Addr;

use super::check;
use super::kind::Kind;
use super::scan::Scan;

/// Longest local part and domain, RFC 5321 4.5.3.1.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;
/// Longest URL kept as a span.
const URL: usize = 2_048;

/// Top-level domains by which a bare domain is told from a file name or an abbreviation: generic ones and countries without those that
/// are also file extensions or words (`md`, `rs`, `py`, `sh`, `in`, `is`, `so`, `no` …).
const TOP: &[&str] = &[
    "com", "org", "net", "edu", "gov", "mil", "info", "biz", "io", "co", "uk", "de", "fr", "it", "es", "nl", "be",
    "ch", "eu", "us", "ca", "au", "nz", "jp", "cn", "br", "mx", "ar", "pl", "cz", "hu", "se", "dk", "fi", "ie", "ru",
    "ua", "gr", "tr", "za", "ng", "ke", "kr", "sg", "hk", "tw", "dev", "app", "online", "site", "tech", "store",
    "shop", "health", "hospital", "clinic", "xyz", "me", "tv",
];

/// Bytes of a URL: what is no space, no sign that stands around URLs, and ASCII.
const IN_URL: [bool; 256] = {
    let mut inside = [false; 256];
    let mut byte = 0x21;
    while byte < 0x80 {
        inside[byte] = !matches!(byte as u8, b'"' | b'<' | b'>' | b'`' | b'|' | b'{' | b'}');
        byte += 1;
    }
    inside
};

/// The longest of [`TOP`].
const TOP_LENGTH: usize = 8;

/// A word of at most [`TOP_LENGTH`] bytes in lower case, as one number; 0, which is none, of a longer one.
const fn packed(word: &[u8]) -> u64 {
    let (mut value, mut at) = (0, 0);
    while at < word.len() && word.len() <= TOP_LENGTH {
        value = value << 8 | word[at].to_ascii_lowercase() as u64;
        at += 1;
    }
    value
}

/// [`TOP`] as numbers: it takes one look at each to know that most words after a dot are none.
const TOP_PACKED: [u64; TOP.len()] = {
    let (mut all, mut at) = ([0; TOP.len()], 0);
    while at < TOP.len() {
        assert!(!TOP[at].is_empty() && TOP[at].len() <= TOP_LENGTH);
        all[at] = packed(TOP[at].as_bytes());
        at += 1;
    }
    all
};

/// Whether a word in any case is one of [`TOP`].
fn is_top(word: &str) -> bool {
    let wanted = packed(word.as_bytes());
    TOP_PACKED.iter().fold(false, |found, top| found | (*top == wanted))
}

fn domain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || byte >= 0x80
}

impl Scan<'_> {
    /// An e-mail address around the `@` at `at` (RFC 5321, the part that occurs).
    pub(super) fn email(&mut self, at: usize) {
        let mut start = at;
        while start > 0 && at - start < LOCAL && {
            let byte = self.bytes[start - 1];
            byte.is_ascii_alphanumeric() || b".!#$%&*+/=?^_{|}~-".contains(&byte)
        } {
            start -= 1;
        }
        while start < at && !self.bytes[start].is_ascii_alphanumeric() && self.bytes[start] != b'_' {
            start += 1;
        }
        let mut end = at + 1;
        while end < self.bytes.len()
            && end - at < DOMAIN
            && (self.bytes[end].is_ascii_alphanumeric() || matches!(self.bytes[end], b'-' | b'.'))
        {
            end += 1;
        }
        while end > at + 1 && !self.bytes[end - 1].is_ascii_alphanumeric() {
            end -= 1;
        }
        let domain = &self.text[at + 1..end];
        let top = domain.rsplit('.').next().unwrap_or_default();
        let valid = domain.contains('.')
            && !domain.starts_with(['.', '-'])
            && !domain.contains("..")
            && (2..=24).contains(&top.len())
            && top.bytes().all(|byte| byte.is_ascii_alphabetic());
        if start < at && valid {
            self.add(Kind::Email, start..end, 0.97);
            self.done = self.done.max(end);
        }
    }

    /// A URL around the `://` at `at`.
    pub(super) fn url(&mut self, at: usize) {
        let mut start = at;
        while start > 0
            && at - start < 12
            && (self.bytes[start - 1].is_ascii_alphanumeric() || self.bytes[start - 1] == b'+')
        {
            start -= 1;
        }
        let end = self.url_end(at + 3);
        if start < at && end > at + 5 {
            self.add(Kind::Url, start..end, 0.9);
            self.done = self.done.max(end);
        }
    }

    fn url_end(&self, from: usize) -> usize {
        let mut end = from;
        while end < self.bytes.len() && end - from < URL && IN_URL[self.bytes[end] as usize] {
            end += 1;
        }
        while end > from
            && matches!(
                self.bytes[end - 1],
                b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b')' | b']'
            )
        {
            // A parenthesis that was opened inside belongs to the address.
            if self.bytes[end - 1] == b')' && self.bytes[from..end - 1].contains(&b'(') {
                break;
            }
            end -= 1;
        }
        end
    }

    /// A domain without scheme around the dot at `at`.
    pub(super) fn domain(&mut self, at: usize) {
        if self
            .found
            .last()
            .is_some_and(|last| last.span.contains(&at) && matches!(last.kind, Kind::Url | Kind::Email))
            || at < self.done
        {
            return;
        }
        let mut start = at;
        while start > 0 && at - start < DOMAIN && self.bytes[start - 1].is_ascii() && domain_byte(self.bytes[start - 1])
        {
            start -= 1;
        }
        let mut end = at + 1;
        while end < self.bytes.len() && end - at < DOMAIN && self.bytes[end].is_ascii() && domain_byte(self.bytes[end])
        {
            end += 1;
        }
        self.done = self.done.max(end);
        while end > at && !self.bytes[end - 1].is_ascii_alphanumeric() {
            end -= 1;
        }
        let host = &self.text[start..end];
        let web = host.len() > 8 && host.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("www."));
        let top = host.rsplit('.').next().unwrap_or_default();
        let clean = !host.contains("..")
            && !host.starts_with(['.', '-'])
            && host.bytes().any(|byte| byte.is_ascii_alphabetic());
        let before = self.byte(start.wrapping_sub(1));
        if !clean
            || !is_top(top)
            || matches!(before, b'@' | b'/' | b'\\' | b'_' | b'$')
            || self.byte(end) == b'('
            || self.byte(end) == b'@'
        {
            return;
        }
        let first = host.split('.').next().unwrap_or_default();
        let end = if self.byte(end) == b'/' { self.url_end(end) } else { end };
        let confidence = match top.to_ascii_lowercase().as_str() {
            _ if web => 0.9,
            "com" | "org" | "net" | "edu" | "gov" if first.len() > 1 => 0.75,
            _ if first.len() > 2 && host.len() > 6 && self.byte(end) != b'.' => 0.6,
            _ => 0.2,
        };
        self.add(Kind::Url, start..end, confidence);
    }

    /// IPv4, IPv6 and MAC addresses. `true`: it is one.
    pub(super) fn internet(&mut self, start: usize, end: usize) -> bool {
        let chunk = &self.text[start..end];
        let (mut dots, mut colons, mut dashes, mut other) = (0, 0, 0, 0);
        for byte in chunk.bytes() {
            match byte {
                b'.' => dots += 1,
                b':' => colons += 1,
                b'-' => dashes += 1,
                _ if !byte.is_ascii_hexdigit() => other += 1,
                _ => {}
            }
        }
        if dots == 3 && other == 0 && dashes == 0 {
            let host = chunk.split(':').next().unwrap_or_default();
            let parts: Vec<Option<u32>> = host
                .split('.')
                .map(|part| part.parse().ok().filter(|value| *value <= 255 && part.len() <= 3))
                .collect();
            let four: Option<Vec<u32>> = parts.into_iter().collect();
            if let Some([a, b, c, d]) = four.as_deref() {
                let before = &self.bytes[..start];
                let word = self
                    .word_before(start)
                    .map(|word| self.text[word].to_ascii_lowercase())
                    .unwrap_or_default();
                let version = before.last().is_some_and(|byte| matches!(byte, b'v' | b'V' | b'='))
                    && a + b + c + d < 64
                    || matches!(word.as_str(), "version" | "v" | "release" | "ver");
                // Loopback, unspecified, broadcast and masks identify nobody.
                let nobody = *a == 127 || *a == 0 || *a == 255;
                let confidence = if version || nobody {
                    0.1
                } else if *a < 10 && *b < 10 && *c < 10 && *d < 10 {
                    0.5
                } else {
                    0.95
                };
                self.add(Kind::Ip, start..start + host.len(), confidence);
                return true;
            }
        }
        if (colons == 5 || dashes == 5) && colons + dashes == 5 && chunk.len() == 17 && other == 0 {
            let separator = if colons == 5 { ':' } else { '-' };
            if chunk.split(separator).all(|pair| pair.len() == 2)
                && chunk.bytes().any(|byte| !matches!(byte, b'0' | b':' | b'-'))
            {
                self.add(Kind::Mac, start..end, 0.9);
                return true;
            }
        }
        // A colon beside the chunk: "::1", "fe80::1", and full addresses.
        if colons >= 2 || self.byte(end) == b':' || start > 1 && self.bytes[start - 1] == b':' {
            let hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            let (mut from, mut to) = (start, end);
            while from > 0 && start - from < 45 && hex(self.bytes[from - 1]) {
                from -= 1;
            }
            while to < self.bytes.len() && to - end < 45 && (hex(self.bytes[to]) || self.bytes[to] == b'.') {
                to += 1;
            }
            let address = self.text[from..to].trim_end_matches(['.', ':']);
            let free =
                !self.byte(to).is_ascii_alphanumeric() && (from == 0 || !self.bytes[from - 1].is_ascii_alphanumeric());
            if free
                && address.len() >= 6
                && address.bytes().filter(|byte| *byte == b':').count() >= 3
                && address.parse::<Ipv6Addr>().is_ok()
            {
                let to = from + address.len();
                self.add(Kind::Ip, from..to, 0.9);
                self.done = self.done.max(to);
                return true;
            }
        }
        false
    }

    /// Where an IBAN that begins with the chunk ends: in one piece or in fours with spaces.
    pub(super) fn iban_end(&self, start: usize, end: usize) -> Option<usize> {
        let country = self.text.get(start..start + 2)?.to_ascii_uppercase();
        let length = check::iban_length(country.as_bytes())?;
        let mut number = Vec::with_capacity(length);
        let mut at = start;
        while at < self.bytes.len() && number.len() < length && at - start < 2 * length {
            match self.bytes[at] {
                byte if byte.is_ascii_alphanumeric() => number.push(byte.to_ascii_uppercase()),
                b' ' | b'-' if at < end || number.len().is_multiple_of(4) => {}
                _ => return None,
            }
            at += 1;
        }
        (check::iban(&number) && !self.byte(at).is_ascii_alphanumeric()).then_some(at)
    }

    /// Track 1 or 2 of a card (ISO/IEC 7813): `%B<pan>^<name>^<date>…` or `;<pan>=<date>…`.
    pub(super) fn track(&mut self, start: usize, end: usize) {
        let digits = self.bytes[start..end]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let from = end - digits;
        let before = self.byte(from.wrapping_sub(1));
        let number = &self.bytes[from..end];
        if check::pan(number).is_none() {
            return;
        }
        let rest = &self.bytes[end..self.bytes.len().min(end + 80)];
        let date = |at: usize| {
            rest.get(at..at + 7)
                .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
        };
        let after = |from: usize, good: fn(u8) -> bool| rest[from..].iter().take_while(|byte| good(**byte)).count();
        if rest.first() == Some(&b'=') && date(1) {
            let tail = 1 + after(1, |byte| byte.is_ascii_digit());
            let mark = usize::from(rest.get(tail) == Some(&b'?'));
            let open = usize::from(before == b';');
            self.add(Kind::Track, from - open..end + tail + mark, 0.97);
        } else if rest.first() == Some(&b'^') && matches!(before, b'B' | b'b') {
            let name = after(1, |byte| matches!(byte, b' '..=b']'));
            if rest.get(1 + name) == Some(&b'^') && date(2 + name) {
                let tail = 2 + name + after(2 + name, |byte| byte.is_ascii_digit());
                let mark = usize::from(rest.get(tail) == Some(&b'?'));
                let open = 1 + usize::from(self.byte(from.wrapping_sub(2)) == b'%');
                self.add(Kind::Track, from - open..end + tail + mark, 0.97);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_domains_are_told_in_any_case() {
        assert!(TOP.iter().all(|top| is_top(top) && is_top(&top.to_ascii_uppercase())));
        for word in [
            "",
            "rs",
            "comm",
            "com\0",
            "hospitals",
            "xhospital",
            "aaaaaaaaaaaacom",
            "ÿÿÿÿ",
        ] {
            assert!(!is_top(word), "{word}");
        }
    }
}
