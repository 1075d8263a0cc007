//! What is a rule, what is none, and what a rule says of reports.

use proptest::prelude::*;

use super::*;

fn indicator(key: &str) -> Option<&'static Indicator> {
    static ALL: LazyLock<Vec<Indicator>> = LazyLock::new(|| {
        let of = |(key, kind): (&str, &str)| {
            let choices = if kind == "choice" { "['Có', 'Không', 'Một phần']" } else { "[]" };
            let text = format!("key='{key}'\ndisplay_name='X'\nkind='{kind}'\nchoices={choices}");
            toml::from_str(&text).unwrap()
        };
        let kinds = [
            ("a", "count"),
            ("b", "count"),
            ("c", "count"),
            ("part", "ratio"),
            ("stock", "stock"),
            ("p", "percent"),
            ("q", "percent"),
            ("money", "money"),
            ("text", "text"),
            ("choice", "choice"),
        ];
        kinds.into_iter().map(of).collect()
    });
    ALL.iter().find(|one| one.key == key)
}

fn text(expression: &str) -> RuleText {
    RuleText {
        key: "rule".to_owned(),
        expression: expression.to_owned(),
        severity: Severity::Error,
        message: "Sai.".to_owned(),
        message_en: String::new(),
        table: None,
    }
}

fn compile(expression: &str) -> Result<Rule, BadRule> {
    Rule::compile(&text(expression), &indicator)
}

