import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests.grammar import parse_gbnf, syntax_of, to_gbnf, to_lark
from llama_stack_provider_nvidia.nim.requests.grammar.nodes import (
    Alt,
    Chars,
    Literal,
    Ref,
    Repeat,
    Seq,
    complement,
)

from .lark_parsers import accepts, longest_matches, parser  # noqa: F401 (one is a fixture)

pytestmark = pytest.mark.usefixtures("longest_matches")

JSON = r"""
# The usual example.
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,15})? ws
ws ::= | [ \t\n] ws
""".replace("ws ::= | [ \\t\\n] ws", "ws ::= [ \\t\\n]*")


def test_complement():
    assert complement([(0, 9), (5, 0xD7FF), (0xE001, 0x10FFFF)]) == ((0xE000, 0xE000),)


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "syntax"),
        [
            (JSON, "gbnf"),
            ('root ::= "start: a"', "gbnf"),
            ('root\n  ::= "a"', "gbnf"),
            ("# start: a\nroot ::= b", "gbnf"),
            ("", "gbnf"),
            ("nonsense", "gbnf"),
            ('start: "a"', "lark"),
            ('?start: "a ::= b"', "lark"),
            ('// root ::= x\n!start: "a"', "lark"),
            ("%import common.INT\nstart: INT", "lark"),
            ("TERM.2: /a/\nstart: TERM", "lark"),
        ],
    )
    def test_is_told_by_the_first_definition(self, text, syntax):
        assert syntax_of(text) == syntax

    def test_what_is_in_the_syntax_already_stays(self):
        assert to_lark("start: a{b}") == "start: a{b}"
        assert to_gbnf("root ::= (=") == "root ::= (="


class TestGBNF:
    @pytest.mark.parametrize(
        ("body", "node"),
        [
            ('"a"', Literal("a")),
            ('""', Literal("")),
            (r'"\"\\\n\r\t\x41\u00e9\U0001F600\'\?\0\e"', Literal("\"\\\n\r\tAé😀'?\0\x1b")),
            (r'"\x00000041"', Literal("A")),
            ("[a-z]", Chars(((97, 122),))),
            (
                r"[^\]\-^a-]",
                Chars(((93, 93), (45, 45), (94, 94), (97, 97), (45, 45)), negated=True),
            ),
            (r"[\d_]", Chars(((48, 57), (95, 95)))),
            (r"[\x41-\u0043]", Chars(((65, 67),))),
            ("x", Ref("x")),
            ('"a" x', Seq((Literal("a"), Ref("x")))),
            ('"a" | x\n  | "b"', Alt((Literal("a"), Ref("x"), Literal("b")))),
            ('"a" "b" | x', Alt((Seq((Literal("a"), Literal("b"))), Ref("x")))),
            ('("a" | x) "b"', Seq((Alt((Literal("a"), Ref("x"))), Literal("b")))),
            ("x?", Repeat(Ref("x"), 0, 1)),
            ("x*", Repeat(Ref("x"), 0, None)),
            ("x+", Repeat(Ref("x"), 1, None)),
            ("x{3}", Repeat(Ref("x"), 3, 3)),
            ("x{3,}", Repeat(Ref("x"), 3, None)),
            ("x{ 0, 3 }", Repeat(Ref("x"), 0, 3)),
            ("(x*)+", Repeat(Repeat(Ref("x"), 0, None), 1, None)),
            ("x # comment ::=\n", Ref("x")),
        ],
    )
    def test_is_read(self, body, node):
        assert parse_gbnf(f'root ::= {body}\nx ::= "x"').rules["root"] == node

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "no rule named 'root'"),
            ('start ::= "a"', "no rule named 'root'"),
            ('root ::= "a"\nroot ::= "b"', "line 2.*defined twice"),
            ('root ::= "a" b\n', "line 1.*uses 'b', which is not defined"),
            ('\nroot ::= "a" b ::= "b"', "line 2.*a line of its own"),
            ("root ::=", "line 1.*an alternative is empty"),
            ('root ::= "a" |\n\nb ::= "b"', "line 3.*an alternative is empty"),
            ('root ::= ("a"', r"line 1.*not closed by '\)'"),
            ('root ::= "a")', r"expected a rule.*'\)'"),
            ('root ::= "a\n"', "line 1.*a string is not closed"),
            ("root ::= [a\n]", "line 1.*a class of characters is not closed"),
            ("root ::= []", "has no characters"),
            ("root ::= [^]", "has no characters"),
            ("root ::= [z-a]", "the wrong way round"),
            (r'root ::= "\q"', r"escape \\q is not known"),
            (r'root ::= "\u12"', r"escape \\u is not known"),
            (r'root ::= "\ud800"', "is no character"),
            (r'root ::= "\U00110000"', "is no character"),
            (r'root ::= "\x' + "1" * 5000 + '"', "is no character"),
            ("root ::= 'a'", "double quotes"),
            ('root ::= "a"{2', "repetitions are written"),
            ('root ::= "a"{3,2}', "at least 3 and at most 2"),
            ('root ::= "a"{1000000}', "repetitions are too many"),
            ('root ::= "a"**', r"unexpected '\*'"),
            ('root ::= "a" (="b")', "lookahead"),
            ('root ::= TagDispatch("a", b)', "functions of xgrammar"),
            ('root : "a"', "a rule is written"),
            ('root = "a"', "a rule is written"),
            ("root ::= %", "unexpected '%'"),
            ('"a"', "expected a rule"),
            ("root ::= " + "(" * 1000, "nest too deeply"),
        ],
    )
    def test_mistakes_are_named(self, text, problem):
        with pytest.raises(InvalidRequestError, match=problem) as error:
            parse_gbnf(text)
        assert error.value.field == "response_format.bnf"

    @given(st.text() | st.text(alphabet='root:="\\[]^-(){},|?*+#ab01 \n').map("root ::= {}".format))
    def test_any_text_is_read_or_refused(self, text):
        with contextlib.suppress(InvalidRequestError):
            to_lark(text)
        with contextlib.suppress(InvalidRequestError):
            to_gbnf(text)


