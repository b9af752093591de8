//! Records of the kernels: machine logs and prose, always the same.

/// A record of machine logs in each line.
pub fn machine(rows: u64) -> Vec<u8> {
    let mut numbers = Numbers(1);
    let mut lines = String::new();
    for row in 0..rows {
        let (level, user, status) = match numbers.below(100) {
            0..20 => ("debug", numbers.below(200), 200),
            20..90 => ("info", numbers.below(20), 204),
            90..97 => ("warn", numbers.below(200), 404),
            _ => ("error", numbers.below(200), 503),
        };
        let message = match numbers.below(4) {
            0 => format!(
                "Stored chunk chk_{} of length {} sent by /10.0.{}.{}",
                numbers.next(),
                1_000_000 + numbers.below(9_000_000),
                numbers.below(8),
                numbers.below(256)
            ),
            1 => format!(
                "Forwarded request from host-{} in {} ms",
                numbers.below(40),
                numbers.below(900)
            ),
            2 => format!(
                "Session opened for user-{user:04} after {} attempts",
                numbers.below(5)
            ),
            _ => format!(
                "Lease lease-{:08x} renewed until epoch {}",
                numbers.next() as u32,
                row / 100
            ),
        };
        let rare = if row % 1_000 == 999 {
            " zirconquill"
        } else {
            ""
        };
        lines.push_str(&format!(
            r#"{{"timestamp":"2025-06-02T{:02}:{:02}:{:02}.{:06}Z","level":"{level}","service":"service-{}","logger":"core.{}","message":"{message}{rare}","trace_id":"{:016x}{:016x}","user_id":"user-{user:04}","duration_ms":{}.{:03},"status":{status},"metadata":{{"region":"eu-west-{}","http":{{"path":"/api/v1/orders/{}"}}}}}}"#,
            row / 3_600 % 24,
            row / 60 % 60,
            row % 60,
            numbers.below(1_000_000),
            numbers.below(8),
            numbers.below(3),
            row / 10,
            numbers.next(),
            numbers.below(500),
            numbers.below(1_000),
            numbers.below(4),
            numbers.below(100_000),
        ));
        lines.push('\n');
    }
    lines.into_bytes()
}

/// A record with about two kilobytes of prose in each line.
pub fn prose(rows: u64) -> Vec<u8> {
    let mut numbers = Numbers(2);
    let syllables = [
        "an", "ba", "cor", "de", "el", "fi", "gra", "hu", "in", "jo", "ka", "lum",
    ];
    let mut lines = String::new();
    for row in 0..rows {
        let mut message = String::new();
        while message.len() < 2_000 {
            for _ in 0..1 + numbers.below(3) {
                message.push_str(syllables[numbers.below(syllables.len() as u64) as usize]);
            }
            message.push_str(if numbers.below(12) == 0 { ". " } else { " " });
        }
        lines.push_str(&format!(
            r#"{{"timestamp":"2025-06-02T00:{:02}:{:02}Z","level":"info","source":"agent","message":"{message}","task_id":"task-{}"}}"#,
            row / 60 % 60,
            row % 60,
            row / 20
        ));
        lines.push('\n');
    }
    lines.into_bytes()
}

/// Numbers that look random: xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}
