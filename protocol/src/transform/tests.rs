use super::*;
use proptest::prelude::*;

fn apply(source: &str, destination: &str, literal: &str) -> Option<String> {
    let transform =
        Transform::new(source, destination).unwrap_or_else(|error| panic!("{destination}: {error}"));
    let mut made = Vec::new();
    transform.apply(literal.as_bytes(), &mut made, 7).then(|| String::from_utf8(made).unwrap())
}

/// What upstream made of `s3.abcdef` by a mapping of `s3.*`.
#[test]
fn functions_make_what_upstream_makes() {
    for (destination, made) in [
        ("$1", "abcdef"),
        ("$0", "s3"),
        ("$-1", "s3"),
        ("$x", "$x"),
        ("$", "$"),
        ("$1x", "$1x"),
        ("$+1", "abcdef"),
        ("{{wildcard(0)}}", "s3"),
        ("{{ wildcard( 1 ) }}", "abcdef"),
        ("{{Wildcard (1)}}", "abcdef"),
        ("{{splitfromleft(1,3)}}", "abc.def"),
        ("{{SplitFromLeft(1,0)}}", "abcdef"),
        ("{{splitfromleft(1,-1)}}", "abcdef"),
        ("{{splitfromleft(1,6)}}", "abcdef"),
        ("{{splitfromright(1,2)}}", "abcd.ef"),
        ("{{splitfromright(1,99)}}", "abcdef"),
        ("{{slicefromleft(1,2)}}", "ab.cd.ef"),
        ("{{slicefromleft(1,4)}}", "abcd.ef"),
        ("{{slicefromleft(1,9)}}", "abcdef"),
        ("{{slicefromright(1,4)}}", "ab.cdef"),
        ("{{sliceFromRight(1,2)}}", "ab.cd.ef"),
        ("{{slicefromright(1,0)}}", "abcdef"),
        ("{{split(1,c)}}", "ab.def"),
        ("{{split(1,a)}}", "bcdef"),
        ("{{split(1,f)}}", "abcde"),
        ("{{split(1,)}}", "a.b.c.d.e.f"),
        ("{{left(1,2)}}", "ab"),
        ("{{left(1,0)}}", "abcdef"),
        ("{{left(1,9)}}", "abcdef"),
        ("{{right(1,2)}}", "ef"),
        ("{{right(1,-1)}}", "abcdef"),
        ("{{partition(10,1)}}", "6"),
        ("{{partition(10,1,1)}}", "7"),
        ("{{partition(0,1)}}", "0"),
        ("{{partition(-3,1)}}", "4282878506"),
        ("{{random(1)}}", "0"),
        ("{{random(0)}}", "0"),
        ("{{random(-2)}}", "0"),
        ("{{}}", "{{}}"),
        ("{{{Wildcard(1)}}", "abcdef"),
        ("{{Wildcard(1)}}}}", "abcdef"),
        ("x{{wildcard(1)}}", "x{{wildcard(1)}}"),
        ("{{wildcard(1)", "{{wildcard(1)"),
    ] {
        assert_eq!(apply("s3.*", destination, "s3.abcdef").as_deref(), Some(made), "{destination}");
    }
}

/// More of what upstream made.
#[test]
fn subjects_are_put_together_as_upstream_does() {
    for (source, destination, literal, made) in [
        ("m.*.x.*", "o.$2.$1", "m.1.x.2", "o.2.1"),
        ("f.*.>", "g.$1.h.>", "f.a.b.c.d", "g.a.h.b.c.d"),
        ("lit", "lit2", "lit", "lit2"),
        ("full.>", "q.{{partition(100)}}.>", "full.a.b", "q.17.a.b"),
        ("full.>", "q.{{partition(100)}}.>", "full.c", "q.31.c"),
        ("two.*.*", "z.{{partition(1000,1,2)}}.{{partition(1000,2,1)}}", "two.a.b", "z.946.708"),
        ("two.*.*", "z.{{partition(1000,1,2)}}.{{partition(1000,2,1)}}", "two.xy.z", "z.248.330"),
        ("two.*.*", "z.{{partition(1000,1, 2)}}.{{partition(1000,2,1)}}", "two.x.yz", "z.248.70"),
        ("sp.*", "sp2.{{split(1,-)}}", "sp.a-b", "sp2.a.b"),
        ("sp.*", "sp2.{{split(1,-)}}", "sp.-a", "sp2.a"),
        ("sp.*", "sp2.{{split(1,-)}}", "sp.a-", "sp2.a"),
        ("sp.*", "sp2.{{split(1,-)}}", "sp.a--b--c", "sp2.a.b.c"),
        ("a.*", "b", "a.x", "b"),
    ] {
        assert_eq!(apply(source, destination, literal).as_deref(), Some(made), "{source} {literal}");
    }
    assert_eq!(apply("m.*.x.*", "o.$2.$1", "m.1.y.2"), None);
    assert_eq!(apply("f.*.>", "g.$1.h.>", "f.a"), None);
}

