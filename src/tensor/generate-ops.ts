/** Turns operator schemas into the typed methods and functions of `methods.gen.ts` and `functions.gen.ts`. */

interface Argument {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
  readonly hasDefault: boolean;
  readonly keywordOnly: boolean;
}

interface Schema {
  readonly text: string;
  /** Full name with overload, "aten::add.Tensor". */
  readonly operator: string;
  readonly base: string;
  readonly overload: string;
  readonly args: readonly Argument[];
  readonly returns: readonly string[];
  readonly inPlace: boolean;
}

const RESERVED = new Set(["default", "self", "in", "var", "this", "function", "new"]);

const camel = (name: string): string =>
  name.replace(/([a-z0-9])_([a-z0-9])/gi, (_, a, b) => a + b.toUpperCase());

/** Splits at top-level commas. */
function splitArguments(text: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let current = "";
  for (const char of text) {
    if ("([".includes(char)) depth++;
    if (")]".includes(char)) depth--;
    if (char === "," && depth === 0) {
      out.push(current.trim());
      current = "";
    } else current += char;
  }
  if (current.trim()) out.push(current.trim());
  return out;
}

/** Symbolic integers and alias annotations say nothing to a caller and differ between versions of libtorch. */
export function normaliseSchema(text: string): string {
  return text
    .replaceAll("SymInt", "int")
    .replace(/\([a-z](!)?( -> [^)]*)?\)/g, "$1")
    .trim();
}

export function parseSchema(raw: string): Schema {
  const text = normaliseSchema(raw);
  const open = text.indexOf("(");
  const operator = text.slice(0, open);
  let depth = 0;
  let close = open;
  for (; close < text.length; close++) {
    if (text[close] === "(") depth++;
    if (text[close] === ")" && --depth === 0) break;
  }
  const [base = "", overload = ""] = operator.split("::")[1]!.split(".");
  let keywordOnly = false;
  const args: Argument[] = [];
  for (const part of splitArguments(text.slice(open + 1, close))) {
    if (part === "*") {
      keywordOnly = true;
      continue;
    }
    const match = part.match(/^(\S+?)(!?)\s+([A-Za-z_0-9]+)(=.*)?$/);
    if (!match) throw new Error(`Cannot read the argument "${part}" of ${text}`);
    const type = match[1]!.replace("!", "");
    args.push({
      name: match[3]!,
      type: type.replace(/\?$/, ""),
      optional: type.endsWith("?"),
      hasDefault: match[4] !== undefined,
      keywordOnly,
    });
  }
  const result = text
    .slice(close + 1)
    .replace("->", "")
    .trim();
  const returns = splitArguments(result.startsWith("(") ? result.slice(1, -1) : result).map(
    (type) => type.split(" ")[0]!,
  );
  return { text, operator, base, overload, args, returns, inPlace: base.endsWith("_") };
}

function typeOf(argument: Argument): string {
  const { type, name } = argument;
  const plain = type.replace(/\[\d+\]/g, "[]");
  const table: Record<string, string> = {
    Tensor: "Tensor",
    "Tensor[]": "readonly Tensor[]",
    "Tensor?[]": "readonly (Tensor | null)[]",
    int: "number",
    "int[]": "readonly number[]",
    float: "number",
    "float[]": "readonly number[]",
    bool: "boolean",
    "bool[]": "readonly boolean[]",
    Scalar: "number",
    "Scalar[]": "readonly number[]",
    str: "string",
    ScalarType: "DType",
    Device: "Device",
    Layout: "number",
    MemoryFormat: "number",
    Generator: "null",
  };
  let out = name === "dtype" ? "DType" : table[plain];
  if (!out) throw new Error(`No TypeScript type for "${type}"`);
  // int[1] accepts a plain number as well
  if (/\[\d+\]/.test(type) && plain === "int[]") out = "readonly number[] | number";
  return argument.optional ? `${out} | null` : out;
}

const jsName = (argument: Argument): string => {
  const name = camel(argument.name);
  return RESERVED.has(name) ? `${name}_` : name;
};