#[derive(Default)]
struct Report(Vec<(Source, &'static str, Number)>);

impl Known for Report {
    fn figure(&self, source: Source, indicator: &str) -> Option<Number> {
        let of = |one: &&(Source, &str, Number)| one.0 == source && one.1 == indicator;
        self.0.iter().find(of).map(|(_, _, number)| number.clone())
    }

    fn states(&self, source: Source, indicator: &str) -> bool {
        self.figure(source, indicator).is_some()
    }

    fn label<'a>(&'a self, indicator: &'a str) -> &'a str {
        match indicator {
            "a" => "Hồ sơ",
            other => other,
        }
    }
}

fn counts(figures: &[(&'static str, i64)]) -> Report {
    let counts = figures.iter();
    Report(counts.map(|(key, count)| (Source::This, *key, Number::Count(*count))).collect())
}

fn fails(expression: &str, report: &Report) -> String {
    match compile(expression).unwrap().judge(report) {
        Judgement::Fails { evidence } => evidence,
        other => panic!("{expression}: {other:?}"),
    }
}

#[test]
fn a_rule_holds_fails_with_its_figures_or_is_not_judged() {
    let report = counts(&[("a", 1270), ("b", 126), ("c", 0)]);
    for (expression, evidence) in [
        ("v.a == v.b + v.c", "1.270 ≠ 126 + 0 = 126"),
        ("v.b + v.c == v.a", "126 + 0 = 126 ≠ 1.270"),
        ("v.a <= 1000", "1.270 > 1.000"),
        ("v.a * 2 - (v.b - v.c) < 5", "1.270 × 2 − (126 − 0) = 2.414 ≥ 5"),
        ("(v.a - v.b) * 2 == 1", "(1.270 − 126) × 2 = 2.288 ≠ 1"),
        ("v.a == v.b && v.c == 0", "1.270 ≠ 126"),
        ("v.a == v.b || v.c > 0", "1.270 ≠ 126; 0 ≤ 0"),
        ("!(v.a > v.b)", "1.270 > 126"),
        ("v.a > 0 ? v.b == 0 : v.c == 0", "1.270 > 0; 126 ≠ 0"),
        ("!has(v.a) || has(v.money)", "“Hồ sơ”: có số liệu; “money”: không có số liệu"),
        ("v.a in [1, 2]", "1.270 không thuộc các giá trị: 1, 2"),
        ("!(v.a in [1270, 2])", "1.270 thuộc các giá trị: 1.270, 2"),
        ("abs(v.b - v.a) <= max(v.b, 100)", "1.144 > 126"),
    ] {
        assert_eq!(fails(expression, &report), evidence, "{expression}");
    }
    // One minus sign, and what is negative in brackets where it follows another sign.
    let report = counts(&[("a", 7), ("b", 3), ("c", 1)]);
    for (expression, evidence) in [
        ("v.c - (v.a - 12) == v.b", "1 − (7 − 12) = 6 ≠ 3"),
        ("v.c - -v.a == v.b", "1 − (−7) = 8 ≠ 3"),
        ("v.c - -5 == v.b", "1 − (−5) = 6 ≠ 3"),
        ("-5 + v.a == v.b", "−5 + 7 = 2 ≠ 3"),
        ("-5 * v.a == v.b", "(−5) × 7 = −35 ≠ 3"),
        ("(-5 + v.c) * v.a == v.b", "(−5 + 1) × 7 = −28 ≠ 3"),
        ("v.b == v.c - v.a", "3 ≠ 1 − 7 = −6"),
        ("v.a % v.b == 2", "số dư của phép chia 7 cho 3 = 1 ≠ 2"),
        ("(v.a + v.c) % v.b == 1", "số dư của phép chia (7 + 1) cho 3 = 2 ≠ 1"),
        ("v.a % v.b * 2 == 1", "(số dư của phép chia 7 cho 3) × 2 = 2 ≠ 1"),
    ] {
        assert_eq!(fails(expression, &report), evidence, "{expression}");
    }
    let report = counts(&[("a", 1270), ("b", 126), ("c", 0)]);
    for expression in ["v.a == v.b + v.c + 1144", "has(v.a) || v.p > 3", "v.a > v.b || v.p > 3"] {
        assert_eq!(compile(expression).unwrap().judge(&report), Judgement::Holds, "{expression}");
    }
    for expression in ["v.a == v.b + v.part", "v.p <= 100", "previous.a <= v.a", "whole.a > 0"] {
        let judged = compile(expression).unwrap().judge(&report);
        assert_eq!(judged, Judgement::NotJudged, "{expression}");
    }
}

#[test]
fn the_period_before_the_year_so_far_wholes_percentages_and_choices_are_told_apart() {
    let report = Report(vec![
        (Source::This, "a", Number::Count(5)),
        (Source::Previous, "a", Number::Count(9)),
        (Source::Year, "a", Number::Count(20)),
        (Source::Whole, "part", Number::Count(550)),
        (Source::This, "p", Number::Percent("100.01".parse().unwrap())),
        (Source::This, "choice", Number::Text("Không".to_owned())),
    ]);
    for (expression, evidence) in [
        ("v.a >= previous.a", "5 < 9"),
        ("v.a == year.a + v.a", "5 ≠ 20 + 5 = 25"),
        ("whole.part == v.a", "550 ≠ 5"),
        ("v.p <= 100", "100,01 % > 100"),
        ("v.p <= 100.0", "100,01 % > 100 %"),
        ("v.choice == 'Có'", "“Không” ≠ “Có”"),
        ("v.choice in ['Có', 'Một phần']", "“Không” không thuộc các giá trị: “Có”, “Một phần”"),
    ] {
        assert_eq!(fails(expression, &report), evidence, "{expression}");
    }
    let rule = compile("previous.b <= v.a && year.c > 0").unwrap();
    assert_eq!(rule.anchor(), "a");
    assert_eq!(rule.indicators().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(rule.needs(Source::Previous) && rule.needs(Source::Year) && !rule.needs(Source::Whole));
}

#[test]
fn percentages_are_compared_with_any_that_can_be_written() {
    let report =
        |stated: &str| Report(vec![(Source::This, "p", Number::Percent(stated.parse().unwrap()))]);
    // What is as small as nothing is more than nothing all the same.
    let rule = compile("v.p < 1e-40").unwrap();
    assert_eq!(rule.judge(&report("0")), Judgement::Holds);
    assert!(matches!(rule.judge(&report("0.0001")), Judgement::Fails { .. }));
    let evidence = "5,25 % ≠ 1000000000000000000000000000000 %; 5,25 % ≥ 5; 5,25 % ≥ −1,5 %";
    assert_eq!(fails("v.p == 1e30 || v.p < 5 || v.p < -1.5", &report("5.25")), evidence);
    for expression in ["v.p > 1e-300", "v.p == 12.3456", "v.p <= 99.99999", "v.p >= 5e3"] {
        assert!(compile(expression).is_ok(), "{expression}");
    }
}

#[test]
fn a_choice_is_one_however_a_rule_encodes_its_letters() {
    let report = Report(vec![(Source::This, "choice", Number::Text("Có".to_owned()))]);
    for expression in ["v.choice == 'Co\u{301}'", "v.choice in ['Co\u{301}', 'Không']"] {
        assert_eq!(compile(expression).unwrap().judge(&report), Judgement::Holds);
    }
    assert_eq!(fails("v.choice != 'Co\u{301}'", &report), "“Có” = “Có”");
}

#[test]
fn a_figure_is_looked_up_once_for_each_source_that_a_rule_names_it_with() {
    struct Counting(std::cell::RefCell<Vec<(Source, String)>>);
    impl Known for Counting {
        fn figure(&self, source: Source, indicator: &str) -> Option<Number> {
            self.0.borrow_mut().push((source, indicator.to_owned()));
            Some(Number::Count(1))
        }

        fn states(&self, _: Source, _: &str) -> bool {
            true
        }

        fn label<'a>(&'a self, indicator: &'a str) -> &'a str {
            indicator
        }
    }
    let known = Counting(std::cell::RefCell::default());
    let rule = compile("previous.b == v.b && v.a > v.b - previous.b || has(v.b)").unwrap();
    rule.judge(&known);
    let looked_up: Vec<_> =
        known.0.take().into_iter().map(|(of, key)| format!("{}.{key}", of.name())).collect();
    assert_eq!(looked_up, ["previous.b", "v.b", "v.a"]);
    assert_eq!(rule.anchor(), "b");
}

#[test]
fn what_divides_by_zero_or_counts_too_far_has_no_answer() {
    let report = counts(&[("a", i64::MAX), ("b", 0)]);
    for (expression, why) in [
        ("v.a / v.b > 1", Undefined::DividesByZero),
        ("v.a % v.b == 1", Undefined::DividesByZero),
        ("v.a + v.a > 1", Undefined::Overflows),
        ("v.a * 2 > 1", Undefined::Overflows),
    ] {
        let judged = compile(expression).unwrap().judge(&report);
        assert_eq!(judged, Judgement::Undefined(why), "{expression}");
    }
}

#[test]
fn what_is_no_rule_is_refused_with_why_and_where() {
    for (expression, place, says) in [
        ("v.a ==", 7, "does not read"),
        ("", 1, "does not read"),
        ("v.a == v.d", 8, "names d, which is no indicator of the form,"),
        ("v.a + 1", 5, "is a number and not true or false,"),
        ("v.a == 'x'", 5, "== does not go with a number and a text"),
        ("v.p + v.q > 1.0", 5, "+ does not go with a percentage and a percentage"),
        ("v.p < v.a", 5, "< does not go with a percentage and a number"),
        ("v.a > 2.5", 5, "> does not go with a number and a percentage"),
        ("v.choice > 'Có'", 10, "> does not go with a text and a text"),
        ("v.a in ['x']", 9, "a number is never among what is a text"),
        ("v.text == 'x'", 1, "text is a text: only has() can ask for it"),
        ("v.choice == 'Co'", 13, "\"Co\" is none of the choices of choice,"),
        ("'có' != previous.choice", 1, "\"có\" is none of the choices of choice,"),
        ("v.choice in ['Có', '']", 20, "\"\" is none of the choices of choice,"),
        ("!has(whole.choice)", 6, "whole.choice is none: it is no part"),
        ("has(year.choice)", 5, "year.choice is none: it is not added up over periods"),
        ("v.a in [-1]", 5, "is false whatever is reported"),
        ("!(v.a in [-1, -2])", 1, "is true whatever is reported"),
        ("2 in [1, 2]", 3, "is true whatever is reported"),
        ("v.p == 12.34567", 5, "is false whatever is reported"),
        ("0.00001 != v.p", 9, "is true whatever is reported"),
        ("v.p < 1e23", 5, "is true whatever is reported"),
        ("v.p > 1e28", 5, "is false whatever is reported"),
        ("v.p < 1e300", 5, "is true whatever is reported"),
        ("v.p < -1e300", 5, "is false whatever is reported"),
        ("v.p < -1e-40", 5, "is false whatever is reported"),
        ("year.stock > 1", 1, "year.stock is none"),
        ("whole.money > 1", 1, "whole.money is none"),
        ("[1, 2].all(x, x > v.a)", 11, "a loop"),
        ("size('x') == v.a", 5, "the function size"),
        ("v.choice.startsWith('C')", 20, "the method startsWith"),
        ("a == 1", 1, "\"a\" alone"),
        ("w.a == 1", 1, "a field of something else"),
        ("v.a.b == 1", 1, "a field of something else"),
        ("v['a'] == 1", 1, "the function _[_]"),
        ("v.a == 1u", 8, "a number with u"),
        ("{'a': 1} == v", 1, "a map"),
        ("v.choice == 'C\\u1ee3'", 15, "a backslash"),
        ("v.a > 1 // or so", 9, "a comment"),
        ("v.choice == '''Có'''", 13, "a text in three quotes"),
        ("v.choice == r'Có'", 14, "a text with a letter before it"),
        ("v.choice == 'Có\n'", 13, "a text has no end in its line"),
        ("v.choice == 'Có", 13, "a text has no end"),
        ("v.a > 1)", 8, "a bracket closes none"),
        ("(v.a > 1] || v.b > 1)", 9, "a bracket closes none"),
        // Of several lines the character is the one of the whole.
        ("v.a > 1 &&\n v.choice == 'Không' &&\n v.b >", 42, "does not read"),
        ("v.a > 1 &&\r\n v.b > * 2", 20, "does not read"),
        ("v.choice == 'Một phần' && v.a > * 2", 33, "does not read"),
        ("v.choice == 'Một phần' && v.d > 2", 27, "names d"),
        ("1 == 1", 1, "is true whatever is reported"),
        ("v.a < 0", 1, "is false whatever is reported"),
        ("v.a >= 0", 1, "is true whatever is reported"),
        ("v.a + v.b < v.c && false", 1, "is false whatever is reported"),
        ("v.p > 1000000", 1, "is false whatever is reported"),
        ("v.a == v.a", 1, "is true whatever is reported"),
        ("v.a != v.a || 2 < 1", 1, "is false whatever is reported"),
        ("v.a in []", 1, "is false whatever is reported"),
        ("-v.a > 0", 1, "is false whatever is reported"),
        ("v.a / 0 == 1", 1, "divides by zero whatever is reported"),
        ("v.a % (3 - 3) == 1", 1, "divides by zero whatever is reported"),
    ] {
        let bad = match compile(expression) {
            Err(bad) => bad,
            Ok(_) => panic!("{expression} is taken"),
        };
        let told = bad.to_string();
        assert!(told.contains(says), "{expression}: {told}");
        if place != 1 {
            assert_eq!(bad.place, place, "{expression}: {told}");
        }
    }
}

#[test]
fn a_rule_is_bounded_in_size_and_depth_before_it_is_read() {
    let deep = |count: usize| format!("{}v.a{} == 1", "(".repeat(count), ")".repeat(count));
    let sum = |count: usize| format!("{} == 1", vec!["v.a"; count].join("+"));
    let ternaries = |count: usize| format!("{}true", "v.a == 1 ? true : ".repeat(count));
    let small = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for (expression, why) in [
            (deep(17), Why::TooDeep),
            (deep(990), Why::TooDeep),
            (sum(490), Why::TooMany),
            (sum(27), Why::TooMany),
            (format!("{}v.a{} == 1", "1 - (".repeat(16), ")".repeat(16)), Why::TooDeep),
            (ternaries(20), Why::TooDeep),
            (ternaries(100), Why::TooDeep),
            (format!("{}0", "1?1:".repeat(490)), Why::TooDeep),
            (format!("v.a == 1{}", " ".repeat(2000)), Why::TooLong),
            (format!("v.a in [{}1]", "1,".repeat(300)), Why::TooMany),
        ] {
            let shown: String = expression.chars().take(40).collect();
            assert_eq!(compile(&expression).unwrap_err().why, why, "{shown}");
        }
        // Signs before signs make nothing deep, however many they are.
        for expression in
            [format!("{}(v.a > 1)", "!".repeat(1900)), format!("v.a > {}v.b", "- ".repeat(900))]
        {
            assert!(compile(&expression).is_ok(), "{expression}");
        }
        // What is long but not nested in brackets, and what would hide them, is refused as well.
        for expression in [
            format!("v{} == 1", ".a".repeat(990)),
            format!("v{} == 1", "[1]".repeat(600)),
            format!("{}1", "1<".repeat(990)),
            format!("{}1", "1*".repeat(990)),
            format!("{}true", "true&&".repeat(320)),
            "!-".repeat(990),
            format!("{}1{}", "(1?1:".repeat(16), ")".repeat(16)),
            "[".repeat(1900),
            "(]".repeat(900),
            "((((]]]]".repeat(240),
            format!("'\\'' == v.choice && {}", "{".repeat(900)),
            format!("'''' == v.choice && {}", "(".repeat(900)),
            format!("r'\\' == v.choice && {}", "(".repeat(900)),
            format!("v.choice == '\n{}", "(".repeat(900)),
            format!("v.a > 1 // '\n && {}", "(".repeat(900)),
        ] {
            let shown: String = expression.chars().take(40).collect();
            assert!(compile(&expression).is_err(), "{shown}");
        }
        assert!(compile(&deep(15)).is_ok());
        let ones = counts(&[("a", 1)]);
        assert_eq!(
            compile(&sum(25)).unwrap().judge(&ones),
            Judgement::Fails { evidence: format!("{} = 25 ≠ 1", vec!["1"; 25].join(" + ")) }
        );
    });
    small.unwrap().join().unwrap();
}

fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("v.a".to_owned()),
        Just("v.b".to_owned()),
        Just("v.c".to_owned()),
        Just("previous.a".to_owned()),
        (0_i64..5).prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), prop_oneof!["[+]", "-", "[*]", "/", "%"])
                .prop_map(|(one, two, sign)| format!("({one} {sign} {two})")),
            (inner.clone(), inner.clone(), prop_oneof!["min", "max"])
                .prop_map(|(one, two, name)| format!("{name}({one}, {two})")),
            inner.prop_map(|one| format!("abs({one})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let sign = prop_oneof!["==", "!=", "<", "<=", ">", ">="];
    let leaf = prop_oneof![
        4 => (number(), sign, number()).prop_map(|(one, sign, two)| format!("({one} {sign} {two})")),
        1 => Just("has(v.c)".to_owned()),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), prop_oneof!["&&", "[|][|]"])
                .prop_map(|(one, two, sign)| format!("({one} {sign} {two})")),
            inner.prop_map(|one| format!("!{one}")),
        ]
    })
}