GREETING = r"""
root ::= greeting (", " name)* [!?.]
greeting ::= "Hello" | "Hi" " there"?
name ::= [A-Z] [a-z]{1,8}
"""
# Terminals with all that is special somewhere on the way.
SPECIAL = r"""
root ::= "a/b\"c'd\\e\n" [^a-z/\]\-"'\\] [\x00-\x1f\u00e9-\u00ff]{2} "\u2028\t[.](?)*{1}|^$#&&--~~"
"""
EXPRESSION = r"""
root ::= Expr
Expr ::= Expr [+-] Term | Term
Term ::= Factor ("*" Factor)*
Factor ::= num-1 | "(" Expr ")"
num-1 ::= [0-9]+ ("." [0-9]*)?
"""
NAMES = r"""
root ::= start | Start-1 "!" | _x
start ::= "(" root ")"
start_1 ::= "a"
Start-1 ::= "[" start_1 root "]" TEXT
_x ::= "x" _9
_9 ::= root?
TEXT ::= [0-9]
"""
SAMPLES = [
    (GREETING, ["Hello!", "Hi there, Ann, Bob.", "Hi?"], ["", "Hello", "Hi, ann.", "Hi,Ann."]),
    (SPECIAL, ["a/b\"c'd\\e\n!\x00é\u2028\t[.](?)*{1}|^$#&&--~~"], ["", "a/b"]),
    (
        EXPRESSION,
        ["1", "1.5+2*(3-4)", "((7))", "1+1+1"],
        ["", "1+", "(1", "1**2", "a"],
    ),
    (
        JSON,
        ["{}", '{"a": [1, -2.5e3, "x\\n\\u00e9"], "b": {"c": null}}\n', '{ "a" : true }'][:2],
        ["", "[]", "{", '{"a"}', '{"a": tru}'],
    ),
    (NAMES, ["x", "xx", "(x)", "[ax]1!", "x(xx)"], ["", "[ax]!", "()"]),
    ('root ::= ""', [""], ["a"]),
    ('root ::= "a"? [b]*', ["", "a", "abb", "b"], ["ba"]),
    ('root ::= ("" | "a") ("" | "b" | "")', ["", "a", "b", "ab"], ["ba"]),
    (r'root ::= "\n\u2028\"" root | "\x01"', ["\x01", '\n\u2028"\x01'], ["\n\x01"]),
    ('root ::= ("" | ""{3}) ("a" | "" | "a")', ["", "a"], ["aa"]),
    ('root ::= "" ("" "" | "a") ("" "")', ["", "a"], ["aa"]),
    ('root ::= "" [ab] "" | "c" "" "d" ""', ["a", "cd"], ["", "c"]),
    ("root ::= [a] root [a] | [b]", ["b", "aabaa"], ["abaa", ""]),
    ('root ::= "(" root? ")" ""', ["()", "(())"], ["", "("]),
    ('root ::= ("a" root "b"){2} | "c"{2,} | ([d]){1}', ["cc", "d", "adbadb"], ["c", "adb"]),
    ('root ::= "a" root{3,} | "b"', ["b", "abbb", "abbbb"], ["abb"]),
    ('root ::= "a" root{0,2} | "b" ("" root "")', ["a", "aaa", "ba"], ["b"]),
    ('root ::= "a"{0} ""{2} ("" "") "b"', ["b"], ["ab", ""]),
    ('root ::= "a" ((root*)+){2,} "c" | "b" (root{0})*', ["b", "ac", "abbc", "aacbc"], ["abb"]),
    ('root ::= ("a"? "b"? | "c"){2,3}', ["", "abc", "cc", "abab"], ["cccc"]),
]