/** How an argument is handed to the addon: tensors as handles. */
function pass(argument: Argument, expression: string, sure: boolean): string {
  if (argument.type === "Tensor") {
    if (argument.optional) return `${expression}?.handle ?? null`;
    return sure ? `${expression}.handle` : `${expression}?.handle`;
  }
  if (argument.type === "Tensor[]") return `handles(${expression})`;
  if (argument.type === "Tensor?[]") return `optionalHandles(${expression})`;
  return expression;
}

const FACTORIES = new Set(["full", "zeros", "ones", "empty", "eye", "rand", "randn"]);

const HIDDEN = new Set(["layout", "pin_memory", "memory_format", "generator", "implicit"]);

/** Arguments nobody sets from here are left at their defaults. */
const isHidden = (argument: Argument): boolean =>
  HIDDEN.has(argument.name) && (argument.optional || argument.hasDefault);

function signature(schema: Schema, asMethod: boolean): { parameters: string; values: string[] } {
  const visible = schema.args.slice(asMethod ? 1 : 0);
  const positional = visible.filter((argument) => !argument.keywordOnly && !isHidden(argument));
  const keywords = visible.filter((argument) => argument.keywordOnly && !isHidden(argument));
  const lastRequired = positional.findLastIndex((argument) => !argument.hasDefault);
  const parts = positional.map((argument, i) =>
    argument.hasDefault && i > lastRequired
      ? `${jsName(argument)}?: ${typeOf(argument)}`
      : `${jsName(argument)}: ${typeOf(argument)}${argument.hasDefault ? " | undefined" : ""}`,
  );
  if (keywords.length > 0) {
    const fields = keywords.map((argument) => `${jsName(argument)}?: ${typeOf(argument)} | undefined`);
    parts.push(`options?: { ${fields.join("; ")} }`);
  }
  const values = schema.args.map((argument, i) => {
    if (asMethod && i === 0) return "this.handle";
    if (isHidden(argument)) return "undefined";
    // A factory without a dtype would make integers of whole JavaScript numbers.
    if (argument.name === "dtype" && FACTORIES.has(schema.base)) return 'options?.dtype ?? "float32"';
    if (argument.keywordOnly) return pass(argument, `options?.${jsName(argument)}`, false);
    return pass(argument, jsName(argument), true);
  });
  while (values.length > 0 && values.at(-1) === "undefined") values.pop();
  return { parameters: parts.join(", "), values };
}

function returnType(schema: Schema): string {
  const types = schema.returns.map((type) => {
    const clean = type.replace("!", "");
    if (clean === "Tensor") return "Tensor";
    if (clean === "Tensor[]") return "Tensor[]";
    if (clean === "bool") return "boolean";
    return "number";
  });
  if (types.length === 0) return "void";
  if (types.length === 1) return types[0]!;
  return `[${types.join(", ")}]`;
}

function wrap(schema: Schema, callText: string, wrapper: string): string {
  const type = returnType(schema);
  if (type === "void") return `${callText};`;
  if (type === "Tensor") return `return ${wrapper}.one(${callText});`;
  if (type === "Tensor[]" || /^\[(Tensor(, )?)+\]$/.test(type)) {
    return `return ${wrapper}.many(${callText})${type === "Tensor[]" ? "" : ` as ${type}`};`;
  }
  return `return ${callText} as ${type};`;
}

/** Method names: the operator's own, with a suffix only where two operators would otherwise share one. */
const METHOD_NAMES: Readonly<Record<string, string>> = {
  "aten::sum.dim_IntList": "sumDim",
  "aten::mean.dim": "meanDim",
  "aten::max": "maxAll",
  "aten::min": "minAll",
  "aten::to.dtype": "toDtype",
  "aten::to.device": "toDevice",
  "aten::arange.start_step": "arange",
};

const nameOf = (schema: Schema): string =>
  METHOD_NAMES[schema.operator] ?? camel(schema.base).replace(/^_+/, "");

const FUNCTION_FIRST = new Set(["aten::where.self", "aten::embedding"]);

const HEADER = (version: string, what: string): string =>
  `// Generated from operator schemas (libtorch ${version}) by \`npm run generate\`. Do not edit.\n// ${what}\n`;

export interface Generated {
  readonly methods: string;
  readonly functions: string;
}