fn values(a: i64, b: i64, c: Option<i64>, before: i64) -> Report {
    let mut report = counts(&[("a", a), ("b", b)]);
    report.0.extend(c.map(|c| (Source::This, "c", Number::Count(c))));
    report.0.push((Source::Previous, "a", Number::Count(before)));
    report
}

proptest! {
    #[test]
    fn what_is_said_to_be_the_same_whatever_is_reported_is(
        expression in condition(),
        (a, b, c, before) in (0_i64..6, 0_i64..6, prop::option::of(0_i64..6), 0_i64..6),
    ) {
        let Err(BadRule { why: Why::Constant(always), .. }) = compile(&expression) else {
            return Ok(());
        };
        // Judged all the same.
        let mut source = cel::parser::Parser::default().parse(&expression).unwrap();
        make_ready(&mut source);
        let mut references = vec![(Source::Previous, "a".to_owned())];
        references.extend(["a", "b", "c"].map(|key| (Source::This, key.to_owned())));
        let asks = vec![(Source::This, "c".to_owned())];
        let rule = Rule { text: text(&expression), expression: source, references, asks };
        match rule.judge(&values(a, b, c, before)) {
            Judgement::Holds => prop_assert!(always, "{}", expression),
            Judgement::Fails { .. } => prop_assert!(!always, "{}", expression),
            Judgement::NotJudged | Judgement::Undefined(_) => {}
        }
    }

    #[test]
    fn what_fails_is_told_in_figures_and_nothing_panics(
        expression in condition(),
        (a, b, c, before) in (0_i64..6, 0_i64..6, prop::option::of(0_i64..6), 0_i64..6),
    ) {
        let Ok(rule) = compile(&expression) else { return Ok(()) };
        if let Judgement::Fails { evidence } = rule.judge(&values(a, b, c, before)) {
            prop_assert!(!evidence.is_empty(), "{}", expression);
        }
    }

    #[test]
    fn any_text_is_a_rule_or_refused_with_a_place_in_it(expression in "[vpa-e.()!&|=<>+*/%?:\\[\\], 0-9'\"-]{0,60}|v[.]p (<|==|>=) -?[0-9]{1,3}([.][0-9]{1,9})?(e-?[0-9]{1,3})?|.{0,40}") {
        if let Err(bad) = compile(&expression) {
            prop_assert!((1..=expression.chars().count() + 1).contains(&bad.place), "{:?} {:?}", expression, bad);
        }
    }
}
