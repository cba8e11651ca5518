/** Prompt templates: text with the names of columns in braces, `{{` and `}}` for braces themselves. */
import { ConfigError } from "../errors.js";
import type { PromptParts } from "./task.js";

/** Text and columns in turn. */
export type Piece = { readonly text: string } | { readonly column: string };

/** The pieces of a template. Throws a ConfigError that shows the place of a brace without its other. */
export function parseTemplate(template: string): Piece[] {
  const pieces: Piece[] = [];
  for (const [match, doubled, column] of template.matchAll(/(\{\{|\}\})|\{([^{}\n]+)\}|[{}]|[^{}]+/g)) {
    if (column !== undefined) pieces.push({ column: column.trim() });
    else if (doubled !== undefined) pieces.push({ text: doubled[0]! });
    else if (match === "{" || match === "}") {
      throw new ConfigError(
        `the text "${template.replace(/\s+/g, " ")}" has a ${match} without its other half`,
        {
          hint: "columns stand in braces, {question}; a brace itself is written twice, {{ or }}",
        },
      );
    } else pieces.push({ text: match });
  }
  return pieces;
}

export function columnsOf(pieces: readonly Piece[]): string[] {
  return pieces.flatMap((piece) => ("column" in piece ? [piece.column] : []));
}

/** A template filled in. The longest column is the body, which a cut may shorten; what surrounds it is kept. */
export function fillTemplate(pieces: readonly Piece[], valueIn: (column: string) => string): PromptParts {
  const texts = pieces.map((piece) => ("column" in piece ? valueIn(piece.column) : piece.text));
  let body = -1;
  for (const [index, piece] of pieces.entries()) {
    if (!("column" in piece)) continue;
    if (body < 0 || texts[index]!.length > texts[body]!.length) body = index;
  }
  return {
    head: texts.slice(0, Math.max(body, 0)).join(""),
    body: texts[body] ?? "",
    suffix: texts.slice(body + 1).join(""),
  };
}