/// What upstream says about these.
#[test]
fn what_is_no_transform_is_refused_in_upstreams_words() {
    let short = |text: &str| format!("invalid mapping destination: {text}");
    for (source, destination, text) in [
        ("a.*", "b.$2", short("wildcard index out of range in $2: [2]")),
        ("a", "b.$1", short("wildcard index out of range in $1")),
        ("a.*", "b.{{left(2,3)}}", short("wildcard index out of range in {{left(2,3)}}: [2]")),
        ("a", "b.{{left(1,1)}}", short("wildcard index out of range in {{left(1,1)}}")),
        ("a.*", "b.*", "invalid subject".into()),
        ("a.*", "b.>", "invalid subject".into()),
        ("a.>", "b", "invalid subject".into()),
        ("a", "b..c", short("invalid transform")),
        ("a", "b c", short("invalid transform")),
        ("a.*", "b.{{foo(1)}}", short("unknown function in {{foo(1)}}")),
        ("a.*", "{{RANDOM(1)}}", short("unknown function in {{RANDOM(1)}}")),
        ("a.*", "{{ WildCard ( 1 ) }}", short("unknown function in {{ WildCard ( 1 ) }}")),
        ("a.*", "{{Wildcard(1) x}}", short("unknown function in {{Wildcard(1) x}}")),
        ("a.*", "{{x Wildcard(1)}}", short("unknown function in {{x Wildcard(1)}}")),
        ("a.*", "{{wildcard}}", short("unknown function in {{wildcard}}")),
        ("a.*", "{{wildcard()}}", short("not enough arguments passed to the function in {{wildcard()}}")),
        ("a.*", "{{wildcard(1,2)}}", short("too many arguments passed to the function in {{wildcard(1,2)}}")),
        ("a.*", "{{split(1)}}", short("not enough arguments passed to the function in {{split(1)}}")),
        ("a.*", "{{random(1,2)}}", short("not enough arguments passed to the function in {{random(1,2)}}")),
        (
            "a.*",
            "{{Wildcard(1))}}",
            short("function argument is invalid or in the wrong format in {{Wildcard(1))}}"),
        ),
        (
            "a.*",
            "{{partition(2147483648,1)}}",
            short("function argument is invalid or in the wrong format in {{partition(2147483648,1)}}"),
        ),
        (
            "a.*",
            "{{split(1, a b)}}",
            short("function argument is invalid or in the wrong format in {{split(1, a b)}}"),
        ),
        ("a.*", "{{left(1,)}}", short("function argument is invalid or in the wrong format in {{left(1,)}}")),
        ("a.*", "{{random()}}", short("function argument is invalid or in the wrong format in {{random()}}")),
    ] {
        let error = Transform::new(source, destination).expect_err(destination);
        assert_eq!(error.to_string(), text, "{source} {destination}");
    }
    for destination in ["b.$1", "{{partition(3)}}", "b.{{split(1, )}}", "b.{{random (4)}}", "b"] {
        assert!(Transform::new("a.*", destination).is_ok(), "{destination}");
    }
    assert!(Transform::new("a", "b.{{partition(3)}}.{{random(3)}}").is_ok());
    let unused = Transform::for_import("a.*.*", "b.$1").unwrap_err().to_string();
    assert_eq!(unused, short("not using all of the token wildcard(s) in b.$1"));
    let function = Transform::for_import("a.*", "b.{{left(1,1)}}").unwrap_err().to_string();
    let wanted = "the only mapping function allowed for import transforms is {{Wildcard()}} in {{left(1,1)}}";
    assert_eq!(function, short(wanted));
}

#[test]
fn random_stays_below_its_bound_and_reaches_all() {
    let transform = Transform::new("a", "b.{{random(3)}}.{{random(3)}}").unwrap();
    assert!(!transform.is_fixed());
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..200_u64 {
        let mut made = Vec::new();
        assert!(transform.apply(b"a", &mut made, step.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        seen.insert(String::from_utf8(made).unwrap());
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

/// Substitution by hand: the source's wildcards are bound one by one, then every `$n` is replaced.
fn model(source: &[String], destination: &[String], literal: &[String]) -> Option<String> {
    let mut bound = Vec::new();
    let mut rest = literal;
    for token in source {
        if token == ">" {
            bound.push(rest.join("."));
            rest = &[];
            break;
        }
        let (first, others) = rest.split_first()?;
        match token.as_str() {
            "*" => bound.push(first.clone()),
            other if other == first => {}
            _ => return None,
        }
        rest = others;
    }
    if !rest.is_empty() || bound.iter().any(String::is_empty) {
        return None;
    }
    let value = |token: &String| match token.strip_prefix('$') {
        Some(index) => bound[index.parse::<usize>().unwrap() - 1].clone(),
        None if token == ">" => bound.last().unwrap().clone(),
        None => token.clone(),
    };
    Some(destination.iter().map(value).collect::<Vec<_>>().join("."))
}

proptest! {
    #[test]
    fn moving_wildcards_is_substitution(
        shape in proptest::collection::vec(prop_oneof!["[ab]", Just("*".to_owned())], 1..5),
        words in proptest::collection::vec("[xy]", 0..3),
        has_rest in any::<bool>(),
        order in any::<proptest::sample::Index>(),
        literal in proptest::collection::vec("[abxy]{1,2}", 1..7),
    ) {
        let mut source = shape;
        let count = source.iter().filter(|token| *token == "*").count();
        let mut destination: Vec<String> = (1..=count).map(|index| format!("${index}")).collect();
        if count > 0 {
            destination.rotate_left(order.index(count));
        }
        destination.extend(words);
        prop_assume!(!destination.is_empty());
        if has_rest {
            source.push(">".into());
            destination.push(">".into());
        }
        let transform = Transform::for_import(&source.join("."), &destination.join(".")).unwrap();
        let text = literal.join(".");
        let mut made = Vec::new();
        let changed = transform.apply(text.as_bytes(), &mut made, 0);
        let wanted = model(&source, &destination, &literal);
        prop_assert_eq!(changed.then(|| String::from_utf8(made.clone()).unwrap()), wanted);
        let back = transform.reversed().expect("wildcards alone can be moved back");
        if changed {
            prop_assert!(subject::matches(&transform.pattern(), &made));
            let mut returned = Vec::new();
            prop_assert!(back.apply(&made, &mut returned, 0));
            prop_assert_eq!(returned, text.into_bytes());
        }
    }
}
