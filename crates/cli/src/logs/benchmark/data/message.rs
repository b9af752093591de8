//! Templates of messages, and what takes the place of their variables.
use super::{
    super::random::Random,
    services::{NAMES, NOUNS},
};
use std::io::Write;

/// Addresses of one service.
const ADDRESSES: usize = 2_000;
/// Hosts of one service.
const HOSTS: usize = 40;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(&'static str),
    Variable(Variable),
}

/// What differs from record to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Address,
    Host,
    Port,
    Uuid,
    /// Lower case hexadecimal digits, so many.
    Hex(usize),
    /// 20 digits: too many for the number of a payment card.
    Long,
    Seven,
    Id,
    Size,
    Count,
    Digit,
    Milliseconds,
    Money,
    User,
    Name,
    Noun,
}

const VARIABLES: &[(&str, Variable)] = &[
    ("ip", Variable::Address),
    ("host", Variable::Host),
    ("port", Variable::Port),
    ("uuid", Variable::Uuid),
    ("hex8", Variable::Hex(8)),
    ("hex12", Variable::Hex(12)),
    ("long", Variable::Long),
    ("seven", Variable::Seven),
    ("id", Variable::Id),
    ("size", Variable::Size),
    ("count", Variable::Count),
    ("digit", Variable::Digit),
    ("ms", Variable::Milliseconds),
    ("money", Variable::Money),
    ("user", Variable::User),
    ("name", Variable::Name),
    ("noun", Variable::Noun),
];

/// A message with gaps.
#[derive(Clone, Debug)]
pub struct Template(Vec<Part>);

/// What a service's variables are drawn from.
pub struct Pools {
    addresses: Vec<String>,
    hosts: Vec<String>,
}

impl Pools {
    /// Addresses and hosts of a service.
    pub fn new(service: &str, random: &mut Random) -> Pools {
        let mut octet = || random.below(256);
        let addresses = (0..ADDRESSES)
            .map(|_| format!("10.{}.{}.{}", octet(), octet(), octet()))
            .collect();
        let hosts = (0..HOSTS)
            .map(|index| format!("{service}-{index:02}.cluster.local"))
            .collect();
        Pools { addresses, hosts }
    }
}

impl Template {
    /// Reads a template; a name in `<…>` that is no variable is text.
    pub fn new(text: &'static str) -> Template {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            let name = rest[start + 1..].split('>').next().unwrap_or_default();
            let known = VARIABLES.iter().find(|(have, _)| *have == name);
            let Some((_, variable)) = known else { break };
            if start > 0 {
                parts.push(Part::Text(&rest[..start]));
            }
            parts.push(Part::Variable(*variable));
            rest = &rest[start + name.len() + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest));
        }
        Template(parts)
    }

    /// Appends a message. `user` is that of the record.
    pub fn write(&self, out: &mut Vec<u8>, pools: &Pools, user: &str, random: &mut Random) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) => variable.write(out, pools, user, random),
            }
        }
    }
}

impl Variable {
    fn write(self, out: &mut Vec<u8>, pools: &Pools, user: &str, random: &mut Random) {
        let mut text = |text: &str| out.extend_from_slice(text.as_bytes());
        match self {
            Variable::Address => text(&pools.addresses[random.skewed(ADDRESSES)]),
            Variable::Host => text(&pools.hosts[random.skewed(HOSTS)]),
            Variable::User => text(user),
            Variable::Name => text(NAMES[random.skewed(NAMES.len())]),
            Variable::Noun => text(NOUNS[random.skewed(NOUNS.len())]),
            Variable::Port => write_number(out, 1_024 + random.below(64_512)),
            Variable::Seven => write_number(out, 1_000_000 + random.below(9_000_000)),
            Variable::Id => write_number(out, random.below(100_000)),
            Variable::Size => write_number(out, size(random)),
            Variable::Count => write_number(out, random.below(400)),
            Variable::Digit => write_number(out, random.below(10)),
            Variable::Milliseconds => write_number(out, (random.wait() * 40.0) as u64),
            Variable::Long => {
                write_number(out, 1_000_000_000 + random.below(9_000_000_000));
                write_number(out, 1_000_000_000 + random.below(9_000_000_000));
            }
            Variable::Hex(digits) => write_hex(out, digits, random),
            // Writing to memory cannot fail.
            Variable::Uuid => drop(write!(out, "{}", random.uuid())),
            Variable::Money => {
                let cents = random.below(40_000);
                drop(write!(out, "{}.{:02}", cents / 100, cents % 100));
            }
        }
    }
}

/// Sizes are small mostly, and large now and then.
fn size(random: &mut Random) -> u64 {
    let share = random.share();
    (share * share * share * 9_000_000.0) as u64
}

fn write_hex(out: &mut Vec<u8>, digits: usize, random: &mut Random) {
    let mut bits = random.next();
    for _ in 0..digits {
        out.push(b"0123456789abcdef"[(bits & 15) as usize]);
        bits >>= 4;
    }
}

/// Appends a number.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    // Digits from the last to the first; 20 are enough for 64 bits.
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::{super::services::SERVICES, *};

    fn message(template: &'static str) -> String {
        let mut random = Random::new(1);
        let pools = Pools::new("s", &mut random);
        let mut out = Vec::new();
        Template::new(template).write(&mut out, &pools, "user-0001", &mut random);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_template_is_without_unknown_variables() {
        for service in SERVICES {
            for template in service.messages {
                let message = message(template);
                assert!(!message.contains(['<', '>', '"', '\\']), "{message}");
            }
        }
    }

    #[test]
    fn text_and_variables_alternate() {
        assert_eq!(message("a <user> b"), "a user-0001 b");
        assert_eq!(message("no <such> name"), "no <such> name");
        assert_eq!(message("<hex8>").len(), 8);
        assert_eq!(message("<long>").len(), 20);
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
