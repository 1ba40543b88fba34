//! What an unquoted YAML word means: the core schema of YAML 1.2, without the spellings that readers disagree about.
//!
//! `yes`, `on`, `012` and `12:30` mean one thing to YAML 1.1 and another to 1.2; here they are text.

use super::tree::Value;

/// The value of a plain scalar, or why it has none.
pub(super) fn plain(word: &str) -> Result<Value, &'static str> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    match unsigned {
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => return Err("is not a finite number"),
        _ => {}
    }
    if let Some(number) = based(word) {
        return Ok(number);
    }
    let whole = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if whole && (unsigned == "0" || !unsigned.starts_with('0')) {
        return Ok(decimal(word));
    }
    if !whole && is_float(unsigned) {
        // The form was checked, so the only failure is a number that is too large, which comes back as infinite.
        return match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err("is too large for a number"),
        };
    }
    Ok(Value::Text(word.to_owned()))
}

fn based(word: &str) -> Option<Value> {
    let (digits, radix) = match (word.strip_prefix("0x"), word.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 8),
        (None, None) => return None,
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(Value::Natural)
}

/// A number with more digits than 64 bits hold is kept as a float: no field takes it, and a text says to quote it.
fn decimal(word: &str) -> Value {
    let plus = word.strip_prefix('+').unwrap_or(word);
    match (plus.parse::<u64>(), plus.parse::<i64>()) {
        (Ok(number), _) => Value::Natural(number),
        (_, Ok(number)) => Value::Negative(number),
        _ => Value::Float(plus.parse::<f64>().unwrap_or(f64::MAX)),
    }
}

/// `[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?` or `\.[0-9]+(…)?`
fn is_float(word: &str) -> bool {
    let (mantissa, exponent) =
        word.split_once(['e', 'E']).map_or((word, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_good = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    mantissa_good && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn words_mean_what_yaml_1_2_says() {
        let words = "~ null true False yes on 0 12 -12 +12 012 0x1f 0o17 1_000 1.10 1. .5 1e3 12e4567 12:30 .inf -.Inf .nan \
            18446744073709551615 18446744073709551616 1.2.3 2026-11-21 - -- e5 1e 0x 0x+1";
        let lines: Vec<String> = words.split_whitespace().map(|word| format!("{word} → {:?}", super::plain(word))).collect();
        expect![[r#"
            ~ → Ok(Null)
            null → Ok(Null)
            true → Ok(Bool(true))
            False → Ok(Bool(false))
            yes → Ok(Text("yes"))
            on → Ok(Text("on"))
            0 → Ok(Natural(0))
            12 → Ok(Natural(12))
            -12 → Ok(Negative(-12))
            +12 → Ok(Natural(12))
            012 → Ok(Text("012"))
            0x1f → Ok(Natural(31))
            0o17 → Ok(Natural(15))
            1_000 → Ok(Text("1_000"))
            1.10 → Ok(Float(1.1))
            1. → Ok(Float(1.0))
            .5 → Ok(Float(0.5))
            1e3 → Ok(Float(1000.0))
            12e4567 → Err("is too large for a number")
            12:30 → Ok(Text("12:30"))
            .inf → Err("is not a finite number")
            -.Inf → Err("is not a finite number")
            .nan → Err("is not a finite number")
            18446744073709551615 → Ok(Natural(18446744073709551615))
            18446744073709551616 → Ok(Float(1.8446744073709552e19))
            1.2.3 → Ok(Text("1.2.3"))
            2026-11-21 → Ok(Text("2026-11-21"))
            - → Ok(Text("-"))
            -- → Ok(Text("--"))
            e5 → Ok(Text("e5"))
            1e → Ok(Text("1e"))
            0x → Ok(Text("0x"))
            0x+1 → Ok(Text("0x+1"))"#]]
        .assert_eq(&lines.join("\n"));
    }
}
