/** Reads an SVG as a tree, strictly: what is not well-formed is an error. Enough XML for what we write. */
export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Node[];
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
const plain = (text: string): string =>
  text.replace(/&([^;\s]{0,8});?/g, (whole, name: string) => {
    const found = ENTITIES[name];
    if (found === undefined || !whole.endsWith(";")) throw new Error(`not an entity: ${whole}`);
    return found;
  });

export function parseSvg(source: string): Node {
  const root: Node = { name: "", attributes: {}, children: [], text: "" };
  const open: Node[] = [root];
  const tags = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/gy;
  for (let at = 0; at < source.length; ) {
    const next = source.indexOf("<", at);
    open.at(-1)!.text += plain(source.slice(at, next < 0 ? undefined : next));
    if (next < 0) break;
    tags.lastIndex = next;
    const tag = tags.exec(source);
    if (!tag) throw new Error(`not a tag: ${source.slice(next, next + 80)}`);
    const [, closing, name, attributes, empty] = tag as unknown as [string, string, string, string, string];
    if (closing) {
      const last = open.pop()!;
      if (last.name !== name) throw new Error(`</${name}> closes <${last.name}>`);
    } else {
      const pairs = [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)].map(
        ([, key, value]) => [key!, plain(value!)] as const,
      );
      if (new Set(pairs.map(([key]) => key)).size < pairs.length)
        throw new Error(`an attribute twice: ${tag[0]}`);
      const node: Node = { name, attributes: Object.fromEntries(pairs), children: [], text: "" };
      open.at(-1)!.children.push(node);
      if (!empty) open.push(node);
    }
    at = tags.lastIndex;
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error("expected one element, closed");
  return root.children[0]!;
}

/** The node itself and everything in it. */
export const everything = (node: Node): Node[] => [node, ...node.children.flatMap(everything)];

export const withClass = (node: Node, name: string): Node[] =>
  everything(node).filter(({ attributes }) => attributes.class?.split(" ").includes(name));

/** From places along an axis to values, read off its ticks alone: straight lines between neighbours. */
export function axisOf(
  node: Node,
  axis: "x" | "y",
  scale: "linear" | "log" = "linear",
): (place: number) => number {
  const ticks = withClass(node, "tick")
    .filter(({ attributes }) => attributes["data-axis"] === axis)
    .map(({ attributes }) => ({ at: Number(attributes["data-at"]), value: Number(attributes["data-value"]) }))
    .filter(({ value }) => scale === "linear" || value > 0)
    .toSorted((one, other) => one.at - other.at);
  const to = scale === "log" ? Math.log : (value: number) => value;
  const from = scale === "log" ? Math.exp : (value: number) => value;
  return (place) => {
    const after = Math.max(
      1,
      ticks.findIndex(({ at }) => at >= place),
    );
    const [a, b] = [ticks[after - 1]!, ticks[after < ticks.length ? after : ticks.length - 1]!];
    return from(to(a.value) + ((place - a.at) / (b.at - a.at)) * (to(b.value) - to(a.value)));
  };
}

/** Where a mark was put. */
export function placeOf({ attributes }: Node): readonly [number, number] {
  const [, x, y] = /^translate\((-?[\d.]+) (-?[\d.]+)\)$/.exec(attributes.transform ?? "")!;
  return [Number(x), Number(y)];
}

/** The corners of a path of straight lines. */
export const cornersOf = ({ attributes }: Node): (readonly [number, number])[] =>
  [...attributes.d!.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