class TestLark:
    @pytest.mark.parametrize(("grammar", "good", "bad"), SAMPLES)
    def test_takes_the_same_texts(self, grammar, good, bad):
        converted = to_lark(grammar)
        assert syntax_of(converted) == "lark"
        assert [text for text in good if not accepts(converted, text)] == []
        assert [text for text in bad if accepts(converted, text)] == []

    @pytest.mark.parametrize(("grammar", "good", "bad"), SAMPLES[:4])
    def test_takes_them_with_the_kind_of_parser_that_outlines_has(self, grammar, good, bad):
        converted = to_lark(grammar)
        assert [text for text in good if not accepts(converted, text, "lalr")] == []
        assert [text for text in bad if accepts(converted, text, "lalr")] == []

    def test_a_grammar_without_recursion_is_one_terminal(self):
        assert to_lark(GREETING) == (
            "?start: ROOT\nROOT: /(?:Hello|Hi(?: there)?)(?:, [A-Z][a-z]{1,8})*[!.?]/\n"
        )

    def test_recursion_stays_in_rules(self):
        assert to_lark(EXPRESSION) == (
            "?start: expr\n"
            "expr: expr TEXT term | term\n"
            'term: factor ("*" factor)*\n'
            'factor: NUM_1 | "(" expr ")"\n'
            "TEXT: /[+\\-]/\n"
            "NUM_1: /[0-9]+(?:\\.[0-9]*)?/\n"
        )

    def test_rules_that_double_each_other_are_refused_in_time(self):
        rules = [f"r{n} ::= r{n + 1} r{n + 1}" for n in range(60)]
        with pytest.raises(InvalidRequestError, match="becomes too large"):
            to_lark("\n".join(["root ::= r0", *rules, "r60 ::= [a-z]"]))

    def test_long_chains_of_rules(self):
        rules = [f"r{n} ::= r{n + 1}" for n in range(5000)]
        assert "START" not in to_lark("\n".join(["root ::= r0", *rules, 'r5000 ::= "a"']))


