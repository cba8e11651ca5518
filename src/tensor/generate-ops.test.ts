import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Generated, generate, normaliseSchema, parseSchema } from "./generate-ops.js";
import { guarded, packageRoot } from "./native.js";
import { OPERATORS } from "./op-list.js";

const FILES: Readonly<Record<keyof Generated, string>> = {
  methods: "src/tensor/methods.gen.ts",
  functions: "src/tensor/functions.gen.ts",
};

describe("the generated operators", () => {
  const [aten, own] = guarded((engine) => [engine.schemas("aten::"), engine.schemas("nlora::")]);
  const ownNames = own!.map((text) => text.slice(0, text.indexOf("("))).sort();
  const generated = generate([...OPERATORS, ...ownNames], [...aten!, ...own!], "0.0.0");

  /** The first line names the version of libtorch. */
  const withoutVersion = (text: string): string => text.slice(text.indexOf("\n"));

  it.each(["methods", "functions"] as const)(
    "%s in the repository are those of the loaded engine",
    (kind) => {
      const committed = readFileSync(join(packageRoot, FILES[kind]), "utf8");
      expect(withoutVersion(committed), "run npm run generate").toBe(withoutVersion(generated[kind]));
    },
  );

  it("name their libtorch in the first line", () => {
    expect(generated.methods.split("\n")[0]).toContain("(libtorch 0.0.0)");
  });

  it("are refused when this libtorch lacks one of them", () => {
    expect(() => generate(["aten::no_such"], aten!, "0.0.0")).toThrowError(
      "This libtorch has no operator aten::no_such",
    );
  });
});

describe("a schema", () => {
  it("is read into its arguments and results", () => {
    expect(
      parseSchema("aten::gelu.out(Tensor self, *, str approximate='none', Tensor(a!) out) -> Tensor(a!)"),
    ).toEqual({
      text: "aten::gelu.out(Tensor self, *, str approximate='none', Tensor! out) -> Tensor!",
      operator: "aten::gelu.out",
      base: "gelu",
      overload: "out",
      args: [
        { name: "self", type: "Tensor", optional: false, hasDefault: false, keywordOnly: false },
        { name: "approximate", type: "str", optional: false, hasDefault: true, keywordOnly: true },
        { name: "out", type: "Tensor", optional: false, hasDefault: false, keywordOnly: true },
      ],
      returns: ["Tensor!"],
      inPlace: false,
    });
  });

  it("may have optional arguments, lists of a fixed length and defaults with commas in them", () => {
    const { args, returns } = parseSchema(
      "aten::f(Tensor? bias, int[2] size=[1, 1], Scalar? max=None, float[] betas=[0.9, 0.999]) -> (Tensor values, Tensor indices)",
    );
    expect(args.map(({ name, type, optional, hasDefault }) => [name, type, optional, hasDefault])).toEqual([
      ["bias", "Tensor", true, false],
      ["size", "int[2]", false, true],
      ["max", "Scalar", true, true],
      ["betas", "float[]", false, true],
    ]);
    expect(returns).toEqual(["Tensor", "Tensor"]);
  });

  it("may return nothing, or change its argument", () => {
    expect(parseSchema("nlora::step_(Tensor(a!)[] params, float lr) -> ()")).toMatchObject({
      args: [{ type: "Tensor[]" }, { type: "float" }],
      returns: [],
      inPlace: true,
    });
    expect(parseSchema("aten::add_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)").inPlace).toBe(true);
  });

  it("reads the same from a libtorch with symbolic integers and from one without", () => {
    const symbolic = "aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)";
    expect(normaliseSchema(symbolic)).toBe(
      "aten::narrow(Tensor self, int dim, int start, int length) -> Tensor",
    );
    expect(normaliseSchema("aten::chunk(Tensor(a -> *) self, int chunks) -> Tensor(a)[]")).toBe(
      "aten::chunk(Tensor self, int chunks) -> Tensor[]",
    );
  });

  it("that cannot be read is named", () => {
    expect(() => parseSchema("aten::f(Tensor) -> Tensor")).toThrowError(
      'Cannot read the argument "Tensor" of aten::f',
    );
  });
});

describe("code for a schema", () => {
  const functionOf = (schema: string) =>
    generate([schema.slice(0, schema.indexOf("("))], [schema], "0").functions;
  const methodOf = (...schemas: string[]) =>
    generate(
      schemas.map((schema) => schema.slice(0, schema.indexOf("("))),
      schemas,
      "0",
    ).methods;

  it("passes tensors as handles, keywords as options, and leaves out what nobody sets", () => {
    const text = functionOf(
      "nlora::mix(Tensor first_one, Tensor? bias, Tensor[] rest, *, float eps=1e-5, Layout? layout=None) -> Tensor",
    );
    expect(text).toContain(
      "export function mix(firstOne: Tensor, bias: Tensor | null, rest: readonly Tensor[], options?: { eps?: number | undefined }): Tensor {",
    );
    expect(text).toContain(
      'call(operatorId("nlora::mix"), firstOne.handle, bias?.handle ?? null, handles(rest), options?.eps)',
    );
  });

  it("joins the overloads for a tensor and for a number into one method", () => {
    const text = methodOf(
      "aten::sub_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)",
      "aten::sub_.Scalar(Tensor(a!) self, Scalar other, Scalar alpha=1) -> Tensor(a!)",
    );
    expect(text.match(/sub_\(/g)).toHaveLength(1);
    expect(text).toContain("sub_(other: Tensor | number): this {");
    expect(text).toContain("return this;");
  });
});
