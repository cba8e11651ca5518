import { describe, expect, it } from "vitest";
import { Pattern } from "./pattern.js";

function matches(source: string, text: string): string[] {
  const bounds = Pattern.regex(source, "test").find(text);
  return Array.from({ length: bounds.length / 2 }, (_, i) => text.slice(bounds[2 * i], bounds[2 * i + 1]));
}

describe("an Oniguruma expression", () => {
  // What the Python library's Split gives for the same expressions.
  it.each<[string, string, string[]]>([
    ["(?i:'s|'k)", "'S 's '\u017f '\u212a 'x", ["'S", "'s", "'\u017f", "'\u212a"]],
    ["(?i)ab(?-i:c)d", "ABcD abCd", ["ABcD"]],
    ["\\p{N}{1,3}+", "12345678", ["12345678"]],
    ["a++b|a", "aaab aa", ["aaab", "a", "a"]],
    ["a++a|b", "aab", ["b"]],
    ["[[a-z]&&[^aeiou]]+", "hello", ["h", "ll"]],
    ["[a-c[0-9]]+", "ab1xc2", ["ab1", "c2"]],
    ["\\s", "a\u0085b\ufeffc\u200bd\u3000", ["\u0085", "\u3000"]],
    ["\\p{Han}+", "ab\u4e2d\u6587c", ["\u4e2d\u6587"]],
    ["\\p{^L}+", "ab12", ["12"]],
    ["^.|.$", "ab\ncd", ["a", "b", "c", "d"]],
    ["\\Aa|a\\z", "aaa", ["a", "a"]],
    ["\\h+", "xyz beef", ["beef"]],
    ["\\x41|\\x{4e2d}|\\u00e9", "A\u4e2d\u00e9", ["A", "\u4e2d", "\u00e9"]],
    ["a{,2}b", "aaab", ["aab"]],
    ["x{2,3}?", "xxxx", ["xx", "xx"]],
    ["{a}-[\\]\\-/(]", "{a}-]{a}--{a}-(", ["{a}-]", "{a}--", "{a}-("]],
    ["\\p{L}+", "\ud83d\ude00\ua7ceab", ["ab"]],
  ])("%s finds what the library finds in %j", (source, text, expected) => {
    expect(matches(source, text)).toEqual(expected);
  });

  it.each([
    ["(?<name>a)\\k<name>", 'the group "(?<n"'],
    ["\\1", 'the escape "\\1"'],
    ["[[:alpha:]]", "the class [:alpha:]"],
    ["(?i)\u00e9", '"\u00e9", a letter beyond ASCII'],
    ["(?i)[a-z]", "a range that ignores case"],
    ["a)", 'a ")" without its "("'],
    ["[a", 'a "[" without its "]"'],
  ])("%s is an error that says what is not supported", (source, what) => {
    expect(() => Pattern.regex(source, "here")).toThrow(`has ${what}`);
  });
});