class TestFromLark:
    @pytest.mark.parametrize(
        ("grammar", "expected"),
        [
            ('start: "a"', 'root ::= "a"\n'),
            ('?start: a\n!a: "x" -> named\n  | "y"', 'root ::= a\na ::= "x" | "y"\n'),
            ('start: A+ [B] (A B)?\nA: /[a-z]+/\nB.2: "b"', None),
            ('start: "a"~2 "b"~1..3', 'root ::= "a"{2} "b"{1,3}\n'),
            ('start: "a".."f"', "root ::= [a-f]\n"),
            ('start: "ab1"i', 'root ::= [Aa] [Bb] "1"\n'),
            (r'start: "\n\"\u0041\x42\U00000043\."', 'root ::= "\\u000a\\"ABC."\n'),
            (
                'start: root\nroot: "a" | root start',
                'root ::= lark-root\nlark-root ::= "a" | lark-root root\n',
            ),
            (
                "// comment\nstart: INT // more\n%import common.INT",
                "root ::= INT\nINT ::= [0-9]+\n",
            ),
            ("start: N\n%import common.INT -> N", "root ::= N\nN ::= [0-9]+\n"),
            ("start: INT LF\n%import common (INT, LF)", None),
            ("start: |", 'root ::= "" | ""\n'),
        ],
    )
    def test_simple_grammars(self, grammar, expected):
        converted = to_gbnf(grammar)
        parse_gbnf(converted)
        if expected is not None:
            assert converted == expected

    @pytest.mark.parametrize(
        ("regex", "expected"),
        [
            ("/[a-z]+/", "[a-z]+"),
            ("/ab?|c/", '"a" "b"? | "c"'),
            (r"/(?:a|b){2,3}?(?P<n>c)(d)/", '("a" | "b"){2,3} "c" "d"'),
            ("/a{2}b{2,}c{,2}/", '"a"{2} "b"{2,} "c"{0,2}'),
            (r"/\d\w/", "[0-9] [0-9A-Z_a-z]"),
            (r"/[^\s\x41\u0042\U00000043\-\n-]/", None),
            (r"/[a-c\d]/", "[0-9a-c]"),
            (r"/\x41\u0042\/\.\n/", '"A" "B" "/" "." "\\u000a"'),
            ("/./", "[\\u0000-\\u0009\\u000b-\ud7ff\ue000-\\U0010ffff]"),
            ("/./s", None),
            ("/[a-b]x|{/i", '[A-Ba-b] [Xx] | "{"'),
            ("/(a|)ß*/i", None),
        ],
    )
    def test_regular_expressions(self, regex, expected):
        converted = to_gbnf(f"start: {regex}")
        parse_gbnf(converted)
        if expected is not None and "\ud7ff" not in expected:
            assert converted == f"root ::= {expected}\n"

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('a: "x"', "no rule named 'start'"),
            ("start: b", "uses 'b', which is not defined"),
            ('start: "a"\nstart: "b"', "line 2.*defined twice"),
            ("start: _a{b}", "templates"),
            ('start: "a', "a string is not closed"),
            ("start: /a", "a regular expression is not closed"),
            ('start: ("a"', "not closed"),
            ('start: ["a")', "not closed"),
            ('start: "a")', "expected a rule"),
            ("start: *", r"unexpected '\*'"),
            ('start: "a"~b', "repetitions are written"),
            ('start: "a"~3..2', "at least 3"),
            ('start: "ab".."c"', "a range is written"),
            ('start: "b"..a\na: "c"', "a range is written"),
            (r'start: "\ud800"', "is no character"),
            ("start: A\n%declare A", "%declare cannot be carried over"),
            ("start: A\n%import python.A", "only `common`"),
            ("start: A\n%import common.A", "common.A is not known"),
            ("start: INT\n%import common (INT", r"not closed by '\)'"),
            ('start: "a"\n%ignore WS', "ignores 'WS', which is not defined"),
            ('start: "b"\nb.-1 "a"', "expected name"),
            ("start: /a/x", "the flag x"),
            ("start: /^a/", r"an anchor \^"),
            ("start: /a$/", r"an anchor \$"),
            ("start: /(?=a)/", "a lookaround"),
            (r"start: /(a)\1/", "this escape"),
            (r"start: /\bx/", "this escape"),
            (r"start: /[\b]/", r"the escape \\b"),
            ("start: /[z-a]/", "the wrong way round"),
            ("start: /[a/", "a class .* is not closed"),
            ("start: /a++/", "possessive"),
            ("start: /*a/", "nothing to repeat"),
            ("start: /a{3,2}/", "at least 3"),
            ("start: /(a/", "not closed"),
            ("start: /a)/", "closed that was not opened"),
            (r"start: /\ud800/", "is no character"),
            (r"start: /[\ud800]/", "is no character"),
            ("start: /" + "(" * 100 + "a" + ")" * 100 + "/", "nest too deeply"),
        ],
    )
    def test_what_is_not_simple_is_refused(self, text, problem):
        with pytest.raises(InvalidRequestError, match=problem) as error:
            to_gbnf(text if syntax_of(text) == "lark" else f"%ignore /x/\n{text}")
        assert error.value.field == "response_format.bnf"

    def test_what_is_ignored_may_stand_between_terminals(self):
        grammar = """
            start: item ("," item)*
            item: NAME "=" [INT]
            NAME: LETTER+
            %import common.LETTER
            %import common.INT
            %import common.WS
            %ignore WS
            %ignore "#"
        """
        back = to_lark(to_gbnf(grammar))
        for text in ("a=1,b=2", " a = 1 ,\n#b= ", "ab="):
            assert accepts(grammar, text)
            assert accepts(back, text)
        for text in ("a b=1", "a", "a=1,"):
            assert not accepts(back, text) or accepts(grammar, text)

    def test_what_is_ignored_goes_into_every_kind_of_node(self):
        converted = to_gbnf('start: ("a" | b)* \nb: "b" start\n%ignore " "')
        gap = "what-is-ignored"
        assert converted == (
            f'root ::= {gap} ("a" {gap} | b)*\nb ::= "b" {gap} root\n{gap} ::= " "*\n'
        )

    @pytest.mark.parametrize(
        "name", ["INT", "SIGNED_NUMBER", "FLOAT", "ESCAPED_STRING", "WS", "CNAME"]
    )
    @given(text=st.text(alphabet='019.+-eE"\\ \n_ab'))
    @settings(max_examples=60)
    def test_common_terminals_take_what_larks_own_do(self, name, text):
        grammar = f"start: {name}\n%import common.{name}"
        back = to_lark(to_gbnf(grammar))
        # Lark's float can be a number with a bare exponent only; ours is the same set.
        assert accepts(grammar, text) == accepts(back, text)


def test_the_pattern_of_a_terminal_is_one_of_python():
    (pattern,) = re.findall(r"^ROOT: /(.*)/$", to_lark('root ::= [a] | "/"'), re.MULTILINE)
    assert re.fullmatch(pattern, "/")