/** Source text of the two generated files, for these schemas. Throws when an operator of the list is missing. */
export function generate(
  operators: readonly string[],
  allSchemas: readonly string[],
  version: string,
): Generated {
  const bySignature = new Map(allSchemas.map((text) => [text.slice(0, text.indexOf("(")), text]));
  const schemas = operators.map((operator) => {
    const text = bySignature.get(operator);
    if (!text) throw new Error(`This libtorch has no operator ${operator}`);
    return parseSchema(text);
  });
  const isMethod = (schema: Schema): boolean =>
    schema.operator.startsWith("aten::") &&
    schema.args[0]?.name === "self" &&
    schema.args[0].type === "Tensor" &&
    !FUNCTION_FIRST.has(schema.operator);

  const methods: string[] = [];
  const functions: string[] = [];
  const scalars = new Map(schemas.filter((s) => s.overload === "Scalar").map((s) => [s.base, s]));
  for (const schema of schemas) {
    const callText = (values: readonly string[], operator = schema.operator): string =>
      `call(operatorId("${operator}")${values.map((value) => `, ${value}`).join("")})`;
    if (!isMethod(schema)) {
      const { parameters, values } = signature(schema, false);
      const name = camel(schema.base).replace(/^_+/, "");
      functions.push(
        `/** ${schema.text} */\nexport function ${name}(${parameters}): ${returnType(schema)} {\n  ${wrap(schema, callText(values), "wrap")}\n}\n`,
      );
      continue;
    }
    const scalar = schema.overload === "Tensor" ? scalars.get(schema.base) : undefined;
    if (
      schema.overload === "Scalar" &&
      schemas.some((s) => s.base === schema.base && s.overload === "Tensor")
    )
      continue;
    const name = nameOf(schema);
    if (scalar) {
      // Both overloads take (other); alpha and rounding_mode are left at their defaults.
      const other = (text: string, operator: string): string =>
        `${callText(["this.handle", text], operator)}`;
      const both = `typeof other === "number" ? ${other("other", scalar.operator)} : ${other("other.handle", schema.operator)}`;
      const body = schema.inPlace ? `${both};\n    return this;` : `return this.one(${both});`;
      methods.push(
        `  /** ${schema.text}; or with a number */\n  ${name}(other: Tensor | number): ${schema.inPlace ? "this" : "Tensor"} {\n    ${body}\n  }\n`,
      );
      continue;
    }
    const { parameters, values } = signature(schema, true);
    const body = schema.inPlace
      ? `${callText(values)};\n    return this;`
      : wrap(schema, callText(values), "this");
    methods.push(
      `  /** ${schema.text} */\n  ${name}(${parameters}): ${schema.inPlace ? "this" : returnType(schema)} {\n    ${body}\n  }\n`,
    );
  }
  const methodText = methods.join("\n");
  const functionText = functions.join("\n");
  const helpers = (text: string): string =>
    ["handles", "optionalHandles"].filter((name) => text.includes(`${name}(`)).join(", ");
  const needs = (text: string, type: string): boolean => new RegExp(`\\b${type}\\b`).test(text);
  const typeImports = (text: string): string => {
    const names = ["Device", "DType"].filter((type) => needs(text, type));
    return names.length > 0 ? `import type { ${names.join(", ")} } from "./dtype.js";\n` : "";
  };
  return {
    methods:
      HEADER(version, "Operators whose first argument is the tensor itself.") +
      typeImports(methodText) +
      `import { call, operatorId } from "./native.js";\nimport type { Tensor } from "./tensor.js";\n` +
      (helpers(methodText) ? `import { ${helpers(methodText)} } from "./handles.js";\n` : "") +
      `\nexport abstract class TensorMethods {\n  abstract readonly handle: number;\n  protected abstract one(result: unknown): Tensor;\n  protected abstract many(result: unknown): Tensor[];\n\n${methodText}}\n`,
    functions:
      HEADER(version, "Operators that are not methods of a tensor, the engine's own kernels among them.") +
      typeImports(functionText) +
      `import { ${helpers(functionText)} } from "./handles.js";\nimport { call, operatorId } from "./native.js";\nimport { type Tensor, wrap } from "./tensor.js";\n\n${functionText}`,
  };
}
