// Draws accuracy on one task over the stream, one line per run, from record.json files:
//   node tools/retention-figure.mjs TASK OUT.svg RECORD.json...
import { readFileSync, writeFileSync } from "node:fs";

const [task, out, ...files] = process.argv.slice(2);
const records = files.map((file) => JSON.parse(readFileSync(file, "utf8")));
const [left, right, top, bottom, width, height] = [56, 130, 34, 44, 640, 300];
const { tasks } = records[0];
const row = tasks.indexOf(task);
const x = (j) => left + (j * (width - left - right)) / (tasks.length - 1);
const y = (value) => top + ((100 - value) * (height - top - bottom)) / 100;
// Told apart by dash and marker as well as by colour (Okabe and Ito's palette).
const styles = [
  { colour: "#0072b2", dash: "", marker: "circle" },
  { colour: "#d55e00", dash: "7 4", marker: "square" },
  { colour: "#009e73", dash: "2 4", marker: "diamond" },
  { colour: "#555555", dash: "10 3 2 3", marker: "cross" },
];
const mark = ({ marker, colour }, px, py) =>
  ({
    circle: `<circle cx="${px}" cy="${py}" r="4" fill="${colour}"/>`,
    square: `<rect x="${px - 4}" y="${py - 4}" width="8" height="8" fill="${colour}"/>`,
    diamond: `<path d="M${px} ${py - 5}l5 5-5 5-5-5z" fill="${colour}"/>`,
    cross: `<path d="M${px - 4} ${py - 4}l8 8m0-8l-8 8" stroke="${colour}" stroke-width="2"/>`,
  })[marker];
const parts = [];
for (const value of [0, 25, 50, 75, 100]) {
  parts.push(`<path d="M${left} ${y(value)}H${width - right}" stroke="#ddd"/>`);
  parts.push(`<text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${value}</text>`);
}
for (const [j, name] of tasks.entries()) {
  parts.push(`<text x="${x(j)}" y="${height - bottom + 20}" text-anchor="middle">after ${name}</text>`);
}
records.forEach((record, i) => {
  const style = styles[i % styles.length];
  const points = record.accuracy[row]
    .map((value, j) => (value === null || j < row ? null : [x(j), y(value)]))
    .filter(Boolean);
  parts.push(
    `<path d="M${points.map((point) => point.join(" ")).join("L")}" fill="none" stroke="${style.colour}" stroke-width="2" stroke-dasharray="${style.dash}"/>`,
  );
  parts.push(...points.map(([px, py]) => mark(style, px, py)));
  const ly = top + 18 + 22 * i;
  parts.push(
    `<path d="M${width - right + 16} ${ly}h28" stroke="${style.colour}" stroke-width="2" stroke-dasharray="${style.dash}"/>`,
    mark(style, width - right + 30, ly),
  );
  parts.push(`<text x="${width - right + 52}" y="${ly + 4}">${record.method}</text>`);
});
const title = `Accuracy on ${task} (%) as later tasks are learned`;
writeFileSync(
  out,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img" aria-label="${title}"><rect width="100%" height="100%" fill="#fff"/><text x="${left}" y="20" font-size="14">${title}</text>${parts.join("")}</svg>\n`,
);
