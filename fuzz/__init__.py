"""Fuzz tests of everything that reads foreign input: `make fuzz`.

A target is a module of `fuzz.targets` with a function `check(data)` and a list `SEEDS`. `check`
makes of any bytes an input of what it tests, and fails on what must not be: an exception that is
none of the project's own errors, or two ways of reading that do not agree. libFuzzer looks for
such bytes, and for those that take too long or too much memory.

`fuzz.contract` is none of them: it holds the emulator to its OpenAPI documents.

What is found is kept under tests/nim/fuzz_cases, where the tests try it again.
"""
